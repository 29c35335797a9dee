from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.errors import Busy, InvalidInput, NotFound, TooLarge
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import from_pixels
from clickpaint.segment.base import Point
from clickpaint.session import timeline
from clickpaint.session.steps import Answer, Series, State
from clickpaint.session.workspace import Workspace
from clickpaint.session.workspaces import Bounds, Workspaces

MEGABYTE = 1 << 20


def noise(width=700, height=300, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def edited(pixels, box, value):
    pixels = pixels.copy()
    pixels[box.slices] = value
    return pixels


def select(workspace, label="Click"):
    mask = np.zeros(workspace.size[::-1], bool)
    mask[0, len(workspace.versions)] = True
    workspace.push(State(label, workspace.state.version, PackedMask.of(mask)))


def test_undo_and_redo_go_over_selections_and_results_alike():
    original = noise()
    workspace = Workspace(from_pixels(original), "noise.png")
    first = edited(original, Box(10, 20, 300, 280), 0)
    second = edited(first, Box(600, 250, 700, 300), 255)
    select(workspace)
    workspace.add_result(first, "Remove", Box(10, 20, 300, 280))
    select(workspace)
    workspace.add_result(second, "Remove", Box(600, 250, 700, 300))
    shown = [original, original, first, first, second]
    labels = ["Click", "Remove", "Click", "Remove"]
    assert workspace.versions == [0, 1, 2]
    for _ in range(2):
        for i in range(4, 0, -1):
            assert (workspace.picture().pixels == shown[i]).all()
            assert (workspace.state.selection is not None) == (i in (1, 3))
            assert workspace.can_undo and workspace.undo().label == labels[i - 1]
        assert not workspace.can_undo
        with pytest.raises(InvalidInput, match="undo"):
            workspace.undo()
        for i in range(1, 5):
            assert workspace.can_redo and workspace.redo().label == labels[i - 1]
            assert (workspace.picture().pixels == shown[i]).all()
        assert not workspace.can_redo
        with pytest.raises(InvalidInput, match="redo"):
            workspace.redo()
    for version, pixels in ((0, original), (2, second), (1, first), (2, second)):
        assert (workspace.picture(version).pixels == pixels).all()
    with pytest.raises(NotFound):
        workspace.picture(3)


def test_a_new_step_forgets_what_could_be_redone():
    workspace = Workspace(from_pixels(noise()))
    whole = Box(0, 0, 700, 300)
    workspace.add_result(edited(noise(), whole, 1), "Remove", whole)
    workspace.undo()
    size = workspace.nbytes
    select(workspace)
    assert not workspace.can_redo and workspace.versions == [0]
    with pytest.raises(NotFound):
        workspace.picture(1)
    assert workspace.nbytes < size
    workspace.add_result(edited(noise(), Box(0, 0, 5, 5), 2), "Remove", Box(0, 0, 5, 5))
    assert workspace.versions == [0, 2]  # a number means one result for ever
    assert (workspace.picture().pixels[5:] == noise()[5:]).all() and (workspace.picture().pixels[:5, :5] == 2).all()


def test_thirty_edits_of_a_large_picture_do_not_cost_thirty_copies():
    original = np.zeros((4000, 4000, 3), np.uint8)
    workspace = Workspace(from_pixels(original))
    pixels = original
    for i in range(30):
        box = Box(i * 100, i * 100, i * 100 + 60, i * 100 + 60)
        pixels = edited(pixels, box, i + 1)
        workspace.add_result(pixels, "Remove", box)
    assert workspace.nbytes < 2 * original.nbytes + 30 * 4 * 256 * 256 * 3 + MEGABYTE
    for _ in range(15):
        workspace.undo()
    assert (workspace.picture().pixels[1410, 1410] == 15).all() and (workspace.picture().pixels[1510, 1510] == 0).all()


def test_results_and_inputs_are_not_written_to():
    original, result = noise(), noise(seed=1)
    copies = original.copy(), result.copy()
    workspace = Workspace(from_pixels(original))
    workspace.add_result(result, "Remove", Box(0, 0, 700, 300))
    result[:] = 0
    assert (workspace.picture().pixels == copies[1]).all()
    assert (original == copies[0]).all()
    with pytest.raises(ValueError, match="read-only"):
        workspace.picture().pixels[0, 0] = 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["edit", "edit", "select", "undo", "redo", "forget"]), st.integers(0, 10**6)), max_size=25))
