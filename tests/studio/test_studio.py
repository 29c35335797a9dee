from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clickpaint.errors import Busy, DownloadFailed, Interrupted, InvalidInput, NotFound, OutOfMemory, TooLarge
from clickpaint.image.picture import from_pixels
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.session.selection import Adjustment
from tests.toys.studio import FILLED, GREEN, RED, array_of, file_of, pixels, toy_studio


@pytest.fixture
def studio(tmp_path):
    studio = toy_studio(tmp_path)
    yield studio
    studio.shut_down()


def at(*points, label=1):
    return Prompts(tuple(Point(x, y, label) for x, y in points))


def quiet(studio, workspace):
    """Once nothing is under way any more."""
    until = time.monotonic() + 30
    while any(task.active for task in studio.tasks.visible(workspace.id)):
        assert time.monotonic() < until
        time.sleep(0.005)
    return workspace


def opened(studio, image=None):
    return quiet(studio, studio.open(file_of(pixels() if image is None else image), "toy.png"))


def selected(workspace):
    state = workspace.state
    return np.zeros(workspace.size[::-1], bool) if state.selection is None else state.selection.mask


image = pixels()
red, blue, grey = ((image == image[y, x]).all(axis=2) for x, y in ((30, 20), (59, 39), (0, 0)))


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
    assert studio.undo(workspace).label == "Remove"
    assert (selected(workspace) == red).all() and (workspace.picture().pixels == image).all()
    assert studio.redo(workspace).label == "Remove" and (workspace.picture().pixels == result).all()
    assert (array_of(studio.encode(workspace.picture(), "PNG")) == result).all()


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
        told = {}
        while time.monotonic() < until and (told.get("select") or {}).get("queue_position") != 1:
            told = {task.kind: task.describe(studio.requests.position(task)) for task in studio.tasks.visible(workspace.id)}
        assert told["select"]["state"] == "waiting" and told["select"]["queue_position"] == 1
        assert (told["encode"]["state"], told["encode"]["text"], told["encode"]["fraction"]) == ("running", "Encoding the toy", 0.5)
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


