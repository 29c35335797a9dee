"""Prompt styles: pieces of prompts under a name, in the web UI's file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.paint.paint_job import TextPrompt

_PLACE = "{prompt}"
"""Where in a style the prompt goes."""


@dataclass(frozen=True)
class PromptStyle:
    """A style.

    Attributes:
        positive, negative: what is joined to the prompt and to the negative prompt; `{prompt}` in it says where the prompt goes,
            otherwise it follows after a comma.
    """

    positive: str = ""
    negative: str = ""


def read_styles(path: Path) -> dict[str, PromptStyle]:
    """The styles of a file by their names, in its order; none where there is no such file.

    Args:
        path: a table (CSV, UTF-8) with the columns name, prompt (or text) and negative_prompt. Names that begin with # are remarks.

    Raises:
        InvalidInput: it cannot be read as such.
    """
    if not path.is_file():
        return {}
    styles = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, skipinitialspace=True):
                name = row["name"]
                if name and not name.startswith("#"):
                    positive = row["prompt"] if "prompt" in row else row["text"]
                    styles[name] = PromptStyle(positive or "", row.get("negative_prompt") or "")
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise InvalidInput(
            "{filename} cannot be read as a table of styles.", "Give it the columns name, prompt and negative_prompt, in UTF-8.",
            filename=path.name,
        ) from error  # fmt: skip
    return styles


def styled(prompt: TextPrompt, known: Mapping[str, PromptStyle]) -> TextPrompt:
    """The prompt with its styles applied, one after the other, as the web UI does.

    Raises:
        NotFound: there is no style of that name.
    """
    for name in prompt.styles:
        if name not in known:
            raise _unknown(name, known)
        style = known[name]
        prompt = replace(prompt, positive=_merged(style.positive, prompt.positive), negative=_merged(style.negative, prompt.negative))
    return replace(prompt, styles=())


def _unknown(name: str, known: Iterable[str]) -> NotFound:
    names = ", ".join(known)
    remedy = "Choose one of {names}." if names else "Put it into styles.csv."
    return NotFound("There is no style {name!r}.", remedy, name=name, names=names)


def _merged(style: str, prompt: str) -> str:
    if _PLACE in style:
        return style.replace(_PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)
