"""Make `import torchvision` work where its compiled operators cannot load.

torch and torchvision that come from different indexes (a CPU torch beside a CUDA torchvision is the common case) do not
fit together: `import torchvision` dies with "operator torchvision::nms does not exist" and takes segment-anything and
timm with it. Those only need torchvision's Python code and non-maximum suppression, so a torch version of the latter is
registered under the missing name; nothing is touched where the compiled operators are there.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ModelMissing

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
_lock = threading.Lock()
_MISMATCH = "operator torchvision::"


def ensure() -> None:
    """Import torchvision, with stand-ins for its compiled operators if those cannot load.

    Raises:
        ModelMissing: torchvision is not installed, or fails for another reason.
    """
    with _lock:
        if importlib.util.find_spec("torchvision") is None:
            raise ModelMissing("torchvision is not installed.", "Install the torchvision that belongs to the installed torch.")
        try:
            importlib.import_module("torchvision")
        except (RuntimeError, ImportError, OSError) as error:
            if _MISMATCH not in str(error):
                raise ModelMissing(
                    "torchvision cannot be imported: {reason}",
                    "Reinstall torch and torchvision together, from the same index.",
                    reason=error,
                ) from error
            _import_without_operators()


def available() -> str | None:
    """None if `import torchvision` works (now that it has been tried), otherwise the reason why it does not."""
    try:
        ensure()
    except ModelMissing as error:
        return str(error)
    return None


def _import_without_operators() -> None:
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]  # what the failed import left behind
    _define_operators()
    importlib.import_module("torchvision")
    extension = importlib.import_module("torchvision.extension")
    # ops.boxes asks this before it calls nms. The other operators stay missing and say so when they are called.
    extension._has_ops = lambda: True  # type: ignore[attr-defined]
    log.info("torchvision does not match torch %s: using its Python code and a substitute for nms.", sys.modules["torch"].__version__)


@functools.cache
def _define_operators() -> Any:
    """Register nms and qnms once per process; what is returned must stay alive for as long as they are to exist."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl(name, nms, "CompositeExplicitAutograd")
    return library


def nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression, as `torchvision.ops.nms` does it.

    Args:
        dets: boxes [N, 4] as (x1, y1, x2, y2).
        scores: [N].
        iou_threshold: boxes that overlap a better one by more are dropped.

    Returns:
        int64 [K], the indices of the boxes that are kept, best score first, on the boxes' device.
    """
    import torch

    order = torch.sort(scores.detach().float().cpu(), descending=True, stable=True).indices
    boxes = dets.detach().float().cpu()[order]
    left, top, right, bottom = boxes.unbind(1)
    area = (right - left) * (bottom - top)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        rest = slice(i + 1, None)
        width = (torch.minimum(right[rest], right[i]) - torch.maximum(left[rest], left[i])).clamp(min=0)
        height = (torch.minimum(bottom[rest], bottom[i]) - torch.maximum(top[rest], top[i])).clamp(min=0)
        overlap = width * height
        alive[rest] &= ~(overlap / (area[rest] + area[i] - overlap) > iou_threshold)
    return order[alive].to(dets.device)
