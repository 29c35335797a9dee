"""`clickpaint dataset`."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from clickpaint.train.dataset.layout_reading import open_data_set
from clickpaint.train.dataset.picture_reading import mask_of
from tests.cli.test_cli import DISC, drawing, run


def test_a_set_is_made_added_to_inspected_exported_and_imported(tmp_path, capsys):
    photos, data = tmp_path / "photos", ["--data-dir", tmp_path / "data"]
    photos.mkdir()
    for name in ("a.png", "b.png"):
        drawing().save(photos / name)
    (photos / "b.txt").write_text("a disc on grey\n")
    assert run("dataset", "new", "discs", "--trigger", "ohwx", *data) == 0
    assert run("dataset", "add", "discs", photos, *DISC, "--repeats", 2, *data) == 0
    assert run("dataset", "add", "discs", photos / "a.png", "--caption", "no mask", "--preprocessor", "canny", *data) == 0
    assert run("dataset", "add", "none", photos / "a.png", *data) == 2 and "no data set" in capsys.readouterr().err
    assert run("dataset", "caption", "discs", "--set", "a=a red disc", *data) == 0
    assert run("dataset", "list", *data) == 0
    assert 'discs: 3 examples, 5 turns, 2 with a mask, called "ohwx"' in capsys.readouterr().out
    assert run("dataset", "inspect", "discs", "--json", "--resolution", 64, *data) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [row["caption"] for row in facts["examples"]] == ["a red disc", "a disc on grey", "no mask"]
    assert facts["examples"][1]["same_as"] == "a" and facts["examples"][2]["same_as"] is None
    assert run("dataset", "export", "discs", "--layout", "kohya", "-o", tmp_path / "kohya", *data) == 0
    assert "1 x control map left out" in capsys.readouterr().out
    first = open_data_set(tmp_path / "kohya").examples[-1]
    mask = mask_of(first)
    assert first.repeats == 2 and mask is not None and np.asarray(Image.open(first.picture))[mask > 127][:, 0].min() > 150
    assert run("dataset", "import", tmp_path / "kohya", "--name", "again", *data) == 0
    assert run("dataset", "inspect", tmp_path / "kohya") == 0 and run("dataset", "inspect", "again", *data) == 0
    assert run("dataset", "remove", "again", *data) == 0 and run("dataset", "inspect", "again", *data) == 2
