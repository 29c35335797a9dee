"""Objects of scikit-image's photographs, outlined by hand: what a person who clicks there means.

Each has the picture's file, a click (x, y), None where a click could mean several things, and its outline: polygons of (x, y) in pixels,
or an ellipse as (x, y, radius across, radius down).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class DrawnObject:
    """One outlined object.

    Attributes:
        name: unique among all objects.
        file: in scikit-image's data folder.
        point: (x, y) in pixels, a click that means it; None: only its box means it.
        outline: (x, y) corners in turn; or one ellipse, (x, y, radius across, radius down).
    """

    name: str
    file: str
    point: tuple[int, int] | None
    outline: tuple[tuple[float, ...], ...]

    def mask(self, height: int, width: int) -> np.ndarray:
        """bool [height, width]."""
        import cv2

        plane = np.zeros((height, width), np.uint8)
        corners = np.array(self.outline, np.float64)
        if corners.shape[1] == 4:
            turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
            (x, y, across, down) = corners[0]
            corners = np.stack([x + across * np.cos(turn), y + down * np.sin(turn)], 1)
        cv2.fillPoly(plane, [np.round(corners * 16).astype(np.int32)], 1, shift=4)
        return plane > 0


def _twice(*corners: tuple[int, int]) -> tuple[tuple[float, ...], ...]:
    """Corners that were read from the picture at twice its size."""
    return tuple((x / 2, y / 2) for x, y in corners)


def _larger(*corners: tuple[int, int]) -> tuple[tuple[float, ...], ...]:
    """Corners that were read from the picture at 0.8 of its size."""
    return tuple((x * 1.25, y * 1.25) for x, y in corners)


OBJECTS = (
    DrawnObject("astronaut_patch", "astronaut.png", (165, 405), ((170.5, 385.5, 37, 37),)),
    DrawnObject("astronaut_helmet", "astronaut.png", (380, 420), _twice(
        (552, 1023), (550, 960), (558, 900), (575, 850), (600, 800), (630, 765), (665, 735), (700, 708), (740, 694), (790, 687),
        (840, 688), (890, 698), (930, 720), (960, 755), (980, 800), (995, 860), (1005, 905), (1012, 950), (1023, 985), (1023, 1023))),
    DrawnObject("astronaut_shuttle", "astronaut.png", (416, 120), _twice(
        (800, 0), (870, 0), (878, 60), (880, 85), (890, 78), (900, 95), (908, 140), (910, 220), (912, 300), (910, 385), (915, 440),
        (912, 540), (945, 545), (940, 560), (830, 580), (765, 580), (740, 555), (735, 540), (740, 510), (752, 470), (755, 452),
        (712, 447), (710, 430), (745, 375), (752, 340), (752, 240), (758, 100), (772, 85), (785, 100), (792, 105), (793, 60))),
    DrawnObject("astronaut_person", "astronaut.png", (120, 400), _twice(
        (310, 110), (330, 85), (380, 60), (420, 38), (470, 32), (520, 40), (560, 65), (590, 105), (602, 150), (600, 200), (580, 245),
        (548, 270), (525, 275), (515, 330), (512, 347), (560, 370), (595, 420), (608, 470), (640, 480), (680, 520), (705, 580),
        (718, 640), (727, 695), (690, 712), (640, 755), (600, 800), (570, 860), (552, 940), (552, 1023), (90, 1023), (75, 1000),
        (60, 940), (55, 900), (40, 800), (45, 700), (60, 640), (80, 570), (110, 520), (150, 460), (220, 415), (235, 380), (250, 340),
        (300, 305), (345, 297), (370, 297), (372, 270), (350, 240), (320, 200), (308, 160))),
    DrawnObject("coffee_cup", "coffee.png", (290, 60), _twice(
        (347, 215), (352, 170), (375, 120), (420, 80), (480, 50), (540, 38), (600, 37), (670, 47), (730, 72), (780, 115), (805, 160),
        (817, 215), (812, 270), (800, 320), (785, 370), (765, 410), (745, 440), (700, 480), (650, 475), (637, 500), (660, 520),
        (650, 545), (615, 568), (570, 568), (535, 555), (515, 540), (490, 580), (455, 612), (420, 610), (395, 597), (393, 560),
        (410, 500), (430, 468), (400, 425), (375, 375), (358, 320), (350, 260))),
    DrawnObject("coffee_saucer", "coffee.png", None, _twice(
        (155, 430), (170, 330), (200, 270), (250, 210), (310, 165), (360, 140), (375, 120), (420, 80), (480, 50), (540, 38), (600, 37),
        (670, 47), (730, 72), (780, 115), (800, 140), (815, 133), (848, 150), (840, 180), (835, 215), (900, 280), (945, 360),
        (960, 450), (940, 550), (890, 640), (800, 720), (700, 765), (600, 780), (500, 770), (400, 735), (300, 680), (220, 600),
        (170, 520))),
    DrawnObject("chelsea_eye", "chelsea.png", (155, 120), _twice(
        (270, 205), (280, 185), (310, 172), (345, 172), (380, 188), (405, 215), (412, 250), (395, 285), (360, 297), (320, 290),
        (290, 270), (275, 240))),
    DrawnObject("chelsea_other_eye", "chelsea.png", (328, 140), _twice(
        (593, 275), (600, 250), (625, 228), (655, 220), (680, 232), (686, 265), (680, 295), (660, 318), (625, 328), (600, 315))),
    DrawnObject("chelsea_nose", "chelsea.png", (265, 240), _twice(
        (465, 453), (500, 460), (540, 458), (583, 462), (580, 480), (550, 500), (530, 525), (512, 528), (500, 495), (480, 475))),
    DrawnObject("rocket_rocket", "rocket.jpg", (322, 280), _twice(
        (643, 252), (655, 262), (665, 290), (667, 350), (670, 370), (670, 430), (665, 500), (663, 812), (620, 812), (622, 500),
        (620, 360), (623, 290), (632, 262))),
    DrawnObject("coins_lower_left", "coins.png", (46, 260), ((46.4, 260.2, 27.8, 27.4),)),
    DrawnObject("coins_right", "coins.png", (340, 195), ((347.2, 187, 32, 31),)),
    DrawnObject("coins_upper", "coins.png", (155, 50), ((155.6, 50.8, 23.2, 22.8),)),
    DrawnObject("camera_man", "camera.png", (120, 250), _twice(
        (405, 128), (450, 140), (490, 165), (520, 190), (540, 215), (540, 245), (520, 262), (505, 285), (508, 330), (495, 350),
        (490, 385), (480, 400), (480, 430), (497, 492), (525, 468), (522, 430), (540, 415), (575, 410), (590, 430), (590, 470),
        (580, 500), (607, 540), (600, 555), (570, 560), (545, 600), (490, 625), (450, 610), (412, 590), (350, 660), (300, 720),
        (285, 765), (290, 800), (300, 900), (300, 1023), (285, 1023), (275, 960), (240, 925), (200, 895), (190, 960), (180, 1023),
        (0, 1023), (0, 500), (40, 450), (100, 360), (120, 310), (150, 280), (220, 255), (262, 248), (280, 225), (310, 212),
        (325, 200), (330, 180), (345, 150), (375, 132))),
    DrawnObject("camera_tower", "camera.png", (421, 160), _twice(
        (824, 262), (843, 262), (846, 238), (860, 238), (863, 262), (863, 378), (824, 378))),
    DrawnObject("motorcycle_whole", "motorcycle_left.png", None, _larger(
        (115, 120), (125, 118), (130, 132), (150, 135), (180, 145), (215, 158), (240, 160), (285, 150), (290, 140), (285, 130),
        (325, 105), (350, 115), (375, 130), (385, 120), (372, 100), (395, 90), (410, 75), (425, 80), (440, 95), (452, 100), (465, 98),
        (465, 112), (450, 120), (440, 150), (435, 155), (460, 205), (490, 215), (515, 240), (510, 252), (530, 270), (545, 300),
        (545, 340), (530, 358), (500, 362), (470, 350), (440, 320), (415, 280), (402, 250), (410, 225), (412, 200), (400, 170),
        (385, 165), (380, 230), (375, 270), (355, 300), (320, 305), (280, 302), (272, 320), (272, 345), (262, 348), (262, 310),
        (255, 295), (220, 290), (200, 310), (165, 322), (130, 312), (105, 285), (97, 250), (105, 215), (120, 198), (80, 195),
        (72, 175), (85, 165), (110, 165), (130, 162), (115, 150))),
)  # fmt: skip


def folder() -> Path | None:
    """Where scikit-image keeps its pictures; None where it is not installed."""
    package = importlib.util.find_spec("skimage")
    return Path(package.submodule_search_locations[0]) / "data" if package and package.submodule_search_locations else None