def test_the_timeline_is_that_of_a_list_of_copies(steps):
    original = noise(300, 270)
    workspace = Workspace(from_pixels(original))
    model, at = [original], 0
    for kind, seed in steps:
        random = np.random.default_rng(seed)
        if kind == "edit":
            left, top = int(random.integers(0, 299)), int(random.integers(0, 269))
            box = Box(left, top, int(random.integers(left + 1, 301)), int(random.integers(top + 1, 271)))
            new = edited(model[at], box, random.integers(0, 256, 3))
            workspace.add_result(new, "Remove", box)
            model, at = [*model[: at + 1], new], at + 1
        elif kind == "select":
            select(workspace)
            model, at = [*model[: at + 1], model[at]], at + 1
        elif kind == "undo" and at:
            workspace.undo()
            at -= 1
        elif kind == "redo" and at + 1 < len(model):
            workspace.redo()
            at += 1
        elif kind == "forget":
            assert workspace.forget_oldest() == (at > 0)
            model, at = (model[1:], at - 1) if at else (model, at)
        assert (workspace.can_undo, workspace.can_redo) == (at > 0, at + 1 < len(model))
        assert (workspace.picture().pixels == model[at]).all()
    assert (workspace.original.pixels == original).all()


def test_history_is_bounded_and_old_answers_go_first(monkeypatch):
    monkeypatch.setattr(timeline, "_MOST_STEPS", 30)
    workspace = Workspace(from_pixels(noise(40, 30)))
    answer = Answer("toy", (None,), (0.5,), (np.zeros((1, 256, 256), np.float32),))
    for i in range(50):
        part = Answer(answer.segmenter, answer.masks, answer.scores, (np.full((1, 256, 256), i, np.float32),))
        workspace.push(State("Click", series=Series((Point(i, 0),), None, "replace", None), answer=part, chosen=0))
    assert workspace.nbytes < 17 * 256 * 256 * 4 + MEGABYTE
    kept = 0
    while workspace.can_undo:
        kept += workspace.state.answer is not None
        assert workspace.state.series is not None
        workspace.undo()
    assert kept == 16
    with pytest.raises(InvalidInput):
        workspace.undo()


@pytest.mark.parametrize(
    ("points", "box", "expected"),
    [
        ([(1, 1), (2, 2)], None, True), ([(1, 1)], None, True), ([(1, 1)], (0, 0, 9, 9), True), ([(2, 2)], None, False),
        ([], (0, 0, 9, 9), False),
    ],
)  # fmt: skip
def test_a_series_goes_on_while_points_are_shared(points, box, expected):
    series = Series((Point(1, 1),), None, "add", None)
    assert series.continued_by(tuple(Point(x, y) for x, y in points), box) is expected


def test_a_box_begins_a_series_that_points_refine():
    series = Series((), (0, 0, 9, 9), "add", None)
    assert series.continued_by((Point(1, 1),), (0, 0, 9, 9))
    assert not series.continued_by((Point(1, 1),), None) and not series.continued_by((), (0, 0, 8, 8))


def test_changes_wait_for_their_turn():
    workspace, order = Workspace(from_pixels(noise(9, 9))), []

    def change(name):
        with workspace.turn():
            order.append(f"{name} in")
            time.sleep(0.02)
            order.append(f"{name} out")

    threads = [threading.Thread(target=change, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(order) == 10 and all(a.split()[0] == b.split()[0] for a, b in zip(order[::2], order[1::2], strict=True))


def test_too_many_waiting_are_refused_and_waiting_can_be_given_up():
    workspace = Workspace(from_pixels(noise(9, 9)))
    stop, outcomes, waiting = threading.Event(), [], set()

    def check():
        waiting.add(threading.get_ident())
        if stop.is_set():
            raise InterruptedError

    def change():
        try:
            with workspace.turn(check):
                outcomes.append("in")
        except InterruptedError:
            outcomes.append("given up")

    with workspace.turn():
        threads = [threading.Thread(target=change) for _ in range(8)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 30
        while len(waiting) < len(threads) and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(Busy), workspace.turn():
            pass
        stop.set()
        for thread in threads:
            thread.join(30)
    assert outcomes == ["given up"] * 8
    with workspace.turn():
        pass


def registry(number=3, nbytes=64 * MEGABYTE, seconds=3600.0, in_use=()):
    bounds, closed = [Bounds(number, nbytes, seconds)], []
    opened = Workspaces(lambda: bounds[0], lambda id: id in in_use, closed.append)
    return opened, bounds, closed


def test_the_one_unused_longest_is_closed():
    all_, _, closed = registry(number=3)
    a, b, c = (all_.open(from_pixels(noise(9, 9))) for _ in range(3))
    all_.get(a.id)
    all_.open(from_pixels(noise(9, 9)))
    assert closed == [b.id] and b.closed and not a.closed and len(all_) == 3
    with pytest.raises(NotFound):
        all_.get(b.id)
    with pytest.raises(NotFound), b.turn():
        pass
    assert all_.get(c.id) is c


def test_never_one_that_is_in_use():
    in_use = set()
    all_, _, closed = registry(number=2, in_use=in_use)
    a, b = (all_.open(from_pixels(noise(9, 9))) for _ in range(2))
    in_use.add(a.id)
    c = all_.open(from_pixels(noise(9, 9)))
    assert closed == [b.id]
    in_use.add(c.id)
    with pytest.raises(Busy):
        all_.open(from_pixels(noise(9, 9)))
    assert not a.closed and not c.closed and len(all_) == 2


def test_bytes_are_bounded_by_closing_and_then_by_forgetting():
    picture = noise(1000, 1000)
    all_, _, closed = registry(nbytes=10 * 1000 * 1000)
    a, b = (all_.open(from_pixels(picture)) for _ in range(2))
    pixels = picture
    for _ in range(8):
        pixels = pixels + np.uint8(1)
        b.add_result(pixels, "Remove", Box(0, 0, 1000, 1000))
        assert all_.make_room(b) == (all_.nbytes <= 10 * 1000 * 1000)
    assert closed == [a.id] and all_.nbytes <= 10 * 1000 * 1000
    assert (b.picture().pixels == pixels).all() and (b.picture(0).pixels == picture).all()
    with pytest.raises(TooLarge):
        all_.open(from_pixels(noise(2000, 2000)))


def test_unused_ones_expire():
    all_, _, closed = registry()
    a, b = (all_.open(from_pixels(noise(9, 9))) for _ in range(2))
    a.used -= 7200
    assert all_.get(b.id) is b and closed == [a.id]


def test_ids_cannot_be_guessed():
    ids = {Workspace(from_pixels(noise(2, 2))).id for _ in range(50)}
    assert len(ids) == 50 and all(len(id) >= 22 for id in ids)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["edit", "expand", "undo", "redo", "forget"]), min_size=1, max_size=14), st.integers(0, 99))
