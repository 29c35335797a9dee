"""What a training leaves beside its result: states, the loss curve, samples. Files are there whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.errors import CorruptModel
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import encode
from clickpaint.image.whole_file import write_whole

STATE = "state.pt"
CURVE, CURVE_PICTURE = "loss.csv", "loss.png"
SAMPLES = "samples"


def clear_parts(folder: Path) -> None:
    """Remove what a killed process left half-written, in the folder and those in it."""
    for part in folder.rglob(".*.part"):
        with suppress(OSError):
            part.unlink()


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Keep what a training goes on from. Raises `InvalidInput`."""
    import io

    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(folder / STATE, buffer.getvalue())


def read_state(folder: Path) -> dict[str, Any] | None:
    """What was kept; None where nothing was. Raises `CorruptModel`."""
    import torch

    file = folder / STATE
    if not file.is_file():
        return None
    try:
        with file.open("rb") as stream:
            return torch.serialization.load(stream, map_location="cpu", weights_only=True)  # web UIs replace torch.load
    except Exception as error:
        raise CorruptModel("The state of this training is damaged: {file}.", "Start it over with --restart.", file=file) from error


def write_curve(folder: Path, losses: Sequence[float], rates: Sequence[float]) -> None:
    """The loss of every step as CSV and as a picture. Raises `InvalidInput`."""
    rows = "".join(f"{step},{loss:.9g},{rate:.9g}\n" for step, (loss, rate) in enumerate(zip(losses, rates, strict=True), 1))
    write_whole(folder / CURVE, f"step,loss,learning_rate\n{rows}".encode())
    write_whole(folder / CURVE_PICTURE, encode(from_pixels(curve_picture(losses)), "PNG"))


def curve_of(folder: Path) -> tuple[list[float], list[float]]:
    """(losses, learning rates) of every step of the last saving; empty where nothing was saved."""
    try:
        rows = [line.split(",") for line in (folder / CURVE).read_text(encoding="utf-8").splitlines()[1:]]
    except OSError:
        return [], []
    return [float(row[1]) for row in rows], [float(row[2]) for row in rows]


def curve_picture(losses: Sequence[float], size: tuple[int, int] = (640, 320)) -> np.ndarray:
    """The loss over the steps, uint8 [H, W, 3]: each step's in grey, in blue the mean of the last twentieth."""
    from PIL import Image, ImageDraw

    width, height = size
    left, right, top, bottom = 56, 12, 12, 28
    picture = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    values = np.asarray(losses, np.float64)
    values = values[np.isfinite(values)]
    highest = float(np.quantile(values, 0.99)) * 1.1 if len(values) else 1.0
    highest = highest or 1.0

    def place(step: float, value: float) -> tuple[float, float]:
        across = left + (width - left - right) * step / max(1, len(values) - 1)
        return across, height - bottom - (height - top - bottom) * min(value / highest, 1.0)

    for line in range(5):
        value = highest * line / 4
        y = place(0, value)[1]
        draw.line([(left, y), (width - right, y)], fill=(228, 228, 228))
        draw.text((6, y - 6), f"{value:.3g}", fill=(90, 90, 90))
    draw.text((left, height - 20), "1", fill=(90, 90, 90))
    draw.text((width - right - 40, height - 20), str(len(values)), fill=(90, 90, 90))
    if len(values):
        window = max(1, len(values) // 20)
        sums = np.cumsum(np.concatenate([[0.0], values]))
        ends = np.arange(1, len(values) + 1)
        starts = np.maximum(ends - window, 0)
        smooth = (sums[ends] - sums[starts]) / (ends - starts)
        for series, colour, thick in ((values, (196, 202, 210), 1), (smooth, (25, 95, 200), 2)):
            points = [place(step, value) for step, value in enumerate(series)]
            if len(points) > 1:
                draw.line(points, fill=colour, width=thick)
            else:
                draw.ellipse([points[0][0] - 2, points[0][1] - 2, points[0][0] + 2, points[0][1] + 2], fill=colour)
    return np.asarray(picture)
