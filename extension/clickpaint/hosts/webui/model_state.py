"""What Forge Neo keeps in its model from one generation to the next: the pictures that an edit model looks at, and its schedule's shift."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickpaint.hosts.webui.probe import loaded_model

_PICTURES = {"ref_latents": list, "images_vl": list, "image_prompt": str, "ini_latent": lambda: None}
"""Where a model keeps what it was shown, and what stands there before."""


@contextmanager
def kept(generation: Any) -> Iterator[None]:
    """A generation of ours sees its own pictures and no others, and leaves neither them nor its shift to the web UI's next one.

    Encoding a picture adds it to the model's list, and encoding the prompt hands the list on to the network and sets the shift; but where
    the prompt is that of the generation before, the web UI takes what it encoded then, and the network keeps what it was given last.
    """
    model = loaded_model()
    if model is None or getattr(model, "forge_objects", None) is None:
        yield
        return
    generation.cached_c, generation.cached_uc = [None, None], [None, None]  # those of the class are the web UI's
    with _pictures_kept(model), _shift_kept(model):
        yield


@contextmanager
def _pictures_kept(model: Any) -> Iterator[None]:
    try:
        from backend.args import dynamic_args
    except ImportError:
        dynamic_args = {}
    if "ref_latents" not in dynamic_args:
        yield
        return
    before = {name: dynamic_args[name] for name in ("ref_latents", "is_referencing") if name in dynamic_args}
    state = {name: getattr(model, name) for name in _PICTURES if hasattr(model, name)}
    dynamic_args["ref_latents"] = []
    for name in state:
        setattr(model, name, _PICTURES[name]())
    try:
        yield
    finally:
        for name, value in before.items():
            dynamic_args[name] = value
        for name, value in state.items():
            setattr(model, name, value)


@contextmanager
def _shift_kept(model: Any) -> Iterator[None]:
    predictor = getattr(getattr(getattr(model.forge_objects, "unet", None), "model", None), "predictor", None)
    shift = getattr(predictor, "shift", None)
    try:
        yield
    finally:
        if predictor is not None and shift is not None and predictor.shift != shift:
            predictor.set_parameters(shift=shift)
