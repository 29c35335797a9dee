"""The web UI as `Host`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported
from clickpaint.hosts.base import NAMED_BY_USERS, Capabilities
from clickpaint.hosts.model_family import Preset
from clickpaint.hosts.webui.probe import extensions_folder, flavor, loaded_model, sampler_names
from clickpaint.hosts.webui.settings_section import OPTION
from clickpaint.settings import usable
from clickpaint.weights.folders import is_folder

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from clickpaint.image.picture import Picture
    from clickpaint.paint.checkpoint.source import Source
    from clickpaint.paint.paint_job import Painted, PaintJob
    from clickpaint.paint.prompt_styles import PromptStyle
    from clickpaint.progress import Progress
    from clickpaint.weights.device import Device

_ALSO_IN = {
    "sam": ("sd-webui-segment-anything/models/sam", "sd-webui-inpaint-anything/models", "sd-webui-replacer/models"),
}
"""Where other extensions keep files of a kind, below the folder of extensions."""


_OPTIONS = {
    "Stable-diffusion": ("ckpt_dir",),
    "VAE": ("vae_dir",),
    "Lora": ("lora_dir", "lyco_dir_backcompat"),
    "hypernetworks": ("hypernetwork_dir",),
    "embeddings": ("embeddings_dir",),
    "ControlNet": ("controlnet_dir",),
    "text_encoder": ("text_encoder_dir", "text_encoder_dirs"),
    "tokenizers": (),
}
"""The web UI's options that say where its files of a kind lie; its embeddings are not among its models."""

_BESIDE = 3 << 30
"""Bytes that must be free for a click to be computed while the web UI generates: what SAM's encoder takes at its peak."""