def test_a_timeline_with_larger_canvases_gives_back_every_version(steps, seed):
    """Whatever is painted, expanded, undone and forgotten: each version that is left has the pixels it was made with."""
    random = np.random.default_rng(seed)
    workspace = Workspace(from_pixels(random.integers(0, 256, (20, 30, 3), np.uint8)))
    made = {0: workspace.original.pixels}
    for step in steps:
        shown = workspace.picture()
        if step == "edit":
            pixels = shown.pixels.copy()
            left, top = int(random.integers(0, shown.width - 4)), int(random.integers(0, shown.height - 4))
            pixels[top : top + 4, left : left + 4] = random.integers(0, 256, 3)
            made[workspace.add_result(pixels, "Remove", Box(left, top, left + 4, top + 4)).version] = pixels
        elif step == "expand":
            left, top, right, bottom = (int(pixels) for pixels in random.integers(0, 300, 4))
            pixels = np.pad(shown.pixels, ((top, bottom), (left, right), (0, 0)))
            made[workspace.add_expanded(pixels, "Expand", (left, top, right, bottom)).version] = pixels
        elif step == "forget":
            workspace.forget_oldest()
        elif getattr(workspace, f"can_{step}"):
            getattr(workspace, step)()
        for version in workspace.versions:
            width, height = workspace.size_of(version)
            part = Box(width // 3, height // 4, width, height - 1)
            assert np.array_equal(workspace.part(version, part), made[version][part.slices])
            assert np.array_equal(workspace.sampled(version, 3), made[version][::3, ::3])
            changed = workspace.difference(version, workspace.state.version)
            if changed is not None:
                outside = np.ones(made[version].shape[:2], bool)
                outside[changed.slices] = False
                assert np.array_equal(made[version][outside], made[workspace.state.version][outside])
        for version in workspace.versions:
            assert np.array_equal(workspace.picture(version).pixels, made[version])
        assert workspace.size == workspace.picture().size


def test_how_a_version_was_painted_goes_with_it():
    original = noise()
    workspace = Workspace(from_pixels(original).with_text(parameters="of the file"))
    box = Box(0, 0, 9, 9)

    def infotext(version=None):
        return workspace.picture(version).source.text.get("parameters")

    workspace.add_result(edited(original, box, 1), "Fill", box, None, "Seed: 1")
    workspace.add_result(edited(original, box, 2), "Remove", box)
    workspace.add_expanded(np.pad(original, ((8, 0), (0, 0), (0, 0))), "Expand", (0, 8, 0, 0), "Seed: 3")
    assert [infotext(version) for version in (0, 1, 2, 3)] == ["of the file", "Seed: 1", "Seed: 1", "Seed: 3"]
    workspace.undo()
    workspace.undo()
    workspace.add_result(edited(original, box, 4), "Remove", box)
    assert infotext() == "Seed: 1"
    workspace.forget_oldest(9)
    assert infotext() == "Seed: 1"
