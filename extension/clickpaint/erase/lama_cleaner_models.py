"""Networks whose code only lama-cleaner has. Its loader (which deletes files and exits) and its crops are not used."""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def module(name: str) -> ModuleType:
    """`lama_cleaner.model.NAME`, without what its import does to the process: seeding torch, silencing all warnings, setting
    an environment variable, logging."""
    before = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK")
    with warnings.catch_warnings(), kept_randomness():
        try:
            found = importlib.import_module(f"lama_cleaner.model.{name}")
        finally:
            if before is None:
                os.environ.pop("PYTORCH_ENABLE_MPS_FALLBACK", None)
    from loguru import logger

    logger.disable("lama_cleaner")
    return found


@contextlib.contextmanager
def kept_randomness(seed: int | None = None) -> Iterator[None]:
    """Whatever is drawn from torch's global generators inside is as if it had not been; `seed` makes it repeatable."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def bare(kind: type, **attributes: Any) -> Any:
    """An object of one of lama-cleaner's model classes without its `__init__`, which would download."""
    model = object.__new__(kind)
    vars(model).update(attributes)
    return model
