"""What the segmenters of the SAM family share: load once, encode under autocast, decode prompts, bring masks to the picture's size."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.packed import DeferredMask, PackedMask, resampled
from clickpaint.progress import SILENT, Progress
from clickpaint.segment.base import Candidate, DeferredCandidate, Embedding, Prompts
from clickpaint.segment.resizing import resized
from clickpaint.segment.upscale import FourTimes, above, stable
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device, release, retrying
from clickpaint.weights.load_weights import load_state_dict, wrong_weights
from clickpaint.weights.store import Store

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 1024
"""What the encoders see is a square of this many pixels."""
LOGITS = 256
"""Side of the square of low-resolution logits that the decoders give and take back."""
_LESS_MEMORY = "Close other programs, choose a smaller segmenter, or set the device to cpu."


@dataclass(frozen=True, eq=False)
class Network:
    """A loaded network.

    Attributes:
        encoding: held while hooks hang on its encoder, so that two pictures never report to each other.
    """

    module: nn.Module
    dense_pe: Tensor
    encoding: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, eq=False)
class Given:
    """Prompts as a batch of B in the encoder's pixels.

    Attributes:
        points: float32 [B, N, 2] (x, y).
        labels: int32 [B, N].
        boxes: float32 [B, 4].
        previous: float32 [B, 1, 256, 256].
    """

    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None
    previous: Tensor | None = None


class NeuralSegmenter(ABC):
    """One network of the SAM family on one device.

    Weights come from the store and stay in the model cache, not here: making one costs nothing, unloading is the cache's
    affair. The encoder runs in the device's half precision; the decoder in float32, because it is what a mask's edge comes
    from. Neither part writes into its arguments; both can be called from several threads.

    Args:
        name: the segmenter's key.
        model: the catalog's name of its weights.
    """

    min_stability: ClassVar[float] = 0.0
    """A single mask less stable than this gives way to the best of the three (SAM 2 does so)."""

    def __init__(self, name: str, model: str, store: Store, device: Device, cache: ModelCache) -> None:
        self.name = name
        self.model = model
        self._store = store
        self._device = device
        self._cache = cache

    def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
        """Encode `pixels`, uint8 [H, W, 3] RGB: seconds on a CPU. Reports every block of the encoder, stops between them.

        Raises:
            ModelMissing, CorruptModel: no usable weights.
            OutOfMemory: not even the CPU has room.
        """
        height, width = pixels.shape[:2]
        features = self._with_less_memory(lambda segmenter: segmenter._features(pixels, progress))
        nbytes = sum(tensor.nbytes for tensor in features)
        return Embedding(self.name, width, height, nbytes, features)

    def predict(self, embedding: Embedding, prompts: Prompts, progress: Progress = SILENT) -> list[Candidate]:
        """Three candidates, best first.

        One point is ambiguous (the button, the shirt or the person?): the three masks that the network has for that case, by
        score. Anything more definite (several points, a box, a previous answer): the one mask that the network was trained
        to give then, followed by the two best of the three. (Kirillov et al. 2023, "Segment Anything", section 3 and
        appendix A: more than one prompt is trained with the fourth mask token only.)
        """
        import torch

        self._own(embedding)
        prompts.checked(embedding.width, embedding.height)
        progress.report(None, "Finding the object")
        given = self._given(embedding, prompts)
        definite = len(prompts.points) > 1 or prompts.box is not None or prompts.previous is not None
        with torch.no_grad():
            logits, scores = self._decoded(embedding, given)
            order = self._ranked(logits[0], scores[0], definite)
            kept, scores = logits[0, order].cpu(), scores[0, order].tolist()
        return [self._candidate(embedding, low, min(max(score, 0.0), 1.0)) for low, score in zip(kept, scores, strict=True)]

    def _candidate(self, embedding: Embedding, low: Tensor, score: float) -> Candidate:
        """A candidate from its logits [256, 256] on the CPU."""

        size, frame, logits = (embedding.width, embedding.height), replace(embedding, data=None), low[None].numpy()

        def mask(size: tuple[int, int] = size) -> np.ndarray:
            import torch

            with torch.no_grad():
                ((made,),) = above(self._unpadded(frame, low[None]), (size[1], size[0]), (0.0,))  # the encoded picture is not held for it
            return made

        def scaled(size: tuple[int, int]) -> np.ndarray:
            part = self._unpadded_part(frame, logits[0]) > 0
            return resampled(part, size) if max(size) <= LOGITS else mask(size)

        if not _surely_something(self._unpadded_part(frame, logits[0]) > 0):
            return Candidate(mask(), score, logits)
        return DeferredCandidate(DeferredMask(size, mask, scaled, logits.nbytes), score, logits)

    def decode_points(self, embedding: Embedding, points: np.ndarray) -> tuple[Tensor, Tensor]:
        """The three masks of each of many single positive points at once, for the everything mode.

        Args:
            points: [N, 2] (x, y) in the picture's pixels.

        Returns:
            Low-resolution logits, float32 [N, 3, 256, 256], and the predicted IoU, float32 [N, 3], both on the device.
        """

        self._own(embedding)
        coords = self._coords(embedding, np.asarray(points, dtype=np.float64)[:, None])
        sizes = sorted({len(points), max(1, len(points) // 8), 1}, reverse=True)
        attempts = [partial(self._decoded_in_turn, embedding, coords, size) for size in sizes]
        return retrying(attempts, lambda: release(self._device), _LESS_MEMORY)

    def _decoded_in_turn(self, embedding: Embedding, coords: Tensor, at_once: int) -> tuple[Tensor, Tensor]:
        import torch

        labels = torch.ones(coords.shape[:2], dtype=torch.int32, device=coords.device)
        parts = zip(coords.split(at_once), labels.split(at_once), strict=True)
        with torch.no_grad():
            decoded = [self._decoded(embedding, Given(points=part, labels=label)) for part, label in parts]
            return torch.cat([logits[:, 1:] for logits, _ in decoded]), torch.cat([scores[:, 1:] for _, scores in decoded])

    def stable_masks(self, embedding: Embedding, logits: Tensor, offset: float, least: float) -> Iterator[PackedMask | None]:
        """For each of the low-resolution logits [N, 256, 256] its mask; None for those that `upscale.stable` leaves out."""
        return stable(self._unpadded(embedding, logits), (embedding.height, embedding.width), offset, least)

    @property
    def on_cpu(self) -> bool:
        return self._device.kind == "cpu"

    @abstractmethod
    def _build(self, state: dict[str, Tensor]) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
        """The network with these weights, on the CPU, and what computes its dense positional encoding."""

    @abstractmethod
    def _encoder_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) at which the encoder sees a picture of this size."""

    @abstractmethod
    def _blocks(self, module: nn.Module) -> list[nn.Module]:
        """The encoder's blocks in the order in which they run."""

    @abstractmethod
    def _encoded(self, network: Network, image: Tensor) -> tuple[Tensor, ...]:
        """What the decoder needs of uint8 `image` [1, 3, h, w]. The heavy part runs under the device's autocast."""

    @abstractmethod
    def _decode(self, network: Network, features: tuple[Tensor, ...], given: Given) -> tuple[Tensor, Tensor]:
        """Logits [B, 4, 256, 256] and predicted IoU [B, 4]; the first is the mask for definite prompts."""

    @abstractmethod
    def _scale(self, embedding: Embedding) -> tuple[float, float]:
        """From the picture's x and y to the encoder's."""

    def _unpadded_part(self, embedding: Embedding, logits: np.ndarray) -> np.ndarray:
        """Of logits [256, 256] those samples that lie wholly within the picture."""
        return logits

    @abstractmethod
    def _unpadded(self, embedding: Embedding, logits: Tensor) -> Tensor | FourTimes:
        """Logits [N, 256, 256] as a field [N, h, w] that covers the picture exactly."""

    def _network(self, progress: Progress = SILENT) -> Network:
        def load() -> tuple[Network, int]:
            path = self._store.require(self.model, progress)
            progress.report(None, "Loading the model")
            state = load_state_dict(path)
            try:
                module, dense_pe = self._build(state)
            except (RuntimeError, KeyError) as error:  # torch's own words for keys and shapes that do not fit
                raise wrong_weights(self.model, path, error) from error
            module = module.requires_grad_(False).to(self._device.torch).eval()  # eval last: TinyViT gathers its biases there
            held = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
            return Network(module, dense_pe(module)), held

        return self._cache.get(self._key, load, progress)

    @property
    def _key(self) -> tuple[str, str, str]:
        return ("segmenter", self.name, self._device.type)

    def _features(self, pixels: np.ndarray, progress: Progress) -> tuple[Tensor, ...]:
        import torch

        network = self._network(progress)
        progress.report(0.0, "Encoding the picture")
        image = resized(pixels, self._encoder_size(pixels.shape[1], pixels.shape[0]), self._device)
        with torch.no_grad(), _reporting(network, self._blocks(network.module), progress):
            return tuple(tensor.float() for tensor in self._encoded(network, image))

    def _with_less_memory(self, work: Callable[[NeuralSegmenter], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """`work` here; if memory runs out, once more when everything else is unloaded, then on the CPU."""

        def free() -> None:
            for held in self._cache.contents():
                if held.key != self._key:
                    self._cache.unload(held.key)
            release(self._device)

        def elsewhere() -> tuple[Tensor, ...]:
            self._cache.unload(self._key)
            release(self._device)
            fallback = type(self)(self.name, self.model, self._store, Device(), self._cache)
            return tuple(tensor.to(self._device.torch) for tensor in work(fallback))

        attempts = [lambda: work(self), lambda: work(self)]
        if self._device.kind != "cpu":
            attempts.append(elsewhere)
        return retrying(attempts, free, _LESS_MEMORY)

    def _decoded(self, embedding: Embedding, given: Given) -> tuple[Tensor, Tensor]:
        network = self._network()
        logits, scores = self._decode(network, embedding.data, given)
        return logits.float(), scores.float()

    def _own(self, embedding: Embedding) -> None:
        if embedding.segmenter != self.name:
            raise InvalidInput(
                "This picture was encoded by {segmenter}, not by {name}.", "Encode it again.", segmenter=embedding.segmenter, name=self.name
            )

    def _coords(self, embedding: Embedding, points: np.ndarray) -> Tensor:
        """(x, y) in the last axis, from the picture's pixels to the encoder's; float32, as MPS and DirectML know no float64."""
        import torch

        scaled = np.asarray(points, dtype=np.float64) * np.array(self._scale(embedding))
        return torch.from_numpy(scaled.astype(np.float32)).to(self._device.torch)

    def _given(self, embedding: Embedding, prompts: Prompts) -> Given:
        import torch

        device = self._device.torch
        points = labels = boxes = previous = None
        if prompts.points:
            points = self._coords(embedding, np.array([[(point.x, point.y) for point in prompts.points]]))
            labels = torch.tensor([[point.label for point in prompts.points]], dtype=torch.int32, device=device)
        if prompts.box is not None:
            limits = (embedding.width, embedding.height) * 2
            box = np.clip(np.array(prompts.box, dtype=np.float64), 0, limits)
            boxes = self._coords(embedding, box.reshape(1, 2, 2)).reshape(1, 4)
        if prompts.previous is not None:
            low = np.asarray(prompts.previous, dtype=np.float32)
            if low.shape != (1, LOGITS, LOGITS) or not np.isfinite(low).all():
                raise InvalidInput(
                    "The previous answer cannot be used.", "Give the logits of a candidate, [1, {side}, {side}].", side=LOGITS
                )
            previous = torch.tensor(low, device=device)[None]
        return Given(points, labels, boxes, previous)

    def _ranked(self, logits: Tensor, scores: Tensor, definite: bool) -> list[int]:
        known = scores.tolist()
        three = sorted(range(1, len(known)), key=lambda index: -known[index])
        if definite and (not self.min_stability or self._stability(logits[0]) >= self.min_stability):
            return [0, *three[:2]]
        return three

    @staticmethod
    def _stability(logits: Tensor, offset: float = 0.05) -> float:
        """How little the mask changes with its threshold: area above `offset` over area above `-offset`."""
        outer = int((logits > -offset).sum())
        return int((logits > offset).sum()) / outer if outer else 1.0


def _surely_something(over: np.ndarray) -> bool:
    """Whether a field of samples, bool [h, w] for those above the threshold, is above it somewhere however it is enlarged: between four
    samples that are, every pixel is, and there is one."""
    return bool((over[:-1, :-1] & over[1:, :-1] & over[:-1, 1:] & over[1:, 1:]).any())


@contextmanager
def _reporting(network: Network, blocks: list[nn.Module], progress: Progress) -> Iterator[None]:
    """Report before every block of the encoder; `Interrupted` leaves the forward pass from there."""
    hooks: list[Any] = []
    with network.encoding:
        try:
            for number, block in enumerate(blocks):
                fraction = number / len(blocks)
                hooks.append(
                    block.register_forward_pre_hook(lambda *_, at=fraction: progress.report(at, "Encoding the picture"))
                )  # fmt: skip
            yield
        finally:
            for hook in hooks:
                hook.remove()
