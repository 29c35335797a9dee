"""A system at work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, HostUnsupported
from clickpaint.image.mask import bounds
from clickpaint.paint.context import scaled
from clickpaint.paint.paint_job import Painted, PaintJob, PaintOptions
from clickpaint.paint.systems.system_folders import System
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.device import Device, out_of_memory, retrying

if TYPE_CHECKING:
    from PIL import Image

    from clickpaint.weights.cache import ModelCache


@dataclass(frozen=True, eq=False)
class Wish:
    """What a system is to make.

    Attributes:
        prompt, negative: words.
        size: (width, height) in pixels.
        steps, cfg_scale, strength, seed: as in `paint_job.Sampling`.
        image: what it begins with; None for words alone.
        mask: bool [h, w], what of it is painted; None for all.
        frames, fps, motion: of a clip; motion 1 (still) to 255.
    """

    prompt: str
    negative: str
    size: tuple[int, int]
    steps: int
    cfg_scale: float
    strength: float
    seed: int
    image: Image.Image | None = None
    mask: np.ndarray | None = None
    frames: int = 14
    fps: float = 7.0
    motion: int = 127


class RunningSystem:
    """A loaded system, held in the cache.

    Args:
        system: which.
        device: where it computes.
        cache: holds what is loaded.
    """

    def __init__(self, system: System, device: Device, cache: ModelCache) -> None:
        self._system, self._device, self._cache = system, device, cache

    def native_size(self, progress: Progress = SILENT) -> int:
        """Side in pixels of the square that it was trained on."""
        pipe = self._loaded(progress)
        network = next((part for part in (getattr(pipe, name, None) for name in ("unet", "transformer")) if part is not None), None)
        side = getattr(getattr(network, "config", None), "sample_size", None) or 64
        return int(side if isinstance(side, int) else max(side)) * int(getattr(pipe, "vae_scale_factor", 1) or 1)

    def paint(self, job: PaintJob, progress: Progress = SILENT) -> list[Painted]:
        """The results of a job, as `in_picture.Run`. A variation is of what the mask shows, and comes to lie where that is."""
        results = []
        for number in range(job.count):
            part = progress.part(number / job.count, (number + 1) / job.count)
            varies = "vary" in self._system.kind.tasks
            box = bounds(job.mask)
            assert box is not None
            shown = job.pixels[box.slices] if varies else job.pixels
            size = _eight(shown.shape[1], shown.shape[0])
            wish = self._wish(job.options, size, job.seed + number, strength=job.strength, image=shown, mask=None if varies else job.mask)
            made = scaled(self._made(wish, part)[0], (shown.shape[1], shown.shape[0]))
            pixels = job.pixels.copy()
            if varies:
                pixels[box.slices] = made
            else:
                pixels = made
            results.append(Painted(pixels, job.seed + number, self._infotext(wish)))
        return results

    def generate(self, options: PaintOptions, size: tuple[int, int], seed: int, progress: Progress = SILENT) -> list[Painted]:
        """Pictures from words, of `size` (width, height) where the system can choose it."""
        results = []
        for number in range(options.sampling.batch_count):
            wish = self._wish(options, size, seed + number)
            results.append(Painted(self._made(wish, progress)[0], seed + number, self._infotext(wish)))
        return results

    def animate(
        self, pixels: np.ndarray, options: PaintOptions, frames: int, fps: float, motion: int, seed: int, progress: Progress = SILENT
    ) -> list[np.ndarray]:
        """A clip that begins with a picture, uint8 [h, w, 3] each, of about the system's own area."""
        side = self.native_size(progress)
        share = side / (pixels.shape[0] * pixels.shape[1]) ** 0.5
        size = _eight(pixels.shape[1] * share, pixels.shape[0] * share)
        wish = self._wish(options, size, seed, image=scaled(pixels, size), frames=frames, fps=fps, motion=motion)
        return self._made(wish, progress)

    def _wish(
        self, options: PaintOptions, size: tuple[int, int], seed: int, *, strength: float = 1.0, image: np.ndarray | None = None,
        **more: Any,
    ) -> Wish:  # fmt: skip
        from PIL import Image

        sampling = options.sampling
        shown = None if image is None else Image.fromarray(image)
        cfg_scale = sampling.cfg_scale or (3.0 if "animate" in self._system.kind.tasks else 7.0)
        return Wish(
            options.prompt.positive, options.prompt.negative, size, sampling.steps, cfg_scale, strength, seed, image=shown, **more
        )  # fmt: skip

    def _made(self, wish: Wish, progress: Progress) -> list[np.ndarray]:
        """The frames of one clip, or one picture."""
        import torch

        def attempt() -> Any:
            pipe = self._loaded(progress)
            pipe.progress_bar = lambda iterable=None, total=None: _Bar(iterable, total, progress)
            arguments = self._system.kind.arguments(pipe, wish)
            with torch.inference_mode():
                return pipe(**arguments, generator=torch.Generator("cpu").manual_seed(wish.seed), output_type="np")

        def free() -> None:
            self._cache.unload()

        output = retrying([attempt, attempt], free, "Choose a smaller system, or close other programs.")
        frames = output.frames[0] if hasattr(output, "frames") else output.images[:1]
        return [(np.asarray(frame, np.float32).clip(0, 1) * 255).round().astype(np.uint8) for frame in frames]

    def _loaded(self, progress: Progress) -> Any:
        def load() -> tuple[Any, int]:
            torchvision.available()  # mends one that cannot load, which diffusers cannot do with
            import diffusers
            import torch

            progress.report(None, f"Loading {self._system.name}")
            kind = getattr(diffusers, self._system.kind.pipeline, None)
            if kind is None:
                raise HostUnsupported(
                    "The installed diffusers has no {pipeline} any more.", "Choose another system.", pipeline=self._system.kind.pipeline
                )
            bars = diffusers.utils.logging
            bars.disable_progress_bar()
            try:
                with torch.inference_mode(False):
                    pipe = kind.from_pretrained(str(self._system.path), torch_dtype=self._device.torch_dtype, local_files_only=True)
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise CorruptModel(
                    "The folder {name} is incomplete, damaged, or made for another diffusers.", "Get it once more.", name=self._system.name
                ) from error
            finally:
                bars.enable_progress_bar()
            pipe = pipe.to(self._device.torch)
            parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
            return pipe, sum(value.numel() * value.element_size() for part in parts for value in part.parameters())

        return self._cache.get(("system", str(self._system.path)), load, progress)

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


def _eight(width: float, height: float) -> tuple[int, int]:
    """The sides as multiples of 64 pixels, which every network here can halve."""
    return max(round(width / 64), 1) * 64, max(round(height / 64), 1) * 64
