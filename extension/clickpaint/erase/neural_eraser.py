"""What erasers with weights share: the cache, the device, and what to do when memory runs out."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat.interruptible import interruptible
from clickpaint.erase.base import Eraser
from clickpaint.errors import CorruptModel
from clickpaint.progress import Progress
from clickpaint.weights import catalog
from clickpaint.weights import device as devices
from clickpaint.weights.device import Device
from clickpaint.weights.load_weights import load_torchscript

if TYPE_CHECKING:
    import torch

    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.store import Store


class NeuralEraser(Eraser):
    """An eraser whose network is loaded on first use and kept in `cache`.

    half: whether the network stays right in float16 on CUDA. Most here are Fourier networks, and FFTs of half floats exist
    only for some sizes on CUDA and not at all on CPUs; bfloat16's 8 bits show as bands in a picture.
    """

    half = False

    def __init__(self, store: Store, device: Device, cache: ModelCache) -> None:
        if device.kind not in ("cpu", "cuda", "xpu"):  # MPS and DirectML lack operations that the networks use
            device = Device("cpu")
        self.store, self.cache = store, cache
        half = self.half and device.kind == "cuda" and device.dtype != "float32"
        self.device = replace(device, dtype="float16" if half else "float32")

    @abstractmethod
    def load(self, device: Device) -> tuple[Any, int]:
        """The network on `device`, and what it costs in bytes. Raises `ModelMissing` or `CorruptModel`."""

    @abstractmethod
    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        """Fill `hole` of `crop` with the loaded network; uint8 [h, w, 3] RGB. Runs without gradients."""

    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        multiple = self.rules.multiple
        half_size = tuple(max(side // 2 // multiple, 1) * multiple for side in hole.shape[::-1])
        attempts = [lambda: self._run(crop, hole, self.device, progress)]
        if half_size < hole.shape[::-1]:
            attempts.append(lambda: self._run_at(half_size, crop, hole, progress))
        if self.device.kind != "cpu":
            attempts.append(lambda: self._run(crop, hole, Device("cpu"), progress))
        return devices.retrying(attempts, self._free, "Close other programs, or choose an eraser that needs no weights.")

    def _run(self, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        import torch

        key = (self.name, device.type, device.dtype)
        network = self.cache.get(key, lambda: self.load(device), progress)
        progress.report(0.1, "Erasing")

        def work() -> np.ndarray:
            with torch.inference_mode(), device.autocast():
                return self.infer(network, crop, hole, device, progress.part(0.1, 1.0))

        try:
            return interruptible(work, progress) if device.kind == "cpu" else work()
        except FloatingPointError:
            if device.dtype == "float32":
                raise CorruptModel("The network of {model} answers with NaN.", "Put another file there.", model=self.name) from None
        return self._run(crop, hole, device.full(), progress)

    def _run_at(self, size: tuple[int, ...], crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        """The same at a smaller size (width, height): less memory, and softer."""
        import cv2

        shrunk = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        covered = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        return cv2.resize(self._run(shrunk, covered, self.device, progress), hole.shape[::-1], interpolation=cv2.INTER_CUBIC)

    def _free(self) -> None:
        self.cache.unload()
        devices.release(self.device)

    def scripts(self, device: Device) -> tuple[dict[str, Any], int]:
        """Every TorchScript file of this model by its catalog name, and the bytes of all."""
        loaded: dict[str, Any] = {}
        for file in catalog.files_of(self.name):
            loaded[file.name] = load_torchscript(file, self.store.require(file.name), device)
        return loaded, sum(size_of(script) for script in loaded.values())


def size_of(network: torch.nn.Module) -> int:
    """Bytes of a network's parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))


def tensors(crop: np.ndarray, hole: np.ndarray, device: Device) -> tuple[torch.Tensor, torch.Tensor]:
    """`crop` as float [1, 3, h, w] in 0..1 and `hole` as float [1, 1, h, w] in {0, 1}, 1 = fill."""
    import torch

    image = torch.from_numpy(np.require(crop, requirements=["C", "W"])).permute(2, 0, 1)[None]
    mask = torch.from_numpy(np.require(hole, requirements=["C", "W"]))[None, None]
    return image.to(device.torch, torch.float32) / 255, mask.to(device.torch, torch.float32)


def picture(image: torch.Tensor) -> np.ndarray:
    """[1, 3, h, w] in 0..1 as uint8 [h, w, 3]. Raises `FloatingPointError` for NaN, which float16 can overflow to."""
    if image.isnan().any():
        raise FloatingPointError
    return (image[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
