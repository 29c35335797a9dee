"""`segment` and `remove`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clickpaint.cli.files import for_each, format_for, mask_for, write
from clickpaint.cli.options import add_command, add_picture_options, prompts_of, studio_of
from clickpaint.errors import InvalidInput
from clickpaint.settings import SETTINGS


def add_commands(commands: Any) -> None:
    segment = add_command(commands, "segment", segment_pictures, "make masks of what is pointed at")
    add_picture_options(segment, "MASK.png", "where the mask goes, or the folder for masks; beside the picture by default")

    remove = add_command(commands, "remove", remove_from_pictures, "remove what is pointed at, or what a mask selects")
    add_picture_options(remove, "OUT", "where the result goes, or the folder for results; beside the picture by default")
    remove.add_argument("--mask", type=Path, metavar="FILE", help="what to remove: white, or alpha; for a folder of pictures also a folder")
    remove.add_argument("--eraser", metavar="NAME", help=SETTINGS["eraser"].help)
    remove.add_argument("--grow", type=int, metavar="N", help="pixels by which the mask is grown")
    remove.add_argument("--feather", type=int, metavar="N", help="pixels over which the result fades into the picture")


def segment_pictures(options: argparse.Namespace) -> int:
    from clickpaint.image import mask as masks

    studio, prompts = studio_of(options), prompts_of(options)

    def work(file: Path, target: Path) -> str:
        if target.suffix.lower() != ".png":
            raise InvalidInput(f"A mask cannot be written to {target.name}.", "Masks are PNG files: give it a name that ends in .png.")
        clicked = studio.selecting.segment(studio.decode(file.read_bytes()), prompts, options.segmenter)
        best = clicked.candidates[0]
        write(target, masks.to_png(best.mask))
        share = best.mask.mean()
        return f"{clicked.segmenter} selected {share:.1%} of the picture, score {best.score:.2f}"

    return for_each(options, studio, "mask", lambda file: ".png", work)


def remove_from_pictures(options: argparse.Namespace) -> int:
    if options.mask is not None and (options.point or options.box):
        raise InvalidInput("There are a mask and points.", "Give either --mask, or --point and --box.")
    studio, prompts = studio_of(options), None if options.mask else prompts_of(options)

    def work(file: Path, target: Path) -> str:
        format = format_for(file, target)
        picture = studio.decode(file.read_bytes())
        if prompts is None:
            selected, how = mask_for(options.mask, file, picture), "the mask"
        else:
            clicked = studio.selecting.segment(picture, prompts, options.segmenter)
            selected, how = clicked.candidates[0].mask, clicked.segmenter
        eraser, result = studio.erasing.erase_picture(picture, selected, options.eraser, options.grow, options.feather)
        write(target, studio.encode(result, format))
        return f"{eraser} removed what {how} selected"

    return for_each(options, studio, "removed", lambda file: file.suffix, work)
