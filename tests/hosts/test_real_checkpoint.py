"""Our networks on the loaded checkpoint of a real A1111 and a real Forge: the same memory, the same numbers, nothing left behind.

Set CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR to installations to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.hosts.real import FOLDERS, RealHost, prepare

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]

_HELPER = '''"""For tests: puts the same inputs through the web UI's networks and through ours."""
import time

import modules.script_callbacks


def compare():
    import torch
    from modules import sd_models

    from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report
    from clickpaint.hosts.webui.host import WebUIHost

    host, held, seconds, answer = WebUIHost(), Checkpoints(), [], {}
    source = host.checkpoint()
    with host.exclusive(), torch.no_grad():
        for _ in range(3):
            start = time.perf_counter()
            with held.using(source, "cpu") as ours:
                seconds.append(time.perf_counter() - start)
        with held.using(source, "cpu") as ours:
            answer["aliases"] = [[row.module, row.tensors, row.aliased_tensors] for row in alias_report(ours, source.tensors())]
            model = sd_models.model_data.sd_model
            objects = getattr(model, "forge_objects", None)
            network = objects.unet.model.diffusion_model if objects else model.model.diffusion_model
            vae = objects.vae.first_stage_model if objects else model.first_stage_model
            generator = torch.Generator().manual_seed(3)
            latents = torch.randn(2, ours.kind.in_channels, 16, 16, generator=generator)
            times, words = torch.tensor([700, 20]), torch.randn(2, 77, 768, generator=generator)
            picture = torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1
            expected = network(latents, times, context=words)
            answer["unet"] = far(ours.unet(latents, times, words).sample, expected)
            answer["vae decode"] = far(ours.vae.decode(latents[:1, :4]).sample, vae.decode(latents[:1, :4]))
            encoded = vae.encode(picture, regulation=lambda one: one.mode()) if objects else vae.encode(picture).mode()
            answer["vae encode"] = far(ours.vae.encode(picture).latent_dist.mode(), encoded)
            encoder = ours.text_encoders[0]
            ids = torch.tensor([encoder.tokenizer("a red house", padding="max_length").input_ids])
            answer["text"] = far(encoder.encode(ids)[0], model.get_learned_conditioning(["a red house"]))
            names = ("conv_in.weight", "up_blocks.3.attentions.2.proj_out.weight")
            answer["weights"] = {name: float(ours.unet.state_dict()[name].double().abs().sum()) for name in names}
        answer["kind"] = [ours.kind.family, ours.kind.prediction, ours.kind.in_channels]
        answer["kept"] = sum(not parameter.is_meta for module in ours.modules() for parameter in module.parameters())
    answer["seconds"] = seconds
    return answer


def far(ours, theirs):
    """The largest difference, as a part of the largest value."""
    return float((ours.float() - theirs.float()).abs().max() / theirs.float().abs().max())


def started(page, app):
    app.add_api_route("/test-helper/compare", compare, methods=["GET"])


modules.script_callbacks.on_app_started(started)
'''


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, tmp_path_factory):
    data = tmp_path_factory.mktemp(request.param)
    prepare(data, Path(os.environ[FOLDERS[request.param]]), extension=True)
    helper = data / "extensions/checkpoint-helper/scripts/checkpoint_helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text(_HELPER)
    (data / "models/Lora").mkdir()
    weights = load_file(data / "models/Stable-diffusion/tiny.safetensors")
    width = weights["model.diffusion_model.output_blocks.11.1.proj_out.weight"].shape[0]
    generator = torch.Generator().manual_seed(1)
    layer = "lora_unet_up_blocks_3_attentions_2_proj_out"
    lora = {
        f"{layer}.lora_down.weight": torch.randn(4, width, 1, 1, generator=generator) * 0.1,
        f"{layer}.lora_up.weight": torch.randn(width, 4, 1, 1, generator=generator),
        f"{layer}.alpha": torch.tensor(4.0),
    }
    save_file(lora, data / "models/Lora/loud.safetensors")
    running = RealHost(request.param, data, "--api", "--lora-dir", str(data / "models/Lora"))
    yield running
    running.stop()


def compared(host) -> dict:
    status, answer = host.request("GET", "/test-helper/compare")
    assert status == 200, (answer, host.log[-3000:])
    return answer


def test_our_networks_are_the_hosts_and_compute_what_they_compute(host):
    before = host.generate()
    answer = compared(host)
    print(answer)
    assert answer["kind"] == ["sd1", "epsilon", 4]
    assert answer["aliases"] == [["unet", 686, 686], ["vae", 240, 240], ["text encoder 1", 36, 36]]
    for part in ("unet", "vae decode", "vae encode", "text"):
        assert answer[part] < 1e-5, part
    assert answer["kept"] == 0  # the host can free or move its tensors
    assert np.array_equal(host.generate(), before)


def test_a_lora_that_the_host_has_merged_is_taken_out_and_comes_back(host):
    plain, bare = host.generate(), compared(host)["weights"]
    with_lora = host.generate(prompt="a house <lora:loud:1>")
    assert not np.array_equal(with_lora, plain)  # so the host has merged it
    assert compared(host)["weights"] == bare
    assert np.array_equal(host.generate(prompt="a house <lora:loud:1>"), with_lora)
    assert np.array_equal(host.generate(), plain)


def test_another_checkpoint_is_followed(host):
    before = compared(host)
    picture = host.generate()
    other = next(one["title"] for one in host.request("GET", "/sdapi/v1/sd-models")[1] if "inpaint" in one["title"])
    first = next(one["title"] for one in host.request("GET", "/sdapi/v1/sd-models")[1] if one["title"].startswith("tiny.s"))
    status, _ = host.request("POST", "/sdapi/v1/options", {"sd_model_checkpoint": other})
    assert status == 200
    answer = compared(host)
    assert answer["kind"] == ["sd1", "epsilon", 9]
    assert all(aliased == tensors for _, tensors, aliased in answer["aliases"])
    assert answer["unet"] < 1e-5
    host.request("POST", "/sdapi/v1/options", {"sd_model_checkpoint": first})
    assert compared(host)["weights"] == before["weights"]
    assert np.array_equal(host.generate(), picture)
