"""Video erasers with networks that the user puts there, at toy size: windows, sizes, and what is said where something is missing."""

from __future__ import annotations

import json

import pytest

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, InvalidInput, ModelMissing
from clickpaint.image import mask as masks_
from clickpaint.video import registry
from clickpaint.video.network_erasers import ProPainter
from clickpaint.video.video_eraser import VideoEraseOptions
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from tests.video.drawn import drawn

torch = pytest.importorskip("torch")


def cache() -> ModelCache:
    return ModelCache(lambda: 1 << 30, lambda: None)


class Brightest(torch.nn.Module):
    """Fills every hole with the brightest value that any of the frames shows around it: what one frame says is seen in all."""

    def forward(self, frames: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return frames * (1 - masks) + masks * frames.amax()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    torch.jit.script(Brightest()).save(str(folder / "ProPainter_toy.pt"))
    return folder


def test_a_script_fills_windows_that_know_the_one_before_and_nothing_else_changes(folder, monkeypatch):
    monkeypatch.setattr(ProPainter, "window", 4)
    monkeypatch.setattr(ProPainter, "remembered", 1)
    seen = []
    infer = ProPainter.infer
    monkeypatch.setattr(ProPainter, "infer", lambda self, net, frames, holes, progress: (
        seen.append((len(frames), [bool(hole.any()) for hole in holes])) or infer(self, net, frames, holes, progress)
    ))  # fmt: skip
    clip = drawn("static", (68, 44), 9)  # no multiples of 8
    eraser = registry.create_video_eraser("propainter", None, [folder], Device(), cache())
    results = list(eraser.erase(clip, clip, VideoEraseOptions(grow=1)))
    assert seen == [(4, [True] * 4), (4, [False, True, True, True]), (3, [False, True, True])] and len(results) == 9
    for frame, result, mask in zip(clip.shown, results, clip.masks, strict=True):
        assert (result == frame)[~masks_.grow(mask, 1)].all() and (result[mask] > 180).mean() > 0.9


def test_a_script_of_another_kind_is_told(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, frames: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            return frames[:, :1]

    torch.jit.script(Odd()).save(str(tmp_path / "propainter.pt"))
    clip = drawn("static", (64, 48), 3)
    with pytest.raises(CorruptModel, match=r"propainter\.pt answers with"):
        list(registry.create_video_eraser("propainter", None, [tmp_path], Device(), cache()).erase(clip, clip))
    (tmp_path / "propainter.pt").write_bytes(b"x")
    with pytest.raises(CorruptModel, match="cannot be read as TorchScript"):
        list(registry.create_video_eraser("propainter", None, [tmp_path], Device(), cache()).erase(clip, clip))


def test_what_is_missing_is_said(tmp_path, folder):
    assert "named propainter….pt" in str(registry.video_eraser_unavailable("propainter", [tmp_path]))
    assert registry.video_eraser_unavailable("propainter", [tmp_path, folder]) is None
    assert registry.video_eraser_unavailable("propainter", [folder], lambda name: name != "torch") == "needs the package torch"
    with pytest.raises(ModelMissing, match="wan_vace cannot run here: it needs"):
        registry.create_video_eraser("wan_vace", None, [tmp_path], Device(), cache())
    with pytest.raises(InvalidInput, match="There is no eraser 'magic'"):
        registry.create_video_eraser("magic", None, [], Device(), cache())
    assert all(info.licence for info in registry.VIDEO_ERASERS.values() if info.file is not None)


@pytest.fixture(scope="module")
def wan(tmp_path_factory):
    """A WanVACEPipeline of the real classes in a folder, at toy size."""
    torchvision.available()  # before diffusers is imported
    diffusers = pytest.importorskip("diffusers")
    if not hasattr(diffusers, "WanVACEPipeline"):
        pytest.skip("this diffusers has no WanVACEPipeline")
    from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

    from tests.toys.flow import t5_tokenizer

    folder = tmp_path_factory.mktemp("video") / "wan"
    tokenizer = AutoTokenizer.from_pretrained(t5_tokenizer(tmp_path_factory.mktemp("t5")))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipeline = diffusers.WanVACEPipeline(
            tokenizer=tokenizer,
            text_encoder=UMT5EncoderModel(UMT5Config(
                vocab_size=512, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, relative_attention_num_buckets=8
            )),
            vae=diffusers.AutoencoderKLWan(base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                                           temperal_downsample=[False, True, True]),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
            transformer=diffusers.WanVACETransformer3DModel(
                patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=16,
                freq_dim=16, ffn_dim=16, num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
                vace_layers=[0], vace_in_channels=96,
            ),
        )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def test_wan_vace_fills_the_masks_alone(wan, monkeypatch):
    from clickpaint.video.network_erasers import WanVace

    monkeypatch.setattr(WanVace, "steps", 2)
    assert json.loads((wan / "model_index.json").read_text())["_class_name"] == "WanVACEPipeline"
    assert registry.video_eraser_unavailable("wan_vace", [wan.parent]) is None
    clip = drawn("static", (64, 48), 6)
    results = list(registry.create_video_eraser("wan_vace", None, [wan.parent], Device(), cache()).erase(clip, clip))
    assert len(results) == 6
    for frame, result, mask in zip(clip.shown, results, clip.masks, strict=True):
        assert (result == frame)[~mask].all() and (result != frame).any(axis=2)[mask].mean() > 0.8
