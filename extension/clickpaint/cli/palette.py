"""`palette`: the tasks of Palette (Saharia et al., 2022) by name, on the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clickpaint.cli.options import add_command, add_picture_options, add_transparent_option
from clickpaint.cli.painting import add_expansion, add_paint_options, expand_pictures, paint_pictures


def add_commands(commands: Any) -> None:
    palette = commands.add_parser("palette", help="colorize, restore a JPEG, uncrop, inpaint (Palette's tasks, on the checkpoint)")
    tasks = palette.add_subparsers(metavar="TASK", required=True)
    for name, task, work, help in (
        ("colorize", "colorize", paint_pictures, "paint a picture's colours, or those of what is selected, on its own luminance"),
        ("restore", "restore", paint_pictures, "paint a JPEG anew without what its compression left in it; what the file says stays"),
        ("uncrop", "expand", expand_pictures, "paint what lies beyond the picture's borders (expand)"),
        ("inpaint", "fill", paint_pictures, "paint what a prompt says where something is (fill)"),
    ):
        parser = add_command(tasks, name, work, help)
        parser.set_defaults(task=task)
        add_picture_options(parser, "OUT", "where the result goes, or the folder for results; beside the picture by default")
        parser.add_argument("--mask", type=Path, metavar="FILE", help="what is selected: white, or alpha; for a folder also a folder")
        add_transparent_option(parser)
        if task == "expand":
            add_expansion(parser)
        if task == "restore":
            parser.add_argument(
                "--quality", dest="jpeg_quality", type=int, metavar="N",
                help="how strongly it was compressed, 1 to 100, where its file does not say it",
            )  # fmt: skip
        add_paint_options(parser)
        if task in ("colorize", "restore"):
            parser.set_defaults(denoising_strength=0.9 if task == "colorize" else 0.3)
