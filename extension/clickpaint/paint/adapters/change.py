"""What a LoRA and its relatives change about one layer, as something added to the layer's answer: its weights are never written to.

LoRA (Hu et al. 2021), LoCon, LoHa, LoKr and GLoRA (Yeh et al. 2023, "Navigating Text-To-Image Customization"), IA3 (Liu et al. 2022),
DoRA (Liu et al. 2024), OFT and BOFT (`orthogonal`), differences of whole weights and of norms. Strengths are the web UI's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.paint.adapters.orthogonal import turned

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Change:
    """A layer's answer to x grows by up(down(x)) + whole(x) + bias; what is None is left out.

    Attributes:
        down: [r, inputs, …] of the layer's kernel.
        up: [outputs, r, …] (1 x 1), with every factor in it.
        whole: of the shape of the layer's weights; of a norm, what its weights grow by.
        bias: [outputs].
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

    def rows(self, start: int, stop: int) -> Change:
        """What it is for some of the layer's outputs."""
        rest = (None if tensor is None else tensor[start:stop] for tensor in (self.up, self.whole, self.bias))
        return Change(self.down, *rest)

    def above(self, other: Change) -> Change:
        """For a layer that has the outputs of this one's and then those of the other's, both of one layer's changes."""
        import torch

        pairs = ((self.up, other.up), (self.whole, other.whole), (self.bias, other.bias))
        return Change(self.down, *(None if a is None or b is None else torch.cat([a, b]) for a, b in pairs))

    def like(self, x: Tensor) -> Change:
        """On the device and in the precision of x."""
        tensors = (self.down, self.up, self.whole, self.bias)
        return Change(*(None if tensor is None else tensor.to(x) for tensor in tensors))

    def is_finite(self) -> bool:
        """Whether all its numbers are: a single one that is not makes a black picture of everything."""
        import torch

        tensors = (self.down, self.up, self.whole, self.bias)
        return all(tensor is None or bool(torch.isfinite(tensor).all()) for tensor in tensors)

    def answer(self, module: Any, x: Tensor) -> Tensor | float:
        """What is added to the module's answer to x.

        Args:
            module: the layer: linear, a convolution, a norm of layers or groups, or an embedding.
            x: what it was asked.
        """
        import torch
        import torch.nn.functional as F

        if isinstance(module, torch.nn.Embedding):
            return 0.0 if self.whole is None else F.embedding(x, self.whole)
        if isinstance(module, (torch.nn.LayerNorm, torch.nn.GroupNorm)):
            whole = torch.zeros_like(module.weight) if self.whole is None else self.whole
            if isinstance(module, torch.nn.LayerNorm):
                return F.layer_norm(x, module.normalized_shape, whole.to(x), self.bias, module.eps)
            return F.group_norm(x, module.num_groups, whole.to(x), self.bias, module.eps)
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


def change_of(
    tensors: Mapping[str, Tensor], weight: Tensor, strength: float, alpha: float | None = None, *,
    stabilised: bool = False, ranks: int | None = None,
) -> Change:  # fmt: skip
    """The change that the tensors of one layer of a file describe, in float32.

    Args:
        tensors: by role, one of `lora_keys.ROLES`.
        weight: the layer's own, [outputs, inputs], [outputs, inputs, h, w] or [channels] of a norm; only read.
        strength: by how much the change is to count.
        alpha: where the tensors name none; None for the rank.
        stabilised: whether alpha counts by the square root of the rank.
        ranks: how many of a LoRA's ranks are used, the first ones; None for all.

    Raises:
        ValueError: the shapes do not belong to each other, or not to this layer.
        KeyError: a tensor is missing; it has its role.
    """
    import torch

    roles = {role: tensor.float() for role, tensor in tensors.items()}
    if "alpha" in roles:
        alpha = float(roles["alpha"].flatten()[0])

    def scale(rank: int | None) -> float:
        if "scale" in roles:
            return float(roles["scale"].flatten()[0])
        return 1.0 if rank is None or alpha is None else alpha / (rank**0.5 if stabilised else rank)

    bias = roles.get("diff_b", roles.get("b_norm"))
    if bias is not None and bias.numel() != weight.shape[0]:
        raise ValueError("the bias is of another size")
    bias = None if bias is None else strength * bias.flatten()
    if "down" in roles or "up" in roles:
        down, up, rank = _pair(roles, weight.ndim, ranks)
        factor = scale(rank)
        down = _widened(down, weight)
        _check((up.shape[0], *down.shape[1:]), weight)
        if "up_bias" in roles:
            added = strength * factor * roles["up_bias"]
            bias = added if bias is None else bias + added
        if not {"dora_scale", "magnitude"} & roles.keys():
            return Change(down, strength * factor * up, None, bias)
        whole = factor * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    elif any(role.startswith("hada_") for role in roles):
        whole = _hadamard(roles) * scale(roles["hada_w1_b"].shape[0])
    elif any(role.startswith("lokr_") for role in roles):
        whole, rank = _kronecker(roles)
        whole = whole * scale(rank)
    elif "a1" in roles:
        whole = _generalised(roles, weight, scale)
    elif "oft_blocks" in roles or "oft_diag" in roles:
        own, finished = weight.detach().float(), "oft_diag" in roles
        limit = 0.0 if finished or alpha is None else alpha * own.shape[0]
        whole = turned(own, roles["oft_diag" if finished else "oft_blocks"], limit, roles.get("rescale"), finished) - own
    elif "on_input" in roles:
        axis = 1 if bool(roles["on_input"].flatten()[0]) else 0
        own, factors = weight.detach().float(), roles["weight"].flatten()
        if len(factors) != own.shape[axis]:
            raise ValueError(f"its {len(factors)} factors are not {own.shape[axis]}")
        whole = own * factors.reshape([-1 if place == axis else 1 for place in range(own.ndim)])
    elif "diff" in roles or "w_norm" in roles:
        whole = scale(None) * roles["diff" if "diff" in roles else "w_norm"]
    elif bias is not None:
        return Change(bias=bias)
    else:
        raise KeyError("lora_down")
    if whole.shape[0] == weight.shape[0] and whole.numel() == weight.numel():
        whole = whole.reshape(weight.shape)  # kernels may lie flat in a file
    whole = _widened(whole, weight)
    _check(whole.shape, weight)
    if "dora_scale" in roles or "magnitude" in roles:
        own = weight.detach().to(whole)
        directed = own + whole
        if "magnitude" in roles:  # PEFT's is of the outputs, whatever ones stand beside it
            length = roles["magnitude"].reshape(-1, *[1] * (own.ndim - 1))
        else:
            length = roles["dora_scale"]
            length = length.reshape(*length.shape, *[1] * (own.ndim - length.ndim))
        norms = torch.linalg.vector_norm(directed, dim=[axis for axis in range(own.ndim) if length.shape[axis] == 1], keepdim=True)
        whole = directed * (length / norms) - own
    return Change(whole=strength * whole, bias=bias)


