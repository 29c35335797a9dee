"""Learned preprocessors: the packages' real network classes with seeded weights, against the packages' own detectors."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from clickpaint.control import (
    clip_vision,
    depth_anything,
    depth_midas,
    lama_fill,
    leres,
    lineart,
    mlsd,
    normals,
    oneformer,
    registry,
    segmentation,
    softedge,
)
from clickpaint.control.controlnet_aux_modules import ALIAS, module
from clickpaint.errors import CorruptModel, Interrupted, ModelMissing
from clickpaint.progress import Progress
from clickpaint.weights.catalog import files_of
from tests.control.neural_toys import detector, seeded
from tests.control.pictures import disc, scene

pytest.importorskip("einops", reason="needs what controlnet_aux imports")

SCENE = scene(128, 192)  # multiples of 64: neither we nor the packages resize or pad it
NATIVE = {"detect_resolution": 128, "image_resolution": 128, "output_type": "np"}


def made(toys, name, pixels=SCENE, resolution=128, mask=None, seed=0, **values):
    return registry.detect(name, pixels, registry.request(name, values, resolution, mask, seed), toys.tools)


def same(detected, expected, lively=True):
    if expected.ndim == 2:
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    assert detected.pixels.shape == expected.shape
    assert np.array_equal(detected.pixels, expected)
    assert not lively or len(np.unique(detected.pixels)) > 20, "the map is too flat to tell anything"


HED = [("hed", {}), ("hed_safe", {"safe": True}), ("scribble_hed", {"scribble": True})]


@pytest.mark.parametrize(("name", "options"), HED, ids=lambda value: str(value))
def test_hed(toys, name, options):
    network = toys.put(softedge.HED, seeded(softedge.HED, 1.7))
    expected = detector("hed", "HEDdetector")(network)(SCENE, **NATIVE, **options)
    same(made(toys, name), expected, lively=name == "hed")


PIDINET = [
    ("pidinet", {}),
    ("pidinet_safe", {"safe": True}),
    ("pidinet_scribble", {"scribble": True}),
    ("pidinet_sketch", {"apply_filter": True}),
]


@pytest.mark.parametrize(("name", "options"), PIDINET, ids=lambda value: str(value))
def test_pidinet(toys, name, options):
    network = toys.put(softedge.PIDINET, seeded(softedge.PIDINET, 2.0))
    expected = detector("pidi", "PidiNetDetector")(network)(SCENE, **NATIVE, **options)
    same(made(toys, name), expected, lively=name == "pidinet")


@pytest.mark.parametrize("steps", [0, 1, 2, 10])
def test_teed(toys, steps):
    network = toys.put(softedge.TEED, seeded(softedge.TEED))
    expected = detector("teed", "TEEDdetector")(network)(SCENE, 128, safe_steps=steps, output_type="np")
    same(made(toys, "softedge_teed", safe_steps=steps), expected, lively=steps == 0)


def test_anyline_is_teed_with_faint_lines_at_one(toys):
    network = toys.put(softedge.MTEED, seeded(softedge.MTEED))
    picture = SCENE.copy()
    picture[:, :90] = 128
    picture[:, 40:50] = 127  # a line that is one step darker than what is around it
    edges = detector("teed", "TEEDdetector")(network)(picture, 128, safe_steps=2, output_type="np")
    control_map = made(toys, "softedge_anyline", picture).pixels
    changed = (control_map != edges).any(axis=2)
    assert changed.sum() > 100 and (control_map[changed] == 1).all()
    assert changed[:, 20:70].sum() > 0.9 * changed.sum()


@pytest.mark.parametrize(("name", "network", "coarse"), [("lineart", lineart.FINE, False), ("lineart_coarse", lineart.COARSE, True)])
def test_lineart(toys, name, network, coarse):
    drawn = toys.put(network, seeded(network, 2.0))
    same(made(toys, name), detector("lineart", "LineartDetector")(drawn, drawn)(SCENE, coarse=coarse, **NATIVE))


def test_lineart_anime_on_a_side_that_is_enlarged(toys):
    drawn = toys.put(lineart.ANIME, seeded(lineart.ANIME))
    same(made(toys, "lineart_anime"), detector("lineart_anime", "LineartAnimeDetector")(drawn)(SCENE, **NATIVE))


def test_lineart_anime_denoise_gives_light_lines_where_the_manga_network_gives_dark_ones(toys):
    toys.put(lineart.MANGA, lambda gray: gray * 1.2 - 5)
    import cv2

    gray = cv2.cvtColor(SCENE, cv2.COLOR_RGB2GRAY).astype(np.float32)
    same(made(toys, "lineart_anime_denoise"), (255 - (gray * np.float32(1.2) - 5)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("values", [{}, {"value": 0.05, "distance": 1.0}, {"value": 2.0}], ids=str)
def test_mlsd(toys, values):
    network = toys.put(mlsd.MLSD, seeded(mlsd.MLSD, 1.6))
    control_map = made(toys, "mlsd", **values)
    thresholds = {"thr_v": values.get("value", 0.1), "thr_d": values.get("distance", 0.1)}
    assert np.array_equal(control_map.pixels, detector("mlsd", "MLSDdetector")(network)(SCENE, **thresholds, **NATIVE))
    assert len(control_map.extra["lines"]) <= mlsd.MOST
    assert ("note" in control_map.extra) == (not control_map.extra["lines"]) == (not control_map.pixels.any())
    assert bool(control_map.extra["lines"]) == (values.get("value") != 2.0)


def test_midas_and_its_normals(toys):
    network = toys.put(depth_midas.MIDAS, seeded(depth_midas.MIDAS))
    midas = object.__new__(detector("midas", "MidasDetector"))
    midas.model = network
    expected, slopes = midas(SCENE, bg_th=0.4, depth_and_normal=True, **NATIVE)
    same(made(toys, "depth"), expected)
    control_map = made(toys, "normal_map", background=0.4).pixels
    assert np.abs(control_map.astype(int) - slopes.astype(int)).max() <= 1
    assert not np.array_equal(control_map, made(toys, "normal_map", background=1.0).pixels)


def test_zoe_shows_the_middle_of_its_range(toys):
    # the real class has 345 million weights; what is ours is before and after it
    metres = torch.from_numpy(np.fromfunction(lambda y, x: 1 + y / 64 + np.sin(x / 20), (128, 192))).float()[None, None]
    network = toys.put(
        depth_midas.ZOE, SimpleNamespace(infer=lambda image: metres * (1 + image.mean()), parameters=lambda: iter((metres,)))
    )
    same(made(toys, "depth_zoe"), detector("zoe", "ZoeDetector")(network)(SCENE, **NATIVE))


@pytest.mark.parametrize("values", [{}, {"remove_near": 30, "remove_background": 20}], ids=str)
def test_leres(toys, values):
    pytest.importorskip("skimage", reason="controlnet_aux's LeReS detector needs scikit-image")
    network = toys.put(leres.LERES, seeded(leres.LERES))
    whole = detector("leres", "LeresDetector")(network, None)
    expected = whole(SCENE, thr_a=values.get("remove_near", 0), thr_b=values.get("remove_background", 0), **NATIVE)
    control_map = made(toys, "depth_leres", **values)
    assert np.abs(control_map.pixels.astype(int) - expected.astype(int)).max() <= 1
    assert len(np.unique(control_map.pixels)) > 20


def test_normal_bae(toys):
    network = toys.put(normals.BAE, seeded(normals.BAE))
    whole = object.__new__(detector("normalbae", "NormalBaeDetector"))
    whole.model = network
    from torchvision import transforms

    whole.norm = transforms.Normalize(mean=normals.IMAGENET_MEAN, std=normals.IMAGENET_DEVIATION)
    control_map, expected = made(toys, "normal_bae").pixels, whole(SCENE, **NATIVE)
    assert np.abs(control_map.astype(int) - expected.astype(int)).max() <= 1
    assert len(np.unique(control_map)) > 5


DEPTH_ANYTHING = (("depth_anything", depth_anything.FIRST, (1, 2, 3, 4)), ("depth_anything_v2", depth_anything.SECOND, (1, 2, 3, 4)))


@pytest.mark.parametrize(("name", "network", "layers"), DEPTH_ANYTHING, ids=[case[0] for case in DEPTH_ANYTHING])
def test_depth_anything(toys, name, network, layers):
    torch.manual_seed(0)
    small = depth_anything.build(layers, 32, 4, 2, (16, 16, 32, 32), 16).eval()
    toys.put(network, small)
    control_map = made(toys, name).pixels
    assert control_map.min() == 0 and control_map.max() == 255 and (control_map == control_map[:, :, :1]).all()
    assert not np.array_equal(control_map, made(toys, name, SCENE[:, :, ::-1].copy()).pixels), "colours make no difference"


def authors_names(name: str) -> str:
    """Of one of transformers' names (5 or before): Depth Anything's own."""
    import re

    for pattern, replacement in (
        (r"backbone\.embeddings\.patch_embeddings\.projection", "pretrained.patch_embed.proj"),
        (r"backbone\.embeddings\.position_embeddings", "pretrained.pos_embed"),
        (r"backbone\.embeddings\.", "pretrained."),
        (r"backbone\.layernorm", "pretrained.norm"),
        (r"backbone\.encoder\.layer\.", "pretrained.blocks."),
        (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
        (r"attention\.(o_proj|output\.dense)", "attn.proj"),
        (r"neck\.reassemble_stage\.layers\.(\d)\.projection", r"depth_head.projects.\1"),
        (r"neck\.reassemble_stage\.layers\.(\d)\.resize", r"depth_head.resize_layers.\1"),
        (r"residual_layer(\d)\.convolution(\d)", r"resConfUnit\1.conv\2"),
        (r"(neck\.fusion_stage\.layers\.\d)\.projection", r"\1.out_conv"),
        (r"head\.conv1", "depth_head.scratch.output_conv1"),
        (r"head\.conv2", "depth_head.scratch.output_conv2.0"),
        (r"head\.conv3", "depth_head.scratch.output_conv2.2"),
    ):
        name = re.sub("^" + pattern if pattern.startswith(("backbone", "head", "neck")) else pattern, replacement, name)
    name = re.sub(r"^neck\.fusion_stage\.layers\.(\d)", lambda match: f"depth_head.scratch.refinenet{4 - int(match[1])}", name)
    return re.sub(r"^neck\.convs\.(\d)", lambda match: f"depth_head.scratch.layer{int(match[1]) + 1}_rn", name)


def test_depth_anything_reads_its_authors_files():
    """The names were compared with the authors' own class, on which transformers' answers as it does with these."""
    torch.manual_seed(0)
    network = depth_anything.build((1, 2, 3, 4), 32, 4, 2, (16, 16, 32, 32), 16)
    ours = network.state_dict()
    theirs: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in ours.items():
        part = next((one for one in ("query", "key", "value", "q_proj", "k_proj", "v_proj") if f".{one}." in name), None)
        if part is None:
            theirs[authors_names(name)] = tensor
        else:
            block, kind = name.split(".")[3], name.rpartition(".")[2]
            parts.setdefault(f"pretrained.blocks.{block}.attn.qkv.{kind}", {})[part[0]] = tensor
    theirs |= {name: torch.cat([layer["q"], layer["k"], layer["v"]]) for name, layer in parts.items()}
    assert not any(name.startswith(("backbone", "neck", "head")) for name in theirs)
    fitted = depth_anything.fit(theirs, network)
    assert fitted.keys() == ours.keys() and all(torch.equal(fitted[name], ours[name]) for name in ours)


@pytest.mark.parametrize(
    ("size", "expected"), [((512, 512), (518, 518)), ((512, 768), (518, 784)), ((704, 512), (714, 518)), ((64, 2048), (518, 16576))]
)
def test_the_size_at_which_depth_anything_looks(size, expected):
    assert depth_anything.network_size(*size) == expected


@pytest.mark.parametrize(("name", "shape"), [("ip-adapter_clip_sd15", (1, 24)), ("clip_vision", (1, 257, 32))])
def test_clip_embeds_what_transformers_embeds(toys, name, shape):
    from clickpaint.caption.loading import transformers

    torch.manual_seed(0)
    network = clip_vision.build(32, 64, 2, 2, 24).eval()
    toys.put(clip_vision.LARGE if name == "clip_vision" else clip_vision.HUGE, network)
    control_map = made(toys, name)
    assert control_map.embedding is not None and control_map.embedding.shape == shape and control_map.embedding.dtype == np.float32
    processor = transformers().CLIPImageProcessor()
    with torch.no_grad():
        answer = network(**processor(images=control_map.pixels, return_tensors="pt"))
    expected = answer.last_hidden_state if name == "clip_vision" else answer.image_embeds
    assert np.allclose(control_map.embedding, expected.numpy(), atol=1e-4)
    other = made(toys, name, 255 - SCENE).embedding
    assert other is not None and not np.allclose(control_map.embedding, other, atol=1e-3)


def test_the_parts_of_a_drawn_face(toys):
    network = toys.put(segmentation.FACE_SEGMENTS, seeded(segmentation.FACE_SEGMENTS))
    control_map = made(toys, "anime_face_segment", scene(128, 128))
    colors = {tuple(color) for color in np.unique(control_map.pixels.reshape(-1, 3), axis=0).tolist()}
    assert colors == {tuple(one["color"]) for one in control_map.extra["classes"]} and len(colors) > 1
    assert set(network.state_dict()) >= {"en_block0.0.0.weight", "en_block4.2.conv.3.weight", "de_block4.1.weight", "de_block0.1.bias"}
    assert [network.get_submodule(f"de_block{n}.1").in_channels for n in range(5)] == [32, 48, 64, 192, 160]


def test_lama_fills_the_mask_and_nothing_else(toys):
    toys.put(lama_fill.LAMA, lambda image, hole: torch.ones_like(image) * 0.5)
    mask = disc(128, 192)
    control_map = made(toys, "inpaint_only+lama", mask=mask).pixels
    assert np.array_equal(control_map[~mask][:, :3], SCENE[~mask]) and (control_map[~mask][:, 3] == 255).all()
    assert (control_map[mask][:, 3] == 128).all() and np.abs(control_map[mask][:, :3].astype(int) - 127).max() < 120
    assert np.abs(control_map[60, 115, :3].astype(int) - 127).max() <= 1


def test_a_weight_file_is_loaded_and_one_that_is_something_else_is_refused(toys):
    network = seeded(softedge.TEED, seed=5)
    path = toys.save(softedge.TEED, {"state_dict": {f"module.{name}": tensor for name, tensor in network.state_dict().items()}})
    expected = detector("teed", "TEEDdetector")(network)(SCENE, 128, safe_steps=0, output_type="np")
    same(made(toys, "softedge_teed", safe_steps=0), expected)
    toys.tools.models.unload()
    path.write_bytes(b"no weights")
    with pytest.raises(CorruptModel):
        made(toys, "softedge_teed")
    torch.save({"other": torch.zeros(3)}, path)
    with pytest.raises(CorruptModel, match="control_teed"):
        made(toys, "softedge_teed")


LEARNED = [one for one in registry.ordered() if one.detect and one.models]


@pytest.mark.parametrize("one", LEARNED, ids=lambda one: one.name)
def test_a_missing_file_is_named_with_what_to_do(one, tmp_path):
    from tests.control.neural_toys import Toys

    if registry.unavailable(one.name):
        pytest.skip(f"{one.name} {registry.unavailable(one.name)}")
    with pytest.raises(ModelMissing) as error:
        registry.detect(one.name, SCENE, registry.request(one.name, {}, None, disc(128, 192)), Toys(tmp_path).tools)
    assert any(file.filename in str(error.value) for model in one.models for file in files_of(model))
    assert error.value.remedy


def test_what_cannot_run_says_why_and_what_to_take_instead():
    never = [one for one in registry.ordered() if one.detect is None]
    assert {one.name for one in never} >= {"segmentation", "normal_dsine", "depth_hand_refiner", "ip-adapter_pulid"}
    for one in never:
        assert registry.unavailable(one.name) == f"{one.reason}; take {one.instead} instead", one.name
        with pytest.raises(ModelMissing, match=re.escape(f"{one.name} cannot run: it {one.reason}. Take {one.instead} instead.")):
            registry.detect(one.name, SCENE, registry.request(one.name), None)  # type: ignore[arg-type]


def test_an_interrupt_is_answered_while_a_network_runs(toys):
    import threading

    running, stop = threading.Event(), threading.Event()

    def slow(image):
        running.set()
        assert stop.wait(30)
        return image

    toys.put(lineart.MANGA, slow)
    tools = type(toys.tools)(toys.tools.store, toys.tools.device, toys.tools.models, Progress(interrupted=running.is_set))
    try:
        with pytest.raises(Interrupted):
            registry.detect("lineart_anime_denoise", SCENE, registry.request("lineart_anime_denoise"), tools)
    finally:
        stop.set()


def test_the_rest_of_the_package_is_left_alone():
    import sys

    module("mlsd.models.mbv2_mlsd_tiny")
    assert "controlnet_aux" not in sys.modules and f"{ALIAS}.mlsd" in sys.modules
    with pytest.raises(ModelMissing, match="nothing_of_that_name"):
        module("nothing_of_that_name")


TOY_ONEFORMER = {
    "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4, "image_size": 64, "conv_dim": 32, "mask_dim": 32,
    "hidden_dim": 32, "encoder_feedforward_dim": 16, "dim_feedforward": 16, "num_attention_heads": 2, "encoder_layers": 1,
    "decoder_layers": 2, "query_dec_layers": 1, "text_encoder_width": 16,
}  # fmt: skip


def test_oneformer_shows_the_likeliest_class_of_every_pixel(toys):
    kind = oneformer.Kind(oneformer.ADE.network, oneformer.ADE.classes, 128, 512)
    torch.manual_seed(0)
    network = oneformer.build(150, 12, **dict(TOY_ONEFORMER)).eval()
    answers = []
    network.register_forward_hook(lambda module, arguments, answer: answers.append(answer))
    toys.put(kind.network, network)
    request = registry.request("oneformer_ade20k", {}, 128)
    control_map = oneformer.oneformer(SCENE, request, toys.tools, kind=kind)
    (answer,) = answers
    masks = torch.nn.functional.interpolate(answer.masks_queries_logits, (128, 192), mode="bilinear", align_corners=False)[0].sigmoid()
    scores = torch.einsum("qc,qhw->chw", answer.class_queries_logits[0].softmax(-1)[:, :-1], masks)
    palette = np.array([color for _, color in oneformer.ADE.classes], np.uint8)
    assert np.array_equal(control_map.pixels, palette[scores.argmax(0).numpy()])
    assert [one["name"] for one in control_map.extra["classes"]] and len(control_map.extra["classes"]) <= 150


def test_oneformers_files_fit_whatever_transformers_calls_its_tensors(toys):
    torch.manual_seed(0)
    network = oneformer.build(150, 12, **dict(TOY_ONEFORMER))
    fitted = oneformer.fit(network.state_dict(), network)
    assert all(torch.equal(fitted[name], tensor) for name, tensor in network.state_dict().items() if "layernorm" not in name)
    with pytest.raises(KeyError, match="task_mlp"):
        oneformer.fit({name: tensor for name, tensor in network.state_dict().items() if "task_mlp" not in name}, network)


def test_the_classes_and_their_colours():
    ade, coco = dict(oneformer.ADE.classes), dict(oneformer.COMMON.classes)
    assert len(oneformer.ADE.classes) == 150 and len(oneformer.COMMON.classes) == 133
    assert ade["wall"] == (120, 120, 120) and ade["sky"] == (6, 230, 230) and coco["person"] == (220, 20, 60)
    assert oneformer.shown_size(512, 768, oneformer.ADE) == (640, 960) and oneformer.shown_size(512, 2048, oneformer.COMMON) == (333, 1333)
