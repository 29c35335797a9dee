"""Models from local folders through transformers 4.30 to 5: what differs between its versions stands here."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, ModelMissing
from clickpaint.weights.device import out_of_memory
from clickpaint.weights.load_weights import load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.weights.device import Device

T = TypeVar("T")


@functools.cache
def version() -> tuple[int, int]:
    """Of the installed transformers, (0, 0) without one; imports nothing."""
    try:
        major, minor, *_ = metadata.version("transformers").split(".")
        return int(major), int(minor)
    except (metadata.PackageNotFoundError, ValueError):
        return 0, 0


def knows(model_type: str) -> bool:
    """Whether the installed transformers has networks of a config's `model_type`; imports nothing."""
    spec = importlib.util.find_spec("transformers")
    folder = model_type.replace("-", "_").replace(".", "_")
    return spec is not None and any((Path(place) / "models" / folder).is_dir() for place in spec.submodule_search_locations or ())


def transformers() -> Any:
    """The module. Raises `ModelMissing`."""
    if importlib.util.find_spec("transformers") is None:
        raise ModelMissing("transformers is not installed.", "Install it to describe pictures.")
    torchvision.available()  # mends one that cannot load; transformers does without one, but not with half of one
    import transformers

    return transformers


def load_model(name: str, folder: Path, device: Device) -> Any:
    """The network of a local folder, on the device and in its precision, ready to run.

    Args:
        name: of transformers' class. Safetensors are preferred; a pickle is read by us, without running what it may contain.

    Raises:
        ModelMissing: the installed transformers has no such class.
        CorruptModel: the folder's files do not make a model.
    """
    kind = getattr(transformers(), name, None)
    if kind is None:
        raise ModelMissing("The installed transformers has no {name}.", "Install a newer transformers, or choose another model.", name=name)

    def load() -> Any:
        options: dict[str, Any] = {"dtype" if version() >= (4, 56) else "torch_dtype": device.torch_dtype, "local_files_only": True}
        if any(folder.glob("*.safetensors")):
            return kind.from_pretrained(str(folder), use_safetensors=True, **options)
        config = transformers().AutoConfig.from_pretrained(str(folder), local_files_only=True)
        return kind.from_pretrained(None, config=config, state_dict=_pickled(folder), **options)

    with _quietly():
        model = _load(load, folder)
    return model.to(device=device.torch, dtype=device.torch_dtype).eval()


def load_processor(folder: Path, kind: str = "AutoProcessor") -> Any:
    """What turns pictures and words into tensors. kind: `AutoProcessor`, `AutoTokenizer` … Raises `CorruptModel`."""
    with without_num2words() if _is_smolvlm(folder) else contextlib.nullcontext():
        return _load(lambda: getattr(transformers(), kind).from_pretrained(str(folder), local_files_only=True), folder)


def nbytes(model: Any) -> int:
    """Bytes of its weights."""
    return sum(value.numel() * value.element_size() for value in model.parameters())


def features(output: Any) -> Tensor:
    """What `get_image_features` and `get_text_features` give: a tensor, and since transformers 5 a pooled output around it."""
    return getattr(output, "pooler_output", output)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' own progress bars: ours tell of the loading."""
    bars = transformers().utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


@contextlib.contextmanager
def without_num2words() -> Iterator[None]:
    """SmolVLM's processor is not made without the package num2words, though it only needs it for films: within, it is."""
    if importlib.util.find_spec("num2words") is not None or not knows("smolvlm"):
        yield
        return
    transformers()
    module: Any = importlib.import_module("transformers.models.smolvlm.processing_smolvlm")
    before, module.num2words = module.num2words, str
    try:
        yield
    finally:
        module.num2words = before


def _pickled(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for file in sorted(folder.glob("pytorch_model*.bin")):
        state |= load_state_dict(file)
    if not state:
        raise CorruptModel("{model} holds no weights.", "Put the model's safetensors into its folder.", model=folder.name)
    return state


def _is_smolvlm(folder: Path) -> bool:
    config = folder / "config.json"
    return config.is_file() and '"smolvlm"' in config.read_text(encoding="utf-8")


def _load(load: Callable[[], T], folder: Path) -> T:
    try:
        return load()
    except Exception as error:
        if out_of_memory(error) or isinstance(error, ModelMissing):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise CorruptModel(
            "{model} cannot be loaded: {reason}", "Put all files of the model into its folder.", model=folder.name, reason=reason
        ) from error
