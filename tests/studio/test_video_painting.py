"""Painting in clips on a checkpoint of the stand-alone program, through the studio and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.app.main import main
from clickpaint.image import mask as masks_

pytest.importorskip("torch")
COUNT, SIZE = 7, (80, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy_checkpoint_file) -> Path:
    """A data folder with a checkpoint, and a clip of PNGs with the masks of what goes through it."""
    folder = tmp_path_factory.mktemp("data")
    toy_checkpoint_file(folder / "models" / "Stable-diffusion" / "a.safetensors", 4)
    for number in range(COUNT):
        for name, picture in (("clip", frame(number)), ("masks", Image.fromarray(mask(number)))):
            file = folder / name / f"{number:04d}.png"
            file.parent.mkdir(exist_ok=True)
            (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file)
    return folder


def mask(number: int) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    return (columns - 20 - 5 * number) ** 2 + (rows - 26 - 2 * number) ** 2 < 14**2


def frame(number: int) -> np.ndarray:
    """A striped ball in front of a landscape that stands still."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    back = np.dstack([columns * 2 + 40, rows * 3, 90 + 20 * np.sin(columns / 4)])
    ball = np.dstack([120 + 60 * np.sin((columns - 5 * number) / 2), 120 + 60 * np.sin((rows - 2 * number) / 3), rows * 0 + 30.0])
    return np.where(mask(number)[..., None], ball, back).astype(np.uint8)


def arguments(folder: Path, *more: str) -> list[str]:
    fast = [
        "-p",
        "a red ball",
        "--steps",
        "4",
        "--seed",
        "5",
        "--resolution",
        "64",
        "--grow",
        "2",
        "--feather",
        "0",
        "--denoising-strength",
        "1",
    ]
    return ["video", "fill", str(folder / "clip"), "--data-dir", str(folder), "--device", "cpu", *fast, *more]


def pictures(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file).convert("RGB")) for file in sorted(folder.iterdir())]


def warp_error(frames: list[np.ndarray]) -> float:
    """How much what goes with the ball changes from frame to frame besides."""
    errors = []
    for number in range(1, len(frames)):
        before = np.roll(frames[number - 1], (2, 5), axis=(0, 1)).astype(float)
        errors.append(np.abs(frames[number] - before)[masks_.shrink(mask(number), 1)].mean())
    return float(np.mean(errors))


def test_a_ball_is_filled_in_all_frames_from_its_masks(folder, tmp_path, capsys):
    assert main(arguments(folder, "--masks", str(folder / "masks"), "--key-frames", "5", "-o", str(tmp_path / "out"))) == 0
    assert "7 frames from 2 key frames, seed 5." in capsys.readouterr().out
    filled = pictures(tmp_path / "out")
    for number, picture in enumerate(filled):
        assert (picture == frame(number))[~masks_.grow(mask(number), 2)].all()
        assert (picture != frame(number)).any(axis=2)[mask(number)].mean() > 0.9
    assert warp_error(filled) < 30  # painted frame by frame it is 66: the toy network paints its noise


def test_an_object_that_was_pointed_at_is_followed_and_filled(folder, tmp_path, capsys):
    assert main(arguments(folder, "--frame", "3", "--mask", str(folder / "masks" / "0003.png"), "-o", str(tmp_path / "out.gif"))) == 0
    assert "followed it through 7 frames" in capsys.readouterr().out
    with Image.open(tmp_path / "out.gif") as clip:
        assert (clip.n_frames, clip.size) == (COUNT, SIZE)


def test_what_cannot_be_filled_is_said_before_anything_is_written(folder, tmp_path, capsys):
    masks = ["--masks", str(folder / "masks")]
    for more, text in (
        ([*masks, "--count", "2"], "A clip has one result"),
        ([*masks, "--key-frames", "0"], "Every 0 frames"),
        ([*masks, "--checkpoint", str(tmp_path / "nowhere.safetensors")], "nowhere"),
        ([*masks, "-o", str(tmp_path / "out.exe")], "cannot be written to .exe"),
        ([], "Nothing was pointed at"),
    ):
        assert main(arguments(folder, "-o", str(tmp_path / "out"), *more)) == 2
        assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_background_becomes_a_picture_a_clip_or_what_a_prompt_says(folder, tmp_path, capsys):
    common = [each if each != "fill" else "replace" for each in arguments(folder, "--masks", str(folder / "masks"), "--grow", "0")]
    Image.new("RGB", (200, 100), (0, 0, 255)).save(tmp_path / "blue.png")
    assert main([*common, "-p", "", "--background", str(tmp_path / "blue.png"), "--feather", "2", "-o", str(tmp_path / "picture")]) == 0
    for number, picture in enumerate(pictures(tmp_path / "picture")):
        core = masks_.shrink(mask(number), 3)
        assert (picture[core] == frame(number)[core]).all() and (picture[~masks_.grow(mask(number), 3)] == (0, 0, 255)).all()
    assert main([*common, "-p", "", "--background", str(folder / "masks"), "-o", str(tmp_path / "clip")]) == 0
    moved = pictures(tmp_path / "clip")
    assert (moved[0][0, 79] == 0).all() and (moved[6][20:25, 2] == 0).all()
    capsys.readouterr()
    assert main([*common, "-o", str(tmp_path / "painted")]) == 0
    assert "7 frames, of whose background 1 were painted, seed 5." in capsys.readouterr().out
    painted = pictures(tmp_path / "painted")
    always = ~np.any([masks_.grow(mask(number), 8) for number in range(COUNT)], axis=0)
    for number, picture in enumerate(painted):  # the camera stands still
        assert (picture[always] == painted[0][always]).all() and (picture[always] != frame(number)[always]).any(axis=1).mean() > 0.9
        core = masks_.shrink(mask(number), 6)
        assert (picture[core] == frame(number)[core]).all()
    assert main([*common, "-p", "", "-o", str(tmp_path / "none")]) == 2
    assert main([*common, "--background", str(tmp_path / "blue.png"), "-o", str(tmp_path / "none")]) == 2
    assert "--background FILE or --prompt TEXT" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_an_object_is_filled_over_http(folder, tmp_path):
    from fastapi.testclient import TestClient

    from clickpaint.api.access import LocalGate
    from clickpaint.api.router import PREFIX
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio
    from tests.toys.routes import app_of

    studio = Studio(EmbeddedHost(folder, environment={}, overrides={"device": "cpu"}))
    with app_of(studio, LocalGate()) as app:
        client = TestClient(app, base_url=f"http://127.0.0.1{PREFIX}/", client=("127.0.0.1", 5000))
        url = f"videos/{client.post('videos', json={'path': str(folder / 'clip')}).json()['id']}"
        client.put(f"{url}/objects/1", json={"frames": {"0": {"points": [{"x": 20, "y": 26}]}}})
        client.post(f"{url}/track", json={"tracker": "classic"})
        client.patch(url, json={"in_mark": 1, "out_mark": 3})
        body = {"prompt": "a ball", "steps": 2, "seed": 5, "resolution": 64, "grow": 0, "feather": 0}
        filled = client.post(f"{url}/fill", json=body).json()
        details = {
            "objects": ["1"],
            "prompt": "a ball",
            "negative_prompt": "",
            "key_frames": 12,
            "grow": 0,
            "feather": 0,
            "seed": 5,
            "painted": 1,
        }
        assert filled["details"] == details
        assert filled["video"]["versions"][0]["kind"] == "fill"
        for number in (0, 2):
            before, after = (client.get(f"{url}/frames/{number}?format=png&version={version}").content for version in (0, 1))
            assert (before == after) == (number == 0)
    studio.shut_down()
