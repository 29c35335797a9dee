"""The folder for saved pictures: what arrives there, and under which names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.hosts.saved_files import save_new
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import decode, encode
from tests.toys.studio import file_of, pixels


def test_a_file_never_replaces_another(tmp_path):
    folder = tmp_path / "a" / "b"
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda number: save_new(folder, "ball.png", bytes([number])), range(16)))
    assert {path.name for path in paths} == {"ball.png", *(f"ball_{number}.png" for number in range(2, 18))} - {"ball_17.png"}
    assert sorted(path.read_bytes()[0] for path in folder.iterdir()) == list(range(16))


def test_a_name_that_is_too_long_is_shortened(tmp_path):
    path = save_new(tmp_path, "图" * 200 + ".jpg", b"x")
    assert path.name.startswith("图图") and path.suffix == ".jpg" and [*tmp_path.iterdir()] == [path]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(OSError):
        save_new(tmp_path / "outputs", "ball.png", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_painted_results_arrive_in_the_format_of_the_picture(tmp_path, format):
    host = EmbeddedHost(tmp_path, overrides={"output_dir": str(tmp_path / "elsewhere"), "device": "cpu"}, environment={})
    opened = decode(encode(from_pixels(pixels()), format))
    result = opened.with_pixels(np.full_like(opened.pixels, 90)).with_text(parameters="a cat\nSteps: 4, Seed: 5")
    for _ in range(2):
        host.keep(result, "ball_fill", np.ones(pixels().shape[:2], bool), "a cat", 5, "a cat\nSteps: 4, Seed: 5")
    ending = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[format]
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {f"ball_fill{ending}", f"ball_fill_2{ending}"}
    saved = decode((tmp_path / "elsewhere" / f"ball_fill{ending}").read_bytes())
    assert saved.source.format == format and saved.source.text["parameters"] == "a cat\nSteps: 4, Seed: 5"
    assert np.abs(saved.pixels.astype(int) - 90).max() <= 1


def test_a_result_is_not_lost_where_the_folder_cannot_be_written(tmp_path, caplog):
    (tmp_path / "outputs").write_text("a file")
    host = EmbeddedHost(tmp_path, overrides={"device": "cpu"}, environment={})
    host.keep(decode(file_of(pixels())), "ball_fill", np.ones((40, 60), bool), "", 5, "")
    assert "outputs" in caplog.text
