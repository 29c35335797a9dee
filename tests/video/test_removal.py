"""Erasing from clips whose truth is known, the masks' tracking, and the command line over folders."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import numpy as np
import pytest

from clickpaint.erase.base import EraseOptions
from clickpaint.erase.classic_eraser import ClassicEraser, TeleaEraser
from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.progress import Progress
from clickpaint.video import side_by_side
from clickpaint.video.propagating_eraser import PropagatingEraser
from clickpaint.video.tracker_classic import ClassicTracker
from clickpaint.video.tracking import track
from clickpaint.video.video_eraser import VideoEraseOptions
from tests.benchmarks.video import psnr, unsteadiness
from tests.video.drawn import KINDS, Drawn, drawn, turning


def erased(clip: Drawn, **options: object) -> list[np.ndarray]:
    return list(PropagatingEraser(ClassicEraser()).erase(clip, clip, VideoEraseOptions(**options)))  # type: ignore[arg-type]


LEAST = {"static": 60, "pan": 32, "zoom": 43, "rotation": 46, "parallax": 22.7, "brightness": 34, "noise": 25.5}
"""dB in the hole; where the camera pans, what lies at the border is never seen."""

MOST = {"static": 1, "pan": 1.15, "zoom": 1.5, "rotation": 1.4, "parallax": 1.55, "brightness": 1.04, "noise": 1.05}
"""How unsteady the filled hole may be, against the truth; in clips without any noise a few tenths of a level are much."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_other_frames_show_comes_back(kind):
    clip = drawn(kind, (112, 80), 7)
    frames = erased(clip)
    assert psnr(clip, frames) >= LEAST[kind]
    assert unsteadiness(clip, frames) <= MOST[kind] * unsteadiness(clip, clip.truth) + 0.01
    by_frame = [TeleaEraser().erase(f, m, EraseOptions(0, 0)) for f, m in zip(clip.shown, clip.masks, strict=True)]
    assert psnr(clip, frames) >= psnr(clip, by_frame) + 2
    for before, after, mask in zip(clip.shown, frames, clip.masks, strict=True):
        assert (before == after)[~mask].all()


def test_a_still_camera_gives_back_what_was_there_and_an_input_is_not_written_to():
    clip = drawn("static", (112, 80), 5)
    before = [frame.copy() for frame in clip.shown]
    frames = erased(clip)
    off = [np.abs(f.astype(int) - t)[m] for f, t, m in zip(frames, clip.truth, clip.masks, strict=True)]
    assert np.mean(np.concatenate(off) <= 2) > 0.99
    assert all((a == b).all() for a, b in zip(before, clip.shown, strict=True))


def test_what_is_never_seen_is_painted_once_and_stays():
    clip = drawn("static", (112, 80), 5)
    hole = clip.masks[2]
    rng = np.random.default_rng(0)
    noisy = [np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for frame in clip.truth]
    frames = erased(Drawn(noisy, [hole] * 5, clip.truth), grain=False)
    off = [np.abs(frame[hole].astype(int) - frames[0][hole]).mean() for frame in frames]
    alone = [ClassicEraser().erase(frame, hole, EraseOptions(0, 0)) for frame in noisy]
    assert max(off) < 4 < max(np.abs(frame[hole].astype(int) - alone[0][hole]).mean() for frame in alone)


def test_grain_is_that_of_the_surroundings():
    clip = drawn("noise", (112, 80), 7)
    rough, smooth = erased(clip), erased(clip, grain=False)
    inner = clip.masks[3]
    assert 3 < np.std(rough[3].astype(float) - smooth[3], where=inner[..., None]) < 8  # of 6, less what the layers have


def test_a_cut_is_not_looked_across():
    first, second = drawn("static", (64, 48), 4), drawn("static", (64, 48), 4, seed=9)
    both = Drawn(first.shown + second.shown, first.masks + second.masks, first.truth + second.truth)
    assert psnr(both, erased(both)) > 30


class OneReader:
    """Reads a clip, and fails where two threads do at once."""

    def __init__(self, clip: Drawn) -> None:
        self._clip, self.size, self._reading = clip, clip.size, threading.Lock()

    def __len__(self) -> int:
        return len(self._clip)

    def _alone(self, read: Callable[[int], np.ndarray], number: int) -> np.ndarray:
        assert self._reading.acquire(blocking=False)
        try:
            return read(number).copy()
        finally:
            self._reading.release()

    def frame(self, number: int) -> np.ndarray:
        return self._alone(self._clip.frame, number)

    def mask(self, number: int) -> np.ndarray:
        return self._alone(self._clip.mask, number)


def test_several_threads_give_the_same_bytes_and_end_when_it_is_stopped(monkeypatch):
    clip, checks = OneReader(drawn("noise", (72, 56), 6)), itertools.count()
    results = []
    for count in (1, 3):
        monkeypatch.setattr(side_by_side, "processors", lambda count=count: count)
        eraser = PropagatingEraser(TeleaEraser()).erase(clip, clip, VideoEraseOptions())
        results.append([next(eraser), *(frame for frame in eraser if running() == 0)])
    assert all((a == b).all() for a, b in zip(*results, strict=True))
    with pytest.raises(Interrupted):
        list(PropagatingEraser(TeleaEraser()).erase(clip, clip, None, Progress(interrupted=lambda: next(checks) > 30)))
    assert running() == 0 < next(checks) < 60  # each stops at its next look


def running() -> int:
    return sum(thread.name.startswith("clickpaint-video") for thread in threading.enumerate())


def test_masks_of_another_size_are_refused():
    clip = drawn("static", (64, 48), 2)
    with pytest.raises(InvalidInput, match="The masks are 32 × 48, the frames 64 × 48"):
        erased(Drawn(clip.shown, [mask[:, :32] for mask in clip.masks], clip.truth))


def test_the_side_that_comes_in_as_something_turns_is_followed():
    clip = turning()
    masks = track(ClassicTracker(), clip, {0: clip.masks[0]})
    found = [masks.mask(number) for number in range(len(clip))]
    assert min((a & b).sum() / (a | b).sum() for a, b in zip(found, clip.masks, strict=True)) > 0.85
