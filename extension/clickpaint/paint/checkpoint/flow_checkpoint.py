"""An opened checkpoint of a flow-matching family: a transformer, its VAE and its text encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.flow.texts import TextNetwork


@dataclass(frozen=True)
class FlowKind:
    """What a checkpoint of a flow-matching family is.

    Attributes:
        family: its name in `flow.registry`.
        title: for people.
        native_size: side in pixels of the square that it was trained on.
        engine: that it is painted with where nothing speaks for another.
        sees_hole: whether it gets the picture with the hole beside the latents.
        instructs: whether it was trained to do to a picture what a prompt says.
        cfg_scale: that its makers recommend; 1 for models into which guidance was distilled.
        distilled: the guidance that was distilled into it and that it is told, as its makers recommend; None where it is told none.
        shift: of its schedule, as its makers recommend; None where the size of the picture says it.
        original: whether its file has the names of its makers, not those of diffusers.
        config: what diffusers' transformer takes.
    """

    family: str
    title: str
    native_size: int = 1024
    engine: str = "inpaint"
    sees_hole: bool = False
    instructs: bool = False
    cfg_scale: float = 1.0
    distilled: float | None = None
    shift: float | None = None
    original: bool = True
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def only_instructs(self) -> bool:
        """Whether it cannot do anything else: these all paint in a mask as well."""
        return False

    @property
    def multiple(self) -> int:
        """What the sides of a picture in pixels are multiples of: two by two latents are one token."""
        return 16

    @property
    def memoryless(self) -> tuple[str, ...]:
        """Its samplers that do not remember earlier steps."""
        return ("Euler",)

    @property
    def guidance(self) -> Literal["", "distilled CFG", "shift"]:
        """What "distilled CFG" is for it."""
        return "distilled CFG" if self.distilled is not None else "shift" if self.shift is not None else ""


@dataclass(frozen=True, eq=False)
class FlowCheckpoint:
    """Networks whose every weight is the source's own tensor, or a view of it. They are in evaluation mode, want no gradients, and
    nobody writes to their weights.

    Attributes:
        name: for people.
        kind: what it is.
        transformer: diffusers' module.
        vae: diffusers' module.
        texts: the text encoders by their names in the family; those that it can do without may be missing.
        dtype: what the transformer computes in, whatever its weights are stored as.
        device: where inputs go.
    """

    name: str
    kind: FlowKind
    transformer: Any
    vae: Any
    texts: Mapping[str, TextNetwork]
    dtype: torch.dtype
    device: torch.device

    def networks(self) -> dict[str, torch.nn.Module]:
        """All its networks, by their names."""
        return {"transformer": self.transformer, "vae": self.vae, **{name: text.model for name, text in self.texts.items()}}

    def modules(self) -> list[torch.nn.Module]:
        """All its networks."""
        return list(self.networks().values())

    def on(self, device: torch.device) -> FlowCheckpoint:
        """The same, with its inputs on another device."""
        return replace(self, device=device, dtype=compute_type(self.transformer, device))

    def computed_in(self, module: torch.nn.Module, device: torch.device) -> torch.dtype:
        """The type that one of its networks computes in on a device."""
        return compute_type(module, device)


def compute_type(module: torch.nn.Module, device: torch.device) -> torch.dtype:
    """What a network of these families computes in: on the CPU float32, layer by layer where its weights are smaller; elsewhere what
    most of its weights are, but where that is eight bits, or half precision that T5 overflows in, bfloat16."""
    import torch

    from clickpaint.paint.checkpoint.meta import main_dtype

    if device.type == "cpu":
        return torch.float32
    sizes: dict[torch.dtype, int] = {}
    for parameter in module.parameters():
        sizes[parameter.dtype] = sizes.get(parameter.dtype, 0) + parameter.numel()
    most = max(sizes, key=lambda dtype: sizes[dtype])
    overflows = most == torch.float16 and type(module).__name__.startswith("T5")
    return torch.bfloat16 if overflows or most not in (torch.float32, torch.float16, torch.bfloat16) else main_dtype(module)
