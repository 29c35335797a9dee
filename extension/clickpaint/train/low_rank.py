"""LoRA, LoCon, LoHa, LoKr and DoRA beside a checkpoint's layers, made by PEFT: the layers' own weights are neither copied nor changed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clickpaint.compat import torchvision
from clickpaint.compat.randomness import kept_randomness
from clickpaint.errors import ModelMissing, Sentence
from clickpaint.train.training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

ADAPTER = "default"
"""PEFT's name for the one adapter."""
_OLDEST_PEFT = (0, 13)

_LINEAR = r"attn[12]\.to_(?:q|k|v|out\.0)|ff\.net\.(?:0\.proj|2)"
_TRANSFORMER = rf"(?:.*\.)?attentions\.\d+\.(?:proj_in|proj_out|transformer_blocks\.\d+\.(?:{_LINEAR}))"
_CONVOLUTION = r"(?:.*\.)?(?:resnets\.\d+\.(?:conv1|conv2|conv_shortcut|time_emb_proj)|(?:downsamplers|upsamplers)\.0\.conv)"
_TEXT = r"(?:.*\.)?layers\.\d+\.(?:self_attn\.(?:q_proj|k_proj|v_proj|out_proj)|mlp\.fc[12])"


def peft_problem() -> str:
    """Why nothing can be trained here with PEFT, one sentence; "" where it can."""
    if importlib.util.find_spec("peft") is None:
        return Sentence("The package peft is not installed.")
    try:
        version = importlib.metadata.version("peft")
    except importlib.metadata.PackageNotFoundError:
        return ""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return "" if numbers >= _OLDEST_PEFT else Sentence("The package peft is too old ({version}).", version=version)


def require_peft() -> None:
    """Raises `ModelMissing`: PEFT is not here, too old, or does not go with what else is installed."""
    problem = peft_problem()
    if not problem:
        torchvision.available()  # which PEFT's own imports reach through transformers
        try:
            import peft  # noqa: F401
        except Exception as error:
            problem = Sentence("The package peft does not go with the others here ({error}).", error=type(error).__name__)
    if problem:
        raise ModelMissing(problem, "Install it: pip install --no-deps peft accelerate")


def networks(checkpoint: Checkpoint, text: bool) -> dict[str, Any]:
    """The networks that change, by the names that kohya's trainer gives them."""
    networks: dict[str, Any] = {"lora_unet": checkpoint.unet}
    if text:
        several = len(checkpoint.text_encoders) > 1
        for number, encoder in enumerate(checkpoint.text_encoders, 1):
            networks[f"lora_te{number if several else ''}"] = encoder.inner
    return networks


def configuration(settings: TrainingSettings, text: bool) -> Any:
    """PEFT's, for a U-Net or for a text encoder."""
    from peft import LoHaConfig, LoKrConfig, LoraConfig

    rank = settings.rank
    alpha: Any = settings.alpha or float(rank)
    conv_rank = settings.conv_rank or (rank if settings.algorithm == "locon" else 0)
    targets = _TEXT if text else _TRANSFORMER
    patterns: dict[str, Any] = {}
    if conv_rank and not text:
        targets = f"{_TRANSFORMER}|{_CONVOLUTION}"
        if conv_rank != rank:
            patterns["rank_pattern"] = {_CONVOLUTION: conv_rank}
            patterns["alpha_pattern"] = {_CONVOLUTION: alpha * conv_rank / rank}
    if settings.algorithm == "loha":
        return LoHaConfig(r=rank, alpha=alpha, target_modules=targets, **patterns)
    if settings.algorithm == "lokr":
        return LoKrConfig(r=rank, alpha=alpha, target_modules=targets, **patterns)
    dora = settings.algorithm == "dora"
    return LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, use_dora=dora, lora_dropout=0.0, bias="none", **patterns)


