"""The host of the stand-alone program: its settings are a file, its folders are the project's, its lock is its own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError, HostUnsupported, Sentence
from clickpaint.hosts.base import NAMED_BY_USERS, Capabilities
from clickpaint.hosts.checkpoint_files import LocalCheckpoints
from clickpaint.hosts.model_family import ModelFamily, Preset
from clickpaint.hosts.saved_files import save_new
from clickpaint.hosts.settings_file import SettingsFile
from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.diffusion.samplers import SAMPLERS
from clickpaint.paint.diffusion.schedules import SCHEDULES
from clickpaint.paint.prompt_styles import PromptStyle, read_styles
from clickpaint.weights.folders import is_file, is_folder, short_hash
from clickpaint.weights.model_files import by_name, files, shown

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.image.picture import Picture
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.checkpoint.source import Source
    from clickpaint.paint.paint_job import Painted, PaintJob
    from clickpaint.progress import Progress
    from clickpaint.weights.device import Device

log = logging.getLogger(__name__)

_CONTROL_NETS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".sft")
PROJECT = Path(__file__).resolve().parents[3]

_ALSO_CALLED = {
    "Stable-diffusion": ("checkpoints", "diffusion_models", "unet"),
    "text_encoder": ("text_encoders", "clip"),
    "tokenizers": ("tokenizer",),
    "Lora": ("loras", "lycoris"),
    "hypernetworks": ("hypernetwork",),
    "embeddings": ("embedding", "textual_inversion"),
    "sam": ("sams",),
}
"""How other programs call the folder of a kind; small and capital letters do not count."""

_ALSO_IN = {
    "ControlNet": ("../extensions/sd-webui-controlnet/models",),
    "embeddings": ("../embeddings",),
    "tokenizers": ("../backend/huggingface", "../comfy/text_encoders"),
    "sam": ("../extensions/sd-webui-segment-anything/models/sam", "../extensions/sd-webui-inpaint-anything/models"),
}
"""Where a web UI keeps files of a kind, seen from its folder `models`."""


class EmbeddedHost:
    """Implements `Host`.

    Args:
        data_dir: where settings.json, models/ and outputs/ are; the project's folder by default.
        models_dirs: further folders of models: a web UI's `models`, or its root. Downloads go to the first, the others are only read.
        overrides: settings that come before all others (command-line options). One that cannot be used raises `InvalidInput`.
        environment: where `CLICKPAINT_DEVICE=cpu` and the like are looked up; they come before the file.

    Attributes:
        settings_file: from overrides, the environment, settings.json, and their defaults, in this order.
    """

    name = "stand-alone"

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        models_dirs: Sequence[Path] = (),
        overrides: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._data = (data_dir or PROJECT).resolve()
        self.settings_file = SettingsFile(self._data / "settings.json", overrides or {}, environment, _check, self._changed)
        self._models_dirs = models_dirs
        self._bases = self._folders_of_models()
        self._lock = threading.Lock()
        self._device: Device | None = None
        self._torch_home = Path(
            environment.get("TORCH_HOME") or Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
        )
        self.checkpoints = LocalCheckpoints(
            self.folders("Stable-diffusion"), self.settings_file["checkpoint"], self._vae(self.settings_file["vae"]), self.folders
        )

    def _changed(self, keys: Set[str]) -> None:
        """Settings were changed: what was made of them is made anew. The device stays what it is until the next start."""
        if keys & {"models_dir", "checkpoint", "vae"}:
            self._bases = self._folders_of_models()
            chosen = self.setting("checkpoint") if "checkpoint" in keys else None
            self.checkpoints.look_in(self.folders("Stable-diffusion"), chosen, self._vae(self.setting("vae")))

    def _folders_of_models(self) -> list[Path]:
        own = self.settings_file["models_dir"]
        bases = [*self._models_dirs, *([Path(own)] if own else []), self._data / "models"]
        return [_models_folder((self._data / base.expanduser()).resolve()) for base in bases]

    def capabilities(self) -> Capabilities:
        names = tuple(self.checkpoints.files())
        try:
            current, kind, reason = self.checkpoints.current(), self.checkpoints.kind(), ""
        except ClickpaintError as error:
            current, kind, reason = None, None, error.sentence
        if not names:
            folder = self.folders("Stable-diffusion")[0]
            reason = Sentence(
                "There is no checkpoint: put one (.safetensors) into {folder}, or start with --checkpoint FILE.", folder=folder
            )
        return Capabilities(
            paint=kind is not None,
            own_sampler=False,
            controlnet=True,
            samplers=SAMPLERS,
            schedulers=SCHEDULES,
            checkpoints=names,
            styles=self._style_names(),
            checkpoint=current[0] if current is not None else "",
            native_size=kind.native_size if kind is not None else 512,
            family=_family(kind) if kind is not None else None,
            distilled=True,
            preset=_preset(kind) if kind is not None else Preset(),
            reason=reason,
        )

    def styles(self) -> Mapping[str, PromptStyle]:
        return read_styles(self._data / "styles.csv")

    def _style_names(self) -> tuple[str, ...]:
        try:
            return tuple(self.styles())
        except ClickpaintError as error:  # said where one is asked for
            log.warning("%s", error)
            return ()

    def checkpoint(self) -> Source | None:
        return self.checkpoints.source()

    def choose_checkpoint(self, name: str) -> None:
        self.checkpoints.choose(name)

    def _vae(self, chosen: str) -> Path | None:
        """The file of the VAE that the settings name, by its path or by its name among those in the folders; None for none."""
        if not chosen:
            return None
        file = self._data / Path(chosen).expanduser()
        known = [*files(self.folders("VAE")), *files(self.folders("Stable-diffusion"))]
        return file if is_file(file) else by_name(chosen, known) or file

    def folders(self, kind: str) -> list[Path]:
        folders = [base / kind for base in self._bases]
        for base in self._bases:
            folders += _places(base, kind)
            if kind not in NAMED_BY_USERS:
                folders.append(base)
        if kind not in NAMED_BY_USERS:
            folders.append(self._torch_home / "hub" / "checkpoints")  # where lama-cleaner and IOPaint keep theirs
        return list(dict.fromkeys(folders))

    def data_folder(self) -> Path:
        return self._data

    def output_folder(self) -> Path:
        return (self._data / Path(self.settings_file["output_dir"] or "outputs").expanduser()).resolve()

    def setting(self, key: str) -> Any:
        return self.settings_file[key]

    def device(self) -> Device:
        if self._device is None:
            from clickpaint.weights.device import pick

            self._device = pick(self.settings_file["device"], self.settings_file["precision"])
        return self._device

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._lock:
            yield

    def beside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def paint(self, job: PaintJob, progress: Progress) -> list[Painted]:
        raise HostUnsupported("The stand-alone program has no sampler but ours.", "Choose another engine.")

    def caption(self, pixels: np.ndarray, beams: int | None, tokens: tuple[int, int] | None) -> str:
        raise HostUnsupported("The stand-alone program has no captioner of its own.", "Choose another captioner.")

    def control_names(self) -> tuple[list[str], list[str]]:
        """No preprocessors but ours; the ControlNets named as sd-webui-controlnet names them, "name [hash]"."""
        names = []
        for name, file in shown(files(self.folders("ControlNet"), _CONTROL_NETS)).items():
            digest = short_hash(file)
            names.append(f"{name} [{digest}]" if digest else name)
        return [], names

    def preview(self) -> None:
        return None

    def keep(self, result: Picture, name: str, mask: np.ndarray, prompt: str, seed: int, infotext: str) -> None:
        """As a file of the kind that was opened."""
        from clickpaint.image.picture_files import encode, extension

        try:
            self.save(encode(result), name + extension(result.source.format))
        except (OSError, ClickpaintError) as error:  # the result is there all the same
            log.warning("The result is not in %s: %s", self.output_folder(), error)

    def save(self, data: bytes, name: str) -> Path:
        return save_new(self.output_folder(), name, data)

    def interrupted(self) -> bool:
        return False

    def awaited(self) -> bool:
        return False  # all who want it stand in our own lanes

    def ending(self) -> bool:
        return False  # our own server does not wait for long


def _family(kind: AnyKind) -> ModelFamily:
    if isinstance(kind, FlowKind):
        from clickpaint.paint.flow.registry import shift_of

        return ModelFamily(
            kind.title, kind.native_size, kind.guidance, kind.cfg_scale, kind.instructs, anew=kind.instructs, shift=shift_of(kind)
        )
    return ModelFamily(kind.title, kind.native_size, instructs=kind.instructs)


def _preset(kind: AnyKind) -> Preset:
    if isinstance(kind, FlowKind):
        return Preset(cfg_scale=kind.cfg_scale, distilled_cfg_scale=kind.distilled or kind.shift or 0.0)
    return Preset()


def _check(values: Mapping[str, Any]) -> None:
    """A device that is not there would keep the program from starting the next time."""
    if "device" in values:
        from clickpaint.weights.device import pick

        pick(values["device"], "auto")


def _models_folder(base: Path) -> Path:
    """The folder that holds the folders of kinds: `base`, or its `models` where it is the root of a web UI."""
    inner = base / "models"
    kinds = {name.casefold() for kind in NAMED_BY_USERS for name in (kind, *_ALSO_CALLED.get(kind, ()))} - {"embeddings"}
    return inner if is_folder(inner) and not any(folder.name.casefold() in kinds for folder in _folders_in(base)) else base


def _places(base: Path, kind: str) -> list[Path]:
    """The folders of a kind that there are, in and around a folder of models."""
    names = {name.casefold() for name in (kind, *_ALSO_CALLED.get(kind, ()))}
    folders = [folder for folder in _folders_in(base) if folder.name.casefold() in names]
    if base.name.casefold() == "models":
        folders += [(base / place).resolve() for place in _ALSO_IN.get(kind, ())]
    return folders


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if is_folder(entry))
    except OSError:
        return []
