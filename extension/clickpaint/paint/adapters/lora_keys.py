"""What the names of a LoRA's tensors say: which layer each one is for, and as what; and what its metadata say about its strength."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FLAT = re.compile(r"(lora|oft|lycoris)_(?=[^.]*\.)")
"""How the names that kohya's trainer and LyCORIS write begin: the layer's dots are "_", and the first dot ends it."""

_DOTTED = re.compile(
    r"(?P<layer>.+?)(?P<old>_lora|\.lora_linear_layer|\.lora)?\."
    r"(?P<tail>(?!lora_linear_layer)(?:lora|vera|oft|boft|ia3|hada|lokr)_\w+(?:\.[\w-]+)*|(?<=lora\.)(?:up|down)\.weight|(?<=layer\.)(?:up|down)\.weight"
    r"|(?:a1|a2|b1|b2|bm)\.weight|alpha|scale|dora_scale|rescale|on_input|diff|diff_b|w_norm|b_norm|set_weight|reshape_weight)"
)
_ROLES = {"lora_up": "up", "lora_B": "up", "lora_down": "down", "lora_A": "down", "lora_mid": "mid", "lora_magnitude_vector": "magnitude"}

ROLES = frozenset(
    (
        "up", "down", "mid", "up_bias", "alpha", "scale", "dora_scale", "magnitude", "diff", "diff_b", "w_norm", "b_norm",
        "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_t1",
        "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "a1", "a2", "b1", "b2", "bm", "oft_blocks", "oft_diag", "rescale",
        "weight", "on_input",
    )
)  # fmt: skip
"""What `change.change_of` knows how to use."""

FOREIGN = (
    (("lora_E", "ranknum", "lora_ranknum"), "an AdaLoRA"),
    (("vera_lambda_b", "vera_lambda_d", "vera_A", "vera_B"), "a VeRA"),
    (("oft_r", "oft_R", "oft_s"), "an OFT in PEFT's layout"),
    (("boft_R", "boft_s"), "a BOFT in PEFT's layout"),
    (("ia3_l",), "an IA3 in PEFT's layout"),
    (("lora_embedding_A", "lora_embedding_B"), "a LoRA of the token embedding"),
    (("bias_indices", "bias_values", "bias_size"), "a LyCORIS with a sparse remainder"),
    (("set_weight", "reshape_weight"), "a file of whole weights in place of changes"),
    (("p_layer", "q_layer", "lambda_layer"), "a T-LoRA"),
)
"""What files are called whose tensors play roles that are not known here."""

_PREFIXES = (
    ("lora_unet_", "unet"), ("lora_transformer_", "unet"), ("oft_unet_", "unet"),
    ("lora_te1_", "te1"), ("lora_te2_", "te2"), ("lora_te3_", "te3"), ("lora_te_", "te1"),
    ("oft_te1_", "te1"), ("oft_te2_", "te2"), ("oft_te_", "te1"), ("lycoris_", "unet"),
    ("model.diffusion_model.", "unet"), ("diffusion_model.", "unet"), ("unet.", "unet"),
    ("text_encoders.clip_l.transformer.", "te1"), ("text_encoders.clip_g.transformer.", "te2"),
    ("text_encoders.clip_h.transformer.", "te1"), ("text_encoders.t5xxl.transformer.", "te3"), ("transformer.", "unet"),
    ("text_encoder_3.", "te3"), ("t5xxl.transformer.", "te3"),
    ("text_encoder_2.", "te2"), ("text_encoder.", "te1"), ("clip_l.transformer.", "te1"), ("clip_g.transformer.", "te2"),
    ("cond_stage_model.transformer.", "te1"), ("conditioner.embedders.0.transformer.", "te1"),
    ("te.", "te1"), ("te1.", "te1"), ("te2.", "te2"), ("text_model.", "te1"),
)  # fmt: skip
"""What stands before a layer's name, and which network it is of: kohya's trainer, LyCORIS; ComfyUI; diffusers and PEFT."""

_OLD = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


@dataclass(frozen=True)
class TensorName:
    """What the name of one tensor says.

    Attributes:
        network: "unet", "te1" or "te2".
        layer: the layer's name below its network, with "_" for dots.
        role: what the tensor is, one of `ROLES` where it is known here.
        adapter: PEFT's name of the adapter, "" where it is not written.
        written: the layer's name as the file has it.
        flat: whether it is in kohya's and LyCORIS's layout.
    """

    network: str
    layer: str
    role: str
    adapter: str
    written: str
    flat: bool


def tensor_name(key: str) -> TensorName | None:
    """What a tensor's name says; None where it is not that of a LoRA's tensor.

    Args:
        key: the file's.
    """
    if _FLAT.match(key):
        written, _, tail = key.partition(".")
        old, flat = "", True
    else:
        match = _DOTTED.fullmatch(key.replace(".processor.", "."))
        if match is None:
            return None
        written, tail, old, flat = match["layer"], match["tail"], match["old"] or "", False
    head, *rest = tail.split(".")
    role = _ROLES.get(head, head)
    if rest and rest[-1] in ("weight", "bias"):
        role = role if rest[-1] == "weight" else f"{role}_bias"
        rest = rest[:-1]
    network, layer = _layer(written, old == "_lora")
    return TensorName(network, layer, role, ".".join(rest), written, flat)


def _layer(written: str, old: bool) -> tuple[str, str]:
    """(network, layer) of a name in a file.

    Args:
        written: the name.
        old: whether it is in diffusers' first layout, where attention had names of its own.
    """
    name, network = written.removeprefix("base_model.model."), "unet"
    for prefix, of in _PREFIXES:
        if name.startswith(prefix):
            name, network = name[len(prefix) :], of
            break
    flat = name.replace(".", "_")
    if network == "unet":
        return network, f"{flat}_0" if old and flat.endswith("to_out") else flat
    flat = flat.removeprefix("text_model_")
    return network, re.sub(r"self_attn_(to_\w+)$", lambda match: f"self_attn_{_OLD[match[1]]}", flat) if old else flat


@dataclass(frozen=True)
class Scaling:
    """What is said about a network's strength outside of its tensors, as PEFT's `LoraConfig` has it.

    Attributes:
        alpha: of all layers; None where nothing is said.
        patterns: of single layers, by their names or regular expressions for them.
        stabilised: whether alpha counts by the square root of the rank (Kalajdzievski 2023, "rsLoRA").
    """

    alpha: float | None = None
    patterns: Mapping[str, float] = field(default_factory=dict)
    stabilised: bool = False

    def alpha_of(self, written: str) -> float | None:
        """The alpha of a layer.

        Args:
            written: the layer's name as the file has it.
        """
        flat = written.replace(".", "_")
        for pattern, alpha in self.patterns.items():
            own = pattern.replace(".", "_")
            if flat == own or flat.endswith("_" + own):
                return alpha
            if len(pattern) <= 200 and re.search(r"[\\^$*+?|(\[]", pattern) and _matches(pattern, written):
                return alpha
        return self.alpha


def _matches(pattern: str, written: str) -> bool:
    try:
        return re.fullmatch(rf"(?:.*\.)?(?:{pattern.removeprefix('^').removesuffix('$')})", written) is not None
    except re.error:
        return False


_NETWORK_OF = {"unet": "unet", "text_encoder": "te1", "text_encoder_2": "te2"}


def scalings(metadata: Mapping[str, str], configuration: Mapping[str, Any] | None = None) -> dict[str, Scaling]:
    """What metadata say about each network's strength: `lora_adapter_metadata` as diffusers writes it, PEFT's configuration as JSON
    in whatever entry, or its options as entries of their own ("unet.lora_alpha", "use_rslora", "alpha_pattern.LAYER", "LAYER.alpha").

    Args:
        metadata: of the safetensors file.
        configuration: of the adapter_config.json beside it.
    """
    configuration = dict(configuration or {})
    if "alpha" in configuration:  # LoHa's and LoKr's
        configuration.setdefault("lora_alpha", configuration["alpha"])
    options: dict[str, dict[str, Any]] = {network: {} for network in _NETWORK_OF.values()}
    for name, value in _entries(metadata, configuration):
        owner, _, option = name.partition(".")
        owners = [_NETWORK_OF[owner]] if owner in _NETWORK_OF and option else list(options)
        option = option if owner in _NETWORK_OF and option else name
        for network in owners:
            own = options[network]
            if option in ("lora_alpha", "use_rslora"):
                own[option] = value
            elif option == "alpha_pattern" and isinstance(value, dict):
                own.setdefault("alpha_pattern", {}).update(value)
            elif option.startswith("alpha_pattern.") or re.search(r".\.(lora_)?alpha$", option):
                layer = re.sub(r"^alpha_pattern\.|\.(lora_)?alpha$", "", option)
                own.setdefault("alpha_pattern", {})[layer] = value
    return {
        network: Scaling(
            _number(own.get("lora_alpha")),
            {name: alpha for name, value in own.get("alpha_pattern", {}).items() if (alpha := _number(value)) is not None},
            str(own.get("use_rslora", "")).lower() in ("true", "1"),
        )
        for network, own in options.items()
        if own
    }


def _entries(metadata: Mapping[str, str], configuration: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Everything that is said, by the name of its option, JSON within entries unfolded."""
    yield from configuration.items()
    for name, text in metadata.items():
        value = _value(text)
        if not isinstance(value, dict) or name.rpartition(".")[2] == "alpha_pattern":
            yield name, value
            continue
        unfolded = {f"{name}.{option}": inner for option, inner in value.items()} if name in _NETWORK_OF else dict(value)
        for owner in _NETWORK_OF.keys() & unfolded.keys():
            if isinstance(unfolded[owner], dict):
                unfolded |= {f"{owner}.{option}": inner for option, inner in unfolded.pop(owner).items()}
        if any(option.rpartition(".")[2] in ("lora_alpha", "use_rslora", "alpha_pattern") for option in unfolded):
            yield from unfolded.items()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def configuration_beside(path: Path) -> dict[str, Any]:
    """PEFT's adapter_config.json that goes with a file of weights; empty where there is none, or where it is another file's.

    Args:
        path: the file of weights.
    """
    beside = path.with_name("adapter_config.json")
    own = path.stem.startswith(("adapter_model", "pytorch_lora_weights"))
    try:
        if not beside.is_file() or not (own or sum(file.suffix == path.suffix for file in path.parent.iterdir()) == 1):
            return {}
        config = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
