"""Engines of ours at work for the host: on its checkpoint, with the adapters in its folders and control maps of our preprocessors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.control import registry
from clickpaint.control.base import RESOLUTION, Tools
from clickpaint.control.fit import fitted, pixel_perfect
from clickpaint.errors import ClickpaintError, HostUnsupported, InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.checkpoint.opening import Checkpoint, Checkpoints
from clickpaint.paint.checkpoint.source import Source
from clickpaint.paint.diffusion import sampling
from clickpaint.paint.paint_job import ControlUnit, Painted, PaintJob, PaintOptions
from clickpaint.progress import SILENT, Progress
from clickpaint.studio.model_pool import ModelPool
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

_DEPTH = ("depth_anything_v2", "depth_anything", "depth", "depth_zoe", "depth_leres")
"""Preprocessors that measure depth, best first."""


class Diffusion:
    """Part of the studio. The caller holds the host's lock while something is painted."""

    def __init__(self, host: Host, pool: ModelPool) -> None:
        self._host, self._pool = host, pool
        self._checkpoints = Checkpoints()
        self._toolbox = Toolbox(host.folders, pool.models, self._control_map)
        self._lock = threading.Lock()
        self._preview: np.ndarray | None = None

    def meant(self, options: PaintOptions) -> bool:
        """Whether an engine of ours is to paint this, and not the host's own sampler: one is asked for, or the host has no sampler,
        cannot follow instructions, or has no ControlNet for the units."""
        if options.engine != "auto" or options.task == "instruct":
            return True
        can = self._host.capabilities()
        return not can.own_sampler or bool(options.control and not can.controlnet)

    def prepare(self) -> None:
        """Begin, in the background, what our engines' first use of the checkpoint would wait for: imports, the vocabulary, and
        modules without memory. Does nothing where no checkpoint is loaded."""

        def run() -> None:
            try:
                source = self._host.checkpoint()
                if source is not None:
                    self._checkpoints.prepare(source)
            except Exception:  # the first use meets it again, and says so
                log.debug("The checkpoint could not be prepared ahead", exc_info=True)

        threading.Thread(target=run, name="clickpaint-prepare").start()  # a second's work, which an ending process waits for

    def native_size(self) -> int:
        """Of the loaded checkpoint. Raises `HostUnsupported` where there is none."""
        source = self._source()
        with self._checkpoints.using(source, "cpu" if self._host.device().kind == "cpu" else self._host.device().torch) as checkpoint:
            return checkpoint.kind.native_size

    def run(self, job: PaintJob, progress: Progress = SILENT) -> list[Painted]:
        """The results of a job, as `paint.diffusion.painting.paint_with`."""

        def paint(checkpoint: Checkpoint, tools: sampling.Tools) -> list[Painted]:
            return sampling.paint_with(checkpoint, job, tools=tools, progress=progress, preview=self._show)

        return self._with_checkpoint(job.options, paint)

    def generate(self, options: PaintOptions, size: tuple[int, int], seed: int, progress: Progress = SILENT) -> list[Painted]:
        """Pictures of `size` (width, height) from nothing but the prompt."""

        def paint(checkpoint: Checkpoint, tools: sampling.Tools) -> list[Painted]:
            return sampling.text_to_image(
                checkpoint, options, size, seed=seed, count=options.batch_count, tools=tools, progress=progress, preview=self._show
            )

        return self._with_checkpoint(options, paint)

    def preview(self) -> Image.Image | None:
        """Roughly what is being painted, as it looks now; None while nothing is."""
        from PIL import Image

        with self._lock:
            return None if self._preview is None else Image.fromarray(self._preview).resize(
                (self._preview.shape[1] * 8, self._preview.shape[0] * 8), Image.Resampling.BICUBIC
            )  # fmt: skip

    def control_names(self) -> tuple[list[str], list[str]]:
        """Preprocessors and ControlNets that units of our engines can name."""
        usable = [one.name for one in registry.ordered() if one.returns == "map" and registry.unavailable(one.name) is None]
        return ["none", *(name for name in usable if name != "none")], self._toolbox.controlnets()

    def _with_checkpoint(self, options: PaintOptions, paint: Callable[[Checkpoint, sampling.Tools], list[Painted]]) -> list[Painted]:
        if options.styles:
            raise HostUnsupported("Styles are the web UI's.", "Leave the styles out, or let the web UI's own engine paint.")
        if options.vae is not None:
            raise HostUnsupported("Our engines use the VAE that is loaded.", "Leave the VAE out; it goes with the checkpoint.")
        if options.token_merging_ratio:
            raise HostUnsupported("Our engines do not merge tokens.", "Leave the token merging ratio out.")
        source, device = self._source(), self._host.device()
        try:
            with self._checkpoints.using(source, device.torch) as checkpoint:
                return paint(checkpoint, self._tools(checkpoint, options, device))
        finally:
            with self._lock:
                self._preview = None

    def _source(self) -> Source:
        source = self._host.checkpoint()
        if source is None:
            raise HostUnsupported(self._host.capabilities().reason or "No checkpoint is loaded.", "Load one, then paint.")
        return source

    def _tools(self, checkpoint: Checkpoint, options: PaintOptions, device: Device) -> sampling.Tools:
        return sampling.Tools(
            device=device,
            depth=self._depth(),
            control=self._toolbox.control,
            adapted=self._toolbox.adapted,
            words=self._toolbox.words(checkpoint, options.prompt, options.negative_prompt),
            free=self._pool.free,
        )

    def _show(self, pixels: np.ndarray) -> None:
        with self._lock:
            self._preview = pixels

    def _control_map(self, unit: ControlUnit, job: PaintJob) -> np.ndarray:
        """The map of the crop that is painted, uint8 [h, w, 3] of its size."""
        resolution = unit.resolution or _within_range(pixel_perfect((job.width, job.height), (job.width, job.height), "Just Resize"))
        request = registry.request(unit.preprocessor, dict(unit.values), resolution, job.mask, job.seed)
        found = registry.detect(unit.preprocessor, job.pixels, request, self._control_tools())
        if found.embedding is not None:
            raise InvalidInput(f"The preprocessor {unit.preprocessor} gives no map but an embedding.", "Choose another preprocessor.")
        return fitted(np.ascontiguousarray(found.pixels[..., :3]), job.width, job.height, "Just Resize")

    def _control_tools(self) -> Tools:
        return Tools(self._pool.store, self._host.device(), self._pool.models)

    def _depth(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """What measures depth here; None where no network for it is."""

        def there(name: str) -> bool:
            try:
                one = registry.info(name)
                return registry.unavailable(name) is None and all(self._pool.store.state(file).state == "present" for file in one.models)
            except ClickpaintError:
                return False

        name = next((name for name in _DEPTH if there(name)), None)
        if name is None:
            return None

        def measure(pixels: np.ndarray) -> np.ndarray:
            found = registry.detect(name, pixels, registry.request(name, resolution=384), self._control_tools())
            return found.pixels[..., 0].astype(np.float32)

        return measure


def _within_range(resolution: int) -> int:
    return int(min(max(resolution, RESOLUTION.minimum), RESOLUTION.maximum))
