"""IP-Adapter (Ye et al., 2023): a picture as a part of the prompt, through key and value layers of its own beside the text's."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.paint.checkpoint.source import read
from clickpaint.paint.diffusion.attention import Attend, Layer
from clickpaint.paint.diffusion.loop import Inputs, Moment, Part
from clickpaint.paint.influence_options import ReferenceOptions
from clickpaint.weights.weights_file import safetensors_header, weights_format

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint

_CHOOSE = "Choose an IP-Adapter (base, plus or full face) of the checkpoint's family."


@dataclass(frozen=True, eq=False)
class IpAdapter:
    """An adapter's file, opened for one checkpoint.

    Attributes:
        projection: from what CLIP sees to tokens [1, n, d].
        keys, values: for each of the network's cross-attention layers by its name, weights [c, d].
        states: whether it looks at the states of CLIP's last layer but one, [1, 257, width], or else at its embedding, [1, width].
    """

    projection: Any
    keys: Mapping[str, torch.Tensor]
    values: Mapping[str, torch.Tensor]
    states: bool
    width: int

    def tokens(self, seen: torch.Tensor) -> torch.Tensor:
        """float32 [1, n, d] of what CLIP saw."""
        parameter = next(self.projection.parameters())
        return self.projection(seen.to(parameter)).float()


def looks_like_ip_adapter(path: Path) -> bool:
    """Whether a file is an IP-Adapter, as far as its header tells, or of a pickle its name; it is not loaded."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return False
    return _looks_like_one(path, changed)


@functools.lru_cache(maxsize=4096)
def _looks_like_one(path: Path, changed: int) -> bool:
    try:
        if weights_format(path) == "safetensors":
            return any(key.startswith("ip_adapter.") for key in safetensors_header(path)[0])
    except ClickpaintError:
        return False
    return "ip-adapter" in path.name.lower().replace("_", "-")


def load_ip_adapter(source: Path | Mapping[str, torch.Tensor], checkpoint: Checkpoint, name: str = "") -> IpAdapter:
    """An IP-Adapter for this checkpoint, in the file's precision, on the checkpoint's device.

    Args:
        source: a safetensors or pickle file as h94/IP-Adapter publishes them, or its tensors by their names there.
        name: for messages; the file's if empty.

    Raises:
        InvalidInput: it is none, is for another family, or is of a kind that needs a face's embedding.
    """
    import torch
    from diffusers.models import embeddings

    tensors = dict(_nested(read(source)[0])) if isinstance(source, Path) else dict(source)
    name = name or (source.name if isinstance(source, Path) else "the adapter")
    image = {key.removeprefix("image_proj."): value for key, value in tensors.items() if key.startswith("image_proj.")}
    layers = {key.removeprefix("ip_adapter."): value for key, value in tensors.items() if key.startswith("ip_adapter.")}
    unet: Any = checkpoint.unet
    cross = [processor.removesuffix(".processor") for processor in unet.attn_processors if processor.endswith("attn2.processor")]
    named = {layer: f"{2 * number + 1}.to_{{}}_ip.weight" for number, layer in enumerate(cross)}  # they count self-attention too
    if not image or not layers:
        raise InvalidInput("{name} is not an IP-Adapter.", _CHOOSE, name=name)
    if (
        any("lora" in key for key in layers)
        or "perceiver_resampler.proj_in.weight" in image
        or ("proj.2.weight" in image and "norm.weight" in image)
    ):
        raise InvalidInput("{name} looks at a face's identity, which our engines do not have.", _CHOOSE, name=name)
    width = unet.config.cross_attention_dim
    width = width if isinstance(width, int) else max(width)
    first = layers.get(next(iter(named.values())).format("k"))
    if len(layers) != 2 * len(cross) or first is None or first.shape[1] != width:
        raise InvalidInput("{name} is for another family than the checkpoint.", _CHOOSE, name=name)
    with torch.inference_mode(False):
        if "proj.weight" in image:
            seen, count = image["proj.weight"].shape[1], image["proj.weight"].shape[0] // width
            projection: Any = embeddings.ImageProjection(image_embed_dim=seen, cross_attention_dim=width, num_image_text_embeds=count)
            renamed = {key.replace("proj", "image_embeds"): value for key, value in image.items()}
            states = False
        else:
            projection = unet._convert_ip_adapter_image_proj_to_diffusers(image, low_cpu_mem_usage=False)
            renamed, states = None, True
            seen = (image["proj_in.weight"] if "proj_in.weight" in image else image["proj.0.weight"]).shape[1]
        if renamed is not None:
            projection.load_state_dict(renamed)
        projection = projection.to(checkpoint.device).eval().requires_grad_(False)
    keys, values = (
        {layer: layers[key.format(which)].to(checkpoint.device) for layer, key in named.items()} for which in ("k", "v")
    )  # fmt: skip
    return IpAdapter(projection, keys, values, states, seen)


class ImagePrompt(Part):
    """What an IP-Adapter adds to each cross-attention layer: the layer's queries look at the picture's tokens as well.

    Args:
        adapter: opened for the network.
        seen: what CLIP sees in the picture, and in nothing, for the negative prompt: float32, see `IpAdapter.states`.
        options: weight, start and end of the reference.
    """

    def __init__(self, adapter: IpAdapter, seen: torch.Tensor, nothing: torch.Tensor, options: ReferenceOptions) -> None:
        self._adapter, self._options = adapter, options
        self._cond, self._uncond = adapter.tokens(seen), adapter.tokens(nothing)
        self._tokens: torch.Tensor | None = None

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        import torch

        self._tokens = None
        if self._options.start <= moment.share < self._options.end and self._options.weight:
            batch = len(inputs.sample) // len(inputs.branches)
            rows = [self._uncond if branch == "uncond" else self._cond for branch in inputs.branches]
            self._tokens = torch.cat([row.expand(batch, -1, -1) for row in rows])
        return inputs

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        from torch.nn.functional import linear, scaled_dot_product_attention

        if not layer.cross:
            return None
        to_keys, to_values = self._adapter.keys[layer.name], self._adapter.values[layer.name]

        def look(module: Any, hidden_states: torch.Tensor, encoder_hidden_states: Any = None, *rest: Any, **more: Any) -> torch.Tensor:
            text = attend(module, hidden_states, encoder_hidden_states, *rest, **more)
            if self._tokens is None:
                return text
            tokens = self._tokens.to(hidden_states.dtype)
            query, key, value = (
                states.unflatten(2, (module.heads, -1)).transpose(1, 2)
                for states in (module.to_q(hidden_states), *(linear(tokens, weights.to(tokens.dtype)) for weights in (to_keys, to_values)))
            )
            seen = scaled_dot_product_attention(query, key.to(query.dtype), value.to(query.dtype)).transpose(1, 2).flatten(2)
            out = linear(seen, module.to_out[0].weight.to(seen.dtype))  # linear: what is added before it may be added after it
            return text + self._options.weight * out.to(text.dtype)

        return look


def _nested(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A pickle holds its two halves as dictionaries, a safetensors file has their names before the keys."""
    flat: dict[str, Any] = {}
    for key, value in tensors.items():
        flat.update({f"{key}.{inner}": tensor for inner, tensor in value.items()} if isinstance(value, dict) else {key: value})
    return flat
