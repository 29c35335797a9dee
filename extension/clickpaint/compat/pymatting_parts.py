"""Parts of pymatting, without the rest of it.

Importing the package compiles every method that it has, which takes most of a minute of a processor the first time; the two that are used
here take a few seconds, once, and are kept on the disk by numba.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_ALPHA, _COLOURS = "pymatting.alpha.estimate_alpha_cf", "pymatting.foreground.estimate_foreground_ml"
_PACKAGES = ("util", "alpha", "laplacian", "preconditioner", "solver", "foreground")
_lock = threading.Lock()
_parts: dict[str, Any] = {}


def available() -> bool:
    """Whether pymatting and what it needs can be imported here; imports nothing."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in ("pymatting", "numba", "scipy"))
    except (ImportError, ValueError):
        return False


def functions() -> tuple[Any, Any]:
    """pymatting's `estimate_alpha_cf` and `estimate_foreground_ml`.

    Raises:
        ImportError: it is not here, or not in working order.
    """
    with _lock:
        if not _parts:
            modules = {name: sys.modules[name] for name in list(sys.modules) if name.partition(".")[0] == "pymatting"}
            try:
                if "pymatting" not in modules:
                    _stand_in_for_packages()
                _parts["alpha"] = _threads_kept(importlib.import_module(_ALPHA).estimate_alpha_cf)
                _parts["colours"] = _threads_kept(importlib.import_module(_COLOURS).estimate_foreground_ml)
            finally:
                if "pymatting" not in modules:  # whoever else imports it gets all of it
                    for name in [name for name in sys.modules if name.partition(".")[0] == "pymatting"]:
                        del sys.modules[name]
        return _parts["alpha"], _parts["colours"]


def _threads_kept(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, after which torch computes on as many threads as before: numba sets their number for all of OpenMP."""

    def call(*arguments: Any, **options: Any) -> Any:
        torch = sys.modules.get("torch")
        before = torch.get_num_threads() if torch is not None else None
        try:
            return work(*arguments, **options)
        finally:
            if torch is not None and torch.get_num_threads() != before:
                torch.set_num_threads(before)

    return call


def _stand_in_for_packages() -> None:
    spec = importlib.util.find_spec("pymatting")
    if spec is None or spec.origin is None:
        raise ImportError("pymatting is not installed")
    root = Path(spec.origin).parent
    for name in ("", *_PACKAGES):
        module = ModuleType(f"pymatting.{name}".rstrip("."))
        module.__path__ = [str(root / name)]
        sys.modules[module.__name__] = module
