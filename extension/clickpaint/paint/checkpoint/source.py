"""Where a checkpoint's tensors come from: a file, or modules that a host has loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.checkpoint.gguf_file import is_gguf, read_gguf
from clickpaint.paint.checkpoint.kind import Prediction
from clickpaint.paint.checkpoint.packed_weights import stored, stored_bytes
from clickpaint.paint.checkpoint.quantised import kept_packed, unscaled
from clickpaint.weights.weights_file import mapped_in_pieces, read_weights_file

if TYPE_CHECKING:
    import torch


Folders = Callable[[str], Sequence[Path]]


class Source(Protocol):
    """A checkpoint's tensors. They are read, never written to."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def prediction(self) -> Prediction | None:
        """What the UNet predicts, where that is known without looking at it."""
        ...

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """By the keys of a single file: "model.diffusion_model.…", "first_stage_model.…", and "cond_stage_model.…" or
        "conditioner.embedders.…". Costs milliseconds and no memory."""
        ...

    def version(self) -> Hashable:
        """Another one as soon as `tensors` gives other tensors; the same while only their values change."""
        ...

    def using(self, device: torch.device | str) -> AbstractContextManager[None]:
        """Within this block the tensors are on `device`; ask for `tensors` inside. What has to be put back is put back."""
        ...


def places(tensors: Mapping[str, torch.Tensor]) -> Hashable:
    """Something that differs for other tensors: where each lies, and as what."""
    return hash(tuple((key, stored(tensor)[0].data_ptr(), tensor.dtype, tensor.device) for key, tensor in tensors.items()))


