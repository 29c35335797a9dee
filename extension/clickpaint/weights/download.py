"""Bring a file of the catalog onto this machine, whatever the network does on the way."""

from __future__ import annotations

from pathlib import Path


def part_of(target: Path) -> Path:
    """Where the bytes of an unfinished download of `target` wait."""
    return target.with_name(target.name + ".part")


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used to the first free of NAME.corrupt, NAME.1.corrupt, …; returns the new path."""
    names = [f"{path.name}.corrupt", *(f"{path.name}.{number}.corrupt" for number in range(1, 1000))]
    free = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    path.rename(free)
    return free
