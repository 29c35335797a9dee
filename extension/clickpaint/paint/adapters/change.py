"""What a LoRA and its relatives change about one layer, as something added to the layer's answer: its weights are never written to.

LoRA (Hu et al. 2021), LoCon, LoHa and LoKr (Yeh et al. 2023, "Navigating Text-To-Image Customization"), DoRA (Liu et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Change:
    """A layer's answer to x grows by up(down(x)) + whole(x) + bias; what is None is left out.

    down: [r, inputs, …] of the layer's kernel. up: [outputs, r, …] (1 x 1), with every factor in it. whole: of the shape of the
    layer's weights. bias: [outputs].
    """

    down: Tensor | None = None
    up: Tensor | None = None
    whole: Tensor | None = None
    bias: Tensor | None = None

    def __add__(self, other: Change) -> Change:
        """Both at once: low ranks stand side by side, so that the layer is still asked once."""
        import torch

        def summed(a: Tensor | None, b: Tensor | None) -> Tensor | None:
            return a if b is None else b if a is None else a + b

        pairs = [(change.down, change.up) for change in (self, other) if change.down is not None and change.up is not None]
        down = torch.cat([pair[0] for pair in pairs]) if pairs else None
        up = torch.cat([pair[1] for pair in pairs], dim=1) if pairs else None
        return Change(down, up, summed(self.whole, other.whole), summed(self.bias, other.bias))

    def like(self, x: Tensor) -> Change:
        """On the device and in the precision of x."""
        tensors = (self.down, self.up, self.whole, self.bias)
        return Change(*(None if tensor is None else tensor.to(x) for tensor in tensors))

    def answer(self, module: Any, x: Tensor) -> Tensor | float:
        """What is added to the module's answer to x."""
        import torch.nn.functional as F

        convolution = {name: getattr(module, name) for name in ("stride", "padding", "dilation")} if hasattr(module, "stride") else None

        def layer(x: Tensor, weight: Tensor) -> Tensor:
            return F.linear(x, weight) if convolution is None else F.conv2d(x, weight, **convolution)

        added: Tensor | float = 0.0
        if self.down is not None and self.up is not None:
            low = layer(x, self.down)
            added = F.linear(low, self.up) if convolution is None else F.conv2d(low, self.up)
        if self.whole is not None:
            added = added + layer(x, self.whole)
        if self.bias is not None:
            added = added + (self.bias if convolution is None else self.bias[:, None, None])
        return added


def change_of(tensors: Mapping[str, Tensor], weight: Tensor, strength: float, alpha: float | None = None) -> Change:
    """The change that the tensors of one layer of a file describe, in float32.

    Args:
        tensors: by role: "down", "up", "mid"; "hada_w1_a" …; "lokr_w1" …; "diff", "diff_b"; "alpha"; "dora_scale".
        weight: the layer's own, [outputs, inputs] or [outputs, inputs, h, w]; only read.
        strength: by how much the change is to count. alpha: where the tensors name none; None for the rank.

    Raises:
        ValueError: the shapes do not belong to each other, or not to this layer.
    """
    import torch

    roles = {role: tensor.float() for role, tensor in tensors.items()}
    if "alpha" in roles:
        alpha = float(roles["alpha"])
    bias = roles.get("diff_b")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError("the bias is of another size")
    bias = None if bias is None else strength * bias
    if "down" in roles and "up" in roles:
        down, up, scale = _pair(roles, weight.ndim, alpha)
        _check((up.shape[0], *down.shape[1:]), weight)
        if "dora_scale" not in roles:
            return Change(down, strength * scale * up, None, bias)
        whole = scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    elif any(role.startswith("hada_") for role in roles):
        whole = _hadamard(roles, alpha)
    elif any(role.startswith("lokr_") for role in roles):
        whole = _kronecker(roles, alpha)
    elif "diff" in roles:
        whole = roles["diff"]
    elif bias is not None:
        return Change(bias=bias)
    else:
        raise ValueError("some of its tensors are missing")
    if whole.shape[0] == weight.shape[0] and whole.numel() == weight.numel():
        whole = whole.reshape(weight.shape)  # kernels may lie flat in a file
    _check(whole.shape, weight)
    if "dora_scale" in roles:
        own = weight.detach().to(whole)
        directed = own + whole
        length = roles["dora_scale"]
        length = length.reshape(*length.shape, *[1] * (own.ndim - length.ndim))  # peft leaves the ones at the end out
        norms = torch.linalg.vector_norm(directed, dim=[axis for axis in range(own.ndim) if length.shape[axis] == 1], keepdim=True)
        whole = directed * (length / norms) - own
    return Change(whole=strength * whole, bias=bias)


def _pair(roles: Mapping[str, Tensor], dimensions: int, alpha: float | None) -> tuple[Tensor, Tensor, float]:
    """(down, up, factor) with as many dimensions as the layer's weights, LoCon's middle layer worked into the first."""
    import torch

    down, up = roles["down"], roles["up"]
    rank = down.shape[0]
    if "mid" in roles:
        down = torch.einsum("rshw,si->rihw", roles["mid"], down.flatten(1))
    return _with(down, dimensions), _with(up, dimensions), 1.0 if alpha is None else alpha / rank


def _with(tensor: Tensor, dimensions: int) -> Tensor:
    """A 1 x 1 convolution's weights as a linear layer's, or the other way round, where the layer is of the other kind."""
    if tensor.ndim == 4 and dimensions == 2 and tensor.shape[2:] == (1, 1):
        return tensor[:, :, 0, 0]
    return tensor[:, :, None, None] if tensor.ndim == 2 and dimensions == 4 else tensor


def _hadamard(roles: Mapping[str, Tensor], alpha: float | None) -> Tensor:
    """LoHa: the product, element by element, of two matrices of low rank, or of two in Tucker's decomposition."""
    import torch

    def factor(number: int) -> Tensor:
        a, b, t = (roles.get(f"hada_{name}") for name in (f"w{number}_a", f"w{number}_b", f"t{number}"))
        if a is None or b is None:
            raise ValueError("some of its tensors are missing")
        return a @ b if t is None else torch.einsum("ijhw,jr,ip->prhw", t, b, a)

    first = factor(1)
    return first * factor(2).reshape(first.shape) * (1.0 if alpha is None else alpha / roles["hada_w1_b"].shape[0])


def _kronecker(roles: Mapping[str, Tensor], alpha: float | None) -> Tensor:
    """LoKr: the Kronecker product of a small and a large matrix, each of which may be of low rank."""
    import torch

    ranks = []

    def factor(number: int) -> Tensor:
        whole, a, b, t = (roles.get(f"lokr_{name}") for name in (f"w{number}", f"w{number}_a", f"w{number}_b", f"t{number}"))
        if whole is not None:
            return whole
        if a is None or b is None:
            raise ValueError("some of its tensors are missing")
        ranks.append(b.shape[0])
        return a @ b if t is None else torch.einsum("ijhw,jr,ip->prhw", t, b, a)

    small, large = factor(1), factor(2)
    if large.ndim == 4:
        small = small[:, :, None, None]
    return torch.kron(small, large.contiguous()) * (alpha / ranks[0] if ranks and alpha is not None else 1.0)


def _check(found: tuple[int, ...] | torch.Size, weight: Tensor) -> None:
    if tuple(found) != tuple(weight.shape):
        raise ValueError(f"it is {tuple(found)} instead of {tuple(weight.shape)}")
