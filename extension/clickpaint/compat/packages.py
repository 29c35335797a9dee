"""Which packages are installed here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

Installed = Callable[[str], bool]
"""Whether a package, named as it is imported, could be imported."""


def installed(package: str) -> bool:
    """See `Installed`; imports nothing, but may look through all folders that packages lie in."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it is there without a spec, as OpenCV is while another thread imports it
        return True
