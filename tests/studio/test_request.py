"""How use-cases run: admitted, seen and stopped while they wait, in their turn, once more where memory ran out."""

from __future__ import annotations

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

import clickpaint.studio
from clickpaint.api.schemas import TaskAnswer
from clickpaint.caption.caption_job import CaptionOptions
from clickpaint.control.map_options import Layer, MapOptions
from clickpaint.errors import Busy, Interrupted, NotFound
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import SILENT
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.session.selection import Adjustment
from clickpaint.studio.request import MOST_REQUESTS
from clickpaint.studio.tasks import KINDS
from tests.toys.session import at, opened
from tests.toys.studio import file_of, pixels, toy_studio

MAP = MapOptions((Layer("canny"),))


@pytest.fixture
def studio(tmp_path):
    studio = toy_studio(tmp_path)
    studio.toy.can_paint = studio.toy.can_caption = True
    yield studio
    studio.shut_down()


@pytest.fixture
def workspace(studio):
    workspace = studio.open(file_of(pixels()), "toy.png")
    studio.selecting.select(workspace, Prompts((Point(30, 20),)))
    return workspace


USE_CASES = {
    "select": lambda studio, workspace: studio.selecting.select(workspace, Prompts((Point(1, 1),))),
    "choose": lambda studio, workspace: studio.selecting.choose(workspace, 1),
    "mask": lambda studio, workspace: studio.selecting.adjust(workspace, [Adjustment("invert")]),
    "trace": lambda studio, workspace: studio.selecting.trace(workspace, [[(1, 1), (9, 9)]]),
    "text": lambda studio, workspace: studio.reading.select(workspace),
    "everything": lambda studio, workspace: studio.selecting.everything(workspace, EverythingOptions()),
    "erase": lambda studio, workspace: studio.erasing.erase(workspace),
    "undo": lambda studio, workspace: studio.undo(workspace),
    "redo": lambda studio, workspace: studio.redo(workspace),
    "paint": lambda studio, workspace: studio.painting.paint(workspace, PaintOptions()),
    "use": lambda studio, workspace: studio.painting.use(workspace, 0),
    "find": lambda studio, workspace: studio.word_masks.find(workspace, "toy"),
    "chat": lambda studio, workspace: studio.words.forget_chat(workspace),
}
"""Those that change a workspace, and so wait for its turn."""

READING = {
    "caption": lambda studio, workspace: studio.words.caption(workspace, CaptionOptions()),
    "control": lambda studio, workspace: studio.control_maps.detect(workspace, MAP),
    "generate": lambda studio, workspace: studio.generation.generate(PaintOptions()),
    "shadow": lambda studio, workspace: studio.erasing.shadow(workspace),
}


@pytest.mark.parametrize("kind", [*USE_CASES, *READING])
def test_every_use_case_asks_the_limit(studio, workspace, kind):
    places = [studio.requests.reserve() for _ in range(MOST_REQUESTS)]
    with pytest.raises(Busy, match="Too many requests"):
        {**USE_CASES, **READING}[kind](studio, workspace)
    for place in places:
        with place:
            pass
    with studio.requests.admitted():
        pass


@pytest.mark.parametrize("kind", USE_CASES)
def test_every_use_case_can_be_seen_and_stopped_while_it_waits_for_its_turn(studio, workspace, kind):
    before = workspace.state
    with ThreadPoolExecutor(1) as pool, workspace.turn():
        call = pool.submit(USE_CASES[kind], studio, workspace)
        waiting = []
        while not waiting and not call.done():
            waiting = [task for task in studio.tasks.visible(workspace.id) if task.active and task.kind == kind]
        waiting[0].interrupt()
        with pytest.raises(Interrupted):
            call.result(60)
    assert workspace.state is before


def test_a_thread_that_is_admitted_asks_no_more(studio, workspace):
    places = [studio.requests.reserve() for _ in range(MOST_REQUESTS - 1)]
    with studio.requests.admitted():
        studio.selecting.adjust(workspace, [Adjustment("invert")])
    for place in places:
        with place:
            pass


def test_whom_the_host_calls_in_the_middle_of_its_work_is_not_kept_out(studio, workspace):
    places = [studio.requests.reserve() for _ in range(MOST_REQUESTS)]
    with studio.host.exclusive(), studio.in_this_thread(SILENT):
        assert studio.erasing.erase_picture(workspace.picture(), workspace.state.selection.mask).eraser == "classic"
    for place in places:
        with place:
            pass


