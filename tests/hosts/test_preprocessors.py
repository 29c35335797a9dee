"""Our preprocessors in the lists of the web UI's own ControlNet, against stand-ins of both registries."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from clickpaint.control import registry as ours
from clickpaint.control.base import ControlMap
from clickpaint.errors import InvalidInput
from clickpaint.hosts.webui import preprocessors

CANNY = "clickpaint_object_canny"
PIXELS = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
MASK = np.zeros((16, 24), np.uint8)
MASK[4:12, 4:20] = 255


class Maker:
    """Notes what it was asked for, and makes a map of one grey."""

    def __init__(self) -> None:
        self.asked: list[tuple[np.ndarray, np.ndarray | None, tuple]] = []
        self.extra = {}

    def __call__(self, pixels, mask, *wish):
        self.asked.append((pixels, mask, wish))
        return ControlMap(np.full_like(pixels, 7), self.extra)


@pytest.fixture
def make():
    return Maker()


def registered(web):
    if web.flavor == "forge":
        return web.modules["modules_forge.shared"].supported_preprocessors
    return web.modules["scripts.supported_preprocessor"].Preprocessor.all_processors_by_name


def slider(one, name):
    """Minimum, maximum, step, default and label of a slider that is shown, or None."""
    parameter = getattr(one, name)
    shown = getattr(parameter, "gradio_update_kwargs", None) or vars(parameter)
    return tuple(shown[key] for key in ("minimum", "maximum", "step", "value", "label")) if shown["visible"] else None


def test_every_one_that_is_offered_is_a_map_of_ours_of_that_type():
    names = [name for offered in preprocessors.OFFERED.values() for name in offered]
    assert len(names) == len(set(names))
    for tag, offered in preprocessors.OFFERED.items():
        for name in offered:
            one = ours.info(name)
            assert tag in one.types and one.returns == "map" and not one.needs_mask and one.detect is not None and one.resolution, name


def test_they_are_registered_once_also_after_a_reload(web, make):
    before = set(registered(web))
    preprocessors.register(make)
    names = {preprocessors.PREFIX + name for offered in preprocessors.OFFERED.values() for name in offered}
    assert set(registered(web)) == before | names
    first = registered(web)[CANNY]
    preprocessors.register(make)
    assert registered(web)[CANNY] is first and not web.reported
    assert (first.name, first.tags) == (CANNY, ["Canny"])


def test_sliders_are_those_of_the_preprocessor_of_the_whole_picture(web, make):
    preprocessors.register(make)
    one = registered(web)[CANNY]
    assert slider(one, "slider_resolution") == (64, 2048, 8, 512, "Resolution")
    assert slider(one, "slider_1") == (1, 255, 1, 100, "Low Threshold")
    assert slider(one, "slider_2") == (1, 255, 1, 200, "High Threshold")
    assert slider(one, "slider_3") is None


def test_nothing_of_ours_is_looked_through_at_the_start(web, make, monkeypatch):
    monkeypatch.setattr(ours, "info", None)
    preprocessors.register(make)
    assert CANNY in registered(web) and not web.reported


def test_a_unit_without_a_mask_gets_what_is_selected_in_the_tab(web, make):
    preprocessors.register(make)
    control_map = registered(web)[CANNY](input_image=PIXELS, resolution=256, slider_1=50, slider_2=-1, input_mask=None)
    ((pixels, mask, wish),) = make.asked
    assert np.array_equal(pixels, PIXELS) and mask is None
    assert wish == ("canny", {"low": 50}, 256)
    assert (control_map == 7).all()


@pytest.mark.parametrize("given", ["input_mask", "input_mask of colours", "fourth channel"])
def test_a_units_own_mask_comes_first(web, make, given):
    preprocessors.register(make)
    one = registered(web)[CANNY]
    if given == "fourth channel":
        one(np.dstack([PIXELS, MASK]), -1)
    else:
        one(PIXELS, -1, input_mask=np.repeat(MASK[..., None], 3, axis=2) if given.endswith("colours") else MASK)
    ((pixels, mask, wish),) = make.asked
    assert np.array_equal(pixels, PIXELS) and np.array_equal(mask, MASK > 0)
    assert wish == ("canny", {}, None)


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_that_selects_everything_or_nothing_is_none(web, make, value):
    preprocessors.register(make)
    registered(web)[CANNY](np.dstack([PIXELS, np.full_like(MASK, value)]), 512)
    assert make.asked[0][1] is None


def test_poses_go_to_who_wants_them(web, make):
    preprocessors.register(make)
    make.extra = {"poses": {"people": []}}
    warnings = []
    registered(web)["clickpaint_object_openpose_full"](PIXELS, 512, json_pose_callback=warnings.append)
    assert warnings == [{"people": []}]


def test_the_web_uis_cache_does_not_keep_what_another_selection_gave(web, make):
    if web.flavor == "forge":
        pytest.skip("Forge keeps no maps")
    preprocessors.register(make)
    for _ in range(2):
        result = registered(web)[CANNY].cached_call(PIXELS, resolution=512, slider_1=100, slider_2=200, low_vram=False, model="None")
        assert (result.value == 7).all()
    assert len(make.asked) == 2


def test_nothing_is_done_without_a_controlnet(web, make, monkeypatch):
    for name in ("scripts.supported_preprocessor", "modules_forge.supported_preprocessor"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    before = dict(registered(web))
    preprocessors.register(make)
    assert registered(web) == before and not web.reported


def test_a_controlnet_of_another_make_is_told_and_the_start_goes_on(web, make, monkeypatch):
    name = "modules_forge.supported_preprocessor" if web.flavor == "forge" else "scripts.supported_preprocessor"
    monkeypatch.delattr(web.modules[name], "PreprocessorParameter")
    preprocessors.register(make)
    assert len(web.reported) == 1


def test_the_hook_is_called_before_the_page_is_made(web):
    from clickpaint.app import webui

    webui.register()
    (before,) = [callback for kind, callback in web.callbacks if kind == "on_before_ui"]
    before()
    with pytest.raises(InvalidInput, match="Nothing is selected in a picture of 24 x 16 pixels"):
        registered(web)[CANNY](PIXELS, 512)
    control_map = registered(web)[CANNY](np.dstack([PIXELS, MASK]), 64, 100, 200)
    assert control_map.shape == (64, 96, 3)
