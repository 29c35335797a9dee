"""A whole session, several at once, and without one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clickpaint.errors import Busy, Interrupted, InvalidInput, NotFound, TooLarge
from clickpaint.image.picture import from_pixels
from clickpaint.segment.everything import EverythingOptions
from clickpaint.session.selection import Adjustment
from tests.toys.session import at, image, opened, red, selected
from tests.toys.studio import FILLED, array_of, file_of, pixels, toy_studio


def test_a_click_selects_removes_and_comes_back(studio):
    workspace = opened(studio)
    clicked = studio.selecting.select(workspace, at((30, 20)))
    assert clicked.segmenter == "classic" and clicked.chosen == 0 and len(clicked.candidates) == 3
    assert (selected(workspace) == red).all()
    erased = studio.erasing.erase(workspace)
    assert (erased.eraser, erased.state.version, workspace.state.selection) == ("classic", 1, None)
    result = workspace.picture().pixels
    assert (result[red] == FILLED).all() and (result[~red] == image[~red]).all()
    assert erased.changed == (19, 12, 41, 27)
    assert studio.undo(workspace).step.label == "Remove"
    assert (selected(workspace) == red).all() and (workspace.picture().pixels == image).all()
    assert studio.redo(workspace).step.label == "Remove" and (workspace.picture().pixels == result).all()
    assert (array_of(studio.encode(workspace.picture(), "PNG")) == result).all()


@pytest.mark.parametrize("kind", ["erase", "select", "encode"])
def test_interrupting_leaves_the_workspace_as_it_was(studio, kind):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    before = workspace.state
    begun = threading.Event()

    def forever(progress):
        begun.set()
        while True:
            progress.check()
            time.sleep(0.005)

    studio.eraser.before = studio.segmenter.before_predicting = studio.segmenter.before_encoding = forever
    if kind == "encode":
        studio.pool.embeddings.unload()
    with ThreadPoolExecutor() as pool:
        call = (
            pool.submit(studio.erasing.erase, workspace) if kind == "erase" else pool.submit(studio.selecting.select, workspace, at((0, 0)))
        )
        assert begun.wait(30)
        queued = pool.submit(studio.selecting.select, workspace, at((1, 1)))
        while sum(task.active for task in studio.tasks.visible(workspace.id)) < 2:
            time.sleep(0.005)
        assert studio.interrupt(workspace.id) == 2
        for one in (call, queued):
            with pytest.raises(Interrupted):
                one.result(30)
    assert workspace.state is before
    studio.eraser.before = studio.segmenter.before_predicting = studio.segmenter.before_encoding = lambda progress: None
    studio.erasing.erase(workspace)
    assert (workspace.picture().pixels[red] == FILLED).all()


def test_closing_stops_what_is_under_way(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    begun = threading.Event()
    studio.eraser.before = lambda progress: (begun.set(), [time.sleep(0.005) or progress.check() for _ in range(2000)])
    with ThreadPoolExecutor() as pool:
        call = pool.submit(studio.erasing.erase, workspace)
        assert begun.wait(30)
        studio.close(workspace.id)
        with pytest.raises(Interrupted):
            call.result(30)
    for call in (lambda: studio.workspace(workspace.id), lambda: studio.close(workspace.id)):
        with pytest.raises(NotFound):
            call()


def test_two_workspaces_at_once_never_mix(studio):
    """Several users edit at once; each one's result is what it would be alone, to the pixel."""
    colours = [(10 * i + 5, 200 - 20 * i, 3 * i) for i in range(6)]

    def session(number):
        own = pixels(90, 60, background=colours[number], colour=colours[number][::-1])
        own[0, :] = (number, number, number)
        workspace = studio.open(file_of(own), f"{number}.png")
        expected = own.copy()
        random = np.random.default_rng(number)
        for _ in range(6):
            x, y = int(random.integers(0, 90)), int(random.integers(0, 60))
            shown = workspace.picture().pixels
            assert (shown == expected).all()
            mask = (shown == shown[y, x]).all(axis=2)
            clicked = studio.selecting.select(workspace, at((x, y)))
            assert (clicked.candidates[0].mask == mask).all()
            studio.selecting.select(workspace, at((int(random.integers(0, 90)), 0)), preview=True)
            assert (selected(workspace) == mask).all()
            studio.erasing.erase(workspace)
            if random.random() < 0.3:
                studio.undo(workspace)
                assert (selected(workspace) == mask).all()
            else:
                expected[mask] = FILLED
        assert (workspace.picture().pixels == expected).all()
        while workspace.can_undo:
            studio.undo(workspace)
        assert (workspace.picture().pixels == own).all()
        return workspace.id

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(session, range(6)))) == 6
    assert studio.toy.entered >= 6 * 12


def test_concurrent_requests_on_one_workspace_are_whole_steps(studio):
    workspace = opened(studio)
    boxes = [(i * 9, 0, i * 9 + 9, 40) for i in range(6)]
    outcomes = []

    def add(box):
        try:
            studio.selecting.adjust(workspace, [Adjustment("box", box=box, mode="add")])
            outcomes.append(box)
        except Busy:
            pass

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, boxes))
    assert len(outcomes) == 6 and selected(workspace).sum() == 6 * 9 * 40
    for count in range(6, 0, -1):
        assert selected(workspace).sum() == count * 9 * 40
        studio.undo(workspace)


def test_without_a_session(studio):
    picture = from_pixels(pixels())
    clicked = studio.selecting.segment(picture, at((30, 20)))
    assert (clicked.candidates[0].mask == red).all()
    erased = studio.erasing.erase_picture(picture, red)
    result = erased.picture
    assert erased.eraser == "classic" and (result.pixels[red] == FILLED).all() and (result.pixels[~red] == image[~red]).all()
    assert len(studio.selecting.segment_everything(picture, EverythingOptions()).regions) == 3
    with pytest.raises(InvalidInput, match="60 × 40"):
        studio.erasing.erase_picture(picture, red[:-1])
    assert (picture.pixels == image).all()


def test_limits_of_the_settings_hold(tmp_path):
    studio = toy_studio(tmp_path, max_megapixels=1, max_upload_mb=1, max_workspaces=2, keep_workspaces_days=0)
    with pytest.raises(TooLarge):
        studio.open(file_of(np.zeros((1001, 1000, 3), np.uint8)))
    with pytest.raises(TooLarge):
        studio.open(bytes(2 << 20))
    ids = [studio.open(file_of(pixels())).id for _ in range(3)]
    with pytest.raises(NotFound):
        studio.workspace(ids[0])
