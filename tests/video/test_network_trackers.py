"""SAM 2.1 and EdgeTAM as trackers: transformers' own classes at toy size, in transformers' own session over the whole clip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, InvalidInput, ModelMissing
from clickpaint.video import registry
from clickpaint.video.tracker_edgetam import EdgeTamTracker
from clickpaint.video.tracker_sam2 import Sam2Tracker, from_meta
from clickpaint.video.tracking import track
from clickpaint.weights.device import Device
from tests.segment import toys
from tests.segment.test_sam2 import meta_names
from tests.video.drawn import Drawn, drawn

torch = pytest.importorskip("torch")
for _name in ("sam2.1_hiera_tiny", "edgetam"):
    if registry.tracker_unavailable(_name) is not None:
        pytest.skip(str(registry.tracker_unavailable(_name)), allow_module_level=True)
torchvision.available()  # makes it importable for transformers, if it is there

SIDE = 64
SMALL: dict[str, Any] = {
    "image_size": SIDE, "memory_attention_num_layers": 1, "memory_attention_feed_forward_hidden_size": 32,
    "memory_attention_rope_feat_sizes": [4, 4], "num_maskmem": 3, "max_object_pointers_in_encoder": 4,
}  # fmt: skip
"""What makes the networks small, and their memory shorter than the clip."""
LEVELS: dict[str, Any] = {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}


class ToySam2(Sam2Tracker):
    def _config(self) -> Any:
        import transformers

        backbone = transformers.Sam2HieraDetConfig(
            hidden_size=8, embed_dim_per_stage=[8, 16, 24, 32], num_attention_heads_per_stage=[1, 1, 2, 2], blocks_per_stage=[1, 1, 2, 1],
            global_attention_blocks=[3], image_size=[SIDE, SIDE],
        )  # fmt: skip
        vision = transformers.Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=[32, 24, 16, 8], **LEVELS)
        prompts = transformers.Sam2VideoPromptEncoderConfig(image_size=SIDE)
        return transformers.Sam2VideoConfig(vision_config=vision, prompt_encoder_config=prompts, **SMALL)


class ToyEdgeTam(EdgeTamTracker):
    def _config(self) -> Any:
        import transformers

        backbone = transformers.TimmWrapperConfig(
            architecture="test_resnet", model_args={"in_chans": 3, "features_only": True, "out_indices": (1, 2, 3, 4)}
        )
        vision = transformers.EdgeTamVisionConfig(backbone_config=backbone, backbone_channel_list=[96, 192, 48, 32], **LEVELS)
        return transformers.EdgeTamVideoConfig(
            vision_config=vision, prompt_encoder_config=transformers.EdgeTamVideoPromptEncoderConfig(image_size=SIDE),
            enable_temporal_pos_encoding_for_object_pointers=False, enable_occlusion_spatial_embedding=False,
            memory_attention_rope_k_sizes=[2, 2], perceiver_resampler_num_latents=4, perceiver_resampler_num_latents_2d=4,
            memory_attention_mlp_hidden_size=32, **{key: value for key, value in SMALL.items() if "feed_forward" not in key},
        )  # fmt: skip


KINDS = {"sam2": ToySam2, "edgetam": ToyEdgeTam}


@pytest.fixture(scope="module")
def clip() -> Drawn:
    return drawn("pan", (96, 72), 9)


def reference(kind: type[Sam2Tracker]) -> Any:
    """transformers' network of that tracker with weights that nothing hides behind."""
    torch.manual_seed(0)
    empty: Any = None
    made = kind("toy", "toy", empty, Device(), empty)
    model = made._model_class()(made._config()).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # biases and embeddings begin as zeros, which would hide a mix-up
            if "timm_model" not in name:
                torch.nn.init.normal_(parameter, std=0.12 if parameter.ndim > 1 else 0.3)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(6.0)  # the object is there
    model.shared_image_embedding.positional_embedding.copy_(model.prompt_encoder.shared_embedding.positional_embedding)
    return model


@pytest.fixture(scope="module", params=list(KINDS))
def network(request: pytest.FixtureRequest) -> tuple[type[Sam2Tracker], Any]:
    return KINDS[request.param], reference(KINDS[request.param])


def tracker(kind: type[Sam2Tracker], weights: dict[str, Any], path: Path) -> Sam2Tracker:
    torch.save(weights, path)
    return kind("toy", "toy", toys.OneFile(path), Device(), toys.cache())  # type: ignore[arg-type]


