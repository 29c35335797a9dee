"""The web UI's own BLIP, through stand-ins of both web UIs."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from clickpaint.errors import HostUnsupported
from clickpaint.hosts.webui.host import WebUIHost
from tests.hosts.standin import FLAVORS, strict, web_ui

PIXELS = np.full((8, 12, 3), 90, np.uint8)


class Toy(torch.nn.Module):
    """As BLIP, whose text network gets what is seen once for every beam."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.text_decoder = TextDecoder()

    def generate(self, beams):
        seen = {"encoder_hidden_states": torch.arange(2.0)[:, None], "encoder_attention_mask": torch.ones(2, 1)}
        repeated = {key: value.repeat_interleave(beams, dim=0) for key, value in seen.items()}
        return self.text_decoder.generate(input_ids=torch.zeros(2, 1), num_beams=beams, **repeated)


class TextDecoder(torch.nn.Module):
    """As transformers, which repeats it for every beam by itself."""

    def generate(self, input_ids, num_beams, encoder_hidden_states, encoder_attention_mask):
        assert len(encoder_hidden_states) == len(encoder_attention_mask) == len(input_ids)
        return encoder_hidden_states.flatten().tolist()


@pytest.fixture(params=FLAVORS)
def web(request, tmp_path, monkeypatch):
    with web_ui(request.param) as web:
        log: list = []
        vars(web).update(log=log, broken=None)
        described = web.contract["modules.shared"]["interrogator"]

        def generate_caption(self, picture):
            data = web.shared.opts.data
            log.append(
                ("caption", picture.size, *(data.get(f"interrogate_clip_{key}") for key in ("num_beams", "min_length", "max_length")))
            )
            if web.broken:
                raise web.broken
            assert isinstance(picture, Image.Image) and self.dtype == self.blip_model.weight.dtype
            assert self.blip_model.generate(data["interrogate_clip_num_beams"]) == [0.0, 1.0]
            return "a toy"

        methods = {
            "load_blip_model": lambda self: log.append("load") or Toy(),
            "generate_caption": generate_caption,
            "unload": lambda self: log.append("unload"),
        }
        interrogator = strict("InterrogateModels", described, methods)()
        values = {"blip_model": None, "clip_model": None, "running_on_cpu": False, "dtype": None}
        if request.param == "forge":
            values |= {"load_device": "cpu", "offload_device": "cpu", "blip_patcher": None, "dtype": torch.float32}
            patcher = types.ModuleType("backend.patcher.base")
            vars(patcher)["ModelPatcher"] = lambda model, load_device, offload_device: ("patched", model)
            backend = types.ModuleType("backend")
            vars(backend)["memory_management"] = types.SimpleNamespace(load_models_gpu=lambda models: log.append(("gpu", len(models))))
            for name, module in (
                ("backend", backend),
                ("backend.patcher", types.ModuleType("backend.patcher")),
                (patcher.__name__, patcher),
            ):
                monkeypatch.setitem(sys.modules, name, module)
        med = types.ModuleType("models.med")
        vars(med)["BertLMHeadModel"] = TextDecoder
        monkeypatch.setitem(sys.modules, "models", types.ModuleType("models"))
        monkeypatch.setitem(sys.modules, "models.med", med)
        for name, value in values.items():
            setattr(interrogator, name, value)
        web.shared.interrogator = interrogator
        web.devices.device_interrogate = torch.device("cpu")
        web.devices.torch_gc = lambda: log.append("gc")
        web.lowvram.send_everything_to_cpu = lambda: log.append("checkpoint to CPU")
        for option in ("no_half", "lowvram", "medvram"):
            setattr(web.shared.cmd_opts, option, False)
        web.paths.paths = {"BLIP": str(tmp_path)}
        web.paths.models_path = str(tmp_path)
        (tmp_path / "BLIP").mkdir()
        (tmp_path / "BLIP" / "model_base_caption_capfilt_large.pth").touch()
        yield web


def test_its_blip_is_loaded_once_without_clip_and_put_back(web):
    host = WebUIHost()
    assert host.capabilities().caption
    assert host.caption(PIXELS, 5, (10, 20)) == "a toy"
    assert host.caption(PIXELS, 1, None) == "a toy"
    assert [entry for entry in web.log if entry == "load"] == ["load"]
    assert [entry for entry in web.log if entry == "unload"] == ["unload", "unload"]
    assert ("caption", (12, 8), 5, 10, 20) in web.log
    if web.flavor == "forge":
        assert ("gpu", 1) in web.log


def test_its_options_are_as_they_were(web):
    data = web.shared.opts.data
    data["interrogate_clip_num_beams"] = 2
    data.pop("interrogate_clip_min_length", None)
    before = dict(data)
    WebUIHost().caption(PIXELS, 7, (10, 20))
    assert data == before
    for fault in (OSError("no tokenizer"), TypeError("'NoneType' object is not subscriptable"), RuntimeError("sizes")):
        web.broken = fault
        with pytest.raises(HostUnsupported, match="fails"):
            WebUIHost().caption(PIXELS, 7, (10, 20))
        assert data == before and web.log[-1] == "unload"
    web.broken = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError):  # whoever asked frees memory and tries once more
        WebUIHost().caption(PIXELS, 7, (10, 20))


def test_with_little_memory_the_checkpoint_makes_room(web):
    if web.flavor == "forge":
        pytest.skip("Forge manages memory by itself")
    web.shared.cmd_opts.medvram = True
    WebUIHost().caption(PIXELS, 1, None)
    assert web.log.index("checkpoint to CPU") < web.log.index("load")


def test_the_hosts_own_settings_are_kept_where_none_are_asked_for(web):
    web.shared.opts.data.update(interrogate_clip_num_beams=2, interrogate_clip_min_length=11, interrogate_clip_max_length=22)
    WebUIHost().caption(PIXELS, None, None)
    assert ("caption", (12, 8), 2, 11, 22) in web.log
    decoder = web.shared.interrogator.blip_model.text_decoder
    assert "generate" not in vars(decoder), "the host's network is as it was"


@pytest.mark.parametrize("fault", ["generate", "import"])
def test_where_its_code_does_not_run_it_is_not_offered(web, monkeypatch, fault):
    if fault == "import":
        monkeypatch.setitem(sys.modules, "models.med", None)
    else:
        monkeypatch.delattr(TextDecoder, "generate")  # as with transformers from 4.50 on
    can = WebUIHost().capabilities()
    assert not can.caption and "transformers" in can.caption_reason
    with pytest.raises(HostUnsupported):
        WebUIHost().caption(PIXELS, 1, None)
    assert web.log == []


def test_without_its_file_it_is_not_asked(web, tmp_path):
    next((tmp_path / "BLIP").iterdir()).unlink()
    can = WebUIHost().capabilities()
    assert not can.caption and "Interrogate CLIP" in can.caption_reason
    with pytest.raises(HostUnsupported):
        WebUIHost().caption(PIXELS, 1, None)
    assert web.log == []
