"""`segment` and `remove`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clickpaint.cli.files import Place, for_each, with_losses, write
from clickpaint.cli.options import (
    add_checkpoint_options,
    add_command,
    add_picture_options,
    add_text_option,
    add_transparent_option,
    check_one_selection,
    pixels_or_auto,
    prompts_of,
    selected,
    studio_of,
)
from clickpaint.errors import InvalidInput
from clickpaint.settings import SETTINGS


def add_commands(commands: Any) -> None:
    segment = add_command(commands, "segment", segment_pictures, "make masks of what is pointed at")
    add_picture_options(segment, "MASK.png", "where the mask goes, or the folder for masks; beside the picture by default")

    add_transparent_option(segment)
    add_text_option(segment)
    segment.add_argument("--words", metavar="WORDS", help="what they name, instead of points: by the best that is here for it")
    segment.add_argument("--instead", metavar="WORDS", help="with --words: what might be there; the checkpoint says where that differs")
    segment.add_argument(
        "--mask-ratio", type=float, metavar="N", help="with --instead: of the mean difference, how much counts as all (3.0)"
    )
    segment.add_argument(
        "--resolution", type=int, metavar="N", help="with --instead: side of the square whose area is looked at (the checkpoint's)"
    )
    add_checkpoint_options(segment)

    remove = add_command(commands, "remove", remove_from_pictures, "remove what is pointed at, or what a mask selects")
    add_picture_options(remove, "OUT", "where the result goes, or the folder for results; beside the picture by default")
    remove.add_argument("--mask", type=Path, metavar="FILE", help="what to remove: white, or alpha; for a folder of pictures also a folder")
    add_transparent_option(remove)
    add_text_option(remove)
    remove.add_argument("--eraser", metavar="NAME", help=SETTINGS["eraser"].help)
    for name, what in (
        ("--grow", "pixels by which the mask is grown"),
        ("--feather", "pixels over which the result fades into the picture"),
    ):
        remove.add_argument(name, type=pixels_or_auto, metavar="N", help=f"{what}; auto: what fits the picture (the setting's)")
    remove.add_argument("--shadow", action="store_true", help="remove its shadow and its reflection too, where they are seen")
    remove.add_argument(
        "--grain", type=float, metavar="N", help="with classic or patchmatch: how much of the grain around it, 0 to 1 (the setting's)"
    )


def segment_pictures(options: argparse.Namespace) -> int:
    from clickpaint.image import mask as masks

    check_one_selection(options)
    studio = studio_of(options)
    if options.instead is not None and not options.words:
        raise InvalidInput("It is not said what is there.", "Give it as --words.")
    if (options.mask_ratio is not None or options.resolution is not None) and options.instead is None:
        raise InvalidInput("Only what the checkpoint finds has a ratio and a resolution.", "Give --instead with them.")
    if not options.transparent and not options.text and not options.words:
        prompts_of(options)

    def work(file: Path, place: Place) -> str:
        if place.ending != ".png":
            raise InvalidInput(
                "A mask cannot be written to {file}.", "Masks are PNG files: give it a name that ends in .png.", file=place.path.name
            )
        selection = selected(options, studio, file, studio.decode(file.read_bytes()))
        write(place.path, masks.to_png(selection.mask))
        return f"{selection.how} selected {selection.mask.mean():.1%} of the picture{selection.score}"

    return for_each(options, studio, "mask", lambda file: ".png", work)


def remove_from_pictures(options: argparse.Namespace) -> int:
    check_one_selection(options)
    studio = studio_of(options)
    if options.mask is None and not options.transparent and not options.text:
        prompts_of(options)

    def work(file: Path, place: Place) -> str:
        format = place.format
        picture = studio.decode(file.read_bytes())
        selection = selected(options, studio, file, picture)
        erased = studio.erasing.erase_picture(
            picture, selection.mask, options.eraser, options.grow, options.feather, options.shadow, options.grain
        )
        place.write([studio.encode(erased.picture, format)])
        edge = f"grown by {erased.edge.grow} px, feathered over {erased.edge.feather} px"
        return with_losses(f"{erased.eraser} removed what {selection.how} selected, {edge}", picture)

    return for_each(options, studio, "removed", lambda file: file.suffix, work)