def _pair(roles: Mapping[str, Tensor], dimensions: int, ranks: int | None) -> tuple[Tensor, Tensor, int]:
    """(down, up, rank) with as many dimensions as the layer's weights, LoCon's middle layer worked into the first."""
    import torch

    down, up = roles["down"], roles["up"]
    rank = down.shape[0]
    if down.ndim < 2 or up.ndim < 2 or up.shape[1] != rank:
        raise ValueError(f"{tuple(up.shape)} and {tuple(down.shape)} do not fit each other")
    if "mid" in roles:
        down = torch.einsum("rshw,si->rihw", roles["mid"], down.flatten(1))
    elif ranks is not None:
        down, up = down[:ranks], up[:, :ranks]
    return _with(down, dimensions), _with(up, dimensions), rank


def _with(tensor: Tensor, dimensions: int) -> Tensor:
    """A 1 x 1 convolution's weights as a linear layer's, or the other way round, where the layer is of the other kind."""
    if tensor.ndim == 4 and dimensions == 2 and tensor.shape[2:] == (1, 1):
        return tensor[:, :, 0, 0]
    return tensor[:, :, None, None] if tensor.ndim == 2 and dimensions == 4 else tensor


def _widened(tensor: Tensor, weight: Tensor) -> Tensor:
    """A change of the first layer, trained on 4 channels, for a checkpoint that has more of them: the others stay as they are."""
    import torch.nn.functional as F

    if tensor.ndim == 4 and tensor.shape[1] == 4 and weight.ndim == 4 and weight.shape[1] in (5, 8, 9):
        return F.pad(tensor, (0, 0, 0, 0, 0, weight.shape[1] - 4))
    return tensor


def _hadamard(roles: Mapping[str, Tensor]) -> Tensor:
    """LoHa: the product, element by element, of two matrices of low rank, or of two in Tucker's decomposition."""
    import torch

    def factor(number: int) -> Tensor:
        a, b, t = roles[f"hada_w{number}_a"], roles[f"hada_w{number}_b"], roles.get(f"hada_t{number}")
        return a @ b.flatten(1) if t is None else torch.einsum("ijhw,jr,ip->prhw", t, b, a)

    first = factor(1)
    return first * factor(2).reshape(first.shape)


def _kronecker(roles: Mapping[str, Tensor]) -> tuple[Tensor, int | None]:
    """LoKr: the Kronecker product of a small and a large matrix, each of which may be of low rank; and the rank, None for whole ones."""
    import torch

    ranks = []

    def factor(number: int) -> Tensor:
        whole, t = roles.get(f"lokr_w{number}"), roles.get(f"lokr_t{number}")
        if whole is not None:
            return whole
        a, b = roles[f"lokr_w{number}_a"], roles[f"lokr_w{number}_b"]
        ranks.append(b.shape[0])
        return a @ b.flatten(1) if t is None else torch.einsum("ijhw,jr,ip->prhw", t, b, a)

    small, large = factor(1), factor(2)
    if large.ndim == 4:
        small = small[:, :, None, None]
    return torch.kron(small, large.contiguous()), ranks[-1] if ranks else None


def _generalised(roles: Mapping[str, Tensor], weight: Tensor, scale: Callable[[int | None], float]) -> Tensor:
    """GLoRA: W A + B, each of low rank. LyCORIS once wrote it the other way round, and that layout the web UI knows: it takes no
    account of alpha there."""
    import torch

    a1, a2, b1, b2 = (roles[name].flatten(1) for name in ("a1", "a2", "b1", "b2"))
    own, inputs = weight.detach().float(), weight.shape[1]
    former = a2.shape[0] == inputs and a1.shape[1] == inputs and a1.shape[0] == a2.shape[1] and b2.shape[0] == weight.shape[0]
    if former and not (a1.shape[0] == inputs and b1.shape[0] == weight.shape[0]):
        (a1, a2), (b1, b2), factor = (a2, a1), (b2, b1), 1.0
    else:
        factor = scale(a2.shape[0])
    added = torch.einsum("mnhw,im,nj->ijhw", roles["bm"], b1, b2) if "bm" in roles else (b1 @ b2).reshape(weight.shape)
    return factor * (added + torch.einsum("oi...,ij->oj...", own, a1 @ a2))


def _check(shape: tuple[int, ...] | torch.Size, weight: Tensor) -> None:
    if tuple(shape) != tuple(weight.shape):
        raise ValueError(f"it is {tuple(shape)} instead of {tuple(weight.shape)}")
