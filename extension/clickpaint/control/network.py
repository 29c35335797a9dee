"""A network that a preprocessor runs: loaded from a file of the catalog on first use, kept in the cache, on the CPU if need be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clickpaint.compat.interruptible import interruptible
from clickpaint.compat.randomness import kept_randomness
from clickpaint.control.base import Tools
from clickpaint.erase.neural_eraser import size_of
from clickpaint.weights import catalog
from clickpaint.weights import device as devices
from clickpaint.weights.device import Device
from clickpaint.weights.load_weights import load_state_dict, load_torchscript, wrong_weights

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

T = TypeVar("T")
_ADVICE = "Choose a smaller resolution, or close other programs."


def without_module(state: State) -> State:
    """The weights without the "module." that training on several GPUs leaves before their names."""
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def transferred(state: State, network: torch.nn.Module) -> State:
    """Weights named as in Caffe ("conv1_1.weight") for a network that groups its layers ("model0.conv1_1.weight")."""
    return {name: state[name.partition(".")[2]] for name in network.state_dict()}


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes:
        model: its file's name in the catalog.
        build: the network, on the CPU, with any weights; None for TorchScript, whose file holds the network too.
        fit: the file's tensors under the network's names, given (state, network).
        strict: whether the file must hold all of the network's tensors and no others.
    """

    model: str
    build: Callable[[], torch.nn.Module] | None = None
    fit: Callable[[State, torch.nn.Module], State] = lambda state, network: without_module(state)
    strict: bool = True

    def run(self, tools: Tools, work: Callable[[Any, torch.device], T]) -> T:
        """`work(network, device)` in float32 and without gradients; on the CPU if the device runs out of memory.

        Raises:
            ModelMissing, CorruptModel: the file. OutOfMemory, Interrupted.
        """
        device = replace(tools.device, dtype="float32")
        if device.kind not in ("cpu", "cuda", "xpu"):  # MPS and DirectML lack operations that some of the networks use
            device = Device()
        attempts = [lambda: self._on(device, tools, work)]
        if device.kind != "cpu":
            attempts.append(lambda: self._on(Device(), tools, work))

        def free() -> None:
            tools.models.unload()
            devices.release(device)

        return devices.retrying(attempts, free, _ADVICE)

    def _on(self, device: Device, tools: Tools, work: Callable[[Any, torch.device], T]) -> T:
        import torch

        network = tools.models.get(("control", self.model, device.type), lambda: self._load(tools, device), tools.progress)
        tools.progress.report(None, "Looking at the picture")

        def task() -> T:
            with torch.inference_mode(), device.autocast():
                return work(network, device.torch)

        return interruptible(task, tools.progress) if device.kind == "cpu" else task()

    def _load(self, tools: Tools, device: Device) -> tuple[torch.nn.Module, int]:
        path = tools.store.require(self.model, tools.progress)
        tools.progress.report(None, "Loading the model")
        if self.build is None:
            network = load_torchscript(catalog.files_of(self.model)[0], path, device)
        else:
            state = load_state_dict(path)
            with kept_randomness():
                network = self.build()
            try:
                network.load_state_dict(self.fit(state, network), strict=self.strict)
            except (RuntimeError, KeyError) as error:  # torch's own words for names and shapes that do not fit
                raise wrong_weights(self.model, path, error) from error
            network = network.requires_grad_(False).to(device.torch).eval()
        return network, size_of(network)


def batch(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 [H, W, 3] as float [1, 3, H, W] in 0..255."""
    import torch

    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].to(device, torch.float32)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """0..1 as uint8, truncated, as sd-webui-controlnet does it."""
    return (values * 255.0).clip(0, 255).astype(np.uint8)
