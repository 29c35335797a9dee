"""The benchmarks run, at toy size; what they measure is nobody's business here."""

from __future__ import annotations

import json

import pytest

_PARTS = ("encoders", "maps", "captions", "sd1", "sdxl", "opening", "outside", "flux", "sd3", "z_image", "moves", "exhausted", "policy")


@pytest.mark.parametrize("part", _PARTS)
def test_the_benchmark_of_graphics_cards_runs_on_a_processor(part, tmp_path):
    pytest.importorskip("torch")
    from tests.benchmarks.gpu.__main__ import main

    report = tmp_path / "report.json"
    assert main(["--small", "--device", "cpu", "--only", part, "--json", str(report)]) == 0
    rows = json.loads(report.read_text(encoding="utf-8"))["rows"]
    assert rows and not any(row.get("wrong") for row in rows)


def test_the_benchmark_of_erasers_knows_the_truth(capsys, monkeypatch):
    """The truth itself scores best, and a smear is seen: it has no grain."""
    pytest.importorskip("cv2")
    from tests.benchmarks import truth

    every = truth.cases()
    again = truth.cases()
    assert all((a.mask == b.mask).all() for a, b in zip(every, again, strict=True))
    case = next((case for case in every if case.name.startswith("gravel")), None)
    if case is None:
        pytest.skip("scikit-image's picture of gravel is not here")
    best = truth.score(case, case.truth, 0)
    assert best.psnr == 60 and best.ssim == pytest.approx(1) and best.rim == 1 and best.spectrum == 0
    smear = truth.contenders()["cv2 telea"].erase(case.damaged, case.mask, truth.FREELY)
    worse = truth.score(case, smear, 0)
    assert worse.psnr < 30 and worse.variance < 0.3 < best.variance and worse.spectrum > 1
    monkeypatch.setattr(truth, "cases", lambda: every)
    assert truth.main(["--cases", "2", "--only", "cv2 telea", "cv2 ns"]) == 0
    assert "cv2 ns" in capsys.readouterr().out


def test_the_benchmark_of_clips_runs(capsys):
    pytest.importorskip("cv2")
    from tests.benchmarks import video

    assert video.main(["--size", "48", "32", "--count", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["clips"]
    assert len(rows) == 7 and not any(row["outside"] for row in rows)


def test_the_benchmark_of_clicks_says_what_they_cost_beside_the_decoder(capsys, monkeypatch):
    pytest.importorskip("torch")
    from tests.benchmarks import click

    monkeypatch.setattr(click, "SIZES", ((120, 80),))
    assert click.main(["--overhead", "--clicks", "1"]) in (0, 1)
    assert "120 x 80: overhead beside the decoder" in capsys.readouterr().out
