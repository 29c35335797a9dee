"""Our way of running the networks against lama-cleaner's own, and what happens when something goes wrong."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from clickpaint.compat.randomness import kept_randomness
from clickpaint.compat.uninitialised import bare
from clickpaint.erase import gan, lama, migan, neural_eraser
from clickpaint.erase.base import EraseOptions, Eraser
from clickpaint.erase.lama_cleaner_models import module
from clickpaint.errors import CorruptModel, Interrupted, ModelMissing, OutOfMemory
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store

pytest.importorskip("lama_cleaner")
Create = Callable[..., Any]
CONFIG = SimpleNamespace(ldm_sampler="ddim", ldm_steps=25, zits_wireframe=True)


def job(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    crop = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    hole = np.zeros((height, width), bool)
    hole[height // 4 : height // 2, width // 3 : width // 2] = True
    return crop, hole


def theirs(name: str, network: Any) -> Any:
    """lama-cleaner's model around our network."""
    if name in ("lama", "anime_lama"):
        return bare(module("lama").LaMa, model=network, device="cpu")
    if name == "manga":
        return bare(
            module("manga").Manga, line_model=network["manga_line"], inpaintor_model=network["manga_inpaint"], device="cpu", seed=42
        )
    if name == "ldm":
        kind = module("ldm")
        return bare(
            kind.LDM, device="cpu", model=kind.LatentDiffusion(network["ldm_diffusion"], "cpu"),
            cond_stage_model_encode=network["ldm_encode"], cond_stage_model_decode=network["ldm_decode"],
        )  # fmt: skip
    if name == "zits":
        return bare(
            module("zits").ZITS, device="cpu", sample_edge_line_iterations=1, wireframe=network["zits_wireframe"],
            edge_line=network["zits_edge_line"], structure_upsample=network["zits_structure"], inpaint=network["zits_inpaint"],
        )  # fmt: skip
    if name == "mat":
        z = torch.from_numpy(np.random.RandomState(240).randn(1, 512)).float()
        return bare(module("mat").MAT, device="cpu", torch_dtype=torch.float32, model=network, z=z, label=torch.zeros(1, 0))
    return bare(module("fcf").FcF, device="cpu", model=network, label=torch.zeros(1, 0))


