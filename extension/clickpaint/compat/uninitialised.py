"""Objects of a library's classes whose `__init__` does more than it should."""

from __future__ import annotations

from typing import Any


def bare(kind: type, **attributes: Any) -> Any:
    """An object of a class without its `__init__`, which would download, with these attributes."""
    model = object.__new__(kind)
    vars(model).update(attributes)
    return model
