"""What of the web UI is changed for a while, and put back whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from clickpaint.hosts.webui.probe import flavor

_PROGRESS = (
    "job", "job_no", "job_count", "processing_has_refined_job_count", "sampling_step", "sampling_steps", "current_latent",
    "current_image", "current_image_sampling_step", "textinfo",
)  # fmt: skip
"""Of `shared.state`: how far the job is. The wishes of the user (interrupted, skipped) are not among it."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` within this block; what an owner does not have (SD.Next lacks some) stays away."""
    if not hasattr(owner, name):
        yield
        return
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def unserved() -> Iterator[None]:
    """Blocks that this thread makes within this block are part of the web UI's page and never served themselves: they go without an
    app and a description of their own, of which Gradio 4 makes two each and throws them away, half of what a tab costs at the start."""
    from gradio.blocks import Blocks
    from gradio.routes import App

    thread, create_app, describe = threading.get_ident(), App.__dict__["create_app"], Blocks.get_config_file

    def create_none(*args: Any, **kwargs: Any) -> Any:
        return None if threading.get_ident() == thread else create_app.__func__(*args, **kwargs)

    def describe_nothing(blocks: Any, *args: Any, **kwargs: Any) -> Any:
        return {} if threading.get_ident() == thread else describe(blocks, *args, **kwargs)

    with replaced(Blocks, "get_config_file", describe_nothing):
        App.create_app = staticmethod(create_none)  # type: ignore[method-assign]
        try:
            yield
        finally:
            App.create_app = create_app


@contextmanager
def options_kept(names: Collection[str]) -> Iterator[None]:
    """The web UI's options of these names are afterwards what they were, also one that was never stored: `process_images` puts its
    overrides back only where there was a stored value, so that otherwise a default would be changed for good."""
    from modules import shared

    data = shared.opts.data
    absent = [name for name in names if name not in data]
    data.update({name: getattr(shared.opts, name) for name in absent})
    before = dict(data)
    try:
        yield
    finally:
        data.update({name: before[name] for name in names})
        for name in absent:
            del data[name]


@contextmanager
def inside(generation: Any) -> Iterator[None]:
    """Another `process_images` may run within this block, in the middle of `generation`, which does not notice."""
    from modules import sd_models, shared

    state = shared.state
    progress = {name: getattr(state, name) for name in _PROGRESS}
    merged = getattr(shared.sd_model, "applied_token_merged_ratio", 0)  # A1111 applies it once per generation, Forge at each sampling
    last_picture, state.stopping_generation = state.stopping_generation, False  # "stop after this picture": this is part of it
    bars = type(shared.total_tqdm)()
    try:
        with replaced(shared, "total_tqdm", bars), _without_control():
            yield
    finally:
        bars.clear()
        for name, value in progress.items():
            setattr(state, name, value)
        state.stopping_generation = state.stopping_generation or last_picture
        state.skipped = False
        if not flavor().forge:
            from modules import sd_hijack

            sd_hijack.model_hijack.apply_circular(generation.tiling)
            sd_models.apply_token_merging(shared.sd_model, merged)


def _without_control() -> AbstractContextManager[None]:
    """sd-webui-controlnet stays on the UNet until a generation is over, with maps of that one's size and place. (Forge's own is put on
    a copy, which another generation does not see.)"""
    from modules import shared

    if flavor().forge:
        return nullcontext()
    unet = getattr(getattr(shared.sd_model, "model", None), "diffusion_model", None)
    before = getattr(unet, "_original_forward", None)
    return nullcontext() if before is None else replaced(unet, "forward", before)
