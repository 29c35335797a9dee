"""Networks in ONNX's format, which ONNX Runtime computes on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint.errors import CorruptModel

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-not-found,import-untyped]

_ERRORS_ONLY = 3


def open_session(path: Path, model: str) -> onnxruntime.InferenceSession:
    """The network of a file, ready to be run.

    It computes on the processor with as many threads as torch does: the networks that come in this format here are small, and a
    graphics card's build of ONNX Runtime needs libraries of its own beside torch's.

    Args:
        path: the file, known to be the right one.
        model: whose it is, for messages.

    Raises:
        CorruptModel: it is no network that can be read.
    """
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ONLY
    try:
        # by its bytes: the runtime of Windows takes no path with letters beyond its own code page
        return onnxruntime.InferenceSession(path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, which have no common one
        raise CorruptModel(
            "{file} cannot be read as ONNX: {reason}.", "Put the right file there.", model=model, file=path.name,
            reason=str(error).rstrip("."),
        ) from error  # fmt: skip
