"""The ways in which a picture enters the sampling, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.engines.base import Engine, Recipe, Scene
from clickpaint.paint.diffusion.engines.controlnet import ControlNet
from clickpaint.paint.diffusion.engines.depth import Depth
from clickpaint.paint.diffusion.engines.diffedit import DiffEdit
from clickpaint.paint.diffusion.engines.inpaint import Inpaint
from clickpaint.paint.diffusion.engines.instruct import Instruct
from clickpaint.paint.diffusion.engines.leditspp import Leditspp
from clickpaint.paint.diffusion.engines.prompt_to_prompt import PromptToPrompt
from clickpaint.paint.diffusion.engines.repaint import RePaint
from clickpaint.paint.diffusion.engines.sdedit import SDEdit

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.paint_job import PaintOptions

EDITS: Mapping[str, Engine] = {engine.name: engine for engine in (SDEdit(), DiffEdit(), Leditspp(), PromptToPrompt())}
"""By the names of `edit_options.EditMethod`."""

ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (Inpaint(), RePaint(), ControlNet(), Depth(), Instruct())}

__all__ = ["EDITS", "ENGINES", "Engine", "Recipe", "Scene", "engine_for"]


def engine_for(kind: AnyKind, options: PaintOptions) -> Engine:
    """The engine that is asked for, or the one that the checkpoint and the other options suggest.

    Raises:
        InvalidInput: engine, task and checkpoint do not go together.
    """
    if options.task == "edit":
        EDITS[options.edit.method].check(kind, options)
        return EDITS[options.edit.method]
    name = options.engine
    if name == "auto":
        name = "instruct" if options.task == "instruct" else kind.engine
        if options.control and name == "inpaint":
            name = "controlnet"
    engine = ENGINES[name]
    if options.task == "instruct" and name != "instruct":
        raise InvalidInput("The engine {name} cannot follow instructions.", "Choose the engine instruct or auto.", name=name)
    engine.check(kind, options)
    return engine
