"""Poses as data, and as the JSON that OpenPose, sd-webui-controlnet and its pose editors read and write."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickpaint.errors import InvalidInput

Points = tuple[tuple[float, float] | None, ...]
"""(x, y) in pixels of the canvas, None for what was not found."""

BODY = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist", "right hip", "right knee",
    "right ankle", "left hip", "left knee", "left ankle", "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
"""The points of a body in OpenPose's order of 18 (COCO with a neck)."""

HAND, FACE, ANIMAL = 21, 70, 17
"""How many points a hand, a face and an animal (AP-10K) have."""

_LARGEST = 16384
_PARTS = (("body", "pose_keypoints_2d"), ("face", "face_keypoints_2d"), ("left_hand", "hand_left_keypoints_2d"),
          ("right_hand", "hand_right_keypoints_2d"))  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One person; a part that was not looked for or not found is empty.

    Attributes:
        body: 18 points in OpenPose's order.
        left_hand, right_hand: 21 points each.
        face: 70 points.
    """

    body: Points = ()
    left_hand: Points = ()
    right_hand: Points = ()
    face: Points = ()


@dataclass(frozen=True)
class Poses:
    """All that was found on a canvas of `width` × `height` pixels.

    Attributes:
        animals: 17 points each, in AP-10K's order.
    """

    width: int
    height: int
    people: tuple[Person, ...] = ()
    animals: tuple[Points, ...] = ()


def to_json(poses: Poses) -> dict[str, Any]:
    """As OpenPose writes it, in pixels: [x, y, 1, …], and [0, 0, 0] for a point that is missing; None for a part that is."""
    return {
        "people": [{key: _flat(getattr(person, part)) for part, key in _PARTS} for person in poses.people],
        "animals": [_flat(animal) for animal in poses.animals],
        "canvas_width": poses.width,
        "canvas_height": poses.height,
    }


def from_json(document: Mapping[str, Any]) -> Poses:
    """Poses in pixels of the canvas; coordinates that are all within 0..1 are taken as parts of its sides, as sd-webui-controlnet
    writes them.

    Raises:
        InvalidInput: not of that form, or a canvas of no size.
    """
    if not isinstance(document, Mapping):
        raise InvalidInput("The poses are no JSON object.", _FORM)
    size = [document.get(f"canvas_{side}") for side in ("width", "height")]
    if not all(isinstance(side, int) and 0 < side <= _LARGEST for side in size):
        raise InvalidInput(
            "The poses' canvas is {width} × {height}.",
            "Give canvas_width and canvas_height, 1 to {limit}.",
            width=size[0],
            height=size[1],
            limit=_LARGEST,
        )
    width, height = int(size[0] or 0), int(size[1] or 0)
    people, animals = (document.get(key) or [] for key in ("people", "animals"))
    if not isinstance(people, list) or not isinstance(animals, list) or not all(isinstance(person, Mapping) for person in people):
        raise InvalidInput("The poses' people and animals are no lists.", _FORM)
    return Poses(
        width,
        height,
        tuple(Person(**{part: _points(person.get(key), key, width, height) for part, key in _PARTS}) for person in people),
        tuple(_points(animal, "animals", width, height) for animal in animals),
    )


def shaped(poses: Poses, width: int, height: int) -> Poses:
    """The poses on a canvas of the shape width × height: their own where that has it to within a pixel, otherwise with room added on
    both sides, so that nobody is stretched."""
    wide, high = max(poses.width, round(poses.height * width / height)), max(poses.height, round(poses.width * height / width))
    if wide - poses.width <= 1 and high - poses.height <= 1:
        return poses
    right, down = (wide - poses.width) / 2, (high - poses.height) / 2

    def moved(points: Points) -> Points:
        return tuple(None if point is None else (point[0] + right, point[1] + down) for point in points)

    people = tuple(Person(**{part: moved(getattr(person, part)) for part, _ in _PARTS}) for person in poses.people)
    return Poses(wide, high, people, tuple(map(moved, poses.animals)))


_FORM = 'It should look like {"people": [{"pose_keypoints_2d": [x, y, 1, …]}], "canvas_width": 512, "canvas_height": 512}.'


def _flat(points: Points) -> list[float] | None:
    return [value for point in points for value in ((*point, 1.0) if point is not None else (0.0, 0.0, 0.0))] or None


def _points(numbers: Any, key: str, width: int, height: int) -> Points:
    if not numbers:
        return ()
    if not isinstance(numbers, Sequence) or len(numbers) % 3 or not all(_is_number(value) for value in numbers):
        raise InvalidInput("{key} is not a list of x, y and confidence in turn.", _FORM, key=key)
    most = {"pose_keypoints_2d": len(BODY), "face_keypoints_2d": FACE + 1, "animals": ANIMAL}.get(key, HAND)
    if len(numbers) > 3 * most:
        raise InvalidInput("{key} has {count} points.", "It can have {limit}.", key=key, count=len(numbers) // 3, limit=most)
    if key in ("pose_keypoints_2d", "animals") and len(numbers) < 3 * most:
        raise InvalidInput(
            "{key} has {count} points.",
            "Give all {limit}; those that are missing as 0, 0, 0.",
            key=key,
            count=len(numbers) // 3,
            limit=most,
        )
    triples = [tuple(map(float, numbers[at : at + 3])) for at in range(0, len(numbers), 3)]
    visible = [triple for triple in triples if triple[2] > 0]
    normalized = bool(visible) and key != "animals" and all(abs(x) <= 1 and abs(y) <= 1 for x, y, _ in visible)
    across, down = (float(width), float(height)) if normalized else (1.0, 1.0)
    return tuple((x * across, y * down) if confidence > 0 else None for x, y, confidence in triples)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
