"""A reference picture, looked at by the network's own attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clickpaint.paint.diffusion.attention import Attend, Layer
from clickpaint.paint.diffusion.loop import Inputs, Moment, Part, noise
from clickpaint.paint.influence_options import ReferenceOptions

if TYPE_CHECKING:
    import torch


class ReferenceAttention(Part):
    """In each step the network looks at the reference too, with as much noise; what its self-attention sees there, that of the painted
    picture may look at as well ("reference-only", L. Zhang in sd-webui-controlnet, 2023; the same idea in MasaCtrl, Cao et al., 2023).

    Args:
        unet: the network that paints.
        latents: float32 [1, 4, h, w] of the reference, of any size.
        options: see there; its picture is not looked at.
        seed: of the reference's noise, the same in every step.
    """

    def __init__(self, unet: Any, latents: torch.Tensor, options: ReferenceOptions, generators: Sequence[torch.Generator]) -> None:
        import torch

        self._unet, self._latents, self._options = unet, latents, options
        own = torch.Generator("cpu").manual_seed(generators[0].initial_seed())  # what the pictures' noise comes from is left alone
        self._noise = noise([own], latents.shape[1:], latents.device)
        self._seen: dict[str, torch.Tensor] | None = None
        self._writes = False
        self._branches: tuple[str, ...] = ()

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        self._seen = None
        if self._options.start <= moment.share < self._options.end and self._options.weight:
            self._look(inputs, moment)
        return inputs

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        import torch

        if layer.cross:
            return None

        def look(module: Any, hidden_states: torch.Tensor, encoder_hidden_states: Any = None, *rest: Any, **more: Any) -> torch.Tensor:
            alone = attend(module, hidden_states, encoder_hidden_states, *rest, **more)
            if self._writes:
                assert self._seen is not None
                self._seen[layer.name] = hidden_states
            elif self._seen is not None:
                batch = len(hidden_states) // len(self._branches)
                seen = self._seen[layer.name].repeat_interleave(batch, dim=0)
                both = attend(module, hidden_states, torch.cat([hidden_states, seen], dim=1), *rest, **more)
                alone = alone + self._shares(batch, alone) * (both - alone)
            return alone

        return look

    def _shares(self, batch: int, like: torch.Tensor) -> torch.Tensor:
        """How far each row looks at the reference, [rows, 1, …]."""
        options = self._options
        shares = [options.weight * (options.fidelity if branch == "uncond" else 1.0) for branch in self._branches]
        return like.new_tensor(shares).repeat_interleave(batch).reshape(-1, *[1] * (like.ndim - 1))

    def _look(self, inputs: Inputs, moment: Moment) -> None:
        """Have the network look at the reference, with the prompts of the pictures."""
        import torch

        self._branches, self._seen, self._writes = inputs.branches, {}, True
        count = len(inputs.branches)
        step = len(inputs.sample) // count
        noisy = moment.scheduler.add_noise(self._latents, self._noise, moment.timestep.reshape(1))
        sample = moment.scheduler.scale_model_input(noisy, moment.timestep)
        more = inputs.sample.shape[1] - sample.shape[1]
        if more:  # an inpainting network: there is no hole, and around it is the picture itself
            hole = sample.new_zeros(1, more - 4 if more == 5 else more, *sample.shape[2:])
            beside = [hole, self._latents] if more == 5 else [hole]
            sample = torch.cat([sample, *beside], dim=1)
        dtype = self._unet.dtype
        added = {key: value[::step].to(dtype) for key, value in inputs.added.items()}
        try:
            self._unet(
                sample.repeat(count, 1, 1, 1).to(dtype), moment.timestep, encoder_hidden_states=inputs.context[::step].to(dtype),
                return_dict=False, **({"added_cond_kwargs": added} if added else {}),
            )  # fmt: skip
        finally:
            self._writes = False
