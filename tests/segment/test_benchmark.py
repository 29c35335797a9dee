"""What the benchmark of segmenters does with samples of people's own; its figures are nobody's test."""

from __future__ import annotations

import json
import math

import numpy as np
from PIL import Image

from tests.benchmarks import segment


def test_a_sample_without_a_click_is_measured_by_its_box(tmp_path, monkeypatch, capsys):
    y, x = np.mgrid[:96, :128]
    disc = (x - 60) ** 2 + (y - 50) ** 2 < 25**2
    entries = [{"name": "clicked", "mode": "replace", "point": [60, 50]}, {"name": "boxed", "point": None}, {"name": "bare"}]
    for entry in entries:
        Image.fromarray(np.where(disc[..., None], np.uint8(220), np.uint8(40)).repeat(3, 2)).save(tmp_path / f"{entry['name']}.jpg")
        Image.fromarray(disc).save(tmp_path / f"{entry['name']}_mask.png")
    (tmp_path / "index.json").write_text(json.dumps(entries))

    clicked, boxed, bare = (segment.measure(sample)[0] for sample in segment.samples(tmp_path))
    assert clicked.click > 0.9 and min(row.box for row in (clicked, boxed, bare)) > 0.9
    assert math.isnan(boxed.click) and math.isnan(bare.click_ms)

    monkeypatch.setattr("sys.argv", ["segment", "--samples", str(tmp_path)])
    segment.main()
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line}
    assert lines["boxed"][0] == "–" and lines["boxed"][1] == f"{boxed.box:.3f}"
    assert lines["mean"][0] == f"{clicked.click:.3f}", "the mean is of those that have a click"
    assert "nan" not in str(lines)
