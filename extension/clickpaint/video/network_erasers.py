"""Video erasers with a network of their own, which the user puts there: windows of frames in, frames without what was masked out."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel
from clickpaint.image.blend import alpha, composite
from clickpaint.image.blend import hole as hole_of
from clickpaint.progress import SILENT, Progress
from clickpaint.video.base import Frames, Masks
from clickpaint.video.filling import check_masks
from clickpaint.video.video_eraser import VideoEraseOptions
from clickpaint.weights import device as devices
from clickpaint.weights.folders import is_file

if TYPE_CHECKING:
    import torch

    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device

KIND = "video"
"""Of the host's folders: where the files lie."""
_ADVICE = "Close other programs, cut the clip into shorter ones, or choose the eraser propagation."


class WindowedEraser(ABC):
    """What the networks share. Each window begins with the last frames of the one before, as they are finished by then, so that what
    was painted goes on; what comes out counts inside the masks alone.

    Attributes:
        name: the key in the registry.
        window: frames that the network sees at once.
        remembered: how many of them are finished frames of the window before.
        multiple: what the sides in pixels are multiples of.
        area: pixels of a frame at which it works at most.
    """

    name: str
    window: int
    remembered: int
    multiple: int
    area: int

    def __init__(self, path: Path, device: Device, cache: ModelCache) -> None:
        self._path, self._device, self._cache = path, device, cache

    @abstractmethod
    def load(self) -> tuple[Any, int]:
        """The network, and what it costs in bytes."""

    @abstractmethod
    def infer(self, network: Any, frames: np.ndarray, holes: np.ndarray, progress: Progress) -> np.ndarray:
        """frames uint8 [T, h, w, 3], holes bool [T, h, w] → uint8 [T, h, w, 3]. Runs without gradients."""

    def erase(
        self, frames: Frames, masks: Masks, options: VideoEraseOptions | None = None, progress: Progress = SILENT
    ) -> Iterator[np.ndarray]:
        check_masks(frames, masks)
        return self._erased(frames, masks, options or VideoEraseOptions(), progress)

    def _erased(self, frames: Frames, masks: Masks, options: VideoEraseOptions, progress: Progress) -> Iterator[np.ndarray]:
        size, start = self.size_for(frames.size), 0
        finished: list[np.ndarray] = []
        while start < len(frames):
            numbers = range(start, min(start + self.window - len(finished), len(frames)))
            shown = [frames.frame(number) for number in numbers]
            wanted = [masks.mask(number) for number in numbers]
            holes = [hole_of(mask, options.grow, options.feather) for mask in wanted]
            progress.report(start / len(frames), "Erasing", done=start, total=len(frames), unit="frame")
            if any(hole.any() for hole in holes):
                nothing = np.zeros(frames.size[::-1], bool)
                made = self._run([*finished, *shown], [*[nothing] * len(finished), *holes], size, progress.part(0, 0))[len(finished) :]
            else:
                made = shown
            results = [
                composite(frame, result, alpha(mask, options.grow, options.feather)) if mask.any() else frame.copy()
                for frame, result, mask in zip(shown, made, wanted, strict=True)
            ]
            yield from results
            finished = [*finished, *results][-self.remembered :] if self.remembered else []
            start = numbers.stop

    def size_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) that the network works at for frames of `size`."""
        scale = min(1.0, (self.area / (size[0] * size[1])) ** 0.5)
        width, height = (max(int(side * scale) // self.multiple, 1) * self.multiple for side in size)
        return width, height

    def _run(self, frames: list[np.ndarray], holes: list[np.ndarray], size: tuple[int, int], progress: Progress) -> list[np.ndarray]:
        import cv2
        import torch

        small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
        covered = np.stack([cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0 for hole in holes])
        network = self._cache.get((self.name, str(self._path), self._device.type, self._device.dtype), self.load, progress)

        def work() -> np.ndarray:
            with torch.inference_mode():
                return self.infer(network, small, covered, progress)

        def free() -> None:
            devices.release(self._device)

        made = devices.retrying([work], free, _ADVICE)
        if made.shape != small.shape:
            raise CorruptModel(
                "{filename} answers with {shape} instead of {expected}.", "Put another file there.",
                filename=self._path.name, shape=list(made.shape), expected=list(small.shape),
            )  # fmt: skip
        whole = frames[0].shape[1::-1]
        return [frame if size == whole else cv2.resize(frame, whole, interpolation=cv2.INTER_CUBIC) for frame in made]


class ProPainter(WindowedEraser):
    """ProPainter (Zhou et al. 2023, "ProPainter: Improving Propagation and Transformer for Video Inpainting") as a TorchScript that the
    user made: frames float32 [1, T, 3, H, W] in -1..1 and masks float32 [1, T, 1, H, W] of 0 and 1, 1 = fill → the frames filled, as
    they came; H, W multiples of 8. Its licence (NTU S-Lab 1.0) allows no commercial use."""

    name, window, remembered, multiple, area = "propainter", 40, 8, 8, 640 * 360

    def load(self) -> tuple[Any, int]:
        import torch

        try:
            script = torch.jit.load(str(self._path), map_location="cpu").to(self._device.torch).eval()
        except Exception as error:
            if devices.out_of_memory(error):
                raise
            raise CorruptModel(
                "{filename} cannot be read as TorchScript: it is incomplete, damaged, or another kind of file.", "Put another file there.",
                filename=self._path.name,
            ) from error  # fmt: skip
        return script, sum(each.numel() * each.element_size() for each in script.parameters())

    def infer(self, network: Any, frames: np.ndarray, holes: np.ndarray, progress: Progress) -> np.ndarray:
        import torch

        values = torch.from_numpy(frames).permute(0, 3, 1, 2)[None].to(self._device.torch, torch.float32) / 127.5 - 1
        masks = torch.from_numpy(holes)[None, :, None].to(self._device.torch, torch.float32)
        made = network(values * (1 - masks), masks).float()
        made = made[0] if made.ndim == 5 else made
        return ((made.clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()


class WanVace(WindowedEraser):
    """VACE (Jiang et al. 2025, "VACE: All-in-One Video Creation and Editing") on Wan 2.1, from a folder in diffusers' layout."""

    name, window, remembered, multiple, area = "wan_vace", 81, 9, 16, 832 * 480
    steps, guidance = 25, 5.0
    prompt = "The empty scene: the background alone, with nobody and nothing in front of it."

    def load(self) -> tuple[Any, int]:
        torchvision.available()  # before diffusers is imported, which fails where the two do not fit together
        import diffusers

        try:
            kind: Any = diffusers.WanVACEPipeline
            pipeline = kind.from_pretrained(self._path, torch_dtype=self._device.torch_dtype, local_files_only=True)
        except Exception as error:
            if devices.out_of_memory(error):
                raise
            raise CorruptModel(
                "The folder {filename} cannot be read as WanVACEPipeline.", "Put all of its files there.", filename=self._path.name
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        pipeline.to(self._device.torch)
        parts = (pipeline.transformer, pipeline.vae, pipeline.text_encoder)
        return pipeline, sum(each.numel() * each.element_size() for part in parts for each in part.parameters())

    def infer(self, network: Any, frames: np.ndarray, holes: np.ndarray, progress: Progress) -> np.ndarray:
        import torch
        from PIL import Image

        count = -(-(len(frames) - 1) // 4) * 4 + 1  # frames but for the first one go into latents by fours
        padded = [*range(len(frames)), *[len(frames) - 1] * (count - len(frames))]
        grey = np.where(holes[..., None], np.uint8(128), frames)  # as it was trained: what is to be made is grey

        def step(_: Any, number: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            progress.report((number + 1) / self.steps, "Erasing", done=number + 1, total=self.steps, unit="step")
            return tensors

        made = network(
            prompt_embeds=self._words(network, self.prompt), negative_prompt_embeds=self._words(network, ""),
            video=[Image.fromarray(grey[place]) for place in padded],
            mask=[Image.fromarray(holes[place].astype(np.uint8) * 255) for place in padded],
            height=frames.shape[1], width=frames.shape[2], num_frames=count, num_inference_steps=self.steps, guidance_scale=self.guidance,
            generator=torch.Generator("cpu").manual_seed(0), output_type="np", callback_on_step_end=step,
        ).frames[0]  # fmt: skip
        return (np.asarray(made)[: len(frames)] * 255).round().clip(0, 255).astype(np.uint8)

    @staticmethod
    def _words(network: Any, prompt: str) -> torch.Tensor:
        """As the pipeline encodes them, [1, 512, C]; it would ask for the package ftfy first, which mends what needs no mending here."""
        import torch

        read = network.tokenizer(
            prompt, padding="max_length", max_length=512, truncation=True, return_attention_mask=True, return_tensors="pt"
        )
        device = network.text_encoder.device
        states = network.text_encoder(read.input_ids.to(device), read.attention_mask.to(device)).last_hidden_state
        return torch.where(read.attention_mask.to(device)[..., None] > 0, states, torch.zeros_like(states))


def propainter_file(folders: Iterable[Path]) -> Path | None:
    """The first TorchScript of ProPainter in these folders, by its name; None for none that may be read."""
    for folder in folders:
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                if "propainter" in path.name.lower() and path.suffix in (".pt", ".jit", ".ts", ".pth") and is_file(path):
                    return path
    return None


def wan_vace_folder(folders: Iterable[Path]) -> Path | None:
    """The first folder of a WanVACEPipeline in these, with the model_index.json that says so; None for none that may be read."""
    for folder in folders:
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                with suppress(OSError, ValueError, AttributeError):
                    if json.loads((path / "model_index.json").read_text("utf-8")).get("_class_name") == "WanVACEPipeline":
                        return path
    return None
