"""The JSON of a request, read so that no body costs much more memory than its own length."""

from __future__ import annotations

import json
from typing import Any

from clickpaint.errors import InvalidInput, Sentence, TooLarge

MOST_VALUES = 700_000
"""Values in one body at most: twice the 200,000 points that the strokes of one request may have, and what is around them."""

MOST_LEVELS = 32
"""How deep lists and objects may stand in each other; OpenPose's JSON, the deepest that is taken, has five levels."""


def parse(data: bytes) -> Any:
    """The document, with a replacement character for each half of a surrogate pair: nothing behind this could write it as UTF-8.

    Args:
        data: the body as it came, in UTF-8, UTF-16 or UTF-32.

    Raises:
        InvalidInput: it is no JSON, or is nested deeper than `MOST_LEVELS`.
        TooLarge: it has more than `MOST_VALUES` values; known before any of them is made, since an empty object of three
            bytes becomes one of 72.
    """
    count = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if count > MOST_VALUES:
        raise TooLarge("The request has too many values.", "Send fewer points.", limit=MOST_VALUES)
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            message = Sentence("The body is not valid JSON (at character {position}).", position=error.pos)
        else:
            message = Sentence("The body is not valid JSON.")
        raise InvalidInput(message, "Send JSON in UTF-8.") from error
    return _well_formed(document, MOST_LEVELS)


def _well_formed(value: Any, levels: int) -> Any:
    """The same value, changed in place where it holds text that is none."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, dict)) and levels == 0:
        raise _too_deep()
    if isinstance(value, list):
        for place, inner in enumerate(value):
            if isinstance(inner, (str, list, dict)):
                value[place] = _well_formed(inner, levels - 1)
    elif isinstance(value, dict):
        for key, inner in list(value.items()):
            if isinstance(inner, (str, list, dict)):
                value[key] = _well_formed(inner, levels - 1)
            if not key.isascii():
                value[_text(key)] = value.pop(key)
    return value


def _text(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _too_deep() -> InvalidInput:
    return InvalidInput(
        "The body is nested too deeply.", "Lists and objects may stand in each other {limit} levels deep.", limit=MOST_LEVELS
    )
