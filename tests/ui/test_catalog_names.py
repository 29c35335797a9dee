"""The page's Chinese for what the catalog's files and the engines are called."""

from __future__ import annotations

import json
import re
from pathlib import Path

from clickpaint.erase.registry import ERASERS
from clickpaint.segment.registry import SEGMENTERS

ROOT = Path(__file__).resolve().parents[2]


def is_name(text: str) -> bool:
    return all(re.search(r"[A-Z0-9_]", word) for word in re.findall(r"[\w+.'-]+", text))


def test_what_is_no_name_is_said_in_chinese() -> None:
    files = json.loads((ROOT / "models" / "catalog.json").read_text("utf-8"))["files"]
    said = {file.get(key, "") for file in files for key in ("title", "licence", "note")}
    said |= {engine.title for engine in (*SEGMENTERS.values(), *ERASERS.values())}
    text = (ROOT / "javascript" / "clickpaint" / "language" / "catalog_zh_CN.mjs").read_text("utf-8")
    table = json.loads(re.sub(r",\s*}", "}", text[text.index("{") : text.rindex("}") + 1]))
    assert {one for one in said if one and not is_name(one)} - set(table) == set()
    assert set(table) - said == set()
