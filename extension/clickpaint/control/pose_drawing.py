"""Poses drawn as ControlNet learned to read them, to the pixel as sd-webui-controlnet draws them."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from clickpaint.control.poses import Points, Poses

PARTS = ("body", "hands", "face")
"""What can be drawn of a person."""

_STICK = 4  # half the thickness of a limb, and the radius of a joint, in pixels

_COLORS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85), (0, 255, 170),
    (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""Of a body's joints in their order, and of its limbs in theirs."""

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Pairs of a body's points (`poses.BODY`, from 0), in the order in which they are drawn."""

FINGERS = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))
"""Pairs of a hand's points: five fingers of four joints each, from the wrist (0)."""

_ANIMAL_LIMBS = (
    ((0, 1), (255, 255, 255)), ((1, 2), (100, 255, 100)), ((0, 2), (150, 255, 255)), ((2, 3), (100, 50, 255)), ((3, 8), (50, 150, 200)),
    ((8, 9), (0, 255, 255)), ((9, 10), (0, 150, 0)), ((3, 5), (0, 0, 255)), ((5, 6), (0, 0, 150)), ((6, 7), (255, 50, 255)),
    ((3, 4), (255, 0, 255)), ((4, 14), (255, 0, 0)), ((14, 15), (150, 0, 0)), ((15, 16), (255, 255, 100)), ((4, 11), (0, 150, 0)),
    ((11, 12), (255, 255, 0)), ((12, 13), (150, 150, 150)),
)  # fmt: skip


def draw(poses: Poses, *, body: bool = True, hands: bool = True, face: bool = True) -> np.ndarray:
    """uint8 [height, width, 3] RGB, bright on black; people, or animals where there are no people."""
    canvas = np.zeros((poses.height, poses.width, 3), np.uint8)
    for person in poses.people:
        if body and person.body:
            draw_body(canvas, person.body)
        if hands:
            draw_hand(canvas, person.left_hand)
            draw_hand(canvas, person.right_hand)
        if face:
            draw_face(canvas, person.face)
    if not poses.people:
        for animal in poses.animals:
            draw_animal(canvas, animal)
    return canvas


def draw_body(canvas: np.ndarray, points: Points) -> None:
    """Limbs as darkened ellipses, then joints as discs, into `canvas`."""
    import cv2

    for (start, end), color in zip(LIMBS, _COLORS, strict=False):
        first, second = points[start], points[end]
        if first is None or second is None:
            continue
        across, down = first[0] - second[0], first[1] - second[1]
        middle = (int((first[0] + second[0]) / 2), int((first[1] + second[1]) / 2))
        length = (down**2 + across**2) ** 0.5
        outline = cv2.ellipse2Poly(middle, (int(length / 2), _STICK), int(math.degrees(math.atan2(down, across))), 0, 360, 1)
        cv2.fillConvexPoly(canvas, np.asarray(outline), [int(channel * 0.6) for channel in color])
    for point, color in zip(points, _COLORS, strict=False):
        if point is not None:
            cv2.circle(canvas, (int(point[0]), int(point[1])), _STICK, color, thickness=-1)


def draw_hand(canvas: np.ndarray, points: Points) -> None:
    """Bones in all hues, then joints in blue, into `canvas`; points at the canvas' left or upper edge are left out."""
    import cv2

    whole = _inside(points)
    for number, (start, end) in enumerate(FINGERS):
        first, second = (whole[at] if at < len(whole) else None for at in (start, end))
        if first is not None and second is not None:
            color = [channel * 255 for channel in colorsys.hsv_to_rgb(number / len(FINGERS), 1.0, 1.0)]
            cv2.line(canvas, first, second, color, thickness=2)
    for point in whole:
        if point is not None:
            cv2.circle(canvas, point, 4, (0, 0, 255), thickness=-1)


def draw_face(canvas: np.ndarray, points: Points) -> None:
    """White dots, into `canvas`; points at the canvas' left or upper edge are left out."""
    import cv2

    for point in _inside(points):
        if point is not None:
            cv2.circle(canvas, point, 3, (255, 255, 255), thickness=-1)


def draw_animal(canvas: np.ndarray, points: Points) -> None:
    """Limbs as lines, into `canvas`."""
    import cv2

    for (start, end), color in _ANIMAL_LIMBS:
        first, second = points[start], points[end]
        if first is not None and second is not None:
            cv2.line(canvas, (int(first[0]), int(first[1])), (int(second[0]), int(second[1])), color, 5)


def _inside(points: Points) -> list[tuple[int, int] | None]:
    whole = [None if point is None else (int(point[0]), int(point[1])) for point in points]
    return [point if point is not None and min(point) > 0 else None for point in whole]
