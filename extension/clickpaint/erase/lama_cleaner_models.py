"""Networks whose code only lama-cleaner has. Its loader (which deletes files and exits) and its crops are not used."""

from __future__ import annotations

import importlib
import os
import warnings
from types import ModuleType

from clickpaint.compat.randomness import kept_randomness


def module(name: str) -> ModuleType:
    """`lama_cleaner.model.NAME`, without what its import does to the process: seeding torch, silencing all warnings, setting
    an environment variable, logging."""
    before = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK")
    with warnings.catch_warnings(), kept_randomness():
        try:
            imported = importlib.import_module(f"lama_cleaner.model.{name}")
        finally:
            if before is None:
                os.environ.pop("PYTORCH_ENABLE_MPS_FALLBACK", None)
    from loguru import logger

    logger.disable("lama_cleaner")
    return imported
