"""The web UI's own BLIP (the one behind "Interrogate CLIP"): used as it is, loaded as it loads it, and put back where it lay."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError, HostUnsupported
from clickpaint.hosts.webui.probe import flavor
from clickpaint.weights.device import out_of_memory

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

_BEAMS, *_LENGTHS = ("interrogate_clip_num_beams", "interrogate_clip_min_length", "interrogate_clip_max_length")


def unavailable() -> str | None:
    """Why it cannot be used, as a sentence; "" if it can, None where the web UI has none."""
    from modules import paths, shared

    if "BLIP" not in getattr(paths, "paths", {}) or getattr(shared, "interrogator", None) is None:
        return None
    if not any((Path(paths.models_path) / "BLIP").glob("*.pth")):  # our use is not to start a download that nobody asked for
        return "The web UI downloads it when Interrogate CLIP is pressed for the first time."
    return "" if _runs() else "Its code does not run with the transformers that are installed."


def _runs() -> bool:
    """BLIP's code is of 2022: with a transformers from 4.50 on, its text network cannot generate, and later not even be imported."""
    try:
        return hasattr(importlib.import_module("models.med").BertLMHeadModel, "generate")
    except Exception as error:  # whatever a library that is too new, or missing, makes of it
        log.debug("The web UI's BLIP cannot be used: %s", error)
        return False


def caption(pixels: np.ndarray, beams: int | None, tokens: tuple[int, int] | None) -> str:
    """See `Host.caption`."""
    from modules import shared
    from PIL import Image

    reason = unavailable()
    if reason != "":
        raise HostUnsupported(
            "The web UI's captioner is not here. {reason}" if reason else "The web UI's captioner is not here.",
            "Download BLIP in the list of models.",
            reason=reason,
        )
    interrogator = shared.interrogator
    values = ({} if beams is None else {_BEAMS: beams}) | ({} if tokens is None else dict(zip(_LENGTHS, tokens, strict=True)))
    try:
        with _options(values), _loaded(interrogator), _seeing_once(interrogator.blip_model):
            return str(interrogator.generate_caption(Image.fromarray(pixels)))
    except Exception as error:  # its code is old and asks a hub for a tokenizer, and a file that it cannot read is None to it
        if isinstance(error, ClickpaintError) or out_of_memory(error):
            raise
        from clickpaint.hosts.webui import failures

        said = failures.reason(error)
        raise HostUnsupported("The web UI's captioner fails: {reason}", "Choose another captioner.", reason=said) from error


@contextmanager
def _options(values: dict[str, Any]) -> Iterator[None]:
    """Within, these are the web UI's options; afterwards they are as they were."""
    from modules import shared

    data = shared.opts.data
    before = {key: data[key] for key in values if key in data}
    data.update(values)
    try:
        yield
    finally:
        for key in values:
            if key in before:
                data[key] = before[key]
            else:
                data.pop(key, None)


@contextmanager
def _loaded(interrogator: Any) -> Iterator[None]:
    """BLIP on its device, as the interrogator's `load` brings it there, but without CLIP, which is large and not needed."""
    if flavor().forge and hasattr(interrogator, "load_device"):
        _load_on_forge(interrogator)
    else:
        from modules import devices, lowvram, shared

        if shared.cmd_opts.lowvram or shared.cmd_opts.medvram:
            lowvram.send_everything_to_cpu()
            devices.torch_gc()
        if interrogator.blip_model is None:
            model = interrogator.load_blip_model()
            interrogator.blip_model = model if shared.cmd_opts.no_half or interrogator.running_on_cpu else model.half()
        interrogator.blip_model = interrogator.blip_model.to(devices.device_interrogate)
        if interrogator.clip_model is None:
            interrogator.dtype = next(interrogator.blip_model.parameters()).dtype
    try:
        yield
    finally:
        interrogator.unload()


@contextmanager
def _seeing_once(model: Any) -> Iterator[None]:
    """BLIP repeats what it sees for every beam of a search, and so do the transformers of today: within, only transformers does."""
    decoder = model.text_decoder
    generate = decoder.generate

    def once(*args: Any, num_beams: int = 1, **kwargs: Any) -> Any:
        seen = {key: kwargs.pop(key)[:: int(num_beams)] for key in ("encoder_hidden_states", "encoder_attention_mask")}
        return generate(*args, num_beams=num_beams, **seen, **kwargs)

    decoder.generate = once
    try:
        yield
    finally:
        del decoder.generate


def _load_on_forge(models: Any) -> None:
    from backend import memory_management
    from backend.patcher.base import ModelPatcher

    if models.blip_model is None:
        models.blip_model = models.load_blip_model().to(device=models.offload_device, dtype=models.dtype)
        models.blip_patcher = ModelPatcher(models.blip_model, load_device=models.load_device, offload_device=models.offload_device)
    memory_management.load_models_gpu([models.blip_patcher])
