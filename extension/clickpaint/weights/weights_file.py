"""Files of weights: what they are, by their first bytes and not by their ending, and what lies in them. No code in them ever runs."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clickpaint.errors import CorruptModel, InvalidInput, Sentence
from clickpaint.weights.device import out_of_memory

if TYPE_CHECKING:
    import torch

WeightsFormat = Literal["safetensors", "zip", "pickle"]
"""safetensors; PyTorch's format since 1.6, a ZIP of a pickle and raw numbers; and the one before, several pickles in a row."""

_LARGEST_HEADER = 100 << 20
"""Bytes; the limit of safetensors itself."""

_AGAIN = "Download it again, or choose another one."
_OTHER = "Choose a safetensors or ckpt file of the same model."
_UNPACK = "Unpack it, and put the file with the weights that is in it into its place."

_SIGNS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"GGUF",
        "it is in the GGUF format, which is read only for checkpoints of Flux and the families after it, and their text encoders",
        _OTHER,
    ),
    (b"\x89HDF\r\n\x1a\n", "it is in the HDF5 format, which Keras writes", _OTHER),
    (b"\x93NUMPY", "it is an array of NumPy", _OTHER),
    (b"\x1f\x8b", "it is packed (gzip)", _UNPACK),
    (b"BZh", "it is packed (bzip2)", _UNPACK),
    (b"\xfd7zXZ", "it is packed (xz)", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "it is packed (7z)", _UNPACK),
    (b"Rar!\x1a\x07", "it is packed (RAR)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "it is packed (Zstandard)", _UNPACK),
    (b"\x89PNG", "it is a picture (PNG)", _AGAIN),
    (b"\xff\xd8\xff", "it is a picture (JPEG)", _AGAIN),
    (
        b"\x00\x05\x16\x07",
        "it is what macOS keeps beside a file, and not the file",
        "Choose the file of the same name without ._ before it.",
    ),
)
"""How files that are no weights begin, what is said about them, and the remedy."""

_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""The number that PyTorch's former files begin with."""

_HTML = re.compile(rb"<(!doctype|html|head|body|\?xml|script)\b", re.IGNORECASE)
_LFS = b"version https://git-lfs.github.com/spec/"
_GLOBAL = re.compile(r"GLOBAL ([\w.]+) was not|[Uu]nsupported class ([\w.]+)|unrecognized function <(?:built-in )?\w+ ([\w.]+)")
"""What a pickle asks for, in PyTorch's words of several versions."""


def weights_format(path: Path) -> WeightsFormat:
    """What a file of weights is.

    Args:
        path: the file; its ending does not count.

    Raises:
        InvalidInput: there is no such file.
        CorruptModel: it is empty, cut off, or something other than weights; one sentence says what.
    """
    try:
        if not path.is_file():
            raise InvalidInput("There is no file {filename}.", "Choose another one.", filename=path.name)
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(1024)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CorruptModel(
            "{filename} cannot be read: {reason}.", "See to it that the file may be read.", filename=path.name, reason=reason
        ) from error
    if not start:
        raise _unusable(path, "it is empty")
    for sign, reason, remedy in _SIGNS:
        if start.startswith(sign):
            raise _unusable(path, reason, remedy)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_format(path)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        if _MAGIC not in start[:32]:
            raise _unusable(path, "it is a pickle, but PyTorch did not write it")
        return "pickle"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        raise _unusable(path, "it is a picture (WebP)")
    if not any(start):
        raise _unusable(path, "it begins with nothing but zeros, as a download that broke off leaves it")
    _check_text(path, start)
    if len(start) >= 9 and start[8:9] in (b"{", b" "):
        (length,) = struct.unpack("<Q", start[:8])
        if length > _LARGEST_HEADER:
            raise _unusable(path, "its header is longer than any header is")
        if size < 8 + length:
            raise _unusable(path, "it is cut off")
        return "safetensors"
    if path.suffix.lower() in (".safetensors", ".sft"):
        raise _unusable(path, "its header is damaged")
    raise _unusable(path, "it is in no format of weights that is known")


