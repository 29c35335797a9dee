"""How well and how fast something is removed from clips, and what that takes in memory.

    python -m tests.benchmarks.video [CASE_FOLDER …] [--frames 100 1000] [--json]

Clips are drawn, with known truth behind the hole; CASE_FOLDERs hold more (input/, mask/ and truth/ with NNNN.png). For each: PSNR in the
hole of the video eraser, of the image eraser frame by frame and of OpenCV's Telea frame by frame; the same over that part of the holes
whose truth is seen in another frame; how steady it is, as the difference in levels of a frame and the one before it, moved along the
truth's flow, beside the truth's own; values changed outside; seconds a frame, of the clock and of processor time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.erase.classic_eraser import ClassicEraser, TeleaEraser
from clickpaint.video.clips import FolderClip, masks_for
from clickpaint.video.flow import NOTHING, consistent, grid, optical_flow
from clickpaint.video.propagating_eraser import PropagatingEraser
from clickpaint.video.video_eraser import VideoEraseOptions
from tests.video.drawn import KINDS, Drawn, drawn


def from_folder(folder: Path) -> Drawn:
    clip, truth = FolderClip(folder / "input"), FolderClip(folder / "truth")
    masks = masks_for(FolderClip(folder / "mask"), clip)
    numbers = range(len(clip))
    return Drawn([clip.frame(n) for n in numbers], [masks.mask(n) for n in numbers], [truth.frame(n) for n in numbers])


def psnr(clip: Drawn, frames: list[np.ndarray]) -> float:
    squared = [((f.astype(float) - t) ** 2)[m].mean() for f, t, m in zip(frames, clip.truth, clip.masks, strict=True) if m.any()]
    return float(10 * np.log10(255**2 / max(np.mean(squared), 1e-9)))


def seen_elsewhere(clip: Drawn) -> list[np.ndarray]:
    """Of each hole what of its truth another frame shows, bool [H, W]: the truth's own flow leads from frame to frame to a place outside of
    that frame's hole, and back at every step to where it came from."""
    flow, count = optical_flow(), len(clip)
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip.truth]
    steps: dict[tuple[int, int], np.ndarray] = {}
    for number in range(count - 1):
        forth, back = (flow.calc(*pair, NOTHING) for pair in ((grays[number], grays[number + 1]), (grays[number + 1], grays[number])))
        steps[number, 1] = np.dstack([forth, consistent(forth, back).astype(np.float32)])
        steps[number + 1, -1] = np.dstack([back, consistent(back, forth).astype(np.float32)])
    shown = [(~mask).astype(np.float32) for mask in clip.masks]
    result = []
    for number in range(count):
        seen = np.zeros_like(clip.masks[number])
        rows, columns = np.nonzero(clip.masks[number])
        for step in (1, -1):
            places, now = np.stack([columns, rows], axis=1).astype(np.float32)[:, None], number
            followed = np.ones(len(rows), bool)
            while (now, step) in steps and followed.any():
                ways = cv2.remap(steps[now, step], places, NOTHING, cv2.INTER_LINEAR).reshape(-1, 1, 3)
                places, now = places + ways[..., :2], now + step
                followed &= (ways[:, 0, 2] > 0.99) & ((places >= 0) & (places <= np.array(clip.size) - 1)).all(axis=2)[:, 0]
                there = cv2.remap(shown[now], places, NOTHING, cv2.INTER_LINEAR).reshape(-1) > 0.99
                seen[rows, columns] |= followed & there
        result.append(seen)
    return result


def psnr_over(clip: Drawn, frames: list[np.ndarray], where: list[np.ndarray]) -> float:
    """Over all pixels of `where` (bool [H, W] a frame) together."""
    squared = [((f.astype(float) - t) ** 2)[m] for f, t, m in zip(frames, clip.truth, where, strict=True)]
    return float(10 * np.log10(255**2 / max(np.concatenate(squared).mean(), 1e-9)))


def unsteadiness(clip: Drawn, frames: list[np.ndarray]) -> float:
    """Mean absolute difference, in levels, of each frame and the one before it, moved along the truth's flow; in the hole."""
    flow, differences = optical_flow(), []
    for number in range(1, len(frames)):
        if clip.masks[number].any():
            now, before = (cv2.cvtColor(clip.truth[n], cv2.COLOR_RGB2GRAY) for n in (number, number - 1))
            places = grid(*clip.size) + flow.calc(now, before, NOTHING)
            moved = cv2.remap(frames[number - 1], places, NOTHING, cv2.INTER_LINEAR)
            differences.append(np.abs(moved.astype(float) - frames[number])[clip.masks[number]].mean())
    return float(np.mean(differences)) if differences else 0.0


