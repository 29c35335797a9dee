"""Reading weights that were pickled, without running what a pickle may contain; the one place where torch reads a file."""

from __future__ import annotations

import importlib
import importlib.util
import struct
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from clickpaint.errors import CorruptModel
from clickpaint.weights import folders
from clickpaint.weights.device import out_of_memory

REPLACE = "Download it again, or put the right file there."
_LARGEST_HEADER = 100_000_000
"""Bytes of the header of a safetensors file, by its specification."""


def read_pickle(path: Path, *, classes: Sequence[Any] = (), mapped: bool = False) -> Any:
    """What was pickled: tensors, numbers, texts, and lists and dictionaries of them, on the CPU.

    Args:
        classes: further ones that may be made of the file's content, each the class or (class, its name in the file).
        mapped: map the tensors into memory where the file's format allows it.

    Raises:
        CorruptModel: the file is broken, or asks for code to be run.
    """
    import torch

    allowed = getattr(torch.serialization, "safe_globals", None)  # from torch 2.5
    try:
        with allowed([*_numbers(), *classes]) if allowed is not None else nullcontext():
            # torch.serialization.load, not torch.load: web UIs replace the latter by a check of their own that refuses the
            # entries newer torch writes, answers None instead of raising, and forwards to a load that may not be weights-only.
            if mapped:
                try:
                    return torch.serialization.load(str(path), map_location="cpu", weights_only=True, mmap=True)
                except RuntimeError as error:
                    if "mmap" not in str(error):  # torch's format before 1.6 cannot be mapped
                        raise
            return torch.serialization.load(str(path), map_location="cpu", weights_only=True)
    except Exception as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception, remedy: str = REPLACE) -> CorruptModel:
    """What a library's error while reading weights means to the user; raises the error itself where memory ran out.

    Its own text is for developers: torch's advises to read a malicious file with weights_only=False.
    """
    if out_of_memory(error):
        raise error
    if isinstance(error, CorruptModel):
        return CorruptModel(error.message, remedy, **error.data)
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        message = folders.of_error(path, error)
    elif "weights_only" in text or "Weights only load failed" in text or "nsupported global" in text:
        message = f"{path.name} holds more than tensors: it asks for code to be run when it is read, which is never done here."
        remedy = "Get the model as .safetensors, or from a source that you trust."
    else:
        message = f"{path.name} cannot be read as weights: it is incomplete, damaged, or another kind of file."
    return CorruptModel(message, remedy, filename=path.name)


def is_safetensors(path: Path) -> bool:
    """Whether the file's first bytes are those of safetensors (the header's length, then JSON), whatever its name ends in.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] <= _LARGEST_HEADER


def _numbers() -> list[Any]:
    """NumPy's numbers, which training scripts leave beside the tensors (the best loss, the last epoch)."""
    import numpy as np

    where = "numpy._core" if importlib.util.find_spec("numpy._core") is not None else "numpy.core"  # the first from NumPy 2 on
    scalar = importlib.import_module(f"{where}.multiarray").scalar
    kinds = {type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")}
    names: list[Any] = [(scalar, f"{module}.multiarray.scalar") for module in ("numpy.core", "numpy._core")]
    try:
        import torch

        with torch.serialization.safe_globals(names):  # names apart from the objects: from torch 2.6
            pass
    except Exception:
        names = [scalar]
    return [*names, np.dtype, *kinds]