def _check_text(path: Path, start: bytes) -> None:
    """Raises `CorruptModel` where a file is text."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(_LFS):
        raise _unusable(
            path, "it is a pointer of Git LFS, and not the file it points to", "Run git lfs pull where it comes from, or download it."
        )
    if _HTML.match(text):
        raise _unusable(
            path, "it is a web page, as a site sends it in place of a file (to log in, perhaps)", "Download it again in a browser."
        )
    try:
        words = text.decode("utf-8", "strict" if len(start) < 1024 else "ignore")
    except UnicodeDecodeError:
        return
    if words and all(letter.isprintable() or letter in "\r\n\t" for letter in words):
        raise _unusable(path, Sentence("it is text, which begins with “{start}”", start=" ".join(words.split())[:60]))


def _zip_format(path: Path) -> WeightsFormat:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _unusable(path, "it is cut off") from error
    if any(re.search(r"(^|/)constants\.pkl$", name) for name in names):
        raise _unusable(path, "it is a program (TorchScript) and not plain weights", _OTHER)
    if any(re.search(r"(^|/)data\.pkl$", name) for name in names):
        return "zip"
    raise _unusable(
        path, Sentence("it is a ZIP archive ({member} is in it)", member=names[0]) if names else "it is an empty ZIP archive", _UNPACK
    )


def _unusable(path: Path, reason: str, remedy: str = _AGAIN) -> CorruptModel:
    return CorruptModel("{filename} cannot be read as weights: {reason}.", remedy, filename=path.name, reason=reason)


@dataclass(frozen=True)
class TensorHeader:
    """What the header of a safetensors file says about one tensor.

    Attributes:
        shape: its sides.
        dtype: the type of its numbers by safetensors' name ("F16", "F8_E4M3", …).
        bytes: that it takes in the file.
    """

    shape: tuple[int, ...]
    dtype: str
    bytes: int


def safetensors_header(path: Path) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    """The names and shapes of a safetensors file's tensors, and its metadata: its length in 8 bytes, little-endian, then JSON.

    Raises:
        CorruptModel: it is damaged or cut off.
    """
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _LARGEST_HEADER:
                raise ValueError("too long")
            header = json.loads(stream.read(length))
        metadata = header.pop("__metadata__", None) or {}
        tensors = {
            key: TensorHeader(tuple(map(int, entry["shape"])), str(entry["dtype"]), _length(*entry["data_offsets"]))
            for key, entry in header.items()
        }
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        missing = 8 + length + end - path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, struct.error) as error:
        raise _unusable(path, "its header is damaged") from error
    if missing > 0:
        raise _unusable(path, Sentence("it is cut off, {count} bytes are missing", count=missing))
    return tensors, {str(key): str(value) for key, value in metadata.items()}


def _length(start: int, end: int) -> int:
    return int(end) - int(start)


def read_weights_file(path: Path, mapped: bool = True) -> tuple[Any, dict[str, str]]:
    """What lies in a file of weights, on the CPU.

    Args:
        path: a safetensors file or one of PyTorch's, whatever its ending.
        mapped: whether the tensors are mapped into memory where the format allows, so that nothing is read before it is used.

    Returns:
        (tensors by name for safetensors, otherwise the object that was saved; the metadata of a safetensors file)

    Raises:
        InvalidInput: there is no such file.
        CorruptModel: it is no file of weights, is damaged, or asks for code.
    """
    kind = weights_format(path)
    try:
        if kind == "safetensors":
            safetensors_header(path)
            from safetensors import safe_open

            with safe_open(str(path), framework="pt", device="cpu") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 (no mapping)
        return _unpickled(path, mapped and kind == "zip"), {}
    except CorruptModel:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        name = _GLOBAL.search(str(error))
        if name is not None:
            raise _unusable(
                path,
                Sentence(
                    "it asks for code ({code}) and not only for tensors, and code from a file is never run here",
                    code=name[name.lastindex or 0],
                ),
                _OTHER,
            ) from error
        reason = "a type of numbers in it is not known here" if kind == "safetensors" else "it is damaged"
        raise _unusable(path, reason) from error


def mapped_in_pieces(path: Path, wanted: Mapping[str, torch.dtype], most: int = 64 << 20) -> Iterator[dict[str, torch.Tensor]]:
    """The tensors of a safetensors file, few at a time: each piece lies in a mapping of its own, which goes with the piece.

    Args:
        path: the file; of any other format there are no pieces.
        wanted: keys and the types that they are expected in; what the file has in another type, or has not, is left out.
        most: bytes of a piece, unless one tensor is larger.
    """
    if weights_format(path) != "safetensors":
        return
    from safetensors import safe_open

    sizes = {key: header.bytes for key, header in safetensors_header(path)[0].items() if key in wanted}
    keys = list(sizes)
    while keys:
        total, piece = 0, []
        while keys and (not piece or total + sizes[keys[0]] <= most):
            total += sizes[keys[0]]
            piece.append(keys.pop(0))
        with safe_open(str(path), framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in piece}
        yield {key: tensor for key, tensor in tensors.items() if tensor.dtype == wanted[key]}


def _unpickled(path: Path, mapped: bool) -> Any:
    """A pickle's content. torch.serialization.load, not torch.load: web UIs replace the latter by a check of their own that refuses
    entries that newer torch writes, answers None instead of raising, and forwards to a load that may run code."""
    import torch

    with ExitStack() as stack:
        stack.enter_context(_harmless_names(torch))
        # torch would take a name's ending for what the file is
        misnamed = path.suffix.lower() == ".safetensors"
        file: Any = stack.enter_context(path.open("rb")) if misnamed else str(path)
        more = {"mmap": True} if mapped and not misnamed else {}
        return torch.serialization.load(file, map_location="cpu", weights_only=True, **more)


@contextmanager
def _harmless_names(torch: Any) -> Iterator[None]:
    """Within this block pickles may name what trainers leave beside the weights: numbers and arrays of NumPy, counters of PyTorch
    Lightning. Stand-ins take their places, which compute nothing."""
    allowed = getattr(torch.serialization, "safe_globals", None)  # since 2.5
    if allowed is None:
        yield
        return
    with allowed([torch.nn.ParameterDict, *_STAND_INS]):
        yield


class _StandIn:
    """Takes whatever a pickle builds an object from, and does nothing with it."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _stand_in(name: str) -> Any:
    module, _, leaf = name.rpartition(".")
    return type(leaf, (_StandIn,), {"__module__": module})


_STAND_INS = [
    _stand_in(name)
    for name in (
        "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct", "numpy.dtype", "numpy.ndarray",
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
        "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint", "argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath",
        "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
    )
]  # fmt: skip