class FileSource:
    """A file of weights, memory-mapped where its format allows; nothing of it is read before it is used, and no code in it is run.

    Args:
        path: the checkpoint.
        vae: a file with a VAE, used instead of the checkpoint's own.
        prediction: what the UNet predicts, if the user says so; otherwise the file's metadata or a .yaml beside it may know.
        folders: where files that go with the checkpoint may lie, by kind: "text_encoder", "VAE", "tokenizers".
    """

    def __init__(
        self, path: Path, vae: Path | None = None, prediction: Prediction | None = None, folders: Folders = lambda kind: ()
    ) -> None:  # fmt: skip
        self.path, self.vae = Path(path), None if vae is None else Path(vae)
        self.name = self.path.name
        self._user_prediction: Prediction | None = prediction
        self._folders, self._flows = folders, False
        self._companions: tuple[Path, ...] = ()
        self._opened: tuple[Hashable, dict[str, torch.Tensor], Prediction | None] | None = None
        self._moved: tuple[Hashable, torch.device, dict[str, torch.Tensor]] | None = None
        self._device: torch.device | None = None

    @property
    def prediction(self) -> Prediction | None:
        return self._user_prediction or self._open()[2]

    def folders(self, kind: str) -> Sequence[Path]:
        """Where files that go with the checkpoint may lie; its own folder last."""
        return [*self._folders(kind), self.path.parent]

    def tensors(self) -> Mapping[str, torch.Tensor]:
        stamp, tensors, _ = self._open()
        if self._device is None:
            return tensors
        # what is of several gigabytes is widened layer by layer while it computes
        if self._device.type == "cpu" and (self._flows or not any(_slow_on_cpu(tensor) for tensor in tensors.values())):
            return tensors
        if self._moved is None or self._moved[:2] != (stamp, self._device):
            self._moved = None  # before the next ones take their place
            self._moved = (stamp, self._device, self._all_moved(tensors, self._device))
        return self._moved[2]

    def version(self) -> Hashable:
        return (self._stamp(), str(self._device or "cpu"))

    @contextmanager
    def using(self, device: torch.device | str) -> Iterator[None]:
        """Tensors for another device than the CPU are moved once, in their own types, and stay there until `release`; so do those for
        the CPU where they are in half precision, which it computes many times slower than float32, in that."""
        import torch

        self._device = torch.device(device)
        yield

    def release(self) -> None:
        """Let go of what was moved or converted."""
        self._moved = self._device = None

    def _all_moved(self, tensors: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
        """Every tensor where and as it is computed with. A file that can be mapped is mapped anew for every few of them, so that what
        was read of it does not lie in memory beside what was made of it."""
        if self._flows:
            return _moved_as_far_as_memory_goes(tensors, device)
        moved: dict[str, torch.Tensor] = {}
        own = {key: tensor for key, tensor in tensors.items() if self.vae is None or not key.startswith(_VAE)}
        for piece in mapped_in_pieces(self.path, {key: tensor.dtype for key, tensor in own.items()}):
            moved.update({key: _moved(tensor, device) for key, tensor in piece.items() if _moves(tensor, device)})
        return {key: moved[key] if key in moved else _moved(tensor, device) for key, tensor in tensors.items()}

    def _stamp(self) -> Hashable:
        files = [file for file in (self.path, self.vae, *self._companions) if file is not None]
        try:
            return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
        except OSError as error:
            raise InvalidInput(
                "{file} cannot be found any more.", "Choose another checkpoint.", file=Path(str(error.filename)).name
            ) from error

    def _open(self) -> tuple[Hashable, dict[str, torch.Tensor], Prediction | None]:
        stamp = self._stamp()
        if self._opened is None or self._opened[0] != stamp:
            tensors, metadata = read_as_it_is(self.path)
            if self.vae is not None:
                tensors = with_vae(tensors, read(self.vae)[0], self.vae.name)
            tensors = self._completed(tensors)
            stamp = self._stamp()
            self._opened = (stamp, tensors, _prediction(metadata, self.path))
        return self._opened

    def _completed(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """With the networks of other files that a transformer needs which comes alone."""
        from clickpaint.paint.flow.companions import companions
        from clickpaint.paint.flow.registry import family_among

        self._flows = family_among(tensors) is not None
        found = companions(tensors, self.name, self.folders) if self._flows else []
        self._companions = tuple(companion.path for companion in found)
        for companion in found:
            own = {key: tensor for key, tensor in read_as_it_is(companion.path, True)[0].items() if key.startswith(companion.own)}
            tensors = tensors | {companion.prefix + key[len(companion.own) :]: tensor for key, tensor in own.items()}
        return tensors


_VAE = "first_stage_model."


_HEADROOM = 4 << 30
"""Bytes of a device's memory that are left for computing."""


def _moved_as_far_as_memory_goes(tensors: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The transformer first, which is asked in every step; what finds no room stays in the file, and goes to the device layer by
    layer while it computes."""
    from clickpaint.weights.device import Device, free_bytes

    room = free_bytes(Device(str(device))) - _HEADROOM
    moved = dict(tensors)
    for key in sorted(tensors, key=lambda key: key.startswith(("text_encoders.", "vae.", _VAE))):
        size = stored_bytes(tensors[key])
        if size <= room:
            moved[key], room = tensors[key].to(device), room - size
    return moved


def _slow_on_cpu(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.element_size() < 4


def _moves(tensor: torch.Tensor, device: torch.device) -> bool:
    return device.type != "cpu" or _slow_on_cpu(tensor)


def _moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    return tensor.float() if device.type == "cpu" and _slow_on_cpu(tensor) else tensor.to(device)


def with_vae(tensors: Mapping[str, torch.Tensor], vae: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors with another VAE, whose keys may have a prefix or none.

    Raises:
        InvalidInput: the other file has no VAE.
    """
    first = "decoder.conv_in.weight"
    prefix = next((key.removesuffix(first) for key in vae if key.endswith(first)), None)
    if prefix is None:
        raise InvalidInput("{name} holds no VAE: {key} is missing.", "Choose another VAE file.", key=first, name=name)
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith((_VAE, "vae."))}
    return kept | {f"{_VAE}{key[len(prefix) :]}": tensor for key, tensor in vae.items() if key.startswith(prefix)}


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a model's file.

    Args:
        path: a safetensors file or one of PyTorch's, whatever its ending.

    Returns:
        (tensors on the CPU, mapped into memory where the format allows; what a safetensors file says about itself). Weights that have
        a scale beside them are multiplied by it.

    Raises:
        InvalidInput: there is no such file, or its weights are quantised in a way that is not known here.
        CorruptModel: it cannot be read as weights.
    """
    tensors, metadata = _written(path)
    return unscaled(tensors, path.name), metadata


def read_as_it_is(path: Path, companion: bool = False) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """As `read`, but what belongs to the flow-matching families stays packed as it is in the file (`packed`), which may be a GGUF.

    Args:
        companion: whether it goes with a checkpoint of these families, whatever is in it.

    Raises:
        HostUnsupported: a package that the file needs is not here.
    """
    from clickpaint.paint.flow.registry import family_among

    if is_gguf(path):
        tensors, metadata = read_gguf(path)
        if not companion and family_among(tensors) is None:
            raise InvalidInput(
                "{name} is a GGUF file, which engines here can use only for the transformers of Flux and the families after it.",
                "Choose the same model as a safetensors file.",
                name=path.name,
            )
        return tensors, metadata
    tensors, metadata = _written(path)
    flows = companion or family_among(tensors) is not None
    return (kept_packed if flows else unscaled)(tensors, path.name), metadata


def _written(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a file as they were written, and what it says about itself."""
    content, metadata = read_weights_file(path)
    while isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    import torch

    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise CorruptModel("{filename} holds something other than a model's weights.", "Choose another one.", filename=path.name)
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}, metadata


def _prediction(metadata: Mapping[str, str], path: Path) -> Prediction | None:
    """What the UNet predicts, by the file's own metadata (ModelSpec) or the configuration that lies beside it."""
    declared = metadata.get("modelspec.prediction_type", "").lower()
    if declared in ("v", "v_prediction"):
        return "v_prediction"
    if declared == "epsilon":
        return "epsilon"
    beside = path.with_suffix(".yaml")
    if beside.is_file():
        text = beside.read_text(encoding="utf-8", errors="replace")
        velocity = re.search(r"""\bparameterization["']?\s*:\s*["']?v\b""", text) is not None
        return "v_prediction" if velocity else "epsilon"
    return None
