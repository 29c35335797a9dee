"""What every flow-matching family says about itself: how its files are known and opened, and how its transformer is asked."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clickpaint.errors import CorruptModel, HostUnsupported
from clickpaint.paint.checkpoint.meta import on_meta
from clickpaint.paint.diffusion.loop import ClassifierFree
from clickpaint.paint.flow.naming import Names, Shapes, Tensors

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint, FlowKind
    from clickpaint.paint.checkpoint.networks import Part
    from clickpaint.paint.diffusion.conditioning import Text
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.diffusion.loop import Guidance
    from clickpaint.paint.diffusion.loop import Part as LoopPart
    from clickpaint.paint.flow.schedule import Spacing
    from clickpaint.paint.flow.texts import TextNeed
    from clickpaint.paint.paint_job import PaintOptions


@dataclass(frozen=True, eq=False)
class Asked:
    """One call of a transformer.

    Attributes:
        transformer: diffusers' module.
        sample: [rows, c, h, w], the latents and whatever `FlowFamily.beside` put beside them.
        level: of the noise, 0..1.
        context: [rows, tokens, C].
        added: what else describes the prompt or the picture, [rows, …] each.
        distilled: the guidance that the model is told, where it is told one.
        control: what ControlNets add behind each of its blocks: [rows, tokens of the picture, C] each, or a number; () without any.
    """

    transformer: Any
    sample: torch.Tensor
    level: float
    context: torch.Tensor
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)
    distilled: float | None = None
    control: tuple[torch.Tensor, ...] = ()

    def added_behind(self, tokens: int) -> list[torch.Tensor] | None:
        """`control` for `tokens` of which the picture's own come first; None without any."""
        import torch

        if not self.control:
            return None
        missing = [0 if each.ndim == 1 else tokens - each.shape[1] for each in self.control]
        return [torch.nn.functional.pad(each, (0, 0, 0, more)) if more else each for each, more in zip(self.control, missing, strict=True)]

    def everywhere(self, number: float) -> torch.Tensor:
        """A number for every row, in float32: half precision does not know a thousand timesteps apart."""
        import torch

        return torch.full((len(self.sample),), number, dtype=torch.float32, device=self.sample.device)


class FlowFamily(ABC):
    """A flow-matching family. Without state.

    Attributes:
        name: by which `FlowKind.family` means it.
        transformer: the name of diffusers' class.
        diffusers: the first version of diffusers that has it.
        texts: its text encoders by their names.
        names: its makers' names of the layers.
        vae_names: words in the names of files with its VAE.
        channels: of its latents.
        cell: side in pixels of what one latent stands for.
        patch: latents along a side of what the transformer takes for one token.
        scaling, shift: its VAE's latents are (latents - shift) * scaling.
    """

    name: str
    transformer: str
    diffusers = "0.31"
    texts: Mapping[str, TextNeed]
    names: Names
    vae_names: tuple[str, ...] = ()
    channels = 16
    cell = 8
    patch = 2
    scaling, shift = 1.0, 0.0

    @abstractmethod
    def prefix(self, shapes: Shapes) -> str | None:
        """What stands before the keys of its transformer; None where there is none of this family among these."""

    @abstractmethod
    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        """What a transformer is.

        Args:
            shapes: by its keys, without what stands before all of them.
            name: of the file: where several models have the very same tensors, it tells them apart.
        """

    @abstractmethod
    def spacing(self, kind: FlowKind) -> Spacing:
        """Its own schedule."""

    @abstractmethod
    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        """A prompt as the transformer takes it."""

    @abstractmethod
    def ask(self, asked: Asked) -> torch.Tensor:
        """The transformer's answer, noise minus picture: [rows, c, h, w]."""

    def text_width(self, kind: FlowKind) -> int:
        """What the transformer takes for one token of its main text encoder."""
        return kind.config["joint_attention_dim"]

    def beside(self, checkpoint: FlowCheckpoint, scene: Scene) -> list[LoopPart]:
        """What the transformer wants beside the latents."""
        return []

    def guidance(self, scale: float) -> Guidance:
        """How the answers for the prompt and the negative one become one."""
        return ClassifierFree(scale)

    def distilled(self, kind: FlowKind, options: PaintOptions) -> float | None:
        """The guidance that the model is told."""
        return None if kind.distilled is None else options.sampling.distilled_cfg_scale or kind.distilled

    def make(self, kind: FlowKind) -> Any:
        """diffusers' module, without memory.

        Raises:
            HostUnsupported: this version of diffusers has none.
        """
        import diffusers

        build = getattr(diffusers, self.transformer, None)
        if build is None or not kind.config.keys() <= inspect.signature(build.__init__).parameters.keys():
            raise HostUnsupported(
                "{kind} needs diffusers {wanted} or newer; here is {version}.",
                "Use the web UI's own sampler, or the stand-alone program.",
                kind=kind.title,
                wanted=self.diffusers,
                version=diffusers.__version__,
            )
        with on_meta():
            return build(**kind.config).eval()

    def make_vae(self, part: Part, previous: Any | None) -> Any:
        """diffusers' module on these tensors; `previous` serves again if it is of the same build."""
        from clickpaint.paint.checkpoint.opening import vae_of

        return vae_of(part, self.scaling, previous)

    def takes_vae(self, shapes: Mapping[str, Any], prefix: str) -> bool:
        """Whether a VAE in a file of its own may be this family's.

        Args:
            shapes: what has a `shape` like tensors; by the keys of the file.
            prefix: what stands before the VAE's.
        """
        first = shapes.get(f"{prefix}decoder.conv_in.weight")
        return first is not None and len(first.shape) == 4 and first.shape[1] == self.channels

    def latents_of(self, vae: Any, picture: torch.Tensor) -> torch.Tensor:
        """See `Model.to_latents`."""
        return (vae.encode(picture).latent_dist.mode() - self.shift) * self.scaling

    def picture_of(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """See `Model.to_picture`."""
        return vae.decode(latents / self.scaling + self.shift, return_dict=False)[0]

    def patches(self, size: tuple[int, int]) -> int:
        """Of a picture of `size` (width, height) pixels, as the transformer counts them."""
        side = self.cell * self.patch
        return (size[0] // side) * (size[1] // side)

    def tensors(self, kind: FlowKind, shapes: Shapes) -> Tensors:
        """Where its parameters lie in a file."""
        return Tensors(shapes, self.names, kind.original)


def found(shapes: Shapes, *signs: str) -> str | None:
    """What stands before one of the keys that give a transformer away; None where none of them is there."""
    for sign in signs:
        for key in shapes:
            if key.endswith(sign) and (len(key) == len(sign) or key[-len(sign) - 1] == "."):
                return key.removesuffix(sign)
    return None


def heads(width: int, head: int, title: str) -> int:
    """Attention heads of a transformer. Raises `CorruptModel` where its width is no multiple of that of a head."""
    if not head or width % head or not width:
        raise CorruptModel("The transformer of {title} is damaged.", "Download it again, or choose another checkpoint.", title=title)
    return width // head
