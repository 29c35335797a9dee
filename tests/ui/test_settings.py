"""The page's Chinese for the settings, against the settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from clickpaint.settings import GROUPS, SETTINGS
from clickpaint.train.training_settings import SETTING_FIELDS

TABLE = Path(__file__).resolve().parents[2] / "javascript" / "clickpaint" / "language" / "settings_zh_CN.mjs"


def table_of(file: Path) -> Any:
    text = file.read_text("utf-8")
    return json.loads(re.sub(r",\s*}", "}", text[text.index("zh_CN = {") + 8 : text.rindex("}") + 1]))


def test_all_that_a_training_can_be_told_has_its_chinese() -> None:
    table = table_of(TABLE.with_name("training_settings_zh_CN.mjs"))
    assert [*table] == [*SETTING_FIELDS]
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in help) for _, help in table.values())


def test_every_setting_has_its_place_and_its_chinese() -> None:
    assert sorted(key for keys in GROUPS.values() for key in keys) == sorted(SETTINGS)
    table = table_of(TABLE)
    said = {*GROUPS, *(words for setting in SETTINGS.values() for words in (setting.label, setting.help) if words)}
    assert said == set(table), said ^ set(table)
