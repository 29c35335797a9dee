"""`clickpaint crop` and `clickpaint cutout`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_cli import DISC, drawing, run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    drawing().save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_crop_keeps_metadata_and_a_cut_out_is_transparent(photo, tmp_path, capsys):
    with Image.open(photo) as picture:
        picture.save(photo, dpi=(300, 300))
    assert run("crop", photo, "--to", "1:1") == 0
    with Image.open(tmp_path / "photo_cropped.png") as cropped:
        assert cropped.size == (100, 100) and round(cropped.info["dpi"][0]) == 300
        assert np.array_equal(np.asarray(cropped), np.asarray(drawing())[:, 10:110])
    assert run("crop", photo, "--box", "5,6,25,46", "-o", tmp_path / "part.webp") == 0
    with Image.open(tmp_path / "part.webp") as part:
        assert part.size == (20, 40)
    for unclear in (["--box", "0,0,9,9", "--to", "1:1"], []):
        assert run("crop", photo, *unclear) == 2
    assert run("cutout", photo, *DISC, "--feather", 0) == 0
    with Image.open(tmp_path / "photo_cutout.png") as cut:
        assert cut.mode == "RGBA" and 38 <= cut.width <= 50 and round(cut.info["dpi"][0]) == 300
        assert np.asarray(cut)[cut.height // 2, cut.width // 2].tolist() == [220, 30, 20, 255] and np.asarray(cut)[0, 0, 3] == 0
    assert run("cutout", photo, *DISC, "--whole", "-o", tmp_path / "cut.jpg") == 2
    assert "no transparency" in capsys.readouterr().err
