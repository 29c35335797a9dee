"""`crop` and `cutout`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clickpaint.cli.files import Place, for_each, with_losses
from clickpaint.cli.options import (
    add_command,
    add_host_options,
    add_picture_options,
    check_one_selection,
    pixels_or_auto,
    prompts_of,
    selected,
    studio_of,
)
from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box, fitting

_NO_ALPHA = ("JPEG", "BMP", "GIF")


def add_commands(commands: Any) -> None:
    cutout = add_command(commands, "cutout", cut_out_of_pictures, "cut out what is pointed at, or what a mask selects, with transparency")
    add_picture_options(cutout, "OUT", "where the cut-out goes (a PNG), or the folder for them; beside the picture by default")
    cutout.add_argument(
        "--mask", type=Path, metavar="FILE", help="what to cut out: white, or alpha; for a folder of pictures also a folder"
    )
    cutout.add_argument("--feather", type=pixels_or_auto, default="auto", metavar="N",
                        help="pixels on either side of the outline in which the edge is looked for; 0: nowhere (%(default)s)")  # fmt: skip
    cutout.add_argument("--whole", action="store_true", help="as large as the picture, not only as the object")

    crop = add_command(commands, "crop", crop_pictures, "crop to a box, or to a ratio around the middle")
    crop.add_argument("image", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures, which all get the same box")
    crop.add_argument("--box", type=_box, metavar="L,T,R,B", help="what stays, in pixels, right and bottom exclusive")
    crop.add_argument("--to", type=_ratio, metavar="W:H", help="the largest part of this ratio, around the middle")
    crop.add_argument(
        "-o", "--output", metavar="OUT", help="where the result goes, or the folder for results; beside the picture by default"
    )
    add_host_options(crop)


def cut_out_of_pictures(options: argparse.Namespace) -> int:
    check_one_selection(options)
    studio = studio_of(options)
    if options.mask is None:
        prompts_of(options)

    def work(file: Path, place: Place) -> str:
        format = place.format or "PNG"
        if format in _NO_ALPHA:
            raise InvalidInput("{format} has no transparency.", "Give the cut-out a name that ends in .png.", format=format)
        picture = studio.decode(file.read_bytes())
        selection = selected(options, studio, file, picture)
        cut = studio.extracting.cut_out_of(picture, selection.mask, options.feather, options.whole)
        place.write([studio.encode(cut.picture, format)])
        edge = "the mask's edge, softened" if cut.method == "feathered" else f"its edge found by {cut.method} matting"
        size = f"{cut.picture.width} x {cut.picture.height} pixels"
        return with_losses(f"what {selection.how} selected, {edge} within {cut.feather} px, {size}", picture)

    return for_each(options, studio, "cutout", lambda file: ".png", work)


def crop_pictures(options: argparse.Namespace) -> int:
    if (options.box is None) == (options.to is None):
        raise InvalidInput("It is not said what stays.", "Give either --box L,T,R,B or --to W:H.")
    studio = studio_of(options)

    def work(file: Path, place: Place) -> str:
        format = place.format
        picture = studio.decode(file.read_bytes())
        box = options.box or fitting(options.to, Box(0, 0, *picture.size))
        cropped = studio.extracting.crop_picture(picture, box)
        place.write([studio.encode(cropped, format)])
        return with_losses(f"{cropped.width} x {cropped.height} pixels of {picture.width} x {picture.height}", picture)

    return for_each(options, studio, "cropped", lambda file: file.suffix, work)


def _box(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LEFT,TOP,RIGHT,BOTTOM in whole pixels") from None
    return left, top, right, bottom


def _ratio(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split(":"))
    except ValueError:
        width = height = 0
    if width < 1 or height < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTH:HEIGHT")
    return width, height
