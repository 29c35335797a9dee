"""What is kept of a workspace: its contents, and these as a manifest and arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.segment.base import Point
from clickpaint.session.steps import Series, State
from clickpaint.session.versions import Frame, Tiles

if TYPE_CHECKING:
    from clickpaint.caption.base import Turn
    from clickpaint.image.picture import Picture
    from clickpaint.paint.in_picture import PaintResult

FORMAT = 1

NameOf = Callable[[str, object, Callable[[], Mapping[str, np.ndarray]]], str]
"""name_of(kind, content, arrays): of the file that holds the content, which is written where it is new."""


@dataclass(frozen=True, eq=False)
class Contents:
    """All of a workspace that is worth keeping after the program ended, as it was at one moment.

    Attributes:
        name, opened, segmenter, results, results_of, chat: as in `Workspace`.
        states: of the timeline.
        index: of the state shown.
        last_version: the highest number that a version ever had.
        tiles: by the version's number.
        frames: of the versions that brought a canvas of their own.
        texts: infotexts by the version's number.
    """

    name: str
    opened: float
    segmenter: str
    states: tuple[State, ...]
    index: int
    last_version: int
    tiles: Mapping[int, Tiles]
    frames: Mapping[int, Frame]
    texts: Mapping[int, str]
    results: tuple[PaintResult, ...]
    results_of: PackedMask | None
    chat: tuple[Turn, ...]


def manifest_of(id: str, contents: Contents, name_of: NameOf) -> dict[str, Any]:
    def mask(packed: PackedMask | None) -> str | None:
        return None if packed is None else name_of("mask", packed, lambda: _mask_arrays(packed))

    def series(made: Series | None) -> dict[str, Any] | None:
        if made is None:
            return None
        points = [[point.x, point.y, point.label] for point in made.points]
        return {"points": points, "box": made.box and list(made.box), "mode": made.mode, "base": mask(made.base)}

    def state(step: State) -> dict[str, Any]:
        return {
            "label": step.label, "version": step.version, "feather": step.feather, "selection": mask(step.selection),
            "series": series(step.series),
        }  # fmt: skip

    def tiles(changed: Tiles) -> str:
        return name_of("tiles", changed, lambda: {f"{top}_{left}": tile for (top, left), tile in changed.items()})

    def frame(canvas: Frame) -> dict[str, Any]:
        return {"margins": list(canvas.margins), "file": name_of("frame", canvas, lambda: _picture_arrays(canvas.picture))}

    def result(painted: PaintResult) -> dict[str, Any]:
        file = name_of("result", painted, lambda: _result_arrays(painted))
        return {"box": list(painted.box), "seed": painted.seed, "infotext": painted.infotext, "file": file}

    def turn(answered: Turn) -> dict[str, Any]:
        return {"question": answered.question, "answer": answered.answer, "box": answered.box and list(answered.box)}

    return {
        "format": FORMAT, "id": id, "name": contents.name, "opened": contents.opened, "segmenter": contents.segmenter,
        "states": [state(step) for step in contents.states], "index": contents.index, "last_version": contents.last_version,
        "tiles": {number: tiles(changed) for number, changed in contents.tiles.items()},
        "frames": {number: frame(canvas) for number, canvas in contents.frames.items()}, "texts": dict(contents.texts),
        "results": [result(painted) for painted in contents.results], "results_of": mask(contents.results_of),
        "chat": [turn(answered) for answered in contents.chat],
    }  # fmt: skip


def contents_of(
    manifest: Mapping[str, Any], original: Picture, read: Callable[[str, Callable[[dict[str, np.ndarray]], Any]], Any]
) -> Contents:
    from clickpaint.caption.base import Turn
    from clickpaint.paint.in_picture import PaintResult

    def mask(name: str | None) -> PackedMask | None:
        return None if name is None else read(name, _mask_from)

    def series(kept: Mapping[str, Any] | None) -> Series | None:
        if kept is None:
            return None
        points = tuple(Point(float(x), float(y), int(label)) for x, y, label in kept["points"])
        left, top, right, bottom = map(float, kept["box"] or (0, 0, 0, 0))
        box = (left, top, right, bottom) if kept["box"] else None
        return Series(points, box, str(kept["mode"]), mask(kept["base"]))

    def state(kept: Mapping[str, Any]) -> State:
        selection = mask(kept["selection"])
        return State(str(kept["label"]), int(kept["version"]), selection, int(kept["feather"]), series(kept["series"]))

    def frame(kept: Mapping[str, Any]) -> Frame:
        left, top, right, bottom = map(int, kept["margins"])
        margins = left, top, right, bottom
        return read(kept["file"], lambda arrays: Frame(original.on_canvas(arrays["pixels"], margins, arrays.get("alpha")), margins))

    def result(kept: Mapping[str, Any]) -> PaintResult:
        box, seed, infotext = Box(*map(int, kept["box"])), int(kept["seed"]), str(kept["infotext"])
        return read(kept["file"], lambda arrays: PaintResult(box, arrays["pixels"], seed, infotext, arrays.get("opacity")))

    def turn(kept: Mapping[str, Any]) -> Turn:
        return Turn(str(kept["question"]), str(kept["answer"]), kept["box"] and Box(*map(int, kept["box"])))

    return Contents(
        str(manifest["name"]), float(manifest["opened"]), str(manifest["segmenter"]), tuple(map(state, manifest["states"])),
        int(manifest["index"]), int(manifest["last_version"]),
        {int(number): read(name, _tiles_from) for number, name in manifest["tiles"].items()},
        {int(number): frame(kept) for number, kept in manifest["frames"].items()},
        {int(number): str(text) for number, text in manifest["texts"].items()},
        tuple(map(result, manifest["results"])), mask(manifest["results_of"]), tuple(map(turn, manifest["chat"])),
    )  # fmt: skip


def _mask_arrays(packed: PackedMask) -> dict[str, np.ndarray]:
    return {"size": np.array(packed.size), "box": np.array(packed.box), "bits": packed.bits, "area": np.array(packed.area)}


def _mask_from(arrays: Mapping[str, np.ndarray]) -> PackedMask:
    width, height = map(int, arrays["size"])
    box, bits = Box(*map(int, arrays["box"])), arrays["bits"]
    if bits.shape != (box.height, (box.width + 7) // 8) or bits.dtype != np.uint8 or box.clipped(width, height) != box:
        raise ValueError("a selection has another size than its box")
    return PackedMask((width, height), box, bits, int(arrays["area"]))


def _tiles_from(arrays: Mapping[str, np.ndarray]) -> Tiles:
    def place(name: str) -> tuple[int, int]:
        top, _, left = name.partition("_")
        return int(top), int(left)

    return {place(name): tile for name, tile in arrays.items()}


def _picture_arrays(picture: Picture) -> dict[str, np.ndarray]:
    return {"pixels": picture.pixels} if picture.alpha is None else {"pixels": picture.pixels, "alpha": picture.alpha}


def _result_arrays(painted: PaintResult) -> dict[str, np.ndarray]:
    return {"pixels": painted.pixels} if painted.opacity is None else {"pixels": painted.pixels, "opacity": painted.opacity}
