"""What needs no weights, on a drawn picture: pinned by sha256 where it is the same everywhere, by what must be seen elsewhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from clickpaint.control import registry, resize
from clickpaint.control.base import Tools
from clickpaint.errors import InvalidInput, TooLarge
from tests.control.pictures import disc, scene

TOOLS = Tools(None, None, None)  # type: ignore[arg-type]  # these need none
SCENE, DISC = scene(), disc()
CLASSIC = [one for one in registry.ordered() if one.detect and not one.models and not one.packages]

PINNED: dict[tuple[str, int], str] = {
    ("canny", 160): "c91c0241cf2b6504",
    ("canny", 230): "a7ede6338ac6e1a6",
    ("threshold", 128): "690aa09e51f794d7",
    ("scribble_xdog", 160): "9f070fe2cb69ae0f",
    ("blur_gaussian", 160): "e8e06063af3fd46c",
    ("shuffle", 160): "e336e75ee22cb76f",
    ("shuffle", 230): "86e8272f1b84d374",
    ("invert", 64): "da236157e8753531",
    ("recolor_luminance", 64): "9f4118b36da9e6aa",
    ("recolor_intensity", 64): "44449d526fed80f7",
    ("inpaint", 64): "7363d4edbca0b81b",
}  # fmt: skip
"""The first 16 digits of the sha256 of the map of `SCENE`, by name and resolution, never enlarged; made by the code that reproduces
every reference map."""


def made(name, pixels=SCENE, resolution=None, mask=DISC, seed=0, **values):
    return registry.detect(name, pixels, registry.request(name, values, resolution, mask, seed), TOOLS).pixels


@pytest.mark.parametrize("case", PINNED, ids=str)
def test_the_map_is_the_known_one(case):
    import cv2

    if case[0] == "shuffle" and int(cv2.__version__.partition(".")[0]) >= 5:
        pytest.skip("OpenCV 5 rounds cv2.remap otherwise, by up to 4")
    assert hashlib.sha256(made(case[0], resolution=case[1]).tobytes()).hexdigest()[:16] == PINNED[case]


@pytest.mark.parametrize("one", CLASSIC, ids=lambda one: one.name)
@pytest.mark.parametrize("size", [(230, 330), (97, 61), (64, 64), (3, 200), (1, 1)], ids=str)
def test_every_size_works_and_the_picture_is_left_alone(one, size):
    pixels, mask = scene(*size), disc(*size)
    before, again = pixels.copy(), None
    pixels.setflags(write=False)
    for _ in range(2):
        control_map = made(one.name, pixels, 64, mask)
        assert (
            control_map.dtype == np.uint8 and control_map.ndim == 3 and control_map.shape[2] == (4 if one.name.startswith("inpaint") else 3)
        )
        assert again is None or np.array_equal(control_map, again), "the same request gave another map"
        again = control_map
    assert np.array_equal(pixels, before)
    if one.resolution is None and one.name != "tile_resample":
        assert control_map.shape[:2] == size
    elif one.name != "tile_resample":
        assert min(control_map.shape[:2]) == 64


@pytest.mark.parametrize("one", [one for one in CLASSIC if one.returns == "map" and one.parameters], ids=lambda one: one.name)
def test_every_parameter_changes_the_map(one):
    for parameter in one.parameters:
        low, high = (made(one.name, **{parameter.key: value}) for value in (parameter.minimum, parameter.maximum))
        assert low.shape != high.shape or not np.array_equal(low, high), parameter.key


@pytest.mark.parametrize("one", [one for one in CLASSIC if one.returns == "unchanged"], ids=lambda one: one.name)
def test_what_acts_while_sampling_gives_the_picture(one):
    assert np.array_equal(made(one.name), SCENE)


def test_canny_finds_the_outline_of_the_disc():
    edges = made("canny", resolution=230)[..., 0] > 0
    y, x = np.nonzero(edges)
    distance = np.abs(np.hypot(x - 330 * 0.6, y - 230 * 0.45) - 230 * 0.22)
    angles = np.arctan2(y - 230 * 0.45, x - 330 * 0.6)[distance < 2]
    assert len(np.unique((angles * 36 / np.pi).astype(int))) > 60, "of 72 directions"


def test_thresholds_of_canny_are_truncated():
    assert np.array_equal(made("canny", low=100.9, high=200.9), made("canny", low=100, high=200))


def test_lines_are_bright_where_the_picture_is_darker_than_around():
    paper = np.full((128, 128, 3), 240, np.uint8)
    paper[60:63, 20:108] = 20
    lines = made("lineart_standard", paper, 128)
    assert lines[61, 30:100].min() > 100 and lines[:40].max() == 0
    strokes = made("scribble_xdog", paper, 128)
    assert (strokes[61, 30:100] == 255).all() and strokes[:40].max() == 0


def test_threshold_asks_the_darkest_channel():
    pixels = np.array([[[200, 200, 100], [200, 200, 201]]], np.uint8).repeat(64, 0).repeat(64, 1)
    control_map = made("threshold", pixels, 64, np.zeros((64, 128), bool), threshold=127)
    assert (control_map[:, :60] == 0).all() and (control_map[:, 68:] == 255).all()


def test_inpaint_makes_the_selection_half_transparent():
    control_map = made("inpaint_only")
    assert np.array_equal(control_map[..., :3], SCENE)
    assert np.array_equal(control_map[..., 3], np.where(DISC, 128, 255))


def test_shuffle_goes_by_its_seed_and_leaves_the_global_one_alone():
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first, second = made("shuffle", seed=1, resolution=200), made("shuffle", seed=2, resolution=200)
    assert np.random.random() == expected
    assert not np.array_equal(first, second) and np.array_equal(first, made("shuffle", seed=1, resolution=200))


def test_gamma_makes_dark_or_bright():
    dark, plain, bright = (made("recolor_intensity", gamma=gamma).astype(int) for gamma in (2, 1, 0.5))
    assert (plain == SCENE.max(axis=2)[..., None]).all()
    assert (dark <= plain).all() and (plain <= bright).all() and dark.mean() + 20 < plain.mean() < bright.mean() - 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cany",), "Did you mean canny"),
        (("nothing like it at all",), "Take one of their list"),
        (("canny", {"lo": 3}), "It has low, high"),
        (("none", {"lo": 3}), "It has none"),
        (("canny", {"low": 0}), "It goes from 1 to 255"),
        (("canny", {"low": float("nan")}), "It goes from 1 to 255"),
        (("canny", None, 63), "It goes from 64 to 2048"),
        (("inpaint_only",), "Select something first"),
        (("shuffle", None, None, None, -1), "It goes from 0 to 4294967295"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_with_the_remedy(arguments, said):
    with pytest.raises(InvalidInput, match=said):
        registry.request(*arguments)


def test_wrong_arrays_are_refused():
    request = registry.request("canny")
    for wrong in (SCENE.astype(np.float32), SCENE[..., 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InvalidInput, match="uint8"):
            registry.detect("canny", wrong, request, TOOLS)
    with pytest.raises(InvalidInput, match="bool"):
        registry.detect("inpaint_only", SCENE, registry.request("inpaint_only", mask=DISC[:5]), TOOLS)


def test_labels_and_names_mean_the_same():
    for one in registry.preprocessors().values():
        assert {registry.info(name).name for name in one.names} == {one.name}
    assert registry.info("t2ia_color_grid").name == "color"
    assert registry.info("invert (from white bg & black line)").name == "invert"
    with pytest.raises(ValueError, match="stands there twice"):
        registry._collected([registry.info("canny"), registry.info("canny")])


def test_the_list_is_in_the_order_that_users_know():
    names = [one.name for one in registry.ordered()]
    assert names[0] == "none" and sorted(names) == sorted(registry.preprocessors())
    assert [one.name for one in registry.of_type("Tile")] == [
        "none", "tile_resample", "tile_colorfix+sharp", "tile_colorfix", "blur_gaussian",
    ]  # fmt: skip
    assert registry.of_type("Canny")[1].name == "canny"
    assert set(registry.model_patterns("Tile")) == {"tile", "blur"} and "union" in registry.model_patterns("Canny")


def test_every_declaration_is_sound():
    for one in registry.preprocessors().values():
        keys = [parameter.key for parameter in one.parameters]
        assert len(set(keys)) == len(keys) and all(parameter.allows(parameter.default) for parameter in one.parameters), one.name
        assert one.returns in ("map", "embedding", "unchanged") and (one.accepts_mask or not one.needs_mask), one.name
        assert (one.detect is not None) != bool(one.reason) and bool(one.reason) == bool(one.instead), one.name


@pytest.mark.parametrize("one", CLASSIC, ids=lambda one: one.name)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 5000), (9000, 3)], ids=str)
def test_strips_are_mapped_or_refused_in_a_sentence(one, shape):
    pixels, mask = scene(shape[0] + 64, shape[1] + 64)[: shape[0], : shape[1]], np.ones(shape, bool)
    try:
        control_map = made(one.name, pixels, 64, mask)
    except TooLarge as error:
        assert max(shape) / min(shape) * 64 > resize.LONGEST_SIDE and "Choose a smaller resolution" in str(error)
    else:
        assert control_map.dtype == np.uint8 and (control_map.shape[0] > control_map.shape[1]) == (shape[0] > shape[1])
    if one.resolution is not None and max(shape) > 4000:
        with pytest.raises(TooLarge):
            made(one.name, pixels, 512, mask)