class WebUIHost:
    """Implements `Host` for A1111, Forge and reForge."""

    settings_file = None
    """The web UI keeps them, and changes them on its own page."""

    def __init__(self) -> None:
        self._source: Source | None = None

    @property
    def name(self) -> str:
        return flavor().name

    def capabilities(self) -> Capabilities:
        from modules import sd_models, shared

        from clickpaint.hosts.webui import captioning, image_stitch, loaded_family, runner

        schedulers: tuple[str, ...] = ()
        if flavor().schedulers:
            from modules import sd_schedulers

            schedulers = tuple(scheduler.label for scheduler in sd_schedulers.schedulers)
        checkpoints = tuple(sd_models.checkpoint_tiles())
        model = loaded_model()
        family = loaded_family.family_of(model) if model is not None else None
        silent = captioning.unavailable()
        return Capabilities(
            paint=bool(checkpoints),
            caption=silent == "",
            caption_reason=silent or "",
            controlnet=runner.has_control(),
            references=image_stitch.found(),
            samplers=tuple(sampler_names()),
            schedulers=schedulers,
            checkpoints=checkpoints,
            styles=tuple(shared.prompt_styles.styles),
            token_merging=_token_merging(shared.opts),
            checkpoint=model.sd_checkpoint_info.title if model is not None else "",
            native_size=family.native_size if family is not None else 512,
            family=family,
            distilled=flavor().distilled,
            preset=loaded_family.preset_for(family) if family is not None else Preset(),
            reason="" if checkpoints else "The web UI has no checkpoint: put one into its models/Stable-diffusion folder.",
        )

    def folders(self, kind: str) -> list[Path]:
        from modules import paths

        own = self.setting("models_dir")
        base = Path(paths.models_path)
        folders = [Path(own).expanduser() / kind] if own else []
        folders += [base / kind, *(extensions_folder() / place for place in _ALSO_IN.get(kind, ()))]
        if kind == "control":  # where the ControlNets of A1111 and of Forge keep what makes maps, a folder for each network
            parents = extensions_folder() / "sd-webui-controlnet" / "annotator" / "downloads", base / "ControlNetPreprocessor"
            for pattern in ("*", "insightface/models/*"):
                folders += [folder for parent in parents for folder in sorted(parent.glob(pattern)) if is_folder(folder)]
        if kind in NAMED_BY_USERS:
            folders += _folders_of_options(kind)
        else:
            import torch

            folders.append(Path(torch.hub.get_dir()) / "checkpoints")  # where lama-cleaner and IOPaint keep theirs
        return list(dict.fromkeys(path.absolute() for path in folders))

    def data_folder(self) -> Path:
        from modules import paths

        return Path(paths.data_path).absolute() / "clickpaint"

    def output_folder(self) -> Path:
        from modules import paths, shared

        folder = self.setting("output_dir") or shared.opts.outdir_samples or shared.opts.outdir_img2img_samples
        return Path(paths.data_path) / Path(folder).expanduser()

    def setting(self, key: str) -> Any:
        from modules import shared

        return usable(key, shared.opts.data.get(OPTION + key))

    def device(self) -> Device:
        from modules import devices

        from clickpaint.weights.device import pick

        wanted, precision = self.setting("device"), self.setting("precision")
        if wanted == "auto":
            wanted = str(devices.device)
        if precision == "auto" and str(devices.dtype) == "torch.float32":
            precision = "full"  # --no-half, or a device on which the host found half precision unsafe
        return pick(wanted, precision)

    def exclusive(self) -> AbstractContextManager[None]:
        from modules import call_queue

        return call_queue.queue_lock

    def beside(self) -> AbstractContextManager[None]:
        device = self.device()
        if device.kind == "cpu":
            return nullcontext()
        from clickpaint.weights.device import free_bytes

        return nullcontext() if free_bytes(device) > _BESIDE else self.exclusive()

    def interrupted(self) -> bool:
        return False  # a generation asks the host itself; the host's button is not meant for our clicks

    def awaited(self) -> bool:
        from modules import call_queue

        return bool(getattr(call_queue.queue_lock, "_pending_threads", ()))

    def ending(self) -> bool:
        from modules import shared

        # "Reload UI" ends the page's server, for which Gradio 3 waits as long as any answer takes
        return getattr(getattr(shared.demo, "server", None), "should_exit", False)

    def paint(self, job: PaintJob, progress: Progress) -> list[Painted]:
        from clickpaint.hosts.webui import img2img

        return img2img.paint(job, progress)

    def checkpoint(self) -> Source | None:
        from modules import sd_models

        from clickpaint.hosts.webui.loaded_checkpoint import source_of

        model = loaded_model()
        if model is not None or sd_models.checkpoint_tiles():
            self._source = source_of(model, self._source)
        return self._source

    def styles(self) -> Mapping[str, PromptStyle]:
        from modules import shared

        from clickpaint.paint.prompt_styles import PromptStyle

        known = shared.prompt_styles.styles.items()
        return {name: PromptStyle(style.prompt or "", style.negative_prompt or "") for name, style in known}

    def choose_checkpoint(self, name: str) -> None:
        raise HostUnsupported("The checkpoint is the web UI's.", "Choose it at the top of the web UI's page.")

    def caption(self, pixels: np.ndarray, beams: int | None, tokens: tuple[int, int] | None) -> str:
        from clickpaint.hosts.webui import captioning

        return captioning.caption(pixels, beams, tokens)

    def control_names(self) -> tuple[list[str], list[str]]:
        from clickpaint.hosts.webui import runner

        return runner.control_names()

    def preview(self) -> Image.Image | None:
        from clickpaint.hosts.webui import img2img

        return img2img.preview()

    def keep(self, result: Picture, name: str, mask: np.ndarray, prompt: str, seed: int, infotext: str) -> None:
        from clickpaint.hosts.webui import saving

        saving.save(result.pixels, mask, prompt, seed, infotext, folder=self.output_folder())

    def save(self, data: bytes, name: str) -> Path:
        from clickpaint.hosts.saved_files import save_new

        return save_new(self.output_folder(), name, data)


def _token_merging(options: Any) -> tuple[float, float]:
    """See `Capabilities.token_merging`; for pictures from pictures the web UI has a setting that goes before the other."""
    text, image = (float(getattr(options, name, 0) or 0) for name in ("token_merging_ratio", "token_merging_ratio_img2img"))
    return text, image or text


def _folders_of_options(kind: str) -> list[Path]:
    """Where the web UI itself looks for files of a kind."""
    from modules import shared

    chosen = [getattr(shared.cmd_opts, option, None) for option in _OPTIONS[kind]]
    folders = [Path(folder) for folder in chosen if isinstance(folder, str) and folder]
    if kind == "ControlNet":
        folders.append(extensions_folder() / "sd-webui-controlnet" / "models")
    return folders
