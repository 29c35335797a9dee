"""Engines of ours at work for the host: on its checkpoint, with the adapters in its folders and control maps of our preprocessors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.caption.registry import Captioners
from clickpaint.control import registry
from clickpaint.control.base import RESOLUTION
from clickpaint.control.fit import fitted, pixel_perfect
from clickpaint.errors import ClickpaintError, HostUnsupported, InvalidInput, ModelMissing
from clickpaint.hosts.base import Host
from clickpaint.image.picture import from_pixels
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.checkpoint.opening import AnyCheckpoint, Checkpoints
from clickpaint.paint.diffusion import frame_sampling, sampling, seeing_words
from clickpaint.paint.diffusion.frame_sampling import FrameJob, Motion
from clickpaint.paint.diffusion.score_guidance import Score
from clickpaint.paint.influence_options import GuideOptions
from clickpaint.paint.paint_job import SHOWN, ControlUnit, Painted, PaintJob, PaintOptions
from clickpaint.paint.prompt_styles import styled
from clickpaint.progress import SILENT, Progress
from clickpaint.studio.map_cache import MapCache
from clickpaint.studio.model_pool import ModelPool
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

_DEPTH = ("depth_anything_v2", "depth_anything", "depth", "depth_zoe", "depth_leres")
"""Preprocessors that measure depth, best first."""


@dataclass(frozen=True, eq=False)
class OpenCheckpoint:
    """What our sampler paints with, while the checkpoint is in use.

    Attributes:
        native_size: side in pixels of the square that the checkpoint was trained on.
        multiple: what the sides of a picture in pixels are multiples of.
        instructs: whether it was trained to do to a picture what a prompt says, and to give the whole of it anew.
    """

    native_size: int
    multiple: int
    instructs: bool
    _checkpoint: AnyCheckpoint
    _tools: sampling.Tools
    _show: Callable[[np.ndarray], None]
    _settled: Callable[[PaintOptions, bool], PaintOptions]

    def run(self, job: PaintJob, progress: Progress = SILENT) -> list[Painted]:
        """The results of a job, as `paint.diffusion.sampling.paint_with`."""
        job = replace(job, options=self._settled(job.options, True))
        return sampling.paint_with(self._checkpoint, job, tools=self._tools, progress=progress, preview=self._show)

    def generate(self, options: PaintOptions, size: tuple[int, int], seed: int, progress: Progress = SILENT) -> list[Painted]:
        """Pictures of `size` (width, height) from nothing but the prompt."""
        options = self._settled(options, False)
        return sampling.text_to_image(
            self._checkpoint, options, size, seed=seed, count=options.sampling.batch_count, tools=self._tools, progress=progress,
            preview=self._show,
        )  # fmt: skip

    def generate_clip(
        self, options: PaintOptions, size: tuple[int, int], count: int, motion: Motion, seed: int,
        in_front: Callable[[np.ndarray], np.ndarray], progress: Progress = SILENT,
    ) -> list[np.ndarray]:  # fmt: skip
        """The frames of a clip, uint8 [h, w, 3], as `paint.diffusion.frame_sampling.text_to_frames`."""
        options = self._settled(options, False)
        return frame_sampling.text_to_frames(
            self._checkpoint, options, size, count, seed=seed, motion=motion, in_front=in_front, tools=self._tools, progress=progress,
            preview=self._show,
        )  # fmt: skip

    def run_frames(self, jobs: Sequence[FrameJob], progress: Progress = SILENT) -> list[np.ndarray]:
        """Frames that look at the first one, uint8 [h, w, 3], as `paint.diffusion.frame_sampling.paint_frames`."""
        jobs = [replace(frame, job=replace(frame.job, options=self._settled(frame.job.options, True))) for frame in jobs]
        return frame_sampling.paint_frames(self._checkpoint, jobs, tools=self._tools, progress=progress, preview=self._show)

    def difference(self, pixels: np.ndarray, words: str, progress: Progress = SILENT, **how: Any) -> np.ndarray:
        """Where two prompts differ; how: see `paint.diffusion.seeing_words.difference`."""
        return seeing_words.difference(self._checkpoint, pixels, words, **how, tools=self._tools, progress=progress)

    def word_maps(self, pixels: np.ndarray, prompt: str, resolution: int, progress: Progress = SILENT) -> list[seeing_words.SeenWord]:
        """Where each word is seen, see `paint.diffusion.seeing_words.word_maps`."""
        return seeing_words.word_maps(self._checkpoint, pixels, prompt, resolution=resolution, tools=self._tools, progress=progress)


class OwnSampler:
    """Part of the studio. The caller holds the host's lock while something is painted."""

    def __init__(self, host: Host, pool: ModelPool, maps: MapCache, captioners: Captioners) -> None:
        self._host, self._pool, self._maps, self._captioners = host, pool, maps, captioners
        self._checkpoints = Checkpoints()
        self._toolbox = Toolbox(host.folders, pool.models, self._control_map, maps.look)
        self._lock = threading.Lock()
        self._preview: np.ndarray | None = None

    def paints(self, options: PaintOptions) -> bool:
        """Whether an engine of ours is to paint this, and not the host's own sampler: one is asked for, it is an edit by words, or the
        host has no sampler, cannot follow instructions with the model that is loaded, or has no ControlNet for the units."""
        if options.engine != "auto" or options.task in ("edit", *SHOWN) or options.guide.acts:
            return True
        can = self._host.capabilities()
        if options.task == "instruct":
            edits = can.own_sampler and can.family is not None and can.family.instructs
            return not edits or bool(options.reference.pictures and not can.references)
        if options.reference.acts:
            return True
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

    @contextmanager
    def opened(self, options: PaintOptions) -> Iterator[OpenCheckpoint]:
        """The host's checkpoint, ready to paint within this block: entered once for a painting, however many passes that has.

        Raises:
            HostUnsupported: no checkpoint is loaded, or the options ask for what only the host's own sampler or a system can do.
        """
        if options.system:
            raise HostUnsupported("Systems make pictures, and clips of a picture.", "Leave the system out; the checkpoint paints then.")
        if options.model.vae is not None:
            raise HostUnsupported("Our engines use the VAE that is loaded.", "Leave the VAE out; it goes with the checkpoint.")
        source = self._host.checkpoint()
        if source is None:
            raise HostUnsupported(self._host.capabilities().reason or "No checkpoint is loaded.", "Load one, then paint.")
        device = self._host.device()
        try:
            with self._checkpoints.using(source, device.torch) as checkpoint:
                kind = checkpoint.kind
                anew = kind.instructs and not kind.only_instructs
                tools = self._tools(checkpoint, options, device)
                yield OpenCheckpoint(
                    kind.native_size, kind.multiple, anew, checkpoint, tools, self._show,
                    lambda options, from_picture: self._settled(checkpoint, options, from_picture),
                )  # fmt: skip
        finally:
            with self._lock:
                self._preview = None

    def preview(self) -> Image.Image | None:
        """Roughly what is being painted, as it looks now; None while nothing is."""
        from PIL import Image

        with self._lock:
            return None if self._preview is None else Image.fromarray(self._preview).resize(
                (self._preview.shape[1] * 8, self._preview.shape[0] * 8), Image.Resampling.BICUBIC
            )  # fmt: skip

    def control_names(self) -> tuple[list[str], list[str]]:
        """Preprocessors and ControlNets that units of our engines can name."""
        usable = [info.name for info in registry.ordered() if info.returns == "map" and registry.unavailable(info.name) is None]
        return ["none", *(name for name in usable if name != "none")], self._toolbox.controlnets()

    def image_adapters(self) -> list[str]:
        """The IP-Adapters that a reference can name."""
        return self._toolbox.image_adapters()

    def _settled(self, checkpoint: AnyCheckpoint, options: PaintOptions, from_picture: bool) -> PaintOptions:
        """The options with what the host's files and settings say: its styles, and how many tokens are merged."""
        if options.prompt.styles:
            options = replace(options, prompt=styled(options.prompt, self._host.styles()))
        if options.model.token_merging_ratio is None and not isinstance(checkpoint, FlowCheckpoint):
            ratio = self._host.capabilities().token_merging[from_picture]
            options = replace(options, model=replace(options.model, token_merging_ratio=ratio))
        return options

    def _tools(self, checkpoint: AnyCheckpoint, options: PaintOptions, device: Device) -> sampling.Tools:
        options = self._settled(checkpoint, options, True)
        return sampling.Tools(
            device=device,
            depth=self._depth(),
            control=self._toolbox.control,
            adapted=self._toolbox.adapted,
            words=self._toolbox.words(checkpoint, options.prompt.positive, options.prompt.negative),
            image_prompt=self._toolbox.image_prompt,
            score=self._score(options.guide),
            free=self._pool.free,
        )

    def _score(self, guide: GuideOptions) -> Score | None:
        """What a guide looks for. Raises `ModelMissing`, `InvalidInput`."""
        if not guide.acts:
            return None
        if guide.kind == "classifier":
            classifier = self._captioners.classifier()
            if classifier is None:
                raise ModelMissing(
                    "There is no classifier here.", "Put one's folder (config.json, safetensors) into models/captioner, then try again."
                )
            return classifier.score(guide.words)
        clip = self._captioners.clip()
        if clip is None:
            raise ModelMissing("There is no CLIP model here.", "Put a CLIP model's folder into models/captioner.")
        return clip.score(guide.phrases()) if guide.kind == "clip" else clip.score(picture=guide.picture)

    def _show(self, pixels: np.ndarray) -> None:
        with self._lock:
            self._preview = pixels

    def _control_map(self, unit: ControlUnit, job: PaintJob) -> np.ndarray:
        """The map of the crop that is painted, uint8 [h, w, 3] of its size."""
        size = job.width, job.height
        resolution = unit.resolution or int(RESOLUTION.nearest(pixel_perfect(size, size, "Just Resize")))
        request = registry.request(unit.preprocessor, dict(unit.values), resolution, job.mask, job.seed)
        made = self._maps.detect(unit.preprocessor, from_pixels(job.pixels), request)
        if made.embedding is not None:
            raise InvalidInput(
                "The preprocessor {preprocessor} gives no map but an embedding.",
                "Choose another preprocessor.",
                preprocessor=unit.preprocessor,
            )
        return fitted(np.ascontiguousarray(made.pixels[..., :3]), job.width, job.height, "Just Resize")

    def _depth(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """What measures depth here; None where no network for it is."""

        def usable(name: str) -> bool:
            try:
                models = registry.info(name).models
                return registry.unavailable(name) is None and all(self._pool.store.state(file).state == "present" for file in models)
            except ClickpaintError:
                return False

        name = next((name for name in _DEPTH if usable(name)), None)
        if name is None:
            return None

        def measure(pixels: np.ndarray) -> np.ndarray:
            made = self._maps.detect(name, from_pixels(pixels), registry.request(name, resolution=384))
            return made.pixels[..., 0].astype(np.float32)

        return measure