def test_a_caption_sees_a_picture_and_a_selection_that_fit(studio, workspace):
    """Also when another request makes the picture larger between the one and the other."""
    seen = []
    snapshot = workspace.snapshot

    def expanding():
        state, picture = snapshot()
        larger = np.pad(picture.pixels, ((8, 8), (8, 8), (0, 0)))
        workspace.add_expanded(larger, "Expand", (8, 8, 8, 8))
        seen.append(picture.size)
        return state, picture

    workspace.snapshot = expanding
    assert studio.words.caption(workspace, CaptionOptions()).raw.box == (20, 13, 40, 26)
    assert studio.control_maps.detect(workspace, MapOptions((Layer("canny"),), background="")).size == (76, 56)
    workspace.select("Same", np.ones(workspace.size[::-1], bool), "replace")
    studio.erasing.shadow(workspace)
    assert seen == [(60, 40), (76, 56), (92, 72)]


def test_regions_of_a_picture_of_another_size_are_not_picked_from(studio, workspace):
    workspace.add_expanded(np.pad(workspace.picture().pixels, ((8, 8), (8, 8), (0, 0))), "Expand", (8, 8, 8, 8))
    studio.selecting.everything(workspace, EverythingOptions())
    assert workspace.regions
    studio.undo(workspace)
    assert workspace.regions == ()
    studio.redo(workspace)
    assert workspace.regions


def test_a_text_model_that_is_waited_for_keeps_nobody_from_computing(studio, workspace):
    class FarAway:
        name, ours, sees = "far away", False, True

        def write(self, asked, heard, progress):
            entered.set()
            assert answer.wait(60)
            return "It is red."

    entered, answer = threading.Event(), threading.Event()
    studio.captioners.text_model = FarAway
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(studio.words.chat, workspace, "Which colour?")
        assert entered.wait(60)
        assert [task.kind for task in studio.tasks.visible(workspace.id) if task.active and task.kind != "encode"] == ["chat"]
        studio.erasing.erase(workspace)
        answer.set()
        assert call.result(60).answer == "It is red." and len(workspace.chat) == 1


def test_a_closed_workspace_is_said_to_whom_waits(studio, workspace):
    with ThreadPoolExecutor(1) as pool:
        with workspace.turn():
            call = pool.submit(studio.undo, workspace)
            while not any(task.kind == "undo" for task in studio.tasks.visible(workspace.id)):
                pass
            workspace.closed = True
        with pytest.raises(NotFound, match="closed"):
            call.result(60)


def started_kinds() -> set[str]:
    """The kinds of all tasks that the studio's files begin."""
    kinds = set()
    for file in Path(clickpaint.studio.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if node.func.attr in ("run", "start", "in_background", "_in_background") and isinstance(first, ast.Constant):
                    kinds.add(first.value)
    return kinds


def test_the_kinds_of_tasks_are_those_that_are_begun_and_those_that_the_api_tells():
    assert started_kinds() == {*KINDS}
    assert {*get_args(get_type_hints(TaskAnswer)["kind"])} == {*KINDS}
    assert all(KINDS.values())


def test_a_flood_leaves_room_for_asking_and_interrupting(studio):
    workspaces = [opened(studio, pixels(colour=(i, i, i))) for i in range(6)]
    begun, goes_on = threading.Event(), threading.Event()
    studio.segmenter.before_predicting = lambda progress: (begun.set(), goes_on.wait(60))
    with ThreadPoolExecutor(40) as pool:
        calls = [pool.submit(studio.selecting.select, workspaces[i % 6], at((1, 1))) for i in range(40)]
        assert begun.wait(30)
        until = time.monotonic() + 30
        while sum(call.done() for call in calls) < 16 and time.monotonic() < until:
            time.sleep(0.01)
        refused = [call for call in calls if call.done()]
        assert len(refused) >= 16 and all(isinstance(call.exception(), Busy) for call in refused)
        with pytest.raises(Busy):
            studio.undo(workspaces[0])
        assert sum(studio.interrupt(workspace.id) for workspace in workspaces) == len(calls) - len(refused) <= 24
        for call in calls:  # before the computing thread goes on, whose result would count if it came first
            assert isinstance(call.exception(30), (Busy, Interrupted))
        goes_on.set()
    studio.segmenter.before_predicting = lambda progress: None
    studio.selecting.select(workspaces[0], at((1, 1)))
