"""The device, its precision, and what running out of memory leads to; other devices than this machine's are played."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from clickpaint.errors import InvalidInput, OutOfMemory
from clickpaint.weights import device as devices
from clickpaint.weights.device import Device, free_bytes, models_budget, out_of_memory, pick, release, retrying


@pytest.fixture
def cuda(monkeypatch):
    """`cuda(capability, name)`: a machine with such a card."""

    def play(capability=(8, 6), name="NVIDIA GeForce RTX 3060", count=1):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
        monkeypatch.setattr(torch.version, "hip", None)

    return play


@pytest.fixture
def bf16(monkeypatch):
    def play(avx512: bool, amx: bool = False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)

    return play


def test_cpu_takes_bfloat16_only_where_the_processor_has_it(bf16):
    bf16(False)
    assert pick("cpu") == Device("cpu", "float32")
    assert pick("cpu", "half") == Device("cpu", "bfloat16")
    bf16(True)
    assert pick("cpu") == Device("cpu", "bfloat16")
    assert pick("cpu", "full") == Device("cpu", "float32")
    bf16(False, amx=True)
    assert pick("cpu") == Device("cpu", "bfloat16")


@pytest.mark.parametrize(
    ("capability", "name", "auto", "half"),
    [
        ((9, 0), "NVIDIA H200", "bfloat16", "bfloat16"),
        ((8, 6), "NVIDIA GeForce RTX 3060", "bfloat16", "bfloat16"),
        ((7, 5), "NVIDIA GeForce RTX 2070", "float16", "float16"),
        ((7, 5), "NVIDIA GeForce GTX 1660", "float32", "float16"),
        ((6, 1), "NVIDIA GeForce GTX 1080", "float32", "float16"),
    ],
)
def test_cuda_by_what_the_card_can(cuda, capability, name, auto, half):
    cuda(capability, name)
    assert pick().dtype == pick("cuda:0").dtype == auto
    assert pick("cuda", "half").dtype == half
    assert pick("cuda", "full").dtype == "float32"


def test_rocm_takes_float16(cuda, monkeypatch):
    cuda()
    monkeypatch.setattr(torch.version, "hip", "6.2")
    assert pick() == Device("cuda", "float16")


def test_directml_has_no_autocast():
    device = Device("privateuseone:0")
    assert devices._half("privateuseone", None, requested=True) == "float32"
    with device.autocast():
        pass


def test_mps_stays_full_unless_asked(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick() == Device("mps", "float32")
    assert pick("mps", "half").dtype == ("float16" if torch.amp.is_autocast_available("mps") else "float32")


@pytest.mark.parametrize("name", ["toaster", "cuda:zero", "directml", "cuda:7"])
def test_what_is_not_there_is_refused_with_a_remedy(name, cuda):
    cuda()
    with pytest.raises(InvalidInput) as caught:
        pick(name)
    assert caught.value.remedy


def test_no_card_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInput, match="not there"):
        pick("cuda")


def test_autocast_computes_in_the_dtype_and_full_switches_it_off():
    a = torch.ones(4, 4)
    with Device("cpu", "bfloat16").autocast():
        assert (a @ a).dtype == torch.bfloat16
        with Device("cpu").autocast():
            assert (a @ a).dtype == torch.float32
    half = Device("cpu", "bfloat16")
    assert half.full() == Device("cpu")
    assert half.torch == torch.device("cpu")
    assert half.torch_dtype is torch.bfloat16


def test_free_memory_and_budget():
    cpu = Device("cpu")
    free = free_bytes(cpu)
    assert 50_000_000 < free < 10**14
    assert models_budget(cpu, 300, held=0) == 300 << 20
    assert models_budget(cpu, 0, held=2 * 10**15) >= 10**15
    release(cpu)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemory("x"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("Invalid buffer size: 20.00 GB"),
        RuntimeError("Could not allocate tensor with 67108864 bytes. There is not enough GPU video memory available!"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("UR error: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_recognises_out_of_memory(error):
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("x"), KeyError("memory"), OSError(28, "No space left on device")]
)
def test_other_errors_are_not_out_of_memory(error):
    assert not out_of_memory(error)


def test_a_real_allocation_that_cannot_be():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert out_of_memory(caught.value)


def test_retries_smaller_after_freeing():
    freed, tensors = [], []

    class Big:
        pass

    def large():
        big = Big()
        tensors.append(weakref.ref(big))
        raise RuntimeError("CUDA out of memory.")

    def free():
        gc.collect()
        freed.append(tensors[0]() is None)  # nothing holds the failed attempt's data any more

    assert retrying([large, lambda: "small"], free, "Choose a smaller model.") == "small"
    assert freed == [True]


def test_gives_up_with_advice_and_lets_other_errors_through():
    def large():
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nlong story")

    def broken():
        raise KeyError("weights")

    with pytest.raises(OutOfMemory, match="smaller model") as caught:
        retrying([large, large], lambda: None, "Choose a smaller model.")
    assert caught.value.data == {"reason": "CUDA out of memory. Tried to allocate 2 GiB."}
    with pytest.raises(KeyError):
        retrying([broken, large], lambda: pytest.fail("nothing to free"), "")