@pytest.mark.parametrize("name", ["lama", "manga", "ldm", "zits", "mat", "fcf"])
def test_the_same_picture_as_lama_cleaner(name: str, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    crop, hole = job(512, 512)
    if name == "zits":  # without scikit-image lama-cleaner hands edges of 255 to a network that was trained on 1
        original = module("zits").load_image

        def load_image(*args: Any, **kwargs: Any) -> dict[str, Any]:
            items = original(*args, **kwargs)
            return {**items, "edge_256": (items["edge_256"] > 0).float()}

        monkeypatch.setattr(module("zits"), "load_image", load_image)
    eraser = create(name)
    network, size = eraser.load(Device())
    assert size >= 0
    with torch.inference_mode():
        ours = eraser.infer(network, crop, hole, Device(), SILENT)
        with kept_randomness({"mat": 240, "ldm": 42}.get(name, 0)):
            expected = theirs(name, network).forward(crop.copy(), hole[..., None].astype(np.uint8) * 255, CONFIG)[..., ::-1]
    assert np.abs(ours.astype(int) - expected)[hole].max() <= 1  # they cut where we round


@pytest.mark.parametrize("kind", [gan.FcfEraser, gan.MatEraser])
def test_the_real_networks_load_and_paint(kind: type[Eraser], tmp_path: Path, toy_catalog: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """lama-cleaner's own classes, with random weights saved as the published files are; with few of their channels."""
    mat, fcf = module("mat"), module("fcf")
    channels, first = mat.nf, mat.FirstStage
    monkeypatch.setattr(mat, "nf", lambda stage: channels(stage) // 8)
    monkeypatch.setattr(mat, "FirstStage", functools.partial(first, dim=24))
    whole, few = fcf.Generator, {"channel_base": 16384, "channel_max": 128}

    def generator(*, synthesis_kwargs: dict[str, Any], encoder_kwargs: dict[str, Any], **more: Any) -> Any:
        more |= {"z_dim": 128, "w_dim": 128}
        return whole(synthesis_kwargs=synthesis_kwargs | few, encoder_kwargs=encoder_kwargs | few, **more)

    monkeypatch.setattr(fcf, "Generator", generator)
    with kept_randomness(1):
        network = kind(Store(lambda _: []), Device(), ModelCache(lambda: 0)).build()  # type: ignore[call-arg, attr-defined]
    torch.save(network.state_dict(), tmp_path / {"mat": "Places_512_FullData_G.pth", "fcf": "places_512_G.pth"}[kind.name])
    del network
    eraser = kind(Store(lambda _: [tmp_path]), Device(), ModelCache(lambda: 1 << 30))  # type: ignore[call-arg]
    pixels, mask = job(200, 300)
    result = eraser.erase(pixels, mask, EraseOptions(2, 0))
    assert result[mask].std() > 1 and (result[mask] != pixels[mask]).any()
    np.testing.assert_array_equal(result[150:], pixels[150:])


def test_migan_mixes_nothing_of_the_hole_into_it(create: Create) -> None:
    """What its file composes reaches into the hole; the hole that it is given is wider by so much."""
    pixels = np.full((90, 120, 3), (200, 20, 250), np.uint8)
    mask = np.zeros((90, 120), bool)
    mask[20:60, 30:70] = True
    pixels[mask] = 255
    result = create("migan").erase(pixels, mask, EraseOptions(0, 0))
    assert (result[mask] == 60).all()
    np.testing.assert_array_equal(result[~mask], pixels[~mask])


def test_a_file_that_is_no_network_is_refused(toy_catalog: None, tmp_path: Path) -> None:
    (tmp_path / "migan_pipeline_v2.onnx").write_bytes(b"<html>")
    with pytest.raises(CorruptModel, match=r"migan_pipeline_v2\.onnx cannot be read as ONNX"):
        migan.MiGan(Store(lambda kind: [tmp_path]), Device(), ModelCache(lambda: 1 << 30)).erase(*job(64, 64))


def test_a_missing_file_is_named(toy_catalog: None, tmp_path: Path) -> None:
    eraser = lama.Lama(Store(lambda kind: [tmp_path]), Device(), ModelCache(lambda: 1 << 30))
    with pytest.raises(ModelMissing, match=r"big-lama\.pt"):
        eraser.erase(*job(64, 64))


def test_a_file_of_another_network_is_refused(create: Create, toy_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "Places_512_FullData_G.pth").write_bytes((toy_folder / "places_512_G.pth").read_bytes())
    eraser = gan.MatEraser(Store(lambda kind: [tmp_path]), Device(), ModelCache(lambda: 1 << 30))
    with pytest.raises(CorruptModel):
        eraser.erase(*job(64, 64))
    assert (tmp_path / "Places_512_FullData_G.pth").exists()


def test_out_of_memory_works_smaller(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def infer(self: Any, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        sizes.append(crop.shape[:2])
        if crop.shape[1] > 160:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return np.full_like(crop, 77)

    monkeypatch.setattr(lama.Lama, "infer", infer)
    pixels, mask = job(300, 300)
    assert (create("lama").erase(pixels, mask)[mask] == 77).all()
    assert sizes[1] == tuple(side // 2 // 8 * 8 for side in sizes[0])
    monkeypatch.setattr(lama.Lama, "infer", lambda *args: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(OutOfMemory):
        create("lama").erase(pixels, mask)


def test_half_precision_only_where_it_is_safe(create: Create) -> None:
    for name, expected in (("lama", "float32"), ("fcf", "float32"), ("mat", "float16")):
        assert create(name, Device("cuda:0", "bfloat16")).device == Device("cuda:0", expected)
        assert create(name, Device("cuda:0", "float32")).device.dtype == "float32"
        assert create(name, Device("cpu", "bfloat16")).device == Device("cpu")
        assert create(name, Device("mps", "float16")).device == Device("cpu")


def test_not_a_number_is_never_painted(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lama.Lama, "infer", lambda *args: neural_eraser.picture(torch.full((1, 3, 8, 8), torch.nan)))
    with pytest.raises(CorruptModel):
        create("lama").erase(*job(64, 64))


def test_an_interrupt_does_not_wait_for_the_network(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, over, done = threading.Event(), threading.Event(), threading.Event()

    def infer(self: Any, network: Any, crop: np.ndarray, *rest: Any) -> np.ndarray:
        at_work.set()
        over.wait(30)
        done.set()
        return crop

    monkeypatch.setattr(lama.Lama, "infer", infer)
    with pytest.raises(Interrupted):
        create("lama").erase(*job(64, 64), EraseOptions(), Progress(None, at_work.is_set))
    assert not done.is_set()  # the network is at it still
    over.set()


def test_the_network_is_loaded_once(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = lama.Lama.load
    monkeypatch.setattr(lama.Lama, "load", lambda self, device: loads.append(1) or load(self, device))
    create("lama").erase(*job(64, 64))
    create("lama").erase(*job(72, 64))
    assert len(loads) == 1


def test_importing_lama_cleaner_leaves_the_process_as_it_was() -> None:
    """In a process of its own, since here it was imported long ago."""
    import subprocess
    import sys

    code = """
import os, warnings, numpy, torch
from clickpaint.erase.lama_cleaner_models import module
torch.manual_seed(5)
before = (torch.get_rng_state(), list(warnings.filters), "PYTORCH_ENABLE_MPS_FALLBACK" in os.environ)
for name in ("mat", "fcf", "zits", "ldm"):
    module(name)
after = (torch.get_rng_state(), list(warnings.filters), "PYTORCH_ENABLE_MPS_FALLBACK" in os.environ)
assert torch.equal(before[0], after[0]) and before[1:] == after[1:], (before[1:], after[1:])
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=Path(__file__).parents[2] / "extension")