def measured(name: str, clip: Drawn) -> dict[str, object]:
    began, wall = time.process_time(), time.perf_counter()
    frames = list(PropagatingEraser(ClassicEraser()).erase(clip, clip, VideoEraseOptions()))
    seconds, wall = (time.process_time() - began) / len(clip), (time.perf_counter() - wall) / len(clip)
    alone, erasers = EraseOptions(grow=0, feather=0), (ClassicEraser(), TeleaEraser())
    by_frame = [[eraser.erase(f, m, alone) for f, m in zip(clip.shown, clip.masks, strict=True)] for eraser in erasers]
    seen = seen_elsewhere(clip)
    where_seen = [f"{psnr_over(clip, each, seen):.2f}" if any(m.any() for m in seen) else "-" for each in (frames, *by_frame)]
    return {
        "clip": name,
        "hole": f"{np.mean(clip.masks):.2%}",
        "psnr": round(psnr(clip, frames), 2),
        "image eraser": round(psnr(clip, by_frame[0]), 2),
        "telea": round(psnr(clip, by_frame[1]), 2),
        "seen": f"{sum(m.sum() for m in seen) / max(sum(m.sum() for m in clip.masks), 1):.0%}",
        **dict(zip(("psnr seen", "image seen", "telea seen"), where_seen, strict=True)),
        "warp": round(unsteadiness(clip, frames), 2),
        "of truth": round(unsteadiness(clip, clip.truth), 2),
        "outside": sum(int((f != s)[~m].sum()) for f, s, m in zip(frames, clip.shown, clip.masks, strict=True)),
        "s/frame clock": round(wall, 2),
        "s/frame CPU": round(seconds, 2),
    }


class Endless:
    """A clip of any length that repeats a drawn one to and fro; it holds no more than that."""

    def __init__(self, count: int) -> None:
        self._clip, self._count = drawn("pan", (160, 96), 12), count
        self.size = self._clip.size

    def __len__(self) -> int:
        return self._count

    def _at(self, number: int) -> int:
        there = number % 22
        return there if there < 12 else 22 - there

    def frame(self, number: int) -> np.ndarray:
        return self._clip.frame(self._at(number)).copy()

    def mask(self, number: int) -> np.ndarray:
        return self._clip.mask(self._at(number)).copy()

    def seconds(self, number: int) -> float:
        return 0.04


def opened_and_changed(count: int) -> None:
    """A video of that many frames is opened as over HTTP, has a mask in each, is changed, written and made ready to be played."""
    from clickpaint.progress import Progress
    from clickpaint.video.base import Frames, Masks
    from clickpaint.video.clip_writing import write_clip
    from tests.toys.studio import toy_studio

    clip = Endless(count)

    def make(frames: Frames, masks: Masks, progress: Progress) -> Iterator[np.ndarray]:
        return (np.where(masks.mask(n)[..., None], 7, frames.frame(n)).astype(np.uint8) for n in range(len(frames)))

    with tempfile.TemporaryDirectory() as name:
        studio = toy_studio(Path(name))
        with studio.video_library.incoming() as part:
            file = part / "clip.mp4"
            write_clip(file, (clip.frame(n) for n in range(count)), clip)
            file.rename(part / "source" / "0")
            video = studio.video_library.open(part, [file.name])
        video.record.put_object("1", "")
        video.record.give("1", ((n, clip.mask(n), {}) for n in range(count)))
        studio.video_results.change(video, "erase", "Remove", make)
        studio.video_views.result(video)
        studio.video_views.playable(video)
        studio.shut_down()


WORK = {
    "removing": "clip = Endless(count)\nfor _ in PropagatingEraser(TeleaEraser()).erase(clip, clip, VideoEraseOptions()): pass",
    "all around it": "opened_and_changed(count)",
}


def peak_of(count: int, work: str = "removing") -> int:
    """Bytes of memory at most of a process that does one of `WORK` on that many frames."""
    code = (
        f"import resource\nfrom tests.benchmarks.video import *\ncount = int(sys.argv[1])\n{WORK[work]}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    return int(subprocess.run([sys.executable, "-c", code, str(count)], check=True, capture_output=True, text=True).stdout)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="CASE_FOLDER")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 180), metavar=("W", "H"), help="of the drawn clips")
    parser.add_argument("--count", type=int, default=14, help="frames of the drawn clips; 0 for none of them")
    parser.add_argument("--frames", type=int, nargs="*", default=(), metavar="N", help="lengths whose peak of memory is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    next(PropagatingEraser(ClassicEraser()).erase(clip := drawn("pan"), clip))  # what is loaded once is no frame's time
    clips: list[tuple[str, Callable[[], Drawn]]] = [(folder.name, lambda folder=folder: from_folder(folder)) for folder in options.folders]
    if options.count:
        clips += [(kind, lambda kind=kind: drawn(kind, tuple(options.size), options.count, hole=0.35)) for kind in KINDS]
    rows = [measured(name, make()) for name, make in clips]
    peaks = {work: {count: peak_of(count, work) for count in options.frames} for work in WORK}
    if options.json:
        print(json.dumps({"clips": rows, "peak": peaks}))
        return 0
    for number, row in enumerate(rows):
        if number == 0:
            print(" ".join(f"{key:>14}" for key in row))
        print(" ".join(f"{value!s:>14}" for value in row.values()))
    for work, by_count in peaks.items():
        for count, peak in by_count.items():
            print(f"{work}, {count} frames: at most {peak >> 20} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
