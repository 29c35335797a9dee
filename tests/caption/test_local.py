"""What lies in the folders, and who is meant."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest

from clickpaint.caption import loading, ocr, tags
from clickpaint.caption.base import Crop
from clickpaint.caption.local import local_models
from clickpaint.caption.registry import Captioners, Surroundings
from clickpaint.caption.tags import Tag, Tagger, as_prompt
from clickpaint.errors import InvalidInput, ModelMissing, NotFound
from clickpaint.settings import SETTINGS
from clickpaint.weights.store import Store


def put(folder, name, architecture, model_type, **more):
    (folder / name).mkdir(parents=True)
    config = {"architectures": [architecture], "model_type": model_type, **more}
    (folder / name / "config.json").write_text(json.dumps(config))
    (folder / name / "tokenizer.json").touch()
    return folder / name


@pytest.fixture
def registry(tmp_path, cpu, cache):
    settings = {}

    def make(silent=None, **values):
        settings.update(values)
        says = lambda pixels, beams, tokens: "a toy"  # noqa: E731
        folders = lambda kind: [tmp_path / kind]  # noqa: E731
        here = Surroundings(folders, lambda: cpu, lambda key: settings.get(key, SETTINGS[key].default), says, lambda: silent)
        return Captioners(here, Store(folders), cache)

    return make


def test_folders_are_recognised_by_their_configuration(tmp_path):
    put(tmp_path, "blip", "BlipForConditionalGeneration", "blip")
    put(tmp_path, "vqa", "BlipForQuestionAnswering", "blip")
    put(tmp_path, "eyes", "Qwen2VLForConditionalGeneration", "qwen2_vl", vision_config={})
    put(tmp_path, "words", "Qwen2ForCausalLM", "qwen2")
    put(tmp_path, "clip", "CLIPModel", "clip")
    put(tmp_path, "seg", "CLIPSegForImageSegmentation", "clipseg")
    put(tmp_path, "unet", "UNet2DConditionModel", "unet")
    dam = put(tmp_path, "dam", "DescribeAnythingModel", "llava_llama")
    if loading.knows("florence2"):
        put(tmp_path / "other", "florence", "Florence2ForConditionalGeneration", "florence2", auto_map={})
        (florence,) = local_models([tmp_path / "other"])
        assert florence.family == "florence2" and "florence-community" in florence.reason
    put(tmp_path, "future", "FutureVLForConditionalGeneration", "future_vl", vision_config={})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "wd").mkdir()
    for name in ("model.onnx", "selected_tags.csv"):
        (tmp_path / "wd" / name).touch()
    by_name = {model.name: model for model in local_models([tmp_path / "nowhere", tmp_path])}
    assert {name: (model.role, model.family) for name, model in by_name.items()} == {
        "blip": ("captioner", "blip"), "vqa": ("captioner", "blip_vqa"), "eyes": ("captioner", "vision_language"),
        "words": ("text", "instruct"), "clip": ("clip", "clip"), "seg": ("finder", "clipseg"), "wd": ("tagger", "wd14"),
        "dam": ("captioner", "describe_anything"), "future": ("captioner", "vision_language"),
    }  # fmt: skip
    assert by_name["dam"].path == dam and "not run" in by_name["dam"].reason
    assert "future_vl" in by_name["future"].reason
    assert by_name["blip"].reason == ""


def test_without_anything_the_reason_is_said(registry):
    made = registry()
    assert [one.available for one in made.listed()] == [False]
    with pytest.raises(ModelMissing, match="no captioner"):
        made.captioner()
    assert made.answerer() is None and made.text_model() is None and made.clip() is None and made.finder() is None and made.tagger() is None


def test_auto_takes_what_the_user_put_there_then_the_hosts(registry, tmp_path):
    assert registry(silent="").captioner().name == "host"
    put(tmp_path / "captioner", "mine", "GitForCausalLM", "git")
    put(tmp_path / "captioner", "vqa", "BlipForQuestionAnswering", "blip")
    put(tmp_path / "captioner", "dam", "DescribeAnythingModel", "llava_llama")
    made = registry(silent="")
    assert made.captioner().name == "mine"
    assert made.captioner("host").name == "host"
    answerer = made.answerer()
    assert answerer is not None and answerer.name == "vqa"
    with pytest.raises(ModelMissing, match="not run"):
        made.captioner("dam")
    for name in ("nobody", "../mine", "vqa"):
        with pytest.raises(NotFound):
            made.captioner(name)
    assert registry(silent="", captioner="host").captioner().name == "host"


def test_the_hosts_that_cannot_be_used_is_listed_with_its_reason(registry, tmp_path):
    made = registry(silent="Its file is elsewhere.")
    (host,) = [one for one in made.listed() if one.name == "host"]
    assert not host.available and host.reason == "Its file is elsewhere."
    with pytest.raises(ModelMissing, match="no captioner"):
        made.captioner()
    with pytest.raises(ModelMissing, match="Its file is elsewhere"):
        made.captioner("host")
    put(tmp_path / "captioner", "mine", "GitForCausalLM", "git")
    assert made.captioner().name == "mine"


def test_the_text_model_is_the_configured_address_then_a_folder(registry, tmp_path):
    put(tmp_path / "LLM", "words", "Qwen2ForCausalLM", "qwen2")
    model = registry().text_model()
    assert model is not None and model.name == "words" and model.ours
    model = registry(text_model_url="http://127.0.0.1:1/v1", text_model_name="far").text_model()
    assert model is not None and model.name == "far" and not model.ours
    with pytest.raises(InvalidInput):
        registry(text_model_url="file:///etc/passwd").text_model()


def test_addresses_and_keys_are_private():
    assert all(SETTINGS[key].private for key in SETTINGS if key.startswith("text_model_"))
    assert SETTINGS["text_model_url"].default == ""


@pytest.fixture
def onnx(monkeypatch):
    """An ONNX Runtime whose networks answer what they are told to."""
    given = []

    class Session:
        def __init__(self, data, sess_options, providers):
            given.append(providers)

        def get_inputs(self):
            return [types.SimpleNamespace(name="input", shape=[1, 16, 16, 3])]

        def run(self, outputs, feed):
            given.append(feed["input"])
            return [np.array([[0.9, 0.2, 0.5, 0.8, 0.99]], np.float32)]

    module = types.ModuleType("onnxruntime")
    vars(module).update(InferenceSession=Session, SessionOptions=types.SimpleNamespace, __spec__=types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    return given


def test_tags_are_the_sure_ones(onnx, tmp_path, cache):
    rows = ["tag_id,name,category,count", "1,red_ball,0,1", "2,dog,0,1", "3,^_^,0,1", "4,alice_(wonder),4,1", "5,rating,9,1"]
    (tmp_path / "selected_tags.csv").write_text("\n".join(rows))
    (tmp_path / "model.onnx").touch()
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[..., 0] = 200
    tagger = Tagger("wd", tmp_path, cache)
    assert tags.unavailable() == ""
    assert [tag.name for tag in tagger.tags(Crop(pixels, np.ones((8, 16), bool)))] == ["red ball", "^_^"]
    assert [tag.name for tag in tagger.tags(Crop(pixels, np.ones((8, 16), bool)), general=0.95, character=0.5)] == ["alice (wonder)"]
    fed = onnx[1]
    assert fed.shape == (1, 16, 16, 3) and fed.dtype == np.float32
    np.testing.assert_array_equal(fed[0, 8, 8], [0, 0, 200])  # BGR
    np.testing.assert_array_equal(fed[0, 0, 0], [255, 255, 255])  # the border that makes it square
    assert as_prompt([Tag("alice (wonder)", 1), Tag("dog", 1)]) == r"alice \(wonder\), dog"


def test_text_is_read_where_a_package_is(monkeypatch, tmp_path):
    monkeypatch.setenv("EASYOCR_MODULE_PATH", str(tmp_path))
    monkeypatch.setattr(ocr, "installed", lambda package: package in ("easyocr",) and package in sys.modules)
    assert "rapidocr" in ocr.unavailable()
    with pytest.raises(ModelMissing, match="Text cannot be found here"):
        ocr.find_lines(np.zeros((4, 4, 3), np.uint8))
    assert ocr.read_text(photo := np.zeros((4, 4, 3), np.uint8)) == []

    class Reader:
        def __init__(self, languages, model_storage_directory, download_enabled, verbose):
            assert download_enabled is False and model_storage_directory == str(tmp_path / "model")

        def readtext(self, pixels):
            return [([[1, 2], [3, 2], [3, 4], [1, 4]], " EXIT ", 0.9), ([], "?", 0.1)]

    module = types.ModuleType("easyocr")
    vars(module).update(Reader=Reader, __spec__=types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "easyocr", module)
    assert "are not in its folder" in ocr.unavailable() and ocr.read_text(photo) == []
    (tmp_path / "model").mkdir()
    for name in ("craft_mlt_25k.pth", "english_g2.pth"):
        (tmp_path / "model" / name).touch()
    assert ocr.unavailable() == "" and ocr.read_text(photo) == ["EXIT"]
    assert ocr.find_lines(photo)[0].outline == ((1, 2), (3, 2), (3, 4), (1, 4))
