"""A scriptable host and a studio on it, whose segmenter and eraser do something simple that can be told from outside."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.erase.base import Eraser
from clickpaint.errors import HostUnsupported
from clickpaint.hosts.base import Capabilities
from clickpaint.hosts.model_family import ModelFamily
from clickpaint.hosts.saved_files import save_new
from clickpaint.image.geometry import CropRules
from clickpaint.image.picture import Picture
from clickpaint.paint.checkpoint.source import Source
from clickpaint.paint.paint_job import Painted, PaintJob
from clickpaint.progress import SILENT, Progress
from clickpaint.segment.base import Candidate, Embedding, Prompts
from clickpaint.settings import SETTINGS
from clickpaint.studio.studio import Studio
from clickpaint.weights.device import Device

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 40), (20, 50, 210), (128, 128, 128)
FILLED = 7
"""The value of every sample that the toy eraser fills in."""


class ToyHost:
    """Settings by name, models and results under `folder`."""

    name = "toy"
    settings_file = None

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.settings = folder, settings
        self.stop = False
        self.closing = False
        self.source: Source | None = None
        self.lock = threading.Lock()
        self.entered = 0
        self.can_paint = False
        self.family: ModelFamily | None = None
        self.controls: tuple[list[str], list[str]] = ([], [])
        self.jobs: list[PaintJob] = []
        self.can_caption = False
        self.captioned: list[tuple[np.ndarray, int | None, tuple[int, int] | None]] = []
        self.kept: list[tuple[np.ndarray, np.ndarray, str, int, str]] = []
        self.before_painting: Callable[[Progress], None] = lambda progress: None

    def capabilities(self) -> Capabilities:
        reason = "" if self.can_paint else "The toy host cannot paint."
        return Capabilities(
            paint=self.can_paint, caption=self.can_caption, controlnet=bool(self.controls[1]), native_size=64, reason=reason,
            family=self.family,
        )  # fmt: skip

    def folders(self, kind: str) -> list[Path]:
        return [self.folder / kind]

    def data_folder(self) -> Path:
        return self.folder

    def output_folder(self) -> Path:
        return self.folder / "outputs"

    def setting(self, key: str) -> Any:
        return self.settings.get(key, SETTINGS[key].default)

    def device(self) -> Device:
        return Device("cpu")

    def awaited(self) -> bool:
        return False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self.lock:
            self.entered += 1
            yield

    def beside(self) -> AbstractContextManager[None]:
        return self.exclusive()

    def interrupted(self) -> bool:
        return self.stop

    def ending(self) -> bool:
        return self.closing

    def paint(self, job: PaintJob, progress: Progress) -> list[Painted]:
        """Each result in one grey: its seed, modulo 256; everywhere, for only the hole may be taken."""
        assert self.lock.locked(), "painting without the host's lock"
        self.jobs.append(job)
        self.before_painting(progress)
        progress.report(1.0, "Painting")
        return [Painted(np.full_like(job.pixels, (job.seed + i) % 256), job.seed + i, f"Seed: {job.seed + i}") for i in range(job.count)]

    def checkpoint(self) -> Source | None:
        return self.source

    def choose_checkpoint(self, name: str) -> None:
        raise HostUnsupported("The toy host has one checkpoint.")

    def caption(self, pixels: np.ndarray, beams: int | None, tokens: tuple[int, int] | None) -> str:
        """Tells what it was asked."""
        assert self.lock.locked(), "captioning without the host's lock"
        self.captioned.append((pixels, beams, tokens))
        return " ".join(["a", "toy", *(["and"] * (tokens[0] - 6 if tokens else 0)), f"seen {beams} wide"])

    def control_names(self) -> tuple[list[str], list[str]]:
        return self.controls

    def preview(self) -> Image.Image:
        return Image.new("RGB", (8, 8), GREEN)

    def keep(self, result: Picture, name: str, mask: np.ndarray, prompt: str, seed: int, infotext: str) -> None:
        self.kept.append((result.pixels, mask, prompt, seed, infotext))

    def save(self, data: bytes, name: str) -> Path:
        return save_new(self.output_folder(), name, data)


class ToySegmenter:
    """First candidate: everything of the colours clicked on; second: the pixels clicked on; third: nothing. A box selects itself."""

    name = "classic"

    def __init__(self) -> None:
        self.encoded: list[tuple[int, int]] = []
        self.previous: list[np.ndarray | None] = []
        self.before_encoding: Callable[[Progress], None] = lambda progress: None
        self.before_predicting: Callable[[Progress], None] = lambda progress: None

    def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
        progress.report(0.5, "Encoding the toy")
        self.before_encoding(progress)
        height, width = pixels.shape[:2]
        self.encoded.append((width, height))
        return Embedding(self.name, width, height, pixels.nbytes, pixels.copy())

    def predict(self, embedding: Embedding, prompts: Prompts, progress: Progress = SILENT) -> list[Candidate]:
        self.before_predicting(progress)
        self.previous.append(prompts.previous)
        pixels: np.ndarray = embedding.data
        colours, spots = np.zeros(pixels.shape[:2], bool), np.zeros(pixels.shape[:2], bool)
        if prompts.box is not None:
            left, top, right, bottom = (round(value) for value in prompts.box)
            colours[max(top, 0) : bottom, max(left, 0) : right] = True
        for point in prompts.points:
            x, y = int(point.x), int(point.y)
            same = (pixels == pixels[y, x]).all(axis=2)
            colours = colours | same if point.label else colours & ~same
            spots[y, x] = bool(point.label)
        masks = (colours, spots, np.zeros_like(spots))
        return [Candidate(mask, 0.9 - 0.2 * i, np.full((1, 256, 256), i, np.float32)) for i, mask in enumerate(masks)]

    def regions(self, pixels: np.ndarray, progress: Progress = SILENT) -> list[Candidate]:
        colours = np.unique(pixels.reshape(-1, 3), axis=0)
        return [Candidate((pixels == colour).all(axis=2), 0.9 - 0.1 * i) for i, colour in enumerate(colours)]


class ToyEraser(Eraser):
    """Fills with `FILLED`."""

    name = "classic"
    rules = CropRules()

    def __init__(self) -> None:
        self.before: Callable[[Progress], None] = lambda progress: None

    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        self.before(progress)
        return np.where(hole[..., None], np.uint8(FILLED), crop)


class ToyStudio(Studio):
    def __init__(self, host: ToyHost) -> None:
        super().__init__(host)
        self.toy = host
        self.segmenter, self.eraser = ToySegmenter(), ToyEraser()
        self.pool.segmenter = lambda name: self.segmenter  # type: ignore[method-assign]
        self.pool.eraser = lambda name: self.eraser  # type: ignore[method-assign]


def toy_studio(folder: Path, **settings: Any) -> ToyStudio:
    return ToyStudio(ToyHost(folder, **{"segmenter": "classic", "eraser": "classic", "erase_grow": 0, "erase_feather": 0, **settings}))


def pixels(width: int = 60, height: int = 40, background: tuple[int, int, int] = GREY, colour: tuple[int, int, int] = RED) -> np.ndarray:
    """A rectangle of `colour`, from a third to two thirds of each side, and one of blue at the bottom right."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = background
    image[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3] = colour
    image[height * 5 // 6 :, width * 5 // 6 :] = BLUE
    return image


def file_of(image: np.ndarray, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format)
    return stream.getvalue()


def array_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))
