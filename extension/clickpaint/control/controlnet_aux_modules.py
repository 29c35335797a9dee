"""Network classes of the package controlnet_aux, one module at a time, under a name of our own.

`import controlnet_aux` imports all its detectors and fails where any one of their libraries is missing. Its modules only import their
neighbours, relatively, so each works by itself when its parent packages are there without having been run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

from clickpaint.compat import torchvision
from clickpaint.errors import ModelMissing

ALIAS = "clickpaint_controlnet_aux"
"""Not "controlnet_aux": other extensions in the same process may import that one whole."""

NEEDS = ("torch", "controlnet_aux", "einops", "huggingface_hub")
"""What every module of it imports, as import names."""

_lock = threading.Lock()


def module(name: str) -> ModuleType:
    """`controlnet_aux.NAME` ("hed", "pidi.model", …): run itself, its parent packages not.

    Raises:
        ModelMissing: controlnet_aux, or a library that this module imports, is not installed.
    """
    spec = importlib.util.find_spec("controlnet_aux")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing("controlnet_aux is not installed.", "Install controlnet_aux 0.0.10, without its dependencies.")
    with _lock:
        _empty_package(ALIAS, Path(next(iter(spec.submodule_search_locations))))
        for parent in _parents(name):
            _empty_package(f"{ALIAS}.{parent}", Path(sys.modules[ALIAS].__path__[0], *parent.split(".")))
        if importlib.util.find_spec("torchvision") is not None:
            torchvision.ensure()
        try:
            return importlib.import_module(f"{ALIAS}.{name}")
        except ImportError as error:
            raise ModelMissing(
                "controlnet_aux.{module} cannot be imported: {reason}.", "Install what it needs.", module=name, reason=error
            ) from error


def _parents(name: str) -> list[str]:
    parts = name.split(".")[:-1]
    return [".".join(parts[: number + 1]) for number in range(len(parts))]


def _empty_package(name: str, folder: Path) -> None:
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
