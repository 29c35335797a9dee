"""A system at work."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, HostUnsupported, InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.mask import bounds
from clickpaint.paint.context import scaled
from clickpaint.paint.diffusion.latents import filled
from clickpaint.paint.paint_job import Painted, PaintJob, PaintOptions
from clickpaint.paint.systems.base import Pipes, Wish
from clickpaint.paint.systems.system_folders import OWN_PARTS, System
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.device import Device, out_of_memory, retrying

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache

_OVERLAP = 32
"""Pixels of a picture that is enlarged which two tiles share."""

_VARIANT = re.compile(r"\.(fp16|bf16)(?:\.|-)")


class RunningSystem:
    """A loaded system, held in the cache.

    Args:
        system: which.
        device: where it computes.
        cache: holds what is loaded.
    """

    def __init__(self, system: System, device: Device, cache: ModelCache) -> None:
        self._system, self._device, self._cache = system, device, cache

    def multiple(self) -> int:
        """What the sides that are chosen have to be multiples of, in pixels. Raises `InvalidInput` where they cannot be chosen."""
        if not self._system.kind.sized:
            raise InvalidInput("{name} paints at a size of its own.", "Leave width and height out.", name=self._system.name)
        return self._system.kind.multiple

    def native_size(self, progress: Progress = SILENT) -> int:
        """Side in pixels of the square that it was trained on."""
        return self._system.kind.native(self._loaded(progress))

    def paint(self, job: PaintJob, progress: Progress = SILENT) -> list[Painted]:
        """The results of a job, as `in_picture.Run`. A variation is of what the mask shows, and comes to lie where that is."""
        varies = "vary" in self._system.kind.tasks
        start = filled(job.pixels, job.mask) if job.masked_content == "fill" and not varies else job.pixels
        results = []
        for number in range(job.count):
            part = progress.part(number / job.count, (number + 1) / job.count)
            seed = job.seed + number
            if varies:
                results.append(self._varied(job, seed, part))
                continue
            wish = self._wish(job.options, (job.width, job.height), seed, strength=job.strength, image=start, mask=job.mask)
            made = scaled(self._made(wish, part)[0], (job.width, job.height))
            results.append(Painted(made, seed, self._infotext(wish)))
        return results

    def _varied(self, job: PaintJob, seed: int, progress: Progress) -> Painted:
        box = bounds(job.mask)
        assert box is not None
        side = self.native_size(progress)
        shown, inner = (job.pixels[box.slices], None) if self._system.kind.sized else _in_square(job.pixels, box)
        share = side / (shown.shape[0] * shown.shape[1]) ** 0.5
        size = _steps_of_64(shown.shape[1] * share, shown.shape[0] * share) if self._system.kind.sized else (side, side)
        wish = self._wish(job.options, size, seed, image=shown)
        made = scaled(self._made(wish, progress)[0], shown.shape[1::-1])
        pixels = job.pixels.copy()
        pixels[box.slices] = made if inner is None else made[inner.slices]
        return Painted(pixels, seed, self._infotext(wish))

    def generate(self, options: PaintOptions, size: tuple[int, int], seed: int, progress: Progress = SILENT) -> list[Painted]:
        """Pictures from words, of `size` (width, height) where the system can choose it."""
        results, count = [], options.sampling.batch_count
        for number in range(count):
            wish = self._wish(options, size, seed + number)
            (made,) = self._made(wish, progress.part(number / count, (number + 1) / count))
            results.append(Painted(made, seed + number, self._infotext(replace(wish, size=made.shape[1::-1]))))
        return results

    def animate(
        self, pixels: np.ndarray, options: PaintOptions, frames: int, fps: float, motion: int, seed: int, progress: Progress = SILENT
    ) -> list[np.ndarray]:
        """A clip that begins with a picture, uint8 [h, w, 3] each, of about the system's own area."""
        side = self.native_size(progress)
        share = side / (pixels.shape[0] * pixels.shape[1]) ** 0.5
        size = _steps_of_64(pixels.shape[1] * share, pixels.shape[0] * share)
        wish = self._wish(options, size, seed, image=scaled(pixels, size), frames=frames, fps=fps, motion=motion)
        return self._made(wish, progress)

    def enlarge(self, pixels: np.ndarray, options: PaintOptions, seed: int, progress: Progress = SILENT) -> np.ndarray:
        """A picture as large as the system makes it, uint8 [n × h, n × w, 3], painted in tiles that fade into each other."""
        height, width = pixels.shape[:2]
        tile = min(self.native_size(progress), max(math.ceil(max(height, width) / 32), 2) * 32)
        tops, lefts = _tiles(height, tile), _tiles(width, tile)
        padded = np.pad(pixels, ((0, max(tile - height, 0)), (0, max(tile - width, 0)), (0, 0)), mode="edge")
        painted: np.ndarray | None = None
        weights = np.zeros((), np.float32)
        places = [(top, left) for top in tops for left in lefts]
        for number, (top, left) in enumerate(places):
            part = progress.part(number / len(places), (number + 1) / len(places))
            shown = padded[top : top + tile, left : left + tile]
            made = self._made(self._wish(options, (tile, tile), (seed + number) % 2**32, image=shown), part)[0]
            times = made.shape[0] // tile
            if painted is None:
                painted = np.zeros((padded.shape[0] * times, padded.shape[1] * times, 3), np.float32)
                weights = np.zeros((*painted.shape[:2], 1), np.float32)
            ramp = np.minimum(np.arange(1, tile * times + 1), np.arange(tile * times, 0, -1)).clip(max=_OVERLAP * times).astype(np.float32)
            share = (ramp[:, None] * ramp)[..., None]
            place = slice(top * times, (top + tile) * times), slice(left * times, (left + tile) * times)
            painted[place] += share * made
            weights[place] += share
        assert painted is not None
        times = painted.shape[0] // padded.shape[0]
        return (painted / weights).round().astype(np.uint8)[: height * times, : width * times]

    def _wish(
        self, options: PaintOptions, size: tuple[int, int], seed: int, *, strength: float = 1.0, image: np.ndarray | None = None,
        **more: Any,
    ) -> Wish:  # fmt: skip
        from PIL import Image

        sampling = options.sampling
        shown = None if image is None else Image.fromarray(np.ascontiguousarray(image))
        cfg_scale = sampling.cfg_scale or self._system.kind.cfg_scale
        return Wish(
            options.prompt.positive, options.prompt.negative, size, sampling.steps, cfg_scale, strength, seed, image=shown, **more
        )  # fmt: skip

    def _made(self, wish: Wish, progress: Progress) -> list[np.ndarray]:
        """The frames of one clip, or one picture."""
        import torch

        def attempt() -> Any:
            pipes = self._loaded(progress)
            for pipe in pipes.values():
                pipe.progress_bar = lambda iterable=None, total=None: _Bar(iterable, total, progress)
            with torch.inference_mode():
                return self._system.kind.make(pipes, wish, torch.Generator("cpu").manual_seed(wish.seed))

        def free() -> None:
            self._cache.unload()

        made = retrying([attempt, attempt], free, "Choose a smaller system, or close other programs.")
        return [(np.asarray(frame, np.float32).clip(0, 1) * 255).round().astype(np.uint8) for frame in made]

    def _loaded(self, progress: Progress) -> Pipes:
        def load() -> tuple[Pipes, int]:
            import torch

            progress.report(None, f"Loading {self._system.name}")
            with torch.inference_mode(False):
                pipes = self._system.kind.load(self._system, self._opened)
            parts = {id(part): part for pipe in pipes.values() for part in pipe.components.values() if isinstance(part, torch.nn.Module)}
            return pipes, sum(value.numel() * value.element_size() for part in parts.values() for value in part.parameters())

        return self._cache.get(("system", str(self._system.path), str(self._system.partner)), load, progress)

    def _opened(self, name: str, folder: Path, **parts: Any) -> Any:
        """That pipeline of diffusers from a folder, on the device."""
        torchvision.available()  # mends one that cannot load, which diffusers cannot do with
        import diffusers
        import torch

        kind = getattr(diffusers, name, None)
        if kind is None:
            raise HostUnsupported("The installed diffusers has no {pipeline} any more.", "Choose another system.", pipeline=name)
        dtype = self._device.torch_dtype
        if self._system.kind.full and self._device.kind == "cpu":
            dtype = torch.float32
        if self._system.kind.wide and dtype == torch.float16:
            dtype = torch.bfloat16
        variant = _variant(folder)
        more = {"variant": variant} if variant else {}
        try:
            with quiet(), _parts_found():
                pipe = kind.from_pretrained(
                    str(folder), torch_dtype=dtype, local_files_only=True, use_safetensors=True, **more, **parts
                )  # fmt: skip
        except Exception as error:
            if out_of_memory(error):
                raise
            raise CorruptModel(
                "The folder {name} is incomplete, damaged, or made for another diffusers.", "Get it once more.", name=folder.name
            ) from error
        return pipe.to(self._device.torch)

    def _infotext(self, wish: Wish) -> str:
        negative = f"\nNegative prompt: {wish.negative}" if wish.negative else ""
        return (
            f"{wish.prompt}{negative}\nSteps: {wish.steps}, CFG scale: {wish.cfg_scale:g}, Seed: {wish.seed}, "
            f"Size: {wish.size[0]}x{wish.size[1]}, Model: {self._system.name}, Clickpaint system: {self._system.kind.title}"
        )


