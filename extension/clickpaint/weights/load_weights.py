"""Reading the weights of a model file into memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint.errors import CorruptModel
from clickpaint.weights.catalog import ModelFile, how_to_get
from clickpaint.weights.checksums import checksum, mismatch
from clickpaint.weights.device import out_of_memory
from clickpaint.weights.folders import of_error

if TYPE_CHECKING:
    import torch

    from clickpaint.weights.device import Device

_REPLACE = "Download it again, or put the right file there."


def wrong_weights(model: str, path: Path, error: Exception) -> CorruptModel:
    """What is said of a file whose tensors are not those of the model in the catalog that it is named after."""
    return CorruptModel(
        "The file {file} does not hold the weights of {model}.",
        "Download it again, or put the right file in its place.",
        model=model,
        reason=str(error)[:500],
        file=path.name,
    )


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weight file, on the CPU: safetensors, or a pickle read with `weights_only=True`, which runs no code.

    What is nested under "model", "state_dict" or "depth_model" is unwrapped.

    Raises:
        CorruptModel: the file is broken, or holds something other than tensors.
    """
    import torch

    from clickpaint.weights.weights_file import read_weights_file  # which a web UI's start has no need of

    loaded, _ = read_weights_file(path, mapped=False)
    for key in ("model", "state_dict", "depth_model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise CorruptModel("{filename} holds something other than a model's weights.", _REPLACE, filename=path.name)
    return loaded


def load_torchscript(file: ModelFile, path: Path, device: Device) -> torch.jit.ScriptModule:
    """A TorchScript model, ready to run. It contains code, so the bytes must be those of the catalog, checked here again, or,
    where no checksum is confirmed, come from the user's own hand: such a file cannot be downloaded.

    Raises:
        CorruptModel: the bytes are not the catalog's, or cannot be read.
    """
    import torch

    if file.checksum is not None:
        try:
            actual = checksum(path, file.checksum.algorithm)
        except OSError as error:
            raise CorruptModel(of_error(path, error), _REPLACE, filename=path.name) from error
        if actual != file.checksum.value:
            raise CorruptModel(
                "{title}: {reason}",
                how_to_get(file),
                model=file.name,
                filename=path.name,
                title=file.title,
                reason=mismatch(file, path, actual),
            )
    try:
        return torch.jit.load(str(path), map_location="cpu").to(device.torch).eval()
    except Exception as error:
        if out_of_memory(error):
            raise
        raise CorruptModel(
            "{filename} cannot be read as TorchScript: it is incomplete, damaged, or another kind of file.", _REPLACE, filename=path.name
        ) from error
