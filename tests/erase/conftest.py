"""Every eraser's network at toy size, in files as a user would place them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from clickpaint.erase import gan, registry
from clickpaint.erase.base import Eraser
from clickpaint.weights import catalog
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store
from tests.toys import onnx_file
from tests.toys.onnx_file import UINT8, node, port, tensor

NEURAL = ("lama", "anime_lama", "migan", "mat", "fcf", "zits", "ldm", "manga")


class Inpainter(torch.nn.Module):
    """LaMa's signature: the picture outside the hole, a blur of it plus a constant inside."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = torch.nn.Conv2d(4, 3, 5, padding=2)

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert image.shape[2] % 8 == 0 and image.shape[3] % 8 == 0
        return torch.sigmoid(self.blur(torch.cat([image * (1 - mask), mask], 1))) * mask + image * (1 - mask)


class Lines(torch.nn.Module):
    def forward(self, gray: torch.Tensor) -> torch.Tensor:
        assert gray.shape[2] % 16 == 0 and gray.shape[3] % 16 == 0
        return 255 - gray * 1.5


class MangaInpainter(torch.nn.Module):
    def forward(self, gray: torch.Tensor, lines: torch.Tensor, mask: torch.Tensor, noise: torch.Tensor, ones: torch.Tensor) -> torch.Tensor:
        return (gray * (1 - mask) + (lines * 0.5 + noise * 0.1) * mask * ones).clamp(-1, 1)


class Encoder(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(image, 4)


class Decoder(torch.nn.Module):
    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(latents, scale_factor=4.0)


class Diffusion(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Conv2d(7, 3, 3, padding=1)
        self.time = torch.nn.Linear(256, 3)

    def forward(self, latents: torch.Tensor, time: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return 0.5 * latents + 0.3 * self.mix(torch.cat([latents, context], 1)) + 0.1 * self.time(time)[:, :, None, None]


class Wireframe(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        assert image.shape[2:] == (512, 512)
        line = torch.tensor([[[0.1, 0.1], [0.9, 0.8]]]).reshape(1, 4)
        return {"num_proposals": torch.tensor(1), "lines_pred": line, "lines_score": torch.tensor([0.99])}


class EdgeLine(torch.nn.Module):
    def forward(
        self, image: torch.Tensor, edge: torch.Tensor, line: torch.Tensor, masks: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert float(edge.max()) <= 1
        gray = image.mean(1, keepdim=True)
        return gray + edge + masks, gray - line


class Structure(torch.nn.Module):
    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(plane, scale_factor=2.0)


class ZitsInpainter(torch.nn.Module):
    def forward(
        self, image: torch.Tensor, mask: torch.Tensor, edge: torch.Tensor, line: torch.Tensor, position: torch.Tensor, direct: torch.Tensor
    ) -> torch.Tensor:
        assert position.shape[1:] == image.shape[2:] and direct.shape[1:3] == image.shape[2:]
        return image * (1 - mask) + (0.5 * edge + 0.3 * line + position[:, None] / 400) * mask


class MatGenerator(torch.nn.Module):
    """MAT's signature; draws at random as the real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 3, 3, padding=1)
        self.style = torch.nn.Linear(512, 3)

    def forward(
        self, image: torch.Tensor, known: torch.Tensor, z: torch.Tensor, label: torch.Tensor, truncation_psi: float, noise_mode: str
    ) -> torch.Tensor:
        assert image.shape[2:] == (512, 512) and noise_mode == "none" and label.shape == (1, 0)
        style = torch.nn.functional.dropout(self.style(z), training=True)
        return torch.tanh(self.conv(torch.cat([image * known, known], 1)) + style[:, :, None, None])


class FcfGenerator(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, image: torch.Tensor, label: torch.Tensor, truncation_psi: float, noise_mode: str) -> torch.Tensor:
        assert image.shape == (1, 4, 512, 512) and label.shape == (1, 0)
        return torch.tanh(self.conv(image))


def migan() -> bytes:
    """MI-GAN's signature and compositing, around a network that paints what is missing in 60: pictures and masks (0 = fill) of bytes, and
    a soft edge that reaches three pixels into the hole, across corners too."""
    nodes = [
        node("Cast", ["image"], "picture", to=onnx_file.FLOAT),
        node("Cast", ["mask"], "wide", to=onnx_file.FLOAT),
        node("MaxPool", ["wide"], "known", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("AveragePool", ["known"], "soft", kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        node("Div", ["soft", "white"], "share"),
        node("Sub", ["one", "share"], "rest"),
        node("Mul", ["picture", "share"], "kept"),
        node("Mul", ["paint", "rest"], "painted"),
        node("Add", ["kept", "painted"], "composed"),
        node("Cast", ["composed"], "result", to=UINT8),
    ]
    constants = [tensor("white", np.float32(255)), tensor("one", np.float32(1)), tensor("paint", np.float32(60))]
    inputs = [port("image", ["batch", 3, 512, 512], UINT8), port("mask", ["batch", 1, 512, 512], UINT8)]
    return onnx_file.network(nodes, constants, inputs, [port("result", ["batch", 3, "height", "width"], UINT8)])


SCRIPTS = {
    "big-lama.pt": Inpainter,
    "anime-manga-big-lama.pt": Inpainter,
    "erika.jit": Lines,
    "manga_inpaintor.jit": MangaInpainter,
    "cond_stage_model_encode.pt": Encoder,
    "cond_stage_model_decode.pt": Decoder,
    "diffusion.pt": Diffusion,
    "zits-wireframe-0717.pt": Wireframe,
    "zits-edge-line-0717.pt": EdgeLine,
    "zits-structure-upsample-0717.pt": Structure,
    "zits-inpaint-0717.pt": ZitsInpainter,
}
GENERATORS = {"Places_512_FullData_G.pth": MatGenerator, "places_512_G.pth": FcfGenerator}


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that an eraser asks for, at toy size."""
    folder = tmp_path_factory.mktemp("toys")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for filename, kind in SCRIPTS.items():
            torch.jit.script(kind()).save(str(folder / filename))
        for filename, kind in GENERATORS.items():
            torch.save(kind().state_dict(), folder / filename)
    (folder / "migan_pipeline_v2.onnx").write_bytes(migan())
    return folder


@pytest.fixture
def toy_catalog(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The catalog without the checksums and sizes of the real files, as if the user had placed all of them."""
    document = json.loads(catalog.CATALOG.read_text(encoding="utf-8"))
    for entry in document["files"]:
        for key in ("bytes", "sha256", "md5", "urls"):
            entry.pop(key, None)
        entry["note"] = "A toy."
    placed = toy_folder / "catalog.json"
    placed.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setattr(catalog, "CATALOG", placed)
    catalog.catalog.cache_clear()
    yield
    catalog.catalog.cache_clear()


@pytest.fixture
def create(toy_folder: Path, toy_catalog: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Eraser]:
    """`create(name)`: any eraser, those with networks with toy ones."""
    monkeypatch.setattr(gan.MatEraser, "build", lambda self: MatGenerator())
    monkeypatch.setattr(gan.FcfEraser, "build", lambda self: FcfGenerator())
    store, cache = Store(lambda kind: [toy_folder]), ModelCache(lambda: 1 << 30)

    def make(name: str, device: Device | None = None) -> Eraser:
        if sys.version_info >= (3, 13) and "lama_cleaner" in registry.info(name).needs:
            pytest.skip(str(registry.unavailable(name)))
        return registry.create(name, store, device or Device(), cache)

    return make
