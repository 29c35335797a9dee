"""What learns: a low-rank change, a word, or a whole network. Each puts itself into an opened checkpoint for as long as a block lasts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.train import low_rank
from clickpaint.train.captions import CaptionTensors, LearnedWord, encode_captions
from clickpaint.train.prepared import Preparation
from clickpaint.train.training_settings import TrainingJob, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint


class Learner(ABC):
    """What learns on one opened checkpoint.

    Attributes:
        checkpoint: with what learns in it.
        settings: of the training.
        tensors: what is changed, float32, by name.
        learns_words: whether what becomes of captions changes as well.
    """

    learns_words = False

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings) -> None:
        self.checkpoint, self.settings = checkpoint, settings
        self.tensors: dict[str, Tensor] = {}

    def groups(self) -> list[dict[str, Any]]:
        """The tensors as an optimizer takes them, each group with its learning rate."""
        return [{"params": [*self.tensors.values()], "lr": self.settings.learning_rate}]

    def captions(self, captions: Sequence[str], preparation: Preparation) -> CaptionTensors:
        """What the U-Net is told."""
        return preparation.fixed_captions(captions, self.settings.caption_tokens, self.settings.clip_skip)

    def answer(self, latents: Tensor, timesteps: Tensor, context: Tensor, added: Mapping[str, Tensor] | None, **_: Any) -> Tensor:
        """The network's, [n, 4, h, w]."""
        return self.checkpoint.unet(latents, timesteps, context, added_cond_kwargs=added, return_dict=False)[0]

    def without(self) -> AbstractContextManager[None]:
        """Within this block the checkpoint answers as it would without what was learned."""
        return nullcontext()

    @abstractmethod
    def result(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        """The content of the result's file.

        Args:
            tensors: by the names of `tensors`; maybe their moving average.
        """

    def modules(self) -> list[Any]:
        """The networks that gradients flow through."""
        return [self.checkpoint.unet]

    def words(self) -> dict[str, tuple[Tensor, ...]]:
        """The words that samples know besides."""
        return {}


class LowRankLearner(Learner):
    """A LoRA or a relative of it."""

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings, tensors: dict[str, Tensor]) -> None:
        super().__init__(checkpoint, settings)
        self.tensors = tensors
        self.learns_words = settings.text_learning_rate > 0
        self._scales = low_rank.scalings(checkpoint, self.learns_words)

    def groups(self) -> list[dict[str, Any]]:
        unet = [tensor for name, tensor in self.tensors.items() if name.startswith("lora_unet:")]
        text = [tensor for name, tensor in self.tensors.items() if not name.startswith("lora_unet:")]
        groups = [{"params": unet, "lr": self.settings.learning_rate}]
        return groups + ([{"params": text, "lr": self.settings.text_learning_rate}] if text else [])

    def captions(self, captions: Sequence[str], preparation: Preparation) -> CaptionTensors:
        if not self.learns_words:
            return super().captions(captions, preparation)
        return encode_captions(self.checkpoint, captions, self.settings.caption_tokens, self.settings.clip_skip)

    def without(self) -> AbstractContextManager[None]:
        return low_rank.disabled(self.checkpoint, self.learns_words)

    def result(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        return low_rank.as_kohya(tensors, self._scales, self.checkpoint, dtype)

    def modules(self) -> list[Any]:
        return [self.checkpoint.unet, *((encoder.model for encoder in self.checkpoint.text_encoders) if self.learns_words else ())]


class WordLearner(Learner):
    """A textual inversion (Gal et al. 2022)."""

    learns_words = True

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings, word: str) -> None:
        import torch

        super().__init__(checkpoint, settings)
        self.word = word
        for number, encoder in enumerate(checkpoint.text_encoders):
            ids = encoder.tokenizer(settings.initial_word, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
            if not ids:
                raise InvalidInput("The initial word is empty.", "Give one that means something alike.")
            chosen = torch.tensor([ids[place % len(ids)] for place in range(settings.vectors)])
            rows = encoder.token_embedding.weight.detach()[chosen.to(encoder.token_embedding.weight.device)]
            self.tensors[f"{number}"] = rows.float().clone().requires_grad_(True)

    def captions(self, captions: Sequence[str], preparation: Preparation) -> CaptionTensors:
        word = LearnedWord(self.word, [*self.tensors.values()])
        return encode_captions(self.checkpoint, captions, self.settings.caption_tokens, self.settings.clip_skip, word)

    def result(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        names = ["clip_l", "clip_g"] if len(tensors) > 1 else ["emb_params"]
        return {name: tensors[f"{number}"].detach().to("cpu", dtype).contiguous() for number, name in enumerate(names)}

    def modules(self) -> list[Any]:
        return [self.checkpoint.unet, *(encoder.model for encoder in self.checkpoint.text_encoders)]

    def words(self) -> dict[str, tuple[Tensor, ...]]:
        return {self.word: tuple(tensor.detach() for tensor in self.tensors.values())}


class NetworkLearner(Learner):
    """The U-Net itself, in float32 of its own, or with it what an instruction needs besides."""

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings, tensors: dict[str, Tensor]) -> None:
        super().__init__(checkpoint, settings)
        self.tensors = tensors

    def result(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        """A whole checkpoint under the original's keys."""
        layout = self.checkpoint.layout
        return {
            f"model.diffusion_model.{layout.key(name)}": tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()
        }


class ControlLearner(Learner):
    """A ControlNet (Zhang et al. 2023), which begins as a copy of the U-Net's first half."""

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings, network: Any) -> None:
        super().__init__(checkpoint, settings)
        self.network = network
        self.tensors = dict(network.named_parameters())

    def answer(
        self, latents: Tensor, timesteps: Tensor, context: Tensor, added: Mapping[str, Tensor] | None, maps: Tensor | None = None, **_: Any
    ) -> Tensor:
        assert maps is not None
        down, middle = self.network(latents[:, :4], timesteps, context, maps, added_cond_kwargs=added, return_dict=False)
        return self.checkpoint.unet(
            latents, timesteps, context, added_cond_kwargs=added, down_block_additional_residuals=down,
            mid_block_additional_residual=middle, return_dict=False,
        )[0]  # fmt: skip

    def result(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        """In diffusers' layout, which web UIs read as well."""
        return {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()}

    def modules(self) -> list[Any]:
        return [self.checkpoint.unet, self.network]


@contextmanager
def learning(job: TrainingJob, checkpoint: Checkpoint) -> Iterator[Learner]:
    """Within this block something learns in the checkpoint; afterwards its modules are what they were.

    Raises:
        ModelMissing: PEFT is not here.
        InvalidInput: the kind does not go with the checkpoint.
    """
    settings, kind = job.settings, job.kind
    if kind in ("lora", "dreambooth"):
        low_rank.require_peft()
        with low_rank.injected(checkpoint, settings, settings.text_learning_rate > 0) as tensors:
            yield LowRankLearner(checkpoint, settings, tensors)
    elif kind == "embedding":
        yield WordLearner(checkpoint, settings, job.name)
    elif kind == "controlnet":
        yield ControlLearner(checkpoint, settings, _control_network(checkpoint))
    else:
        with _own_weights(checkpoint, 8 if kind == "instruct" else None) as tensors:
            yield NetworkLearner(checkpoint, settings, tensors)


def _control_network(checkpoint: Checkpoint) -> Any:
    import torch
    from diffusers import ControlNetModel

    with torch.inference_mode(False):
        network: Any = ControlNetModel.from_unet(checkpoint.unet)
        torch.nn.Module.to(network, checkpoint.device, torch.float32)
    return network.train().requires_grad_(True)


@contextmanager
def _own_weights(checkpoint: Checkpoint, channels: int | None) -> Iterator[dict[str, Tensor]]:
    """Within this block the U-Net has float32 weights of its own; with `channels` its first layer takes so many, the new ones begin as
    nothing, as InstructPix2Pix does it."""
    import torch

    unet = checkpoint.unet
    before = [(owner, name, tensor) for owner in unet.modules() for name, tensor in owner._parameters.items() if tensor is not None]
    first, width = unet.conv_in, unet.config["in_channels"]
    try:
        with torch.inference_mode(False):
            for owner, name, tensor in before:
                owner._parameters[name] = torch.nn.Parameter(tensor.detach().float().clone())
            if channels is not None and width != channels:
                weight = first._parameters["weight"]
                assert weight is not None
                wide = torch.zeros(weight.shape[0], channels, *weight.shape[2:], device=weight.device)
                wide[:, : weight.shape[1]] = weight.detach()
                first._parameters["weight"] = torch.nn.Parameter(wide)
                first.in_channels = channels
                unet.register_to_config(in_channels=channels)
        yield dict(unet.named_parameters())
    finally:
        for owner, name, tensor in before:
            owner._parameters[name] = tensor
        first.in_channels = width
        unet.register_to_config(in_channels=width)
