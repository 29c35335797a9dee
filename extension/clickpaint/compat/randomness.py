"""Libraries that draw from the random state of the whole process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def kept_randomness(seed: int | None = None) -> Iterator[None]:
    """Whatever is drawn from torch's global generators inside is as if it had not been; `seed` makes it repeatable."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        if seed is not None:
            torch.manual_seed(seed)
        yield
