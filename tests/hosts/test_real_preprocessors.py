"""Control maps in a real A1111 with sd-webui-controlnet and in a real Forge: ours in their lists, and theirs as ours makes them.

Set CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR to installations to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import base64
import os
import re

import numpy as np
import pytest

from clickpaint.control import registry
from clickpaint.hosts.webui.preprocessors import OFFERED, PREFIX
from tests.hosts.real import CONTROLNET, FOLDERS, FORGES, RealHost, file_of, picture, pixels_of

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]
SIZE, BOX = 128, [32, 32, 64, 64]
INSIDE = np.zeros((SIZE, SIZE), bool)
INSIDE[32:64, 32:64] = True
MASK = np.repeat(INSIDE[..., None], 3, axis=2).astype(np.uint8) * 255
EVERY = {"canny": (100, 200), "threshold": (127, -1), "scribble_xdog": (32, -1), "lineart_standard": (-1, -1), "color": (-1, -1),
         "blur_gaussian": (9, -1), "invert": (-1, -1)}  # fmt: skip
"""Those of sd-webui-controlnet that need no weights and draw no random numbers, with thresholds."""


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, tmp_path_factory):
    running = RealHost(request.param, tmp_path_factory.mktemp(request.param), "--api")
    if request.param == "a1111" and not (running.folder / "extensions" / CONTROLNET).is_dir():
        running.stop()
        pytest.skip(f"this A1111 has no {CONTROLNET}")
    yield running
    running.stop()


def busy() -> np.ndarray:
    """The red square among edges of its own, which are not the object's."""
    pixels = picture(SIZE)
    pixels[::16] = 20
    pixels[:, ::16] = 230
    return pixels


def detected(host, name, pixels, base="/controlnet", resolution=256, thresholds=(100, 200), **more):
    body = {"controlnet_module": name, "controlnet_input_images": [file_of(pixels)], "controlnet_processor_res": resolution}
    body |= {"controlnet_threshold_a": thresholds[0], "controlnet_threshold_b": thresholds[1], **more}
    status, answer = host.request("POST", f"{base}/detect", body)
    assert status == 200, answer
    return pixels_of(base64.b64decode(answer["images"][0]))


def opened(host, pixels):
    """A workspace with a box selected."""
    id = host.clickpaint("POST", "/workspaces", {"image": file_of(pixels)})["id"]
    host.clickpaint("POST", f"/workspaces/{id}/mask", {"operations": [{"op": "box", "box": BOX}]})
    return id


def of_ours(host, id, name):
    """The map of the selected object that our own API makes."""
    body = {"layers": [{"preprocessor": name, "resolution": 256}], "object_only": True, "background": "black"}
    answer = host.clickpaint("POST", f"/workspaces/{id}/control", body)
    return pixels_of(host.clickpaint("GET", f"/workspaces/{id}/control/{answer['map']}"))


def test_without_a_selection_it_is_said_what_to_do(host):
    """First, for nothing is open yet."""
    body = {"controlnet_module": PREFIX + "canny", "controlnet_input_images": [file_of(busy())]}
    status, answer = host.request("POST", "/controlnet/detect", body)
    assert status == 500
    assert f"Nothing is selected in a picture of {SIZE} x {SIZE} pixels." in f"{answer} {host.log}"


def test_they_stand_in_the_lists_and_cost_the_start_nothing(host):
    names = [PREFIX + name for offered in OFFERED.values() for name in offered]
    assert set(names) <= set(host.request("GET", "/controlnet/module_list")[1]["module_list"])
    types = host.request("GET", "/controlnet/control_types")[1]["control_types"]
    for tag, offered in OFFERED.items():
        assert {PREFIX + name for name in offered} <= set(types[tag]["module_list"])
        assert not types[tag]["default_option"].startswith(PREFIX)
    took = re.search(r"scripts before_ui_callback: ([0-9.]+)s", host.log)
    assert took is None or float(took[1]) < 0.1  # what took less than 0.1 s is not told


@pytest.mark.parametrize("name", ["canny", "scribble_xdog", "lineart_standard"])
def test_the_map_is_the_one_that_our_own_api_makes_of_the_selected_object(host, name):
    pixels = busy()
    id = opened(host, pixels)
    expected = of_ours(host, id, name)
    given = {"canny": (100, 200), "scribble_xdog": (32, -1), "lineart_standard": (-1, -1)}[name]
    assert np.array_equal(detected(host, PREFIX + name, pixels, thresholds=given), expected)
    assert expected[64:128, 64:128].any() and not expected[128:].any() and not expected[:, 128:].any()
    host.clickpaint("DELETE", f"/workspaces/{id}")


def test_a_mask_that_is_given_comes_first(host):
    if host.flavor in FORGES:
        pytest.skip("Forge's API has no masks")
    pixels = busy()
    id = opened(host, pixels)
    other = np.ascontiguousarray(MASK[::-1, ::-1])
    control_map = detected(host, PREFIX + "canny", pixels, controlnet_masks=[file_of(other)])
    whole = detected(host, "canny", pixels)
    inside = np.repeat(np.repeat(other[..., 0] > 0, 2, 0), 2, 1)
    assert np.array_equal(control_map, np.where(inside[..., None], whole, 0)) and control_map.any()
    host.clickpaint("DELETE", f"/workspaces/{id}")


def test_a_generation_is_controlled_by_the_map_of_the_object(host):
    """The toy ControlNet brightens where its map is bright."""
    pixels = busy()
    id = opened(host, pixels)
    model = next(name for name in host.request("GET", "/controlnet/model_list")[1]["model_list"] if name.startswith("brighter"))
    unit = {"enabled": True, "module": PREFIX + "canny", "model": model, "image": file_of(pixels), "processor_res": 128,
            "threshold_a": 100, "threshold_b": 200, "weight": 1.0}  # fmt: skip
    plain = host.generate()
    controlled = host.generate(alwayson_scripts={"ControlNet": {"args": [unit]}})
    changed = np.abs(controlled.astype(int) - plain).sum(axis=-1)
    assert changed[24:72, 24:72].sum() > 4 * changed[80:].sum()
    assert np.array_equal(host.generate(), plain)
    host.clickpaint("DELETE", f"/workspaces/{id}")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("resolution", [96, 320], ids=["smaller", "larger"])
def test_a_map_of_the_whole_picture_is_the_host_own_to_the_bit(host, name, resolution):
    """By the same OpenCV on the same processor, also where the picture is enlarged."""
    label = registry.info(name).label
    if label not in host.request("GET", "/controlnet/module_list?alias_names=true")[1]["module_list"]:
        pytest.skip(f"this web UI has no {label}")
    rng = np.random.default_rng(5)
    pixels = np.clip(busy().astype(int) + rng.integers(-20, 20, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    theirs = detected(host, label, pixels, resolution=resolution, thresholds=EVERY[name])
    ours = detected(host, name, pixels, base="/clickpaint/v1/control", resolution=resolution, thresholds=EVERY[name])
    assert np.array_equal(ours, theirs)
