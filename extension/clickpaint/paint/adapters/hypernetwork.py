"""Hypernetworks, as the AUTOMATIC1111 web UI trains and applies them: small networks that change what the keys and the values of every
attention layer are made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.weights.weights_file import read_weights_file

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint
    from clickpaint.paint.diffusion.prompt import Network

KIND = "hypernetworks"
"""The folder's name, and `Host.folders` calls them so."""

_ALSO_CALLED = {"swish": "Hardswish", "linear": "Identity"}
"""Activations that the web UI calls otherwise than torch."""

_OLD_NAMES = {"linear1": "linear.0", "linear2": "linear.1"}
_WIDEST = 64
"""The most that a layer may be wider than what it changes."""


@dataclass(frozen=True, eq=False)
class Hypernetwork:
    """What lies in a hypernetwork's file.

    Attributes:
        name: the file's, for people.
        layers: for the width of what a layer of attention looks at, the networks before its keys and before its values; each gives what
            is added.
    """

    name: str
    layers: Mapping[int, tuple[torch.nn.Module, torch.nn.Module]]


def hypernetwork_uses(networks: Sequence[Network]) -> list[tuple[str, float]]:
    """(name, weight) of each `<hypernet:name:weight>`; without one it is 1. Raises `InvalidInput`."""
    uses = []
    for network in networks:
        written = network.arguments[0] if network.arguments else "1"
        try:
            weight = float(written)
        except ValueError:
            weight = math.nan
        if not math.isfinite(weight):
            raise InvalidInput(
                "The weight of <hypernet:{name}> is no number: {written}.", "Write <hypernet:name:0.8>.", name=network.name,
                written=repr(written),
            )  # fmt: skip
        uses.append((network.name, weight))
    return uses


def read_hypernetwork(path: Path) -> Hypernetwork:
    """A hypernetwork from the web UI's file. No code in it runs.

    Raises:
        InvalidInput: it is something else, or of a build that is not known here.
        CorruptModel: it cannot be read.
    """
    content, _ = read_weights_file(path)
    sizes = {size: pair for size, pair in content.items() if type(size) is int} if isinstance(content, dict) else {}
    if not sizes:
        raise InvalidInput("{filename} is no hypernetwork.", "Choose a file that the web UI's training has written.", filename=path.name)
    layers = {}
    for size, pair in sizes.items():
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(half, dict) for half in pair)):
            raise CorruptModel("{filename} is damaged.", "Download it again, or choose another one.", filename=path.name)
        layers[size] = _network(size, pair[0], content, path), _network(size, pair[1], content, path)
    return Hypernetwork(path.stem, layers)


def _network(size: int, tensors: Mapping[str, Any], content: Mapping[Any, Any], path: Path) -> torch.nn.Module:
    import torch

    try:
        network = torch.nn.Sequential(*_layers(size, content))
        named = {".".join([_OLD_NAMES.get(first, first), *rest]): value for (first, *rest), value in _split(tensors)}
        network.load_state_dict({key.removeprefix("linear."): value for key, value in named.items()})
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise InvalidInput(
            "{filename} is a hypernetwork of a build that is not known here.", "Choose another one.", filename=path.name
        ) from error
    return network.float().eval().requires_grad_(False)


def _split(tensors: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for key, value in tensors.items():
        yield key.split("."), value


def _layers(size: int, content: Mapping[Any, Any]) -> Iterator[torch.nn.Module]:
    """As the web UI builds them; dropouts, which only training wants, keep the numbers of the layers right."""
    import torch

    widths = [float(width) for width in content.get("layer_structure") or [1, 2, 1]]
    if widths[0] != 1 or widths[-1] != 1 or not all(0 < width <= _WIDEST for width in widths):
        raise ValueError(f"{widths} is no structure of layers")
    activation = _activation(content.get("activation_func"))
    dropouts = _dropouts(widths, content)
    for number, (width, following) in enumerate(itertools.pairwise(widths)):
        yield torch.nn.Linear(int(size * width), int(size * following))
        if activation is not None and (number < len(widths) - 2 or content.get("activate_output", True)):
            yield activation()
        if content.get("is_layer_norm", False):
            yield torch.nn.LayerNorm(int(size * following))
        if dropouts[number + 1] > 0:
            yield torch.nn.Dropout(dropouts[number + 1])


def _activation(name: Any) -> type[torch.nn.Module] | None:
    """None for none. Raises `ValueError` for one that torch does not have."""
    import torch

    if name in (None, "linear"):
        return None
    known = vars(torch.nn.modules.activation).items()
    kinds = {key.lower(): kind for key, kind in known if isinstance(kind, type) and issubclass(kind, torch.nn.Module)}
    kind = kinds.get(_ALSO_CALLED.get(name, name).lower())
    if kind is None:
        raise ValueError(f"there is no activation {name!r}")
    return kind


def _dropouts(widths: Sequence[float], content: Mapping[Any, Any]) -> list[float]:
    """One for each width: what older files do not say follows from whether they have any."""
    known = content.get("dropout_structure")
    if known is not None:
        return [float(share) for share in known]
    if not content.get("use_dropout", False):
        return [0.0] * len(widths)
    return [0.0, *[0.3] * (len(widths) - 3), 0.3 if content.get("last_layer_dropout", False) else 0.0, 0.0]


@contextmanager
def hypernetworks_applied(checkpoint: AnyCheckpoint, networks: Sequence[tuple[Hypernetwork, float]]) -> Iterator[None]:
    """Within this block keys and values of the U-Net's attention are made of x + weight · network(x), one hypernetwork after the other.
    Its weights stay what they are.

    Raises:
        InvalidInput: one was made for another family than the checkpoint.
    """
    hooks: list[Any] = []
    try:
        for hypernetwork, weight in networks:
            hooks += _hooks(checkpoint, hypernetwork, weight)
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hooks(checkpoint: AnyCheckpoint, hypernetwork: Hypernetwork, weight: float) -> list[Any]:
    hooks: list[Any] = []
    if isinstance(checkpoint, FlowCheckpoint):
        raise InvalidInput(
            "Hypernetworks are for Stable Diffusion 1, 2 and XL, not for {kind}.", "Take <hypernet:{name}> out of the prompt.",
            kind=checkpoint.kind.title, name=hypernetwork.name,
        )  # fmt: skip
    here = {size: [part.to(checkpoint.device) for part in pair] for size, pair in hypernetwork.layers.items()}
    named: list[tuple[str, Any]] = list(checkpoint.unet.named_modules())
    for name, layer in named:
        if name.endswith((".attn1", ".attn2")):
            pair = here.get(layer.to_k.in_features)
            if pair is not None:
                projections = layer.to_k, layer.to_v
                hooks += [each.register_forward_pre_hook(_Changed(part, weight)) for each, part in zip(projections, pair, strict=True)]
    if not hooks:
        raise InvalidInput(
            "The hypernetwork {name} was made for another family of checkpoints.", "Take <hypernet:{name}> out of the prompt.",
            name=hypernetwork.name,
        )  # fmt: skip
    return hooks


class _Changed:
    """What goes into a projection, changed by a network, which computes in float32."""

    def __init__(self, network: Any, weight: float) -> None:
        self._network, self._weight = network, weight

    def __call__(self, _: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        values = inputs[0].float()
        return ((values + self._network(values) * self._weight).to(inputs[0].dtype), *inputs[1:])
