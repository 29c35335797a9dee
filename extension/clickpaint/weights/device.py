"""Where models run and in which precision; the one memory policy.

Policy
------
1. Device: what the user or the host says; "auto" takes the first of CUDA/ROCm, XPU, MPS, DirectML, CPU that is there.
2. Precision: weights stay float32, and the heavy part runs under autocast in `Device.dtype`, so that a result can be
   checked against float32 with the same weights and no layer has to be listed as "must stay float32". "auto" goes to half
   only where it is both faster and safe:
   - CUDA from compute capability 8.0: bfloat16, whose range is float32's, so that nothing can overflow to NaN.
   - CUDA 7.x and ROCm: float16. Not the GTX 16 series, whose float16 gives NaN; not before 7.0, where it is emulated.
   - CPU with avx512_bf16 or AMX: bfloat16 (halves SAM's encoder). Without them bfloat16 is emulated, several times slower.
   - XPU that reports bfloat16: bfloat16.
   - MPS: float32, because float16 is hardly faster there and some of its kernels return NaN; "half" asks for it anyway.
   - DirectML (privateuseone): always float32, it has no autocast. Neither it nor MPS has float64.
3. Budgets: loaded models may take the setting's bytes, or half of the memory that is free when nothing of ours is loaded
   (`models_budget`); least recently used out first (`weights.cache`).
4. Out of memory: `retrying` frees what is ours and goes on with the next, smaller attempt; after the last one it raises
   `OutOfMemory` with advice. The host's models are never touched here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clickpaint.errors import InvalidInput, OutOfMemory
from clickpaint.settings import MEGABYTE

if TYPE_CHECKING:
    import torch
    from torch import device as TorchDevice
    from torch import dtype as TorchType

T = TypeVar("T")
log = logging.getLogger(__name__)
_DIRECTML = "privateuseone"


@dataclass(frozen=True)
class Device:
    """Where to compute, and in which precision.

    Attributes:
        type: a torch device ("cpu", "cuda:0", "mps", "xpu", "privateuseone:0").
        dtype: "float32", "bfloat16" or "float16".
    """

    type: str = "cpu"
    dtype: str = "float32"

    @property
    def kind(self) -> str:
        """The type without its index."""
        return self.type.partition(":")[0]

    @property
    def torch(self) -> TorchDevice:
        import torch

        return torch.device(self.type)

    @property
    def torch_dtype(self) -> TorchType:
        import torch

        return getattr(torch, self.dtype)

    def autocast(self) -> AbstractContextManager[Any]:
        """Run float32 weights in `dtype`; does nothing, and also switches off an outer autocast, for float32."""
        import torch

        if not _can_autocast(self.kind):
            return contextlib.nullcontext()
        if self.dtype == "float32":
            return torch.autocast(self.kind, enabled=False)
        return torch.autocast(self.kind, dtype=self.torch_dtype)

    def full(self) -> Device:
        """The same device in float32: the next attempt after half precision went wrong."""
        return Device(self.type, "float32")


def pick(device: str = "auto", precision: str = "auto") -> Device:
    """The device and precision to work in, by the policy above.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "mps", "xpu", "directml" or any other that torch knows.
        precision: "auto", "full" (float32) or "half" (the device's best 16-bit type; float32 where it has none).

    Raises:
        InvalidInput: torch does not know the device, or it is not there.
    """
    import torch

    name = _best_device() if device == "auto" else device.strip().lower()
    if name.partition(":")[0] in ("directml", "dml"):
        name = _directml(name.partition(":")[2])
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise InvalidInput(
            "torch does not know a device {device!r}.", "Choose auto, cpu, cuda, cuda:1, mps, xpu or directml.", device=device
        ) from error
    _check_present(torch.device(name))
    if precision == "full":
        return Device(name)
    return Device(name, _half(kind, torch.device(name), requested=precision == "half"))


def free_bytes(device: Device) -> int:
    """Bytes that can still be allocated on the device, including those that torch holds in reserve there."""
    import torch

    if device.kind == "cuda":
        index = torch.cuda.current_device() if device.torch.index is None else device.torch.index
        free, _ = torch.cuda.mem_get_info(index)
        return free + torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    if device.kind == "mps":
        recommended = getattr(torch.mps, "recommended_max_memory", lambda: _free_ram() + torch.mps.driver_allocated_memory())()
        return max(0, min(_free_ram(), recommended - torch.mps.driver_allocated_memory()))
    if device.kind == "xpu":
        total = torch.xpu.get_device_properties(device.torch).total_memory
        return max(0, total - torch.xpu.memory_allocated(device.torch))
    return _free_ram()  # DirectML does not tell; what it maps comes out of this in the worst case


def models_budget(device: Device, megabytes: int, held: int) -> int:
    """Bytes that loaded models may take: the setting's, or for 0 half of what is free when the `held` bytes are let go."""
    return megabytes * MEGABYTE if megabytes else (free_bytes(device) + held) // 2


def release(device: Device) -> None:
    """Give what nobody refers to any more back to the device and to other programs."""
    import torch

    gc.collect()
    if device.kind == "cuda":
        with torch.cuda.device(device.torch):
            torch.cuda.empty_cache()
            torch.cuda.ipc_collect()
    elif device.kind in ("mps", "xpu"):
        getattr(torch, device.kind).empty_cache()


_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",  # OpenCV
    "invalid buffer size",  # MPS
    "could not allocate tensor",  # DirectML
    "not enough gpu video memory",  # DirectML
    "alloc_failed",  # cuDNN, cuBLAS
    "error_out_of_device_memory",  # XPU
    "error_out_of_host_memory",
)  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out, on whatever device."""
    text = str(error).lower()
    return isinstance(error, (MemoryError, OutOfMemory)) or any(phrase in text for phrase in _OUT_OF_MEMORY)


def retrying(attempts: Sequence[Callable[[], T]], free: Callable[[], None], advice: str) -> T:
    """The first attempt's result that does not run out of memory; `free` is called between attempts.

    Args:
        attempts: the same work, each needing less memory than the one before. Other errors are raised at once.
        advice: the remedy of the `OutOfMemory` that is raised when the last attempt runs out as well.
    """
    reason = ""
    for number, attempt in enumerate(attempts, 1):
        try:
            return attempt()
        except Exception as error:
            if not out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        # Outside of the except block: the error's traceback keeps the failed attempt's tensors alive.
        log.warning("Attempt %d of %d ran out of memory: %s", number, len(attempts), reason)
        free()
    raise OutOfMemory("The device ran out of memory.", advice, reason=reason)


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        return "xpu"
    if torch.backends.mps.is_available():
        return "mps"
    return "directml" if importlib.util.find_spec("torch_directml") is not None else "cpu"


def _directml(index: str) -> str:
    if importlib.util.find_spec("torch_directml") is None:
        raise InvalidInput("DirectML is not installed.", "Install torch-directml, or choose another device.")
    import torch_directml  # type: ignore[import-not-found]

    return str(torch_directml.device(int(index)) if index else torch_directml.device())


def _check_present(device: torch.device) -> None:
    import torch

    absent = InvalidInput("The device {device} is not there.", "Choose auto or cpu, or install the torch build for it.", device=str(device))
    if device.type in ("cuda", "xpu"):
        backend = getattr(torch, device.type, None)
        if backend is None or not backend.is_available() or (device.index or 0) >= backend.device_count():
            raise absent
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise absent


def _can_autocast(kind: str) -> bool:
    import torch

    if kind in ("cpu", "cuda"):
        return True
    known = getattr(torch.amp, "is_autocast_available", None)  # from torch 2.4
    return kind in ("mps", "xpu") and known is not None and known(kind)


def _half(kind: str, device: torch.device, requested: bool) -> str:
    if not _can_autocast(kind):
        return "float32"
    if kind == "cuda":
        return _half_of_cuda(device, requested)
    if kind == "cpu":
        return "bfloat16" if requested or _cpu_has_bfloat16() else "float32"
    if kind == "xpu":
        import torch

        return "bfloat16" if requested or getattr(torch.xpu, "is_bf16_supported", lambda: False)() else "float32"
    return "float16" if requested else "float32"  # mps


def _half_of_cuda(device: torch.device, requested: bool) -> str:
    import torch

    if torch.version.hip is not None:
        return "float16"
    major, _ = torch.cuda.get_device_capability(device)
    if major >= 8:
        return "bfloat16"
    slow_or_broken = major < 7 or "GTX 16" in torch.cuda.get_device_name(device)
    return "float16" if requested or not slow_or_broken else "float32"


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (avx512_bf16 or AMX)."""
    import torch

    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    answers = [bool(probe()) for probe in probes if probe is not None]
    if answers:
        return any(answers)
    with contextlib.suppress(OSError):  # torch before 2.5 cannot say
        return any(flag in Path("/proc/cpuinfo").read_text() for flag in ("avx512_bf16", "amx_bf16"))
    return False


def _free_ram() -> int:
    """Bytes of main memory that are free or can be freed without swapping, within the container's limit.

    psutil comes with the stand-alone program and with every web UI; where it is missing all the same, half of the machine's
    memory is a cautious guess.
    """
    if importlib.util.find_spec("psutil") is not None:
        import psutil  # type: ignore[import-not-found,import-untyped]

        free = psutil.virtual_memory().available
    elif hasattr(os, "sysconf"):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    else:
        free = 4 << 30
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        stat = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text()) - int(stat.get("inactive_file", 0))
        free = min(free, max(0, limit - used))
    return free