class _Bar:
    """What diffusers' pipelines use as their progress bar: ours, at each step of which the user can stop."""

    def __init__(self, iterable: Any, total: int | None, progress: Progress) -> None:
        self._iterable, self._progress, self._done = iterable, progress, 0
        self._total = total if total is not None else len(iterable) if iterable is not None and hasattr(iterable, "__len__") else None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        for each in self._iterable:
            yield each
            self.update()

    def update(self, count: int = 1) -> None:
        self._done += count
        share = None if not self._total else min(self._done / self._total, 1.0)
        self._progress.report(share, "Painting", done=self._done, total=self._total, unit="step")


def _steps_of_64(width: float, height: float) -> tuple[int, int]:
    """The sides as multiples of 64 pixels, which every network here can halve."""
    return max(round(width / 64), 1) * 64, max(round(height / 64), 1) * 64


def _tiles(length: int, tile: int) -> list[int]:
    """Where tiles begin that cover a side of so many pixels and lie over each other by `_OVERLAP` at least."""
    count = max(math.ceil((length - _OVERLAP) / (tile - _OVERLAP)), 1)
    return [round(number * max(length - tile, 0) / max(count - 1, 1)) for number in range(count)]


def _in_square(pixels: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
    """(the square around a box, uint8 [n, n, 3], the box in it): undistorted, and the border goes on where the picture ends."""
    side = max(box.size)
    left, top = box.left - (side - box.width) // 2, box.top - (side - box.height) // 2
    columns, rows = (np.arange(side) + left).clip(0, pixels.shape[1] - 1), (np.arange(side) + top).clip(0, pixels.shape[0] - 1)
    inner = Box(box.left - left, box.top - top, box.right - left, box.bottom - top)
    return pixels[np.ix_(rows, columns)], inner


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and the advice to developers that diffusers and transformers print while they load."""
    import diffusers
    import transformers

    libraries = diffusers.utils.logging, transformers.utils.logging
    before = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
        library.set_verbosity_error()
    try:
        yield
    finally:
        for library, verbosity in zip(libraries, before, strict=True):
            library.enable_progress_bar()
            library.set_verbosity(verbosity)


@contextmanager
def _parts_found() -> Iterator[None]:
    """With the parts of diffusers where folders that were published before they moved look for them."""
    import importlib

    from diffusers import pipelines

    moved = [name for name in OWN_PARTS if not hasattr(pipelines, name)]
    try:
        for name in moved:
            with suppress(ImportError):
                setattr(pipelines, name, importlib.import_module(f"diffusers.pipelines.deprecated.{name}"))
        yield
    finally:
        for name in moved:
            pipelines.__dict__.pop(name, None)


def _variant(folder: Path) -> str:
    """That of the weights, such as "fp16", where the folder has no others; "" where it has."""
    names = [file.name for file in folder.glob("*/*.safetensors")]
    marked = {match[1] for name in names if (match := _VARIANT.search(name))}
    return "" if len(marked) != 1 or any(not _VARIANT.search(name) for name in names) else marked.pop()
