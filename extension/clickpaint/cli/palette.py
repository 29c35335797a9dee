"""`palette`: the tasks of Palette (Saharia et al., 2022) by name, on the checkpoint."""

from __future__ import annotations

from typing import Any

from clickpaint.cli.painting import add_paint_options, add_task


def add_commands(commands: Any) -> None:
    palette = commands.add_parser("palette", help="colorize, restore a JPEG, uncrop, inpaint (Palette's tasks, on the checkpoint)")
    tasks = palette.add_subparsers(metavar="TASK", required=True)
    for name, task, help in (
        ("colorize", "colorize", "paint a picture's colours, or those of what is selected, on its own luminance"),
        ("restore", "restore", "paint a JPEG anew without what its compression left in it; what the file says stays"),
        ("uncrop", "expand", "paint what lies beyond the picture's borders (expand)"),
        ("inpaint", "fill", "paint what a prompt says where something is (fill)"),
    ):
        parser = add_task(tasks, name, task, help)
        if task == "restore":
            parser.add_argument(
                "--quality", dest="jpeg_quality", type=int, metavar="N",
                help="how strongly it was compressed, 1 to 100, where its file does not say it",
            )  # fmt: skip
        add_paint_options(parser)
        if task in ("colorize", "restore"):
            parser.set_defaults(denoising_strength=0.9 if task == "colorize" else 0.3)