def test_the_selections_feather_is_the_erasers(studio):
    workspace = opened(studio)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(20, 15, 30, 25)), Adjustment("feather", 5)])
    studio.erasing.erase(workspace, grow=2)
    changed = (workspace.picture().pixels != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    # a feather of 5 fades to nothing at its outer edge
    assert 15 - 7 <= rows[0] < 15 - 3 and 25 + 3 < rows[-1] + 1 <= 25 + 7
    assert 20 - 7 <= columns[0] < 20 - 3


def test_everything_gives_regions_to_pick_from(studio):
    workspace = opened(studio)
    found = studio.selecting.everything(workspace, EverythingOptions())
    assert len(found.regions) == 3 and found.labels.dtype == np.uint16 and found.overview.shape == image.shape
    for index, region in enumerate(found.regions):
        studio.selecting.adjust(workspace, [Adjustment("region", index=index, mode="replace")])
        assert (selected(workspace) == region.mask).all()
        assert (found.labels[region.mask] == index + 1).all()


def test_erasing_needs_a_selection(studio):
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        studio.erasing.erase(opened(studio))


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


def test_memory_that_runs_out_is_freed_and_the_work_tried_again(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    left = [1]

    def short(progress):
        if left[0]:
            left[0] -= 1
            raise MemoryError("CUDA out of memory")

    studio.eraser.before = short
    studio.erasing.erase(workspace)
    assert left == [0] and workspace.state.version == 1
    left[0] = 99
    studio.undo(workspace)
    with pytest.raises(OutOfMemory) as caught:
        studio.erasing.erase(workspace)
    assert caught.value.remedy
    assert workspace.state.version == 0 and workspace.state.selection is not None


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
    name, result = studio.erasing.erase_picture(picture, red)
    assert name == "classic" and (result.pixels[red] == FILLED).all() and (result.pixels[~red] == image[~red]).all()
    assert len(studio.selecting.segment_everything(picture, EverythingOptions()).regions) == 3
    with pytest.raises(InvalidInput, match="60 x 40"):
        studio.erasing.erase_picture(picture, red[:-1])
    assert (picture.pixels == image).all()


def test_limits_of_the_settings_hold(tmp_path):
    studio = toy_studio(tmp_path, max_megapixels=1, max_upload_mb=1, max_workspaces=2)
    with pytest.raises(TooLarge):
        studio.open(file_of(np.zeros((1001, 1000, 3), np.uint8)))
    with pytest.raises(TooLarge):
        studio.open(bytes(2 << 20))
    ids = [studio.open(file_of(pixels())).id for _ in range(3)]
    with pytest.raises(NotFound):
        studio.workspace(ids[0])


def test_auto_is_the_best_that_works_now(tmp_path, monkeypatch):
    studio = toy_studio(tmp_path, segmenter="auto", eraser="auto")
    assert (studio.pool.segmenter_name(), studio.pool.eraser_name()) == ("classic", "classic")
    engines = {engine.name: engine for engine in studio.pool.segmenters()}
    assert not engines["mobile_sam"].available and engines["mobile_sam"].reason and engines["classic"].available
    monkeypatch.setattr("clickpaint.segment.registry.unavailable", lambda name, installed=None: None)
    monkeypatch.setattr("clickpaint.studio.model_pool.segmenters.unavailable", lambda name, installed=None: None)
    from clickpaint.weights.catalog import catalog

    file = catalog()["mobile_sam"]
    (tmp_path / file.kind).mkdir()
    with (tmp_path / file.kind / file.filename).open("wb") as stream:
        stream.truncate(file.bytes or 10)
    studio.pool.changed()
    assert studio.pool.segmenter_name() == "mobile_sam"
    assert studio.pool.segmenter_name("classic") == "classic"


def test_downloads_are_tasks(tmp_path, monkeypatch):
    studio = toy_studio(tmp_path)
    begun, goes_on = threading.Event(), threading.Event()

    def download(name, network, progress):
        begun.set()
        while not goes_on.is_set():
            progress.report(0.5, f"Downloading {name}", done=5, total=10, unit="B")
            time.sleep(0.005)

    monkeypatch.setattr(studio.pool.store, "download", download)
    task = studio.downloads.download("mobile_sam")
    assert begun.wait(30) and studio.downloads.download("mobile_sam") is task
    told = task.describe()
    assert (told["kind"], told["subject"], told["unit"], told["total"]) == ("download", "mobile_sam", "B", 10)
    assert studio.interrupt() == 0  # that is for requests
    assert studio.downloads.cancel("mobile_sam") and task.wake.wait(30)
    until = time.monotonic() + 30
    while task.active and time.monotonic() < until:
        time.sleep(0.005)
    assert task.state == "interrupted" and not studio.downloads.cancel("mobile_sam")
    goes_on.set()
    again = studio.downloads.download("mobile_sam")
    while again.active:
        time.sleep(0.005)
    assert again.state == "done"
    with pytest.raises(NotFound):
        studio.downloads.download("eagle")
    with pytest.raises(NotFound):
        studio.downloads.cancel("eagle")


def test_offline_means_no_downloads(tmp_path):
    with pytest.raises(DownloadFailed, match="switched off"):
        toy_studio(tmp_path, offline=True).downloads.download("mobile_sam")


def test_a_file_that_is_wrong_is_told(tmp_path):
    studio = toy_studio(tmp_path)
    assert studio.pool.store.state("mobile_sam").state == "missing"
    task = studio.downloads.verify("mobile_sam")
    while task.active:
        time.sleep(0.005)
    assert task.state == "done"


def test_pictures_with_other_colours_are_other_pictures(studio):
    first, second = opened(studio), opened(studio, pixels(colour=GREEN, background=RED))
    studio.selecting.select(second, at((0, 0)))
    studio.selecting.select(first, at((0, 0)))
    assert (selected(first) == grey).all() and (selected(second) == ((pixels(colour=GREEN, background=RED) == RED).all(axis=2))).all()


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