def whole_session(made: Sam2Tracker, model: Any, clip: Drawn, start: int, reverse: bool) -> Iterator[tuple[int, Any]]:
    """Logits [1, h, w] transformers' way: all frames handed over at the start, nothing forgotten."""
    from PIL import Image

    squares = [np.array(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255 for frame in clip.shown]
    video = (np.stack(squares) - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
    frames = torch.from_numpy(video).permute(0, 3, 1, 2)
    session = made._session_class()(video=frames, video_height=72, video_width=96, dtype=torch.float32)
    mask = torch.from_numpy(clip.mask(start).astype(np.float32))[None, None]
    mask = torch.nn.functional.interpolate(mask, (SIDE, SIDE), mode="bilinear", antialias=True)
    session.add_mask_inputs(session.obj_id_to_idx(7), start, (mask >= 0.5).float())
    session.obj_with_new_inputs = [7]
    for out in model.propagate_in_video_iterator(session, start_frame_idx=start, reverse=reverse):
        yield out.frame_idx, out.pred_masks[0]


@pytest.mark.parametrize("reverse", [False, True])
def test_masks_are_those_of_transformers_over_the_whole_clip(network, clip, tmp_path, reverse):
    kind, model = network
    made = tracker(kind, model.state_dict(), tmp_path / "toy.pt")
    start, stop = (8, -1) if reverse else (0, 9)
    expected = dict(whole_session(made, model, clip, start, reverse))
    logits, decoded = {}, made._next
    made._next = lambda *given: logits.setdefault(given[2], decoded(*given))  # type: ignore[method-assign]
    tracked = list(made.follow(clip, start, clip.mask(start), stop))
    assert [frame.number for frame in tracked] == sorted(set(expected) - {start}, reverse=reverse)
    for frame in tracked:
        whole = expected[frame.number]
        assert 1 < np.ptp(whole.numpy()) < 100
        assert torch.allclose(logits[frame.number][0], whole, atol=1e-4)
        mask = torch.nn.functional.interpolate(whole[None], (72, 96), mode="bilinear", align_corners=False)[0, 0] > 0
        assert np.mean(frame.mask != mask.numpy()) < 1e-3
        assert 0 <= frame.confidence <= 1


def test_what_it_remembers_and_reads_does_not_grow_with_the_clip(network, tmp_path):
    kind, model = network
    made = tracker(kind, model.state_dict(), tmp_path / "toy.pt")
    long = drawn("pan", (96, 72), 12)
    sessions, asked = [], []
    begun, frame = made._begun, Drawn.frame
    made._begun = lambda *given: sessions.append(begun(*given)) or sessions[-1]  # type: ignore[method-assign, func-returns-value]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawn, "frame", lambda self, number: asked.append(number) or frame(self, number))
        for _ in made.follow(long, 0, long.mask(0), 12):
            pass
    (outputs,) = sessions[0].output_dict_per_obj.values()
    assert len(outputs["non_cond_frame_outputs"]) <= 4
    assert "high_res_masks" not in outputs["cond_frame_outputs"][0]
    assert asked == sorted(set(asked))  # each frame once, in order


def test_corrections_are_tracked_from_in_both_directions(network, clip, tmp_path):
    kind, model = network
    made = tracker(kind, model.state_dict(), tmp_path / "toy.pt")
    masks = track(made, clip, {2: clip.mask(2), 6: clip.mask(6)})
    alone = track(made, clip, {6: clip.mask(6)})
    assert (masks.mask(2) == clip.mask(2)).all() and masks.confidence[2] == 1
    assert all((masks.mask(number) == alone.mask(number)).all() for number in (5, 6, 7, 8))


def test_half_precision_runs_through(clip, tmp_path):
    for kind in KINDS.values():
        torch.save(reference(kind).state_dict(), tmp_path / "toy.pt")
        half = kind("toy", "toy", toys.OneFile(tmp_path / "toy.pt"), Device("cpu", "bfloat16"), toys.cache())  # type: ignore[arg-type]
        assert len(list(half.follow(clip, 0, clip.mask(0), 4))) == 3


def video_names() -> list[str]:
    """The keys of the memory in facebookresearch/sam2's checkpoints, written down from its modules: SAM2Base, MemoryAttention,
    MemoryEncoder."""

    def both(*names: str) -> list[str]:
        return [f"{name}.{part}" for name in names for part in ("weight", "bias")]

    names = ["maskmem_tpos_enc", "no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial"]
    names += both("mask_downsample", *(f"obj_ptr_proj.layers.{layer}" for layer in range(3)), "obj_ptr_tpos_proj")
    for layer in (f"memory_attention.layers.{index}" for index in range(4)):
        for attention in ("self_attn", "cross_attn_image"):
            names += both(*(f"{layer}.{attention}.{projection}" for projection in ("q_proj", "k_proj", "v_proj", "out_proj")))
        names += both(*(f"{layer}.{part}" for part in ("linear1", "linear2", "norm1", "norm2", "norm3")))
    names += both("memory_attention.norm", "memory_encoder.pix_feat_proj", "memory_encoder.out_proj")
    names += both(*(f"memory_encoder.mask_downsampler.encoder.{layer}" for layer in (0, 1, 3, 4, 6, 7, 9, 10, 12)))
    for layer in (f"memory_encoder.fuser.layers.{index}" for index in range(2)):
        names += [f"{layer}.gamma", *both(*(f"{layer}.{part}" for part in ("dwconv", "norm", "pwconv1", "pwconv2")))]
    return names


def test_every_weight_of_metas_files_has_its_place():
    from clickpaint.segment import sam2

    made = Sam2Tracker("sam2.1_hiera_tiny", "sam2.1_hiera_tiny", None, Device(), None)  # type: ignore[arg-type]
    with torch.device("meta"):
        expected = set(made._model_class()(made._config()).state_dict())
    picture = meta_names(sam2.BACKBONES["sam2.1_hiera_tiny"]["blocks_per_stage"])  # type: ignore[arg-type]
    names = {name for name in picture if re.match(r"image_encoder|sam_|no_mem_embed", name)} | set(video_names())
    assert set(from_meta({name: torch.zeros(1, 2) for name in names})) == expected


@pytest.mark.parametrize(
    ("meta", "there"),
    [
        ("obj_ptr_proj.layers.0", "object_pointer_proj.proj_in"),
        ("obj_ptr_proj.layers.1", "object_pointer_proj.layers.0"),
        ("obj_ptr_proj.layers.2", "object_pointer_proj.proj_out"),
        ("memory_attention.layers.3.norm2", "memory_attention.layers.3.layer_norm2"),
        ("memory_attention.layers.0.cross_attn_image.out_proj", "memory_attention.layers.0.cross_attn_image.o_proj"),
        ("memory_encoder.mask_downsampler.encoder.3", "memory_encoder.mask_downsampler.layers.1.conv"),
        ("memory_encoder.mask_downsampler.encoder.10", "memory_encoder.mask_downsampler.layers.3.layer_norm"),
        ("memory_encoder.fuser.layers.1.pwconv2", "memory_encoder.memory_fuser.layers.1.pointwise_conv2"),
        ("memory_encoder.out_proj", "memory_encoder.projection"),
    ],
)
def test_weights_of_one_shape_are_not_mixed_up(meta, there):
    """As transformers' conversion script of the model renames them."""
    points = {f"sam_prompt_encoder.point_embeddings.{index}.weight": torch.zeros(1, 2) for index in range(4)}
    assert set(from_meta({**points, f"{meta}.bias": torch.zeros(1)})) - set(from_meta(points)) == {f"{there}.bias"}


def test_a_file_without_its_memory_is_corrupt(network, clip, tmp_path):
    kind, model = network
    weights = {key: value for key, value in model.state_dict().items() if not key.startswith("memory_encoder.")}
    with pytest.raises(CorruptModel, match="toy"):
        next(tracker(kind, weights, tmp_path / "toy.pt").follow(clip, 0, clip.mask(0), 3))


def test_auto_takes_the_best_whose_file_is_here_and_says_what_an_old_transformers_lacks(monkeypatch):
    class Store:
        here: tuple[str, ...] = ("edgetam", "sam2.1_hiera_tiny")

        def state(self, name: str) -> Any:
            from types import SimpleNamespace

            return SimpleNamespace(state="present" if name in self.here else "missing")

    store: Any = Store()
    assert registry.tracker_name(None, store) == registry.tracker_name("auto", store) == "sam2.1_hiera_tiny"
    store.here = ("edgetam",)
    assert registry.tracker_name(None, store) == "edgetam"
    assert registry.tracker_unavailable("edgetam", lambda package: package != "timm") == "needs the package timm"
    monkeypatch.setattr(registry, "_transformers_has", lambda network: False)
    assert registry.tracker_name(None, store) == "classic"
    assert registry.tracker_unavailable("sam2.1_hiera_large") == "needs transformers 4.56 or later"
    with pytest.raises(ModelMissing, match=r"4\.57"):
        registry.create_tracker("edgetam", store, Device(), toys.cache())
    with pytest.raises(InvalidInput, match="edgetam"):
        registry.tracker_name("cutie", store)
