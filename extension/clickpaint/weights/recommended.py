"""Which files are worth downloading first. The page, `doctor`, the command line and the README say what stands here."""

from __future__ import annotations

from clickpaint.weights.catalog import files_of

RECOMMENDED = {"segmenter": "mobile_sam", "eraser": "migan"}
"""The model of the catalog for each role: the smallest ones that do it much better than what needs no file."""

COMMAND = "clickpaint models download --recommended"
"""What gets them on the command line."""


def megabytes(names: tuple[str, ...] = tuple(RECOMMENDED.values())) -> int:
    """The size of these models together."""
    return round(sum(file.bytes or 0 for name in names for file in files_of(name)) / 1e6)
