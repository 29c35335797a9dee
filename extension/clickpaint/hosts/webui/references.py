"""The pictures that an edit model looks at: Forge Neo keeps them beside the model, from one generation to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickpaint.hosts.webui.probe import loaded_model

_KEPT_BY_MODEL = ("ref_latents", "images_vl")


@contextmanager
def kept(generation: Any) -> Iterator[None]:
    """A generation of ours sees its own pictures and no others, and leaves none to the web UI's next one.

    Encoding a picture adds it to the model's list, and encoding the prompt hands the list on to the network; but where the prompt is
    that of the generation before, the web UI takes what it encoded then, and the network sees the pictures of then.
    """
    try:
        from backend.args import dynamic_args
    except ImportError:  # A1111 and Forge have no such models
        yield
        return
    model = loaded_model()
    if model is None or "ref_latents" not in dynamic_args:
        yield
        return
    before = dynamic_args["ref_latents"]
    lists = {name: getattr(model, name) for name in _KEPT_BY_MODEL if isinstance(getattr(model, name, None), list)}
    words = getattr(model, "image_prompt", None)
    generation.cached_c, generation.cached_uc = [None, None], [None, None]  # those of the class are the web UI's
    dynamic_args["ref_latents"] = []
    for name in lists:
        setattr(model, name, [])
    if words is not None:
        model.image_prompt = ""
    try:
        yield
    finally:
        dynamic_args["ref_latents"] = before
        for name, value in lists.items():
            setattr(model, name, value)
        if words is not None:
            model.image_prompt = words
