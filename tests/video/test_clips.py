"""Clips in and out, and the command line over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from clickpaint.app.main import main
from clickpaint.errors import InvalidInput
from clickpaint.video.clips import FolderClip, open_clip
from tests.video.drawn import Drawn, drawn


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def clip() -> Drawn:
    return drawn("pan", (64, 48), 6)


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    for name, pictures in (("in", clip.shown), ("masks", [mask.astype(np.uint8) * 255 for mask in clip.masks])):
        (tmp_path / name).mkdir()
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(tmp_path / name / f"{number:04d}.png")
    return tmp_path


def saved(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]


def test_a_folder_in_is_a_folder_out_and_only_the_hole_changes(clip, folder):
    assert run("video", "remove", folder / "in", "--masks", folder / "masks", "--eraser", "classic", "-o", folder / "out") == 0
    results = saved(folder / "out")
    assert sorted(file.name for file in (folder / "out").iterdir()) == [f"{number:04d}.png" for number in range(6)]
    for result, before, mask in zip(results, clip.shown, clip.masks, strict=True):
        assert (result == before)[~mask].all()
        assert (result != before)[mask].any(axis=1).mean() > 0.9


def test_an_object_is_followed_from_the_mask_of_one_frame(clip, folder, capsys):
    first = folder / "masks" / "0002.png"
    assert run("video", "track", folder / "in", "--frame", 2, "--mask", first, "--tracker", "classic", "-o", folder / "found") == 0
    for mask_file, mask in zip(saved(folder / "found"), clip.masks, strict=True):
        assert ((mask_file > 127) & mask).sum() / ((mask_file > 127) | mask).sum() > 0.6
    assert "classic followed it through 6 frames" in capsys.readouterr().out


def test_a_gif_keeps_its_times(clip, folder):
    images = [Image.fromarray(pixels) for pixels in clip.shown]
    source = folder / "clip.gif"
    images[0].save(source, save_all=True, append_images=images[1:], duration=[100, 50, 70, 100, 200, 90], loop=0)
    assert run("video", "remove", source, "--masks", folder / "masks", "--eraser", "classic") == 0
    with Image.open(folder / "clip_removed.gif") as result:
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(result)] == [100, 50, 70, 100, 200, 90]
        assert result.info["loop"] == 0


@pytest.mark.parametrize("ending", ["webp", "apng"])
def test_an_animation_without_loss_is_to_the_bit(clip, folder, ending):
    target = folder / f"out.{ending}"
    assert run("video", "remove", folder / "in", "--masks", folder / "masks", "--eraser", "classic", "-o", target) == 0
    result = open_clip(target)
    assert len(result) == 6
    for number in range(6):
        assert (result.frame(number) == clip.shown[number])[~clip.masks[number]].all()
    result.close()


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_each_frame_of_an_animation_has_its_own_time(tmp_path, ending):
    pictures = [Image.new("RGB", (8, 8), (50 * number, 0, 0)) for number in range(3)]
    pictures[0].save(tmp_path / f"a{ending}", save_all=True, append_images=pictures[1:], duration=[200, 300, 400])
    opened = open_clip(tmp_path / f"a{ending}")
    assert [opened.seconds(number) for number in (0, 2, 1, 0)] == [0.2, 0.4, 0.3, 0.2]
    opened.close()


def test_frames_go_by_the_numbers_in_their_names(tmp_path):
    for number in (10, 9, 1):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    clip = FolderClip(tmp_path)
    assert [int(clip.frame(number)[0, 0, 0]) for number in range(3)] == [1, 9, 10]


def test_bad_input_is_told_and_nothing_is_left(folder, capsys):
    masks = folder / "masks"
    Image.new("RGB", (30, 30)).save(folder / "in" / "0005.png")
    assert run("video", "remove", folder / "in", "--masks", masks, "--eraser", "classic", "-o", folder / "out") == 2
    assert "Frame 5 is 30 × 30, the first one 64 × 48. All frames of a clip must have one size." in capsys.readouterr().err
    assert not (folder / "out").exists() and not list(folder.glob(".*"))
    (masks / "0003.png").unlink()
    assert run("video", "remove", folder / "in", "--masks", masks, "-o", folder / "out") == 2
    assert "There are 5 masks and 6 frames." in capsys.readouterr().err
    assert run("video", "remove", folder / "in", "--masks", masks, "-o", folder / "in") == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert run("video", "track", folder / "in", "--frame", 99, "--mask", masks / "0000.png") == 2
    assert "There is no frame 99. They go from 0 to 5." in capsys.readouterr().err
    (folder / "broken.gif").write_bytes(b"GIF89a nothing")
    with pytest.raises(InvalidInput, match="cannot be read"):
        open_clip(folder / "broken.gif")
    (folder / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no pictures"):
        open_clip(folder / "empty")
