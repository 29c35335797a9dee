"""The one interface between Clickpaint and the program it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clickpaint.hosts.model_family import ModelFamily, Preset

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from clickpaint.hosts.settings_file import SettingsFile
    from clickpaint.image.picture import Picture
    from clickpaint.paint.checkpoint.source import Source
    from clickpaint.paint.paint_job import Painted, PaintJob
    from clickpaint.paint.prompt_styles import PromptStyle
    from clickpaint.progress import Progress
    from clickpaint.weights.device import Device


NAMED_BY_USERS = ("Stable-diffusion", "VAE", "Lora", "hypernetworks", "embeddings", "ControlNet", "text_encoder", "tokenizers")
"""Kinds of model files whose names are the user's own. They are looked for in the folders of their kind and nowhere else; files of
other kinds are known by their names and checksums, and so may lie wherever models do."""


@dataclass(frozen=True)
class Capabilities:
    """What the host can do now.

    Attributes:
        paint: whether it has a checkpoint to paint with.
        own_sampler: whether it paints by itself (`Host.paint`); otherwise only engines of ours do, on `Host.checkpoint`.
        caption: whether its captioner can be used.
        caption_reason: why it cannot; "" where it can, and where it has none.
        controlnet: whether units are heeded.
        references: whether a model that edits is shown reference pictures beside the one that it edits.
        samplers: names that it takes.
        schedulers: names that it takes.
        checkpoints: names of those that there are.
        styles: names of its prompt styles.
        token_merging: share of the tokens that it is set to merge, in pictures from a prompt alone and in those from a picture.
        checkpoint: the one that is loaded, "" for none yet.
        native_size: side in pixels of the square that the checkpoint was trained on.
        family: what the loaded checkpoint is; None where none is loaded (yet).
        distilled: whether its sampler takes a distilled CFG scale, for families that have one.
        preset: what painting starts with where the user says nothing.
        reason: one sentence, why it cannot paint; "" where it can.
        public: whether strangers use it, so that it keeps no files and its models and settings are not theirs to change.
    """

    paint: bool = False
    own_sampler: bool = True
    caption: bool = False
    caption_reason: str = ""
    controlnet: bool = False
    references: bool = False
    samplers: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    token_merging: tuple[float, float] = (0.0, 0.0)
    checkpoint: str = ""
    native_size: int = 512
    family: ModelFamily | None = None
    preset: Preset = field(default_factory=Preset)
    distilled: bool = False
    reason: str = ""
    public: bool = False


class Host(Protocol):
    """Implemented once per host. Only the implementation knows the host's modules."""

    @property
    def name(self) -> str:
        """For people: "stand-alone", "A1111", "Forge" …"""
        ...

    def capabilities(self) -> Capabilities: ...

    def folders(self, kind: str) -> list[Path]:
        """Folders where model files may lie. The first is where downloads go (it need not exist yet); the others are only read.

        Args:
            kind: "sam", "lama" and the other kinds of the catalog, or one of `NAMED_BY_USERS`, whose folders hold that kind alone.
        """
        ...

    def data_folder(self) -> Path:
        """Where the program keeps what outlives it; it need not exist yet."""
        ...

    def output_folder(self) -> Path: ...

    def setting(self, key: str) -> Any:
        """The value of a setting of `clickpaint.settings.SETTINGS`, always usable."""
        ...

    @property
    def settings_file(self) -> SettingsFile | None:
        """Where settings can be changed; None where the host has a page of its own for them."""
        ...

    def device(self) -> Device:
        """The device and precision to work on, by the user's choice or the host's."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the GPU: the host's own queue lock where it has one. Not re-entrant."""
        ...

    def beside(self) -> AbstractContextManager[None]:
        """Hold what a click needs: nothing while there is memory to compute beside whatever the host is doing, otherwise the same
        as `exclusive`."""
        ...

    def paint(self, job: PaintJob, progress: Progress) -> list[Painted]:
        """Paint one job on the loaded checkpoint; the caller is inside `exclusive`. Raises `HostUnsupported` where there is none."""
        ...

    def checkpoint(self) -> Source | None:
        """The tensors of the checkpoint that is loaded, for engines of ours; None where there is none (yet)."""
        ...

    def choose_checkpoint(self, name: str) -> None:
        """Take another one of `Capabilities.checkpoints`. Raises `NotFound`, and `HostUnsupported` where that is the user's to do."""
        ...

    def caption(self, pixels: np.ndarray, beams: int | None, tokens: tuple[int, int] | None) -> str:
        """What the host's own captioner says of a picture, uint8 [h, w, 3], searching `beams` wide; tokens: (fewest, most). None for the
        host's own settings. Only where `capabilities().caption`; the caller is inside `exclusive`. Raises `HostUnsupported`."""
        ...

    def styles(self) -> Mapping[str, PromptStyle]:
        """Its prompt styles by their names."""
        ...

    def control_names(self) -> tuple[list[str], list[str]]:
        """Preprocessors and models that the host's ControlNet offers now; finding them may take a moment. Empty without one."""
        ...

    def preview(self) -> Image.Image | None:
        """What is being painted, as it looks now; None where there is nothing to show."""
        ...

    def keep(self, result: Picture, name: str, mask: np.ndarray, prompt: str, seed: int, infotext: str) -> None:
        """Save a painted result the way the host saves its own, if the user wants that.

        Args:
            result: the whole picture, with the source that its file is to be like.
            name: for the file, without an ending.
            mask: bool [H, W], what was asked to be painted.
            prompt, seed, infotext: how it was painted.
        """
        ...

    def save(self, data: bytes, name: str) -> Path:
        """Save a file that the user asked for in `output_folder`, under this name or one with a number; returns where. Raises `OSError`."""
        ...

    def interrupted(self) -> bool:
        """Whether the user asked *the host* to stop (its own Interrupt button); requests have their own way."""
        ...

    def awaited(self) -> bool:
        """Whether somebody waits for what `exclusive` holds, as far as the host tells."""
        ...

    def ending(self) -> bool:
        """Whether the host's server wants to end or to start again, and only waits for answers that are under way."""
        ...
