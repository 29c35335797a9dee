"""How the tests share a machine: as many processes as it has processors, with one thread each, the longest files first."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

ONE_THREAD = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
"""Variables from which libraries read, when they are imported, how many threads to start; child processes inherit them.

A picture of a test's size is computed sooner than a second thread is woken, and every processor has its own tests to run.
"""

KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": (-3, 1 << 30), "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 29)}
"""Variables from which GNU's C library reads how it gives memory back, the numbers of the same for mallopt(), and bytes.

By itself it asks the system for every array of 32 megabytes and more, and gives it back at once: each page is then cleared and mapped anew
for every layer of a network, which took as long as the layer.
"""

WORKER_BYTES = 5 << 30
"""Memory that one process of tests comes to hold, where two share all the work: torch, what it imports, and every toy that was made."""

LONGEST_FIRST = (
    "tests/browser/test_page.py",
    "tests/train/test_training_run.py",
    "tests/browser/test_hands.py",
    "tests/app/test_killed_server.py",
    "tests/browser/test_describe.py",
    "tests/studio/test_own_sampler.py",
    "tests/test_benchmarks.py",
    "tests/browser/test_keeping.py",
    "tests/browser/test_session.py",
    "tests/browser/test_checkpoint.py",
    "tests/paint/adapters/test_control.py",
    "tests/browser/test_accessible.py",
    "tests/browser/test_training.py",
    "tests/paint/diffusion/test_engines.py",
    "tests/browser/test_widths.py",
    "tests/browser/test_painting.py",
    "tests/browser/test_control.py",
    "tests/paint/checkpoint/test_aliases.py",
    "tests/cli/test_cli.py",
    "tests/segment/test_classic.py",
    "tests/browser/test_film.py",
    "tests/segment/test_sam.py",
    "tests/test_types.py",
    "tests/browser/test_cutting.py",
    "tests/hosts/test_webui_page.py",
    "tests/control/test_neural.py",
    "tests/paint/diffusion/test_equality.py",
    "tests/browser/test_several_pictures.py",
    "tests/erase/test_neural.py",
    "tests/segment/test_everything.py",
    "tests/browser/test_behind_proxy.py",
    "tests/paint/diffusion/test_edits.py",
    "tests/js/test_node.py",
    "tests/browser/test_settings.py",
    "tests/api/test_limits.py",
    "tests/app/test_serving.py",
    "tests/caption/test_eyes.py",
    "tests/hosts/test_webui_script.py",
    "tests/cli/test_train.py",
    "tests/studio/test_video_painting.py",
    "tests/paint/adapters/test_lora.py",
    "tests/train/test_low_rank.py",
    "tests/paint/checkpoint/test_numbers.py",
    "tests/cli/test_files.py",
    "tests/api/test_videos.py",
)
"""Files that take longest, so that none of them is started when all else is done, where no run was yet that measured them."""


def bind_threads() -> None:
    """One thread for this process and its children, where the environment says nothing else. Before anything heavy is imported."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def keep_memory() -> None:
    """Large arrays take the memory that those before them left, here and in child processes, where the environment says nothing else."""
    if sys.platform != "linux":
        return
    for name, (parameter, size) in KEPT_MEMORY.items():
        if name not in os.environ:
            os.environ[name] = str(size)
            with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
                ctypes.CDLL(None).mallopt(parameter, size)


def spare_stubs() -> None:
    """Keeps Gradio, imported later, from writing a `.pyi` file beside each of its own at every import, for a second."""

    def without(module: ModuleType) -> None:
        module.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]

    when_imported("gradio.component_meta", without)


def spare_zeros() -> None:
    """Keeps diffusers and our own layers, imported later, from computing what a toy checkpoint multiplies by nothing."""

    def skipping() -> Any:
        return importlib.import_module("tests.toys.skipping")

    when_imported("diffusers.models.resnet", lambda module: skipping().skip_zeros(module))
    when_imported("clickpaint.paint.diffusion.lean_layers", lambda module: skipping().skip_zeros_in_lean_layers(module))


def when_imported(name: str, change: Callable[[ModuleType], None]) -> None:
    """Calls `change` with the module of this name as soon as it is imported; asked for again, in place of what was asked for before."""
    for finder in sys.meta_path:
        if isinstance(finder, _Changing) and finder.name == name:
            finder.change = change
            return
    sys.meta_path.insert(0, _Changing(name, change))


class _Changing(MetaPathFinder):
    """Finds one module, and has it changed once it is there."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self.name, self.change = name, change

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_change(module: ModuleType) -> None:
                run(module)
                self.change(module)

            spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec


_imported = 0


def keep_imported(least: int) -> None:
    """Where so many modules or more were imported since the last time: from now on the garbage collector passes over all there is."""
    global _imported
    if len(sys.modules) - _imported < least:
        return
    _imported = len(sys.modules)
    if least:
        gc.collect()
    gc.freeze()


def workers(processors: int, memory: int | None, arguments: list[str], *, output_shown: bool = False) -> int:
    """How many processes run the tests beside the one that reports.

    Args:
        processors: those that this process may use.
        memory: the machine's, in bytes; None where it is not known.
        arguments: the files, folders and tests that pytest was asked for.
        output_shown: somebody wants to see what tests print, which only the reporting process can show.

    Returns:
        0 where one process does it all: a file is not divided.
    """
    if output_shown:
        return 0
    files = {argument.split("::")[0] for argument in arguments}
    most = len(files) if files and all(file.endswith(".py") for file in files) else processors
    if memory is not None:
        processors = max(1, min(processors, memory // WORKER_BYTES))
    count = min(processors, most)
    return count if count > 1 else 0


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """The machine's memory in bytes, None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def longest_first(measured: dict[str, float]) -> Callable[[str], tuple[float, int]]:
    """A key that sorts files.

    Args:
        measured: seconds that files took when they ran last. Of those that are not there, the long ones come first and the others last.
    """
    place = {file: number for number, file in enumerate(LONGEST_FIRST)}
    return lambda file: (-measured.get(file, math.inf if file in place else 0.0), place.get(file, len(place)))


def trim() -> None:
    """Gives memory that was freed back to the system, which the C library keeps for later: gigabytes, after networks and pictures."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """The bytes of memory that this process holds, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError):
        return 0
