"""The routes of control maps: ours, and sd-webui-controlnet's under another base path."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from clickpaint.api import control_schemas, schemas
from clickpaint.control import registry
from clickpaint.control.base import ControlMap, Preprocessor
from tests.control.pictures import disc, scene
from tests.toys.studio import file_of

SCENE, DISC = scene(), disc()
MASK = np.where(DISC[..., None], np.uint8(255), np.uint8(0)).repeat(3, 2)


def coded(image, format="PNG"):
    return base64.b64encode(file_of(image, format)).decode("ascii")


def decoded(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text, validate=True))))


def checked_answer(model, response, status=200):
    assert response.status_code == status, response.text
    answer = response.json()
    checked = model(**answer)
    documented = checked.model_dump() if hasattr(checked, "model_dump") else checked.dict()
    assert set(answer) <= set(documented), set(answer) - set(documented)
    return answer


def refused(response, status=422):
    assert response.status_code == status, response.text
    answer = schemas.ErrorAnswer(**response.json())
    assert answer.message.endswith(".") and (answer.remedy or "body" in answer.message)
    return f"{answer.message} {answer.remedy}"


def detect(client, **fields):
    return client.post("control/detect", json={"controlnet_input_images": [coded(SCENE)], **fields})


@pytest.fixture
def workspace(client):
    opened = client.post("workspaces", files={"file": ("scene.png", file_of(SCENE))}).json()
    return f"workspaces/{opened['id']}"


def shown(client, workspace, id):
    response = client.get(f"{workspace}/control/{id}")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_the_preprocessors_are_listed(client):
    answer = checked_answer(control_schemas.PreprocessorsAnswer, client.get("control/preprocessors"))
    reply = {one["name"]: one for one in answer["preprocessors"]}
    assert answer["preprocessors"][0]["name"] == "none" and {"Canny", "Tile", "Inpaint", "Recolor"} <= set(answer["types"])
    canny = reply["canny"]
    assert canny["available"] and canny["types"] == ["Canny"] and canny["control_models"] == ["canny"]
    assert canny["resolution"] == {"key": "resolution", "label": "Resolution", "minimum": 64, "maximum": 2048, "step": 8, "default": 512}
    assert [(one["key"], one["minimum"], one["maximum"], one["default"]) for one in canny["parameters"]] == [
        ("low", 1, 255, 100), ("high", 1, 255, 200),
    ]  # fmt: skip
    assert reply["inpaint_only"]["needs_mask"] and reply["invert"]["resolution"] is None


def test_a_map_of_what_is_open(client, workspace):
    body = {"layers": [{"preprocessor": "canny", "values": {"low": 50, "high": 150}, "resolution": 230}]}
    answer = checked_answer(control_schemas.MapAnswer, client.post(f"{workspace}/control", json=body))
    assert (answer["width"], answer["height"], answer["extra"]) == (330, 230, {})
    edges = shown(client, workspace, answer["map"])
    assert set(np.unique(edges)) == {0, 255}

    refused(client.post(f"{workspace}/control", json={**body, "object_only": True}))
    client.post(f"{workspace}/mask", json={"operations": [{"op": "box", "box": [150, 50, 250, 160]}]})
    answer = checked_answer(control_schemas.MapAnswer, client.post(f"{workspace}/control", json={**body, "object_only": True}))
    inside = np.zeros((230, 330, 1), bool)
    inside[50:160, 150:250] = True
    assert np.array_equal(shown(client, workspace, answer["map"]), np.where(inside, edges, 0))

    blend = {"layers": [*body["layers"], {"preprocessor": "lineart_standard", "weight": 0.5}], "blend": "add", "pixel_perfect": True}
    fit = {"fit": {"width": 128, "height": 64}}
    answer = checked_answer(control_schemas.MapAnswer, client.post(f"{workspace}/control", json={**blend, **fit}))
    assert (answer["width"], answer["height"]) == (128, 64)


def test_a_map_becomes_a_result_and_a_selection(client, workspace):
    made = client.post(f"{workspace}/control", json={"layers": [{"preprocessor": "recolor_intensity"}]}).json()["map"]
    chosen = checked_answer(schemas.StateAnswer, client.post(f"{workspace}/control/{made}/select", json={"brightness": [200, 255]}))
    assert chosen["selection"]["area"] == (SCENE.max(axis=2) >= 200).sum() and chosen["label"] == "Select by map"
    kept = checked_answer(schemas.StateAnswer, client.post(f"{workspace}/control/{made}/keep"))
    assert kept["version"] == 1 and kept["selection"]["area"] == chosen["selection"]["area"]
    image = np.asarray(Image.open(io.BytesIO(client.get(f"{workspace}/image").content)))
    assert np.array_equal(image, SCENE.max(axis=2)[..., None].repeat(3, 2))
    assert client.post(f"{workspace}/undo").json()["version"] == 0
    half = checked_answer(schemas.StateAnswer, client.post(f"{workspace}/control/{made}/keep", json={"opacity": 0.5}))
    assert half["version"] == 2
    assert "either" in refused(client.post(f"{workspace}/control/{made}/select", json={}))
    assert "from 0 to 1" in refused(client.post(f"{workspace}/control/{made}/keep", json={"opacity": 2}))
    refused(client.get(f"{workspace}/control/99"), 404)
    refused(client.post(f"{workspace}/control/99/keep"), 404)
    refused(client.post("workspaces/nobody/control", json={"layers": []}), 404)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"layers": [{"preprocessor": "cany"}]}, "canny"),
        ({"layers": [{"preprocessor": "canny", "values": {"lo": 1}}]}, "low, high"),
        ({"layers": [{"preprocessor": "canny", "values": {"low": 0}}]}, "from 1 to 255"),
        ({"layers": [{"preprocessor": "canny", "resolution": 63}]}, "from 64 to 2048"),
        ({"layers": [{"preprocessor": "inpaint_only"}]}, "Select something"),
        ({"layers": []}, "1 to 8"),
        ({"layers": [{"preprocessor": "canny"}], "blend": "burn"}, "blend"),
        ({"layers": [{"preprocessor": "canny"}], "fit": {"width": 0, "height": 9}}, "1 to 8192"),
        ({"layers": [{"preprocessor": "canny", "threshold": 3}]}, "threshold"),
        ({}, "layers"),
    ],
    ids=str,
)
def test_what_is_wrong_is_422_with_the_remedy(client, workspace, body, said):
    assert said in refused(client.post(f"{workspace}/control", json=body))


def test_detect_takes_the_fields_of_sd_webui_controlnet(client):
    fields = {"controlnet_module": "canny", "controlnet_processor_res": 128, "controlnet_threshold_a": 50, "controlnet_threshold_b": 150}
    answer = checked_answer(control_schemas.DetectAnswer, detect(client, **fields, low_vram=True))
    assert answer["info"] == "Success" and len(answer["images"]) == 1 and decoded(answer["images"][0]).shape == (128, 184, 3)
    expected = registry.request("canny", {"low": 50, "high": 150}, 128)
    from clickpaint.control.base import Tools

    pixels = registry.detect("canny", SCENE, expected, Tools(None, None, None)).pixels  # type: ignore[arg-type]
    assert np.array_equal(decoded(answer["images"][0]), pixels)


def test_detect_takes_defaults_for_what_is_left_out_or_out_of_range(client):
    default = detect(client, controlnet_module="canny").json()["images"]
    assert decoded(default[0]).shape == (512, 735, 3)
    for fields in (
        {"controlnet_processor_res": 32},
        {"controlnet_processor_res": 4096},
        {"controlnet_threshold_a": -1, "controlnet_threshold_b": 300},
        {"controlnet_threshold_a": 0},
        {"controlnet_threshold_a": 100.9, "controlnet_threshold_b": 200.9},
        {"controlnet_masks": [coded(MASK)]},
    ):
        assert detect(client, controlnet_module="canny", **fields).json()["images"] == default, fields


@pytest.mark.parametrize(("one", "other"), [("color", "t2ia_color_grid"), ("invert", "invert (from white bg & black line)")])
def test_detect_knows_names_and_labels(client, one, other):
    assert detect(client, controlnet_module=one).json() == detect(client, controlnet_module=other).json()


def test_detect_needs_a_mask_to_inpaint(client):
    assert "controlnet_masks" in refused(detect(client, controlnet_module="inpaint_only"))
    control_map = decoded(detect(client, controlnet_module="inpaint_only", controlnet_masks=[coded(MASK)]).json()["images"][0])
    assert np.array_equal(control_map[..., :3], SCENE) and np.array_equal(control_map[..., 3], np.where(DISC, 128, 255))
    grey = coded(MASK[..., 0])
    assert np.array_equal(decoded(detect(client, controlnet_module="inpaint", controlnet_masks=[grey]).json()["images"][0]), control_map)


def test_detect_flattens_transparency_on_white(client):
    image = np.dstack([SCENE, np.where(DISC, 0, 255).astype(np.uint8)])
    body = {"controlnet_module": "invert", "controlnet_input_images": [coded(image), coded(SCENE)]}
    first, second = (decoded(one) for one in client.post("control/detect", json=body).json()["images"])
    assert (first[DISC] == 0).all() and np.array_equal(first[~DISC], 255 - SCENE[~DISC]) and np.array_equal(second, 255 - SCENE)


def test_detect_refuses_with_422(client):
    assert "canny" in refused(detect(client, controlnet_module="cany"))
    assert "controlnet_input_images" in refused(detect(client, controlnet_input_images=[]))
    assert "1 to 32" in refused(detect(client, controlnet_input_images=["x"] * 33))
    assert "base64" in refused(detect(client, controlnet_input_images=["?"]))
    refused(detect(client, controlnet_processor_res="large"))


def test_what_is_not_there_is_409_with_the_remedy(client, monkeypatch):
    withdrawn = Preprocessor("withdrawn", "withdrawn", (), None, reason="was withdrawn by its authors")
    monkeypatch.setattr(registry, "_by_any_name", lambda: {"withdrawn": withdrawn})
    assert "withdrawn by its authors" in refused(detect(client, controlnet_module="withdrawn"), 409)


def test_poses_and_embeddings_are_answered(client, monkeypatch):
    person = {"people": [], "canvas_width": 4, "canvas_height": 3}
    pose = Preprocessor("pose", "pose", (), lambda pixels, request, tools: ControlMap(pixels, {"poses": person}))
    seen = Preprocessor("seen", "seen", (), lambda pixels, request, tools: ControlMap(pixels, {}, np.arange(4, dtype=np.float32)))
    monkeypatch.setattr(registry, "_by_any_name", lambda: {"pose": pose, "seen": seen})
    answer = checked_answer(control_schemas.DetectAnswer, detect(client, controlnet_module="pose"))
    assert answer["poses"] == [person] and len(answer["images"]) == 1
    answer = checked_answer(control_schemas.DetectAnswer, detect(client, controlnet_module="seen"))
    values = np.load(io.BytesIO(base64.b64decode(answer["embeddings"][0])), allow_pickle=False)
    assert values.tolist() == [0, 1, 2, 3] and "images" not in answer


def test_the_lists_of_sd_webui_controlnet(client, studio):
    studio.toy.controls = (["canny"], ["None", "control_v11p_sd15_canny [d14c016b]", "control_v11f1e_sd15_tile [a371b31b]"])
    assert client.get("control/version").json() == {"version": 3}
    assert client.get("control/settings").json() == {"control_net_unit_count": 3}
    assert client.get("control/model_list").json() == {"model_list": studio.toy.controls[1]}

    modules = checked_answer(control_schemas.ModulesAnswer, client.get("control/module_list"))
    assert {"none", "canny", "color", "inpaint"} <= set(modules["module_list"]) == set(modules["module_detail"])
    assert [one["name"] for one in modules["module_detail"]["canny"]["sliders"]] == ["Resolution", "Low Threshold", "High Threshold"]
    assert modules["module_detail"]["canny"]["sliders"][1] == {"name": "Low Threshold", "value": 100, "min": 1, "max": 255, "step": 1}
    assert modules["module_detail"]["reference_only"]["model_free"] and not modules["module_detail"]["canny"]["model_free"]
    labels = checked_answer(control_schemas.ModulesAnswer, client.get("control/module_list?alias_names=true"))["module_list"]
    assert {"none", "t2ia_color_grid", "inpaint_global_harmonious"} <= set(labels)

    types = checked_answer(control_schemas.TypesAnswer, client.get("control/control_types"))["control_types"]
    assert types["All"]["module_list"] == labels and types["All"]["default_option"] == "none"
    tile = types["Tile"]
    assert (tile["default_option"], tile["default_model"]) == ("tile_resample", "control_v11f1e_sd15_tile [a371b31b]")
    assert tile["model_list"] == ["None", "control_v11f1e_sd15_tile [a371b31b]"]
    assert types["Recolor"]["default_model"] == "None" and types["Recolor"]["model_list"] == studio.toy.controls[1]
    assert types["InstructP2P"]["module_list"] == ["none"]


def test_poses_that_were_edited_are_drawn(client, workspace):
    joints = [value for joint in range(18) for value in (60 + 10 * joint, 20 + 10 * joint, 1)]
    poses = {"people": [{"pose_keypoints_2d": joints}], "canvas_width": 330, "canvas_height": 230}
    answer = checked_answer(control_schemas.MapAnswer, client.post(f"{workspace}/control/pose", json={"poses": poses}))
    assert (answer["width"], answer["height"]) == (330, 230)
    assert shown(client, workspace, answer["map"])[20, 60].tolist() == [255, 0, 0]
    assert answer["extra"]["poses"]["people"][0]["pose_keypoints_2d"][:3] == [60, 20, 1]
    assert answer["extra"]["parts"] == ["body", "hands", "face"]
    faces = checked_answer(control_schemas.MapAnswer, client.post(f"{workspace}/control/pose", json={"poses": poses, "parts": ["face"]}))
    assert faces["extra"]["parts"] == ["face"] and not shown(client, workspace, faces["map"]).any()
    assert "feet" in refused(client.post(f"{workspace}/control/pose", json={"poses": poses, "parts": ["feet"]}))
    assert "No part" in refused(client.post(f"{workspace}/control/pose", json={"poses": poses, "parts": []}))
    joints.append(1)
    assert "pose_keypoints_2d" in refused(client.post(f"{workspace}/control/pose", json={"poses": poses}))
    assert "poses" in refused(client.post(f"{workspace}/control/pose", json={}))
