"""Points and a box written as text, for prompts that come from a text field, an infotext or a command line.

    120,80; 30,40,0     points in pixels; a third number 0 takes away what lies there
    0.5,0.25            shares of the picture's width and height: all between 0 and 1, one at least written with its dot
    10,20,300,400       a box: left, top, right, bottom

Blanks are as good as commas, a new line is as good as a semicolon.
"""

from __future__ import annotations

import re

from clickpaint.errors import InvalidInput
from clickpaint.segment.base import Point, Prompts

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


def prompts(points: str, box: str, size: tuple[int, int]) -> Prompts:
    """What is written, in pixels of a picture of `size` (width, height).

    Raises:
        InvalidInput: something is not a number, a point has not two or three of them, a box not four; or as `Prompts.checked`.
    """
    prompts = Prompts(tuple(_point(row, size) for row in _rows(points)), _box(box, size))
    return prompts.checked(*size)


def tidy(text: str) -> str:
    """The same points or box in the one form that needs no quoting in an infotext: blanks within a point, `; ` between.

    Raises:
        InvalidInput: something is not a number.
    """
    return "; ".join(" ".join(row) for row in _rows(text))


def _rows(text: str) -> list[list[str]]:
    rows = [re.split(r"[,\s]+", row.strip(", \t\r\f\v")) for row in re.split(r"[;\n]", text) if row.strip(", \t\r\f\v")]
    for number in (number for row in rows for number in row):
        if not _NUMBER.fullmatch(number):
            raise InvalidInput(
                "{text!r} is not a number.", "Write points as x,y; x,y and a box as left,top,right,bottom.", text=number[:40]
            )
    return rows


def _point(row: list[str], size: tuple[int, int]) -> Point:
    if len(row) not in (2, 3):
        raise InvalidInput(
            "The point {text!r} has {count} numbers.", "Write x,y or x,y,0, and ; between points.", text=" ".join(row)[:40], count=len(row)
        )
    if row[2:] not in ([], ["0"], ["1"]):
        raise InvalidInput(
            "The label {label!r} is unknown.", "Write 1 (or nothing) to add what lies at a point, 0 to take it away.", label=row[2][:40]
        )
    x, y = _pixels(row[:2], size)
    if _shares(row[:2]):  # the far border belongs to the last pixel
        x, y = min(x, size[0] - 1), min(y, size[1] - 1)
    return Point(x, y, int(row[2]) if len(row) == 3 else 1)


def _box(text: str, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    rows = _rows(text)
    if not rows:
        return None
    if len(rows) != 1 or len(rows[0]) != 4:
        raise InvalidInput("{text!r} is not a box.", "Write left,top,right,bottom.", text=tidy(text)[:40])
    left, top, right, bottom = _pixels(rows[0], size)
    return left, top, right, bottom


def _pixels(row: list[str], size: tuple[int, int]) -> list[float]:
    width, height = size if _shares(row) else (1, 1)
    return [float(number) * (height if i % 2 else width) for i, number in enumerate(row)]


def _shares(row: list[str]) -> bool:
    return all(0 <= float(number) <= 1 for number in row) and any("." in number for number in row)
