"""The use-case on a host that is already at work: nothing waits for a lock that the caller holds."""

from __future__ import annotations

import numpy as np
import pytest

from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.image.geometry import Box
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import Painted
from clickpaint.paint.touchup_job import TouchUp
from clickpaint.progress import SILENT, Progress
from clickpaint.segment.everything import Region
from clickpaint.studio.studio import Studio
from clickpaint.studio.touchup import best, touch_up


@pytest.fixture
def studio(tmp_path) -> Studio:
    settings = {"segmenter": "classic", "eraser": "opencv_telea", "device": "cpu"}
    return Studio(EmbeddedHost(tmp_path, overrides=settings, environment={}))


BLUE, YELLOW = (30, 90, 160), (220, 200, 40)
OBJECT = (slice(16, 32), slice(16, 40))


def picture() -> np.ndarray:
    pixels = np.full((48, 64, 3), BLUE, np.uint8)
    pixels[OBJECT] = YELLOW
    return pixels


def no_painting(job, progress):
    raise AssertionError("nothing was to be painted")


def one_colour(job, progress):
    assert (job.width, job.height) == (64, 48)
    return [Painted(np.full_like(job.pixels, 10), job.seed)]


def applied(studio, wish, run=no_painting, progress=SILENT) -> np.ndarray:
    """As from within a generation: the host's lock is held, by this very thread."""
    pixels = picture()
    with studio.host.exclusive():
        result = touch_up(studio, pixels, wish, grouped(seed=1), 56, run, progress)
    assert np.array_equal(pixels, picture())
    return result


@pytest.mark.parametrize(
    "where", [{"points": "28,24"}, {"points": "0.4375,0.5"}, {"box": "14,14,42,34"}, {"points": "28,24; 5,5,0", "box": "14,14,42,34"}, {}]
)
def test_remove_what_is_pointed_at_or_stands_out(studio, where):
    result = applied(studio, TouchUp("remove", grow=2, feather=2, **where))
    far = np.ones((48, 64), bool)
    far[10:38, 10:46] = False
    assert np.array_equal(result[far], picture()[far])
    assert np.abs(result[OBJECT].astype(int) - BLUE).max() < 30


def test_fill_and_replace_paint_the_object_or_all_else(studio):
    filled = applied(studio, TouchUp("fill", box="14,14,42,34", grow=0, feather=0), one_colour)
    assert (filled[18:30, 18:38] == 10).all() and (filled[0, 0] == BLUE).all()
    replaced = applied(studio, TouchUp("replace", box="14,14,42,34", feather=0), one_colour)
    assert (replaced[18:30, 18:38] == YELLOW).all() and (replaced[0, 0] == 10).all()


def test_what_cannot_be_done_is_told(studio):
    for wish, reason in ((TouchUp(points="99,99"), "outside"), (TouchUp(box="1,2,3,4", eraser="none such"), "no eraser")):
        with pytest.raises(InvalidInput, match=reason):
            applied(studio, wish)


def test_interrupted_at_once(studio):
    for wish in (TouchUp(points="28,24"), TouchUp("fill")):
        with pytest.raises(Interrupted):
            applied(studio, wish, progress=Progress(interrupted=lambda: True))
    assert applied(studio, TouchUp(points="28,24")).shape == (48, 64, 3)


def test_other_threads_still_wait_their_turn(studio):
    """Only the thread in the block computes itself; after it, so does nobody."""
    import threading

    names = []
    with studio.in_this_thread(SILENT):
        task = studio.tasks.start("select")
        assert studio.compute.run(task, lambda progress: threading.current_thread().name) == threading.current_thread().name

        def other():
            task = studio.tasks.start("select")
            names.append(studio.compute.run(task, lambda progress: threading.current_thread().name))

        thread = threading.Thread(target=other, name="other")
        thread.start()
        thread.join()
    task = studio.tasks.start("select")
    names.append(studio.compute.run(task, lambda progress: threading.current_thread().name))
    assert names == ["clickpaint-compute"] * 2


def region(box: Box, score: float) -> Region:
    mask = np.zeros((100, 100), bool)
    mask[box.slices] = True
    region = Region.scored(mask, score)
    assert region is not None
    return region


def test_best_is_large_certain_and_near_the_middle():
    middle, corner = region(Box(40, 40, 60, 60), 0.9), region(Box(0, 0, 25, 25), 0.9)
    background, doubtful = region(Box(0, 0, 100, 100), 0.99), region(Box(38, 38, 60, 60), 0.5)
    assert best([corner, background, doubtful, middle], (100, 100)) is middle
    assert best([background], (100, 100)) is background
    assert best([corner, region(Box(45, 45, 55, 55), 0.2)], (100, 100)) is corner
    with pytest.raises(InvalidInput, match="Nothing was found"):
        best([], (100, 100))
