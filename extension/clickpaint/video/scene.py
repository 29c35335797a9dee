"""A clip and its holes as propagation sees them: what is visible where, and how things move between neighbouring frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.image.channels import chosen, length_of, scaled
from clickpaint.video.base import Frames, Masks, Recent
from clickpaint.video.flow import CONTAMINATED, Flow, both_ways, completed, grid, sampled, work_size
from clickpaint.video.layer_edges import second_layer
from clickpaint.video.motion import Camera, scene_planes, transformed
from clickpaint.video.side_by_side import MOST

HALO = 2
"""Pixels around a hole that no other frame takes anything from: the object's soft edge."""
CUT = 0.35
"""Share of the visible pixels whose flow must be consistent; below, the scene has changed."""

PASSES = 2.0
"""Pixels of work beyond the camera's motion from which on something is likelier an object of its own than the background."""


@dataclass(frozen=True, eq=False)
class Motion:
    """From one frame to a neighbour.

    Attributes:
        flow: float32 [h, w, 2] at the size of work, in its pixels, completed everywhere.
        camera: see `Camera`; None where the flow follows none.
        second: the motion of the scene's other layer, as of a floor before a wall; None where there is only one.
        cut: nothing of the one is to be found in the other.
    """

    flow: np.ndarray
    camera: Camera | None
    second: Camera | None
    cut: bool


class Scene:
    """Frames, holes and motions by number, each made once as long as it is near what was asked for last. Several threads may ask.

    Args:
        most: how many frames are kept.

    Attributes:
        size: (width, height) of the frames.
        scale: (x, y) pixels of a frame for one pixel at the size of work.
    """

    def __init__(self, frames: Frames, masks: Masks, most: int) -> None:
        self.frames, self.masks = frames, masks
        self.size = frames.size
        self._work = work_size(self.size)
        self.scale = self.size[0] / self._work[0], self.size[1] / self._work[1]
        self._reading = threading.Lock()  # a decoder serves one at a time, and the masks may come from the same
        self.frame: Recent[np.ndarray] = Recent(lambda number: self._read(frames.frame, number), most)
        self.hole: Recent[np.ndarray] = Recent(lambda number: self._read(masks.mask, number), most)
        self.seen: Recent[np.ndarray] = Recent(self._seen, most)
        self._small: Recent[tuple[np.ndarray, np.ndarray]] = Recent(self._shrunk, 3 + MOST)
        self._motions: Recent[tuple[Motion, Motion]] = Recent(self._moved, most)

    def __len__(self) -> int:
        return len(self.frames)

    def _read(self, read: Callable[[int], np.ndarray], number: int) -> np.ndarray:
        with self._reading:
            return read(number)

    def motion(self, number: int, step: int) -> Motion:
        """From frame `number` to its neighbour `number + step`, step 1 or -1."""
        return self._motions(number)[0] if step > 0 else self._motions(number - 1)[1]

    def _seen(self, number: int) -> np.ndarray:
        """uint8 [H, W], 255 where the frame shows what it may lend to others."""
        return np.where(masks_.grow(self.hole(number), HALO), 0, 255).astype(np.uint8)

    def _shrunk(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The frame in grey at the size of work with its holes filled smoothly, and the holes."""
        import cv2

        hole = self.hole(number)
        gray = cv2.cvtColor(self.frame(number), cv2.COLOR_RGB2GRAY)
        if self._work != self.size:
            gray = cv2.resize(gray, self._work, interpolation=cv2.INTER_AREA)
            hole = cv2.resize(hole.astype(np.float32), self._work, interpolation=cv2.INTER_AREA) > 0
        if not hole.any():
            return gray, hole
        # The object is taken out first: it would drag the flow around it along.
        filled = completed(gray.astype(np.float32), ~masks_.grow(hole, 1))
        return np.where(hole, np.clip(np.rint(filled), 0, 255).astype(np.uint8), gray), hole

    def _moved(self, number: int) -> tuple[Motion, Motion]:
        """Between frame `number` and the next, both ways."""
        (first, first_hole), (second, second_hole) = self._small(number), self._small(number + 1)
        forth, back = both_ways(first, second, first_hole, second_hole)
        return self._motion(forth, first, first_hole), self._motion(back, second, second_hole)

    def _motion(self, flow: Flow, gray: np.ndarray, hole: np.ndarray) -> Motion:
        import cv2

        texture = np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        found, second = scene_planes(flow, texture, self.scale)
        visible = ~hole
        trusted = float(flow.trusted[visible].mean()) if visible.any() else 0.0
        if not flow.trusted.any():
            return Motion(self._at_work(found), found, second, trusted < CUT)
        flows = [self._at_work(found)]
        if second is not None:
            flows.append(self._at_work(second))
        missed = [length_of(flow.vectors - of_layer) for of_layer in flows]
        belongs = [flow.trusted] if second is None else [flow.trusted & (missed[0] <= missed[1]), flow.trusted & (missed[0] > missed[1])]
        # What is hidden moves as its surroundings do, beyond what their layer does; what passes by beside it counts little.
        whole = [
            of_layer + completed(flow.vectors - of_layer, own / (1 + miss**2 / PASSES**2))
            for of_layer, miss, own in zip(flows, missed, belongs, strict=True)
        ]
        if second is None:
            return Motion(whole[0], found, None, trusted < CUT)
        # Between two layers there is an edge, also behind the object.
        hidden = masks_.grow(hole, CONTAMINATED + 2) & ~flow.trusted
        return Motion(chosen(second_layer(belongs[0], belongs[1], hidden), whole[1], whole[0]), found, second, trusted < CUT)

    def _at_work(self, layer: Camera | None) -> np.ndarray:
        """A layer's motion at the size of work, float32 [h, w, 2]."""
        here = grid(*self._work)
        if layer is None:
            return np.zeros_like(here)
        scale = np.array(self.scale, np.float32)
        there = transformed(layer.matrix, scaled(here, scale, 0.5 * scale - 0.5))
        return scaled(there, 1 / scale, 0.5 / scale - 0.5) - here

    def follow(self, places: np.ndarray, number: int, step: int) -> np.ndarray:
        """Where `places` (float32 [h, w, 2], in pixels of frame `number`) are in the frame `number + step`, step 1 or -1."""
        flow = self.motion(number, step).flow
        if self._work == self.size:
            return places + sampled(flow, places)
        scale = np.array(self.scale, np.float32)
        return places + scaled(sampled(flow, scaled(places, 1 / scale, 0.5 / scale - 0.5)), scale, np.zeros(2, np.float32))
