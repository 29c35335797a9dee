"""Token merging (Bolya and Hoffman, 2023): places of the picture that look alike share one look in the self-attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clickpaint.compat.packages import installed
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyCheckpoint


@contextmanager
def tokens_merged(checkpoint: AnyCheckpoint, ratio: float) -> Iterator[None]:
    """Within this block the U-Net's finest level computes on fewer tokens, by tomesd and with the web UI's settings: self-attention
    alone, and nothing by chance.

    Args:
        ratio: share of the tokens that are merged, 0..0.9; of more than 0.75 there is nothing left to merge.

    Raises:
        InvalidInput: the checkpoint has no U-Net.
    """
    if not ratio:
        yield
        return
    if isinstance(checkpoint, FlowCheckpoint):
        raise InvalidInput("The tokens of {kind} cannot be merged.", "Leave the token merging ratio out.", kind=checkpoint.kind.title)
    if not installed("tomesd"):
        raise HostUnsupported("Tokens are merged by tomesd, which is not installed here.", "Leave the token merging ratio out.")
    import tomesd  # type: ignore[import-untyped]

    tomesd.apply_patch(checkpoint.unet, ratio=ratio, use_rand=False, merge_attn=True, merge_crossattn=False, merge_mlp=False)
    try:
        yield
    finally:
        tomesd.remove_patch(checkpoint.unet)
        for module in checkpoint.unet.modules():
            vars(module).pop("_tome_info", None)
