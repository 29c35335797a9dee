"""Selecting by clicks, by operations and everything at once, on a studio with a toy segmenter."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.session.selection import Adjustment
from tests.toys.session import at, blue, grey, image, opened, quiet, red, selected
from tests.toys.studio import GREEN, RED, file_of, pixels


def test_opening_encodes_ahead_and_a_click_then_only_predicts(studio):
    workspace = opened(studio)
    assert studio.segmenter.encoded == [(60, 40)]
    assert workspace.segmenter == "classic"
    for x in range(5):
        studio.selecting.select(workspace, at((x, 0)))
    again = opened(studio)
    studio.selecting.select(again, at((1, 1)))
    assert studio.segmenter.encoded == [(60, 40)]  # known by its content
    studio.erasing.erase(workspace)
    quiet(studio, workspace)
    assert len(studio.segmenter.encoded) == 2
    studio.selecting.select(workspace, at((30, 20)))
    assert len(studio.segmenter.encoded) == 2


def test_a_click_before_the_encoding_is_ready_waits_and_says_for_what(studio):
    begun, goes_on = threading.Event(), threading.Event()
    studio.segmenter.before_encoding = lambda progress: (begun.set(), goes_on.wait(60))
    workspace = studio.open(file_of(pixels()), "toy.png")
    assert begun.wait(30)
    with ThreadPoolExecutor() as pool:
        click = pool.submit(studio.selecting.select, workspace, at((30, 20)))
        until = time.monotonic() + 30
        descriptions = {}
        while time.monotonic() < until and (descriptions.get("select") or {}).get("queue_position") != 1:
            descriptions = {task.kind: task.describe(studio.requests.position(task)) for task in studio.tasks.visible(workspace.id)}
        assert descriptions["select"]["state"] == "waiting" and descriptions["select"]["queue_position"] == 1
        assert (descriptions["encode"]["state"], descriptions["encode"]["text"], descriptions["encode"]["fraction"]) == (
            "running",
            "Encoding the toy",
            0.5,
        )
        goes_on.set()
        assert click.result(30).candidates
    assert len(studio.segmenter.encoded) == 1


def test_a_click_goes_before_encoding_ahead(studio):
    first = opened(studio)
    goes_on, order = threading.Event(), []
    studio.segmenter.before_encoding = lambda progress: (order.append("encode"), goes_on.wait(60))
    studio.segmenter.before_predicting = lambda progress: order.append("click")
    others = [studio.open(file_of(pixels(colour=(i, i, i))), "toy.png") for i in range(3)]
    until = time.monotonic() + 30
    while not order and time.monotonic() < until:
        time.sleep(0.005)
    with ThreadPoolExecutor() as pool:
        click = pool.submit(studio.selecting.select, first, at((30, 20)))
        until = time.monotonic() + 30
        while not any(task.kind == "select" for task in studio.tasks.visible(first.id)) and time.monotonic() < until:
            time.sleep(0.005)
        goes_on.set()
        click.result(30)
    for workspace in others:
        quiet(studio, workspace)
    assert order == ["encode", "click", "encode", "encode"]


def test_clicks_of_a_series_replace_each_other_and_are_undone_one_by_one(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((0, 0)))
    studio.selecting.select(workspace, at((30, 20)), mode="add")  # a new object
    studio.selecting.select(workspace, at((30, 20), (59, 39)), mode="add")  # the same series goes on
    assert (selected(workspace) == (grey | red | blue)).all()
    studio.selecting.select(workspace, at((59, 39)), mode="add")  # its first point was taken away
    assert (selected(workspace) == (grey | blue)).all()
    studio.selecting.select(workspace, at((0, 0)), mode="subtract")
    assert (selected(workspace) == blue).all()
    expected = [grey | blue, grey | red | blue, grey | red, grey, np.zeros_like(grey)]
    for mask in expected:
        studio.undo(workspace)
        assert (selected(workspace) == mask).all()
    assert not workspace.can_undo
    # after an undo the series of the step that is shown goes on
    studio.redo(workspace)
    studio.redo(workspace)
    studio.selecting.select(workspace, Prompts((Point(30, 20), Point(59, 39))), mode="add")
    assert (selected(workspace) == (grey | red | blue)).all()


def test_modes_and_negative_points(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, Prompts(box=(0, 0, 60, 20)))
    top = selected(workspace)
    assert top[:20].all() and not top[20:].any()
    studio.selecting.select(workspace, at((30, 20)), mode="intersect")
    assert (selected(workspace) == (top & red)).all()
    studio.selecting.select(workspace, Prompts((Point(30, 20), Point(0, 0), Point(30, 20, 0))))
    assert (selected(workspace) == grey).all()


def test_candidates_can_be_chosen_and_refined(studio):
    workspace = opened(studio)
    with pytest.raises(InvalidInput, match="no candidates"):
        studio.selecting.choose(workspace, 0)
    with pytest.raises(InvalidInput, match="no earlier answer"):
        studio.selecting.select(workspace, at((30, 20)), previous=0)
    studio.selecting.select(workspace, at((30, 20)))
    spot = np.zeros_like(red)
    spot[20, 30] = True
    assert studio.selecting.choose(workspace, 1).chosen == 1 and (selected(workspace) == spot).all()
    assert studio.selecting.choose(workspace, 2).selection is None
    studio.undo(workspace)
    assert (selected(workspace) == spot).all() and workspace.state.chosen == 1
    studio.selecting.select(workspace, at((30, 20), (0, 0)), previous=1, candidate=1)
    previous = studio.segmenter.previous[-1]
    assert previous is not None and previous.shape == (1, 256, 256) and (previous == 1).all()
    assert selected(workspace).sum() == 2
    for call in (lambda: studio.selecting.choose(workspace, 3), lambda: studio.selecting.select(workspace, at((1, 1)), candidate=-1),
                 lambda: studio.selecting.select(workspace, at((1, 1)), previous=3)):  # fmt: skip
        with pytest.raises(InvalidInput, match="no candidate"):
            call()


def test_a_preview_changes_nothing(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    before, size = workspace.state, workspace.nbytes
    clicked = studio.selecting.select(workspace, at((0, 0)), preview=True)
    assert (clicked.candidates[0].mask == grey).all()
    assert workspace.state is before and workspace.nbytes == size


def test_adjustments_are_steps(studio):
    workspace = opened(studio)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(0, 0, 10, 10)), Adjustment("invert")])
    assert selected(workspace).sum() == 60 * 40 - 100
    state = studio.selecting.adjust(workspace, [Adjustment("feather", 6)])
    assert (state.label, state.feather) == ("Feather", 6)
    studio.undo(workspace)
    assert workspace.state.feather == 0
    studio.selecting.adjust(workspace, [Adjustment("clear")])
    assert workspace.state.selection is None
    with pytest.raises(InvalidInput):
        studio.selecting.adjust(workspace, [])


def test_everything_gives_regions_to_pick_from(studio):
    workspace = opened(studio)
    regions = studio.selecting.everything(workspace, EverythingOptions())
    assert len(regions.regions) == 3 and regions.labels.dtype == np.uint16 and regions.overview.shape == image.shape
    for index, region in enumerate(regions.regions):
        studio.selecting.adjust(workspace, [Adjustment("region", index=index, mode="replace")])
        assert (selected(workspace) == region.mask).all()
        assert (regions.labels[region.mask] == index + 1).all()


def test_bad_prompts_are_refused_before_anything_waits(studio):
    workspace = opened(studio)
    for prompts in (Prompts(), at((60, 0)), at((0, 0), label=0), Prompts(box=(70, 0, 80, 9)), at((float("nan"), 0))):
        with pytest.raises(InvalidInput):
            studio.selecting.select(workspace, prompts)
    with pytest.raises(InvalidInput, match="mode"):
        studio.selecting.select(workspace, at((0, 0)), mode="xor")
    with pytest.raises(InvalidInput, match="segmenter"):
        studio.selecting.select(workspace, at((0, 0)), segmenter="eagle")
    studio.selecting.select(workspace, at((0, 0)))
    with pytest.raises(InvalidInput, match="eraser"):
        studio.erasing.erase(workspace, eraser="rubber")
    assert [task.state for task in studio.tasks.visible(workspace.id) if task.active] == []


def test_pictures_with_other_colours_are_other_pictures(studio):
    first, second = opened(studio), opened(studio, pixels(colour=GREEN, background=RED))
    studio.selecting.select(second, at((0, 0)))
    studio.selecting.select(first, at((0, 0)))
    assert (selected(first) == grey).all() and (selected(second) == ((pixels(colour=GREEN, background=RED) == RED).all(axis=2))).all()
