"""`clickpaint control`, on pictures that these tests draw."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from clickpaint.app.main import main
from clickpaint.control import registry
from clickpaint.control.base import ControlMap, Preprocessor, Tools
from tests.control.pictures import disc, scene

SCENE, DISC = scene(), disc()


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "photo.png")
    Image.fromarray(DISC).save(tmp_path / "disc.png")
    return tmp_path / "photo.png"


def run(*arguments):
    return main([str(argument) for argument in arguments])


def canny(**values):
    request = registry.request("canny", values, 230)
    return registry.detect("canny", SCENE, request, Tools(None, None, None)).pixels  # type: ignore[arg-type]


def test_a_map_is_written(photo, tmp_path, capsys):
    assert run("control", photo, "--preprocessor", "canny", "--set", "low=50", "--set", "high=150", "--resolution", 230) == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "photo_map.png")), canny(low=50, high=150))
    assert "canny, 330 x 230 pixels" in capsys.readouterr().out
    assert run("control", photo, "--preprocessor", "canny", "--pixel-perfect", "--fit", "100x100", "-o", tmp_path / "small.png") == 0
    with Image.open(tmp_path / "small.png") as small:
        assert small.size == (100, 100)


def test_maps_of_a_folder_are_written_beside_it_and_not_made_of_maps(photo, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for name in ("a.png", "b.png", "a_map.png"):
        Image.fromarray(SCENE).save(folder / name)
    assert run("control", folder, "--preprocessor", "invert") == 0
    assert sorted(path.name for path in (tmp_path / "many_map").iterdir()) == ["a.png", "b.png"]


def test_a_map_of_the_object_only(photo, tmp_path):
    out = tmp_path / "out.png"
    whole = ["control", photo, "--preprocessor", "canny", "--resolution", 230, "-o", out]
    assert run(*whole, "--mask", tmp_path / "disc.png") == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.where(DISC[..., None], canny(), 0))
    assert run(*whole, "--mask", tmp_path / "disc.png", "--background", "kept") == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.where(DISC[..., None], canny(), SCENE))
    assert run(*whole, "--segmenter", "classic", "--box", "140,45,255,160") == 0
    edges = np.asarray(Image.open(out))
    assert edges.any() and edges.sum() < canny().sum() / 2


def test_inpainting_takes_the_mask_as_its_own(photo, tmp_path):
    out = tmp_path / "out.png"
    assert run("control", photo, "--preprocessor", "inpaint_only", "--mask", tmp_path / "disc.png", "-o", out) == 0
    control_map = np.asarray(Image.open(out))
    assert np.array_equal(control_map[..., :3], SCENE) and np.array_equal(control_map[..., 3], np.where(DISC, 128, 255))


def test_several_are_blended(photo, tmp_path):
    out = tmp_path / "out.png"
    assert run("control", photo, "--preprocessor", "canny=0.5", "--preprocessor", "none", "--blend", "add", "-o", out,
               "--set", "low=50", "--resolution", 230) == 0  # fmt: skip
    expected = np.rint((canny(low=50) * np.float32(0.5) + SCENE).clip(0, 255))
    assert np.array_equal(np.asarray(Image.open(out)), expected)


def test_what_is_found_beside_the_picture_is_written_too(photo, tmp_path, monkeypatch):
    pose = Preprocessor("pose", "pose", (), lambda pixels, request, tools: ControlMap(pixels, {"poses": [{"people": []}]}))
    monkeypatch.setattr(registry, "_by_any_name", lambda: {"pose": pose})
    assert run("control", photo, "--preprocessor", "pose", "-o", tmp_path / "pose.png") == 0
    assert json.loads((tmp_path / "pose.json").read_text()) == {"poses": [{"people": []}]}


def test_the_list_names_all(capsys):
    assert run("control", "--list") == 0
    printed = capsys.readouterr().out
    assert "canny  Canny  low 1..255=100, high 1..255=200" in printed and "color [t2ia_color_grid]" in printed
    assert all(f"\n{name}" in f"\n{printed}" for name in registry.preprocessors())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is no preprocessor"),
        (["--preprocessor", "cany"], "Did you mean canny"),
        (["--preprocessor", "canny", "--set", "lo=3"], "It has low, high"),
        (["--preprocessor", "canny", "--set", "low"], "PARAM=VALUE"),
        (["--preprocessor", "canny", "--set", "low=x"], "not a number"),
        (["--preprocessor", "canny", "--set", "low=0"], "from 1 to 255"),
        (["--preprocessor", "canny", "--fit", "100"], "WIDTHxHEIGHT"),
        (["--preprocessor", "canny", "--fit", "9x9", "--resize-mode", "Stretch"], "Just Resize"),
        (["--preprocessor", "canny", "--blend", "burn"], "lighten, average, add"),
        (["--preprocessor", "canny", "--box", "1,1,9,9", "--mask", "disc.png"], "either --mask"),
        (["--preprocessor", "inpaint_only"], "needs a mask"),
        (["--preprocessor", "canny", "-o", "map.jpg"], "ends in .png"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(photo, capsys, arguments, said):
    assert run("control", photo, *arguments) == 2
    assert said in capsys.readouterr().err


def test_without_a_picture_it_asks_for_one(capsys):
    assert run("control", "--preprocessor", "canny") == 2
    assert "--list" in capsys.readouterr().err
