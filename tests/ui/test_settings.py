"""The page's Chinese for the settings, against the settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

from clickpaint.settings import GROUPS, SETTINGS

TABLE = Path(__file__).resolve().parents[2] / "javascript" / "clickpaint" / "language" / "settings_zh_CN.mjs"


def test_every_setting_has_its_place_and_its_chinese() -> None:
    assert sorted(key for keys in GROUPS.values() for key in keys) == sorted(SETTINGS)
    text = TABLE.read_text("utf-8")
    table = json.loads(re.sub(r",\s*}", "}", text[text.index("{") : text.rindex("}") + 1]))
    said = {*GROUPS, *(words for setting in SETTINGS.values() for words in (setting.label, setting.help) if words)}
    assert said == set(table), said ^ set(table)