@contextmanager
def injected(checkpoint: Checkpoint, settings: TrainingSettings, text: bool) -> Iterator[dict[str, Tensor]]:
    """Within this block the checkpoint's U-Net (and text encoders) answer with an adapter that does nothing yet; afterwards the modules
    are what they were. The adapter's first numbers follow from the settings' seed alone.

    Yields:
        The adapter's own tensors, float32, by network, layer and role ("lora_unet:down_blocks.0….to_q:lora_A").
    """
    import torch
    from peft import inject_adapter_in_model

    from clickpaint.compat.peft_layers import tuner_layers, without_tuners

    with kept_randomness(settings.seed), torch.inference_mode(False):
        for name, network in networks(checkpoint, text).items():
            inject_adapter_in_model(configuration(settings, name != "lora_unet"), network, ADAPTER)
    try:
        tensors: dict[str, Tensor] = {}
        for name, network in networks(checkpoint, text).items():
            for layer, tuner in tuner_layers(network):
                for parameter_name, parameter in tuner.named_parameters():
                    if f".{ADAPTER}" in parameter_name and not parameter_name.startswith("base_layer."):
                        parameter.data = parameter.data.float()
                        parameter.requires_grad_(True)
                        tensors[f"{name}:{layer}:{parameter_name.split('.')[0]}"] = parameter
        yield tensors
    finally:
        for network in networks(checkpoint, text).values():
            without_tuners(network)


@contextmanager
def disabled(checkpoint: Checkpoint, text: bool) -> Iterator[None]:
    """Within this block the checkpoint answers as it would without the adapter."""
    from clickpaint.compat.peft_layers import tuner_layers

    tuners = [tuner for network in networks(checkpoint, text).values() for _, tuner in tuner_layers(network)]
    try:
        for tuner in tuners:
            tuner.enable_adapters(False)
        yield
    finally:
        for tuner in tuners:
            tuner.enable_adapters(True)


def scalings(checkpoint: Checkpoint, text: bool) -> dict[str, tuple[float, int]]:
    """(alpha, rank) of every layer with an adapter, by network and layer."""
    from clickpaint.compat.peft_layers import tuner_layers

    known = {}
    for name, network in networks(checkpoint, text).items():
        for layer, tuner in tuner_layers(network):
            rank = int(tuner.r[ADAPTER])
            known[f"{name}:{layer}"] = float(tuner.scaling[ADAPTER]) * rank, rank
    return known


_KOHYA_ROLES = {"lora_A": "lora_down.weight", "lora_B": "lora_up.weight", "lora_magnitude_vector": "dora_scale"}


def as_kohya(
    tensors: Mapping[str, Tensor], scales: Mapping[str, tuple[float, int]], checkpoint: Checkpoint, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The adapter in the layout of kohya's trainer and LyCORIS, which web UIs read; on the CPU.

    Layers of SDXL's U-Net have the original's names there, those of Stable Diffusion 1 and 2 have diffusers'.

    Args:
        tensors: of `injected`.
        scales: of `scalings`.
    """
    import torch

    original = checkpoint.kind.family.startswith("sdxl")
    whole = _whole_layers(tensors)
    out: dict[str, Tensor] = {}
    for key in sorted(tensors):
        network, layer, role = key.split(":")
        alpha, rank = scales[f"{network}:{layer}"]
        if network == "lora_unet":
            written = checkpoint.layout.key(f"{layer}.weight").removesuffix(".weight") if original else layer
        else:
            written = f"text_model.{layer}"
        flat = f"{network}_{written.replace('.', '_')}"
        tensor = tensors[key].detach().float()
        if role == "lora_magnitude_vector":
            dimensions = tensors[f"{network}:{layer}:lora_A"].ndim
            tensor = tensor.reshape(-1, *[1] * (dimensions - 1))
        if role == "lokr_w1" and f"{network}:{layer}" in whole:
            tensor = tensor * (alpha / rank)  # readers have no rank to divide by where both factors are whole
        out[f"{flat}.{_KOHYA_ROLES.get(role, role)}"] = tensor.to("cpu", dtype).contiguous()
        out[f"{flat}.alpha"] = torch.tensor(alpha, dtype=dtype)
    return dict(sorted(out.items()))


def _whole_layers(tensors: Mapping[str, Tensor]) -> set[str]:
    """Layers whose Kronecker factors are both of full rank."""
    roles: dict[str, set[str]] = {}
    for key in tensors:
        place, _, role = key.rpartition(":")
        roles.setdefault(place, set()).add(role)
    return {place for place, own in roles.items() if {"lokr_w1", "lokr_w2"} <= own}
