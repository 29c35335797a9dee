"""Textual inversions (Gal et al. 2022): words that were learned, as vectors for the text encoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.adapters.adapter_files import files
from clickpaint.weights.device import out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

SUFFIXES = (".pt", ".bin", ".safetensors")
_SDXL = {"clip_l": 768, "clip_g": 1280, "text_encoders_0": 768, "text_encoders_1": 1280}


@dataclass(frozen=True, eq=False)
class Embedding:
    """name: what stands for it in a prompt. vectors: float32 [n, width], by the width of the text encoder that they are for."""

    name: str
    vectors: Mapping[int, Tensor]

    def for_encoders(self, checkpoint: Checkpoint) -> tuple[Tensor, ...] | None:
        """The vectors for each text encoder in its order; None if it was made for another family."""
        widths = [encoder.width for encoder in checkpoint.text_encoders]
        return tuple(self.vectors[width] for width in widths) if set(widths) == self.vectors.keys() else None


def read_embedding(path: Path) -> Embedding:
    """A learned word: the web UI's `.pt`, diffusers' `.bin`, and `.safetensors` of either, also those of SDXL ("clip_l", "clip_g").
    As in the web UI its name is the file's.

    Raises:
        InvalidInput: it is something else. CorruptModel: it cannot be read; a pickle that asks for more than tensors is not.
    """
    import torch

    loaded = _loaded(path)
    if "string_to_param" in loaded:
        learned = loaded["string_to_param"]
        loaded = getattr(learned, "_parameters", learned)
    vectors = {key: value.detach().float() for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    for key, value in vectors.items():
        vectors[key] = value[None] if value.ndim == 1 else value
    if vectors.keys() & _SDXL.keys():
        vectors = {key: value for key, value in vectors.items() if key in _SDXL}
    widths = {value.shape[-1]: value for value in vectors.values()}
    wrong = any(value.ndim != 2 or _SDXL.get(key, value.shape[-1]) != value.shape[-1] for key, value in vectors.items())
    if not vectors or wrong or len(widths) != len(vectors) or not widths.keys() <= {768, 1024, 1280}:
        raise InvalidInput(f"{path.name} is no textual inversion for Stable Diffusion.", "Choose another file.", filename=path.name)
    return Embedding(path.stem, widths)


def words_in(text: str, folders: Iterable[Path], checkpoint: Checkpoint) -> dict[str, tuple[Tensor, ...]]:
    """The learned words that occur in a text, for `diffusion.conditioning.encode`: only their files are read.

    Files of another family than the checkpoint are no words, as in the web UI; neither are files that cannot be read. Where two
    have one name, the first folder's counts.
    """
    text, found = text.lower(), {}
    for file in files(folders, SUFFIXES):
        if file.stem.lower() in text and file.stem not in found:
            try:
                vectors = read_embedding(file).for_encoders(checkpoint)
            except (InvalidInput, CorruptModel):
                continue
            if vectors is not None:
                found[file.stem] = vectors
    return found


def _loaded(path: Path) -> Mapping[str, Any]:
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        # the first files were written with their vectors in a module's container
        allowed = getattr(torch.serialization, "safe_globals", None)
        with allowed([torch.nn.ParameterDict]) if allowed else nullcontext():
            # torch.serialization.load, not torch.load, which web UIs replace
            loaded = torch.serialization.load(str(path), map_location="cpu", weights_only=True)
    except Exception as error:
        if out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        raise CorruptModel(f"{path.name} cannot be read: {reason}", "Download it again.", filename=path.name) from error
    return loaded if isinstance(loaded, Mapping) else {}
