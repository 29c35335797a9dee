"""Settings that are changed while the program runs: kept for the next start, and acting at once."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clickpaint.errors import ClickpaintError, InvalidInput, NotFound
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.settings import SETTINGS, Setting
from clickpaint.studio.studio import Studio


def host(folder: Path, environment: dict[str, str] | None = None, **overrides: Any) -> EmbeddedHost:
    return EmbeddedHost(folder, environment=environment or {}, overrides=overrides)


def another(setting: Setting) -> Any:
    """A value that it can take and that is not its default."""
    if setting.choices is not None:
        return next(choice for choice in setting.choices if choice != setting.default)
    if isinstance(setting.default, bool):
        return not setting.default
    if isinstance(setting.default, int):
        return setting.default + 1 if setting.maximum is None or setting.default < setting.maximum else setting.default - 1
    if isinstance(setting.default, float):
        return setting.default / 2
    return "another"


def test_every_setting_is_kept_for_this_run_and_the_next(tmp_path: Path) -> None:
    first = host(tmp_path)
    wanted = {key: another(setting) for key, setting in SETTINGS.items()} | {"device": "cpu"}
    first.settings_file.change(wanted)
    assert {key: first.setting(key) for key in SETTINGS} == wanted
    second = host(tmp_path)
    assert {key: second.setting(key) for key in SETTINGS} == wanted
    second.settings_file.change(dict.fromkeys(SETTINGS))
    assert json.loads((tmp_path / "settings.json").read_text("utf-8")) == {}
    assert all(host(tmp_path).setting(key) == setting.default for key, setting in SETTINGS.items())


def test_of_a_mistake_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"other": 1}')
    here = host(tmp_path, {"CLICKPAINT_OFFLINE": "true"}, erase_grow=3)
    for values, error in (
        ({"erase_feather": 1, "erase_grow": 9}, InvalidInput),  # fixed by an option
        ({"erase_feather": 1, "offline": False}, InvalidInput),  # by the environment
        ({"erase_feather": 1, "theme": "pink"}, InvalidInput),
        ({"erase_feather": 1, "tune": "la"}, NotFound),
        ({"erase_feather": 1, "device": "abacus"}, InvalidInput),  # with which it would not start again
    ):
        with pytest.raises(error):
            here.settings_file.change(values)
    assert here.setting("erase_feather") == SETTINGS["erase_feather"].default
    here.settings_file.change({"text_model_key": "secret"})
    assert json.loads((tmp_path / "settings.json").read_text("utf-8")) == {"other": 1, "text_model_key": "secret"}
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "settings.json").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_said_and_changes_nothing(tmp_path: Path) -> None:
    here = host(tmp_path)
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(InvalidInput, match="cannot be kept"):
        here.settings_file.change({"erase_grow": 1})
    assert here.setting("erase_grow") == SETTINGS["erase_grow"].default and not [*tmp_path.glob("*.part")]


def test_what_is_changed_acts_at_once(tmp_path: Path) -> None:
    """One of each kind: a folder, a limit, a switch, an engine, a number that work begins with, a checkpoint."""
    here = host(tmp_path, device="cpu")
    studio = Studio(here)
    try:
        change = here.settings_file.change
        picture = tmp_path / "picture.png"
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(picture)
        workspace = studio.open(picture.read_bytes(), "picture.png")
        change({"output_dir": str(tmp_path / "elsewhere")})
        assert studio.save(workspace).parent == tmp_path / "elsewhere"
        change({"max_megapixels": 1, "max_upload_mb": 1})
        assert (studio.limits.max_pixels, studio.limits.max_bytes) == (1_000_000, 1 << 20)
        change({"offline": True})
        with pytest.raises(ClickpaintError, match=r"offline|never"):
            studio.downloads.download("mobile_sam")
        change({"eraser": "opencv_telea", "segmenter": "classic"})
        assert (studio.pool.eraser_name(), studio.pool.segmenter_name()) == ("opencv_telea", "classic")
        change({"models_dir": str(tmp_path / "mine")})
        assert here.folders("sam")[0] == tmp_path / "mine" / "sam"
        for name in ("a", "b"):
            (tmp_path / "mine" / "Stable-diffusion").mkdir(parents=True, exist_ok=True)
            (tmp_path / "mine" / "Stable-diffusion" / f"{name}.ckpt").write_bytes(b"no checkpoint")
        change({"checkpoint": "b"})
        current = here.checkpoints.current()
        assert current is not None and current[1].name == "b.ckpt"
    finally:
        studio.shut_down()
