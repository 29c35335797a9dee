"""Workspaces on disk: they come back as they were, within bounds, and what is damaged is no obstacle."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickpaint.caption.base import Turn
from clickpaint.errors import InvalidInput, NotFound
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import decode, encode
from clickpaint.paint.in_picture import PaintResult
from clickpaint.segment.base import Point
from clickpaint.session import storage as storage_module
from clickpaint.session.entries import StorageBounds
from clickpaint.session.steps import Answer, Series, State
from clickpaint.session.storage import WorkspaceStorage
from clickpaint.session.workspaces import Bounds, Workspaces

MEGABYTE = 1 << 20


def noise(width=300, height=200, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def file_of(array):
    return encode(from_pixels(array[..., :3], array[..., 3] if array.shape[2] == 4 else None), "PNG")


class Program:
    """What starts again in a test: the registry of workspaces with a storage that earlier ones wrote."""

    def __init__(self, folder: Path, days: float = 14, nbytes: int = 64 * MEGABYTE, number: int = 8) -> None:
        self.folder = folder / "workspaces"
        self.bounds = StorageBounds(days, nbytes)
        self.brought_back: list[str] = []
        self.storage = WorkspaceStorage(self.folder, lambda: self.bounds, decode)
        self.workspaces = Workspaces(
            lambda: Bounds(number, 256 * MEGABYTE, 3600), lambda id: False, storage=self.storage,
            brought_back=lambda workspace: self.brought_back.append(workspace.id),
        )  # fmt: skip

    def open(self, data, name="noise.png"):
        return self.workspaces.open(decode(data), name, data, "classic")


def restarted(program, workspace):
    """The workspace as the next program has it."""
    program.storage.settle()
    return Program(program.folder.parent).workspaces.get(workspace.id)


def mask_at(workspace, x, y):
    mask = np.zeros(workspace.size[::-1], bool)
    mask[y : y + 9, x : x + 5] = True
    return PackedMask.of(mask)


def same_mask(a, b):
    return (a is None) == (b is None) and (a is None or (a.size == b.size and a.area == b.area and (a.mask == b.mask).all()))


def assert_same(a, b):
    before, after = a.contents(), b.contents()
    assert (before.name, before.opened, before.segmenter, before.index, before.last_version, dict(before.texts), before.chat) == (
        after.name, after.opened, after.segmenter, after.index, after.last_version, dict(after.texts), after.chat
    )  # fmt: skip
    assert len(before.states) == len(after.states)
    for mine, other in zip(before.states, after.states, strict=True):
        assert (mine.label, mine.version, mine.feather) == (other.label, other.version, other.feather)
        assert same_mask(mine.selection, other.selection)
        assert (mine.series is None) == (other.series is None)
        if mine.series is not None:
            assert (mine.series.points, mine.series.box, mine.series.mode) == (other.series.points, other.series.box, other.series.mode)
            assert same_mask(mine.series.base, other.series.base)
    assert a.versions == b.versions
    for version in a.versions:
        mine, other = a.picture(version), b.picture(version)
        assert np.array_equal(mine.pixels, other.pixels) and mine.source.text == other.source.text
        assert (mine.alpha is None) == (other.alpha is None) and (mine.alpha is None or np.array_equal(mine.alpha, other.alpha))
        assert encode(mine) == encode(other), "the file that it is saved as is the same to the byte"
    assert same_mask(before.results_of, after.results_of)
    for mine, other in zip(before.results, after.results, strict=True):
        assert (mine.box, mine.seed, mine.infotext) == (other.box, other.seed, other.infotext)
        assert np.array_equal(mine.pixels, other.pixels) and (mine.opacity is None) == (other.opacity is None)


def changed(workspace, change, *arguments):
    with workspace.turn():
        return change(*arguments)


def test_a_click_is_written_once_there_is_a_rest(tmp_path, monkeypatch):
    """Clicks come in series: what was selected in between is made and packed when nobody waits for the next one."""
    monkeypatch.setattr(storage_module, "_REST", 1e6)
    monkeypatch.setattr(storage_module, "_LONGEST_REST", 1e6)
    program = Program(tmp_path)
    clicked, other = (program.open(file_of(noise(seed=seed))) for seed in (1, 2))
    program.storage.settle()
    manifest = program.folder / clicked.id / "manifest.json"
    opened = manifest.read_bytes()
    for x in (3, 30):
        with clicked.turn():
            mask = mask_at(clicked, x, 7)
            clicked.push(
                State("Click", 0, mask, 0, Series((Point(x, 7, 1),), None, "replace", None), Answer("classic", (mask,), (1.0,), (None,)))
            )
    with other.turn():
        other.push(State("All", 0, mask_at(other, 5, 5)))
    program.storage.settle(other.id)
    assert manifest.read_bytes() == opened, "it rests, and nobody else waits for that"
    assert_same(clicked, restarted(program, clicked))


def test_a_workspace_comes_back_with_all_that_was_done_in_it(tmp_path):
    program = Program(tmp_path)
    data = file_of(noise(channels=4))
    workspace = program.open(data, "ball.png")
    base = mask_at(workspace, 3, 4)
    series = Series((Point(7.5, 8, 1), Point(1, 2, 0)), (1.0, 2.0, 30.0, 40.0), "add", base)
    pixels = workspace.original.pixels.copy()
    pixels[100:150, 20:290] = 9
    opacity = np.asarray(workspace.original.alpha).copy()
    opacity[100:150, 20:290] = 0
    changed(workspace, lambda: workspace.push(State("Click", 0, base, 3, series)))
    changed(workspace, lambda: workspace.add_result(pixels, "Remove", Box(20, 100, 290, 150), opacity=opacity))
    larger = np.pad(pixels, ((5, 0), (0, 7), (0, 0)))
    changed(workspace, lambda: workspace.add_expanded(larger, "Expand", (0, 5, 7, 0), "Seed: 3", np.pad(opacity, ((5, 0), (0, 7)))))
    result = PaintResult(Box(0, 0, 10, 20), noise(10, 20), 5, "Seed: 5", noise(10, 20, 1)[..., 0])
    changed(workspace, lambda: workspace.hold_results((result,), base))
    workspace.chat = (Turn("What is it?", "A ball.", Box(1, 2, 3, 4)), Turn("Why?", "Because."))
    changed(workspace, workspace.undo)

    again = restarted(program, workspace)
    assert_same(workspace, again)
    assert again.redo().label == "Expand" and again.margins() == (0, 5, 7, 0) and again.size == (307, 205)
    assert again.undo().label == "Expand" and again.undo().label == "Remove" and again.undo().label == "Click"
    assert not again.can_undo and (again.picture().pixels == workspace.original.pixels).all()


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["edit", "expand", "select", "undo", "redo", "forget", "restart"]), min_size=1, max_size=12),
    st.integers(0, 99),
)
def test_any_timeline_comes_back_after_any_number_of_restarts(tmp_path, steps, seed):
    random = np.random.default_rng(seed)
    program = Program(tmp_path)
    workspace = program.open(file_of(random.integers(0, 256, (20, 30, 3), np.uint8)))
    for step in [*steps, "restart"]:
        shown = workspace.picture()
        if step == "restart":
            again = restarted(program, workspace)
            assert_same(workspace, again)
            program = Program(tmp_path)
            workspace = program.workspaces.get(again.id)
        elif step == "edit":
            pixels = shown.pixels.copy()
            pixels[2:9, 3:8] = random.integers(0, 256, 3)
            changed(workspace, workspace.add_result, pixels, "Fill", Box(3, 2, 8, 9), None, f"Seed: {seed}")
        elif step == "expand":
            margins = tuple(int(each) for each in random.integers(0, 300, 4))
            pixels = np.pad(shown.pixels, ((margins[1], margins[3]), (margins[0], margins[2]), (0, 0)))
            changed(workspace, workspace.add_expanded, pixels, "Expand", margins)
        elif step == "select":
            state = State("Box", workspace.state.version, mask_at(workspace, 1, 2), 2)
            changed(workspace, workspace.push, state)
        elif step == "forget":
            changed(workspace, workspace.forget_oldest)
        elif getattr(workspace, f"can_{step}"):
            changed(workspace, getattr(workspace, step))
    program.storage.settle()
    folder = program.folder / workspace.id
    named = json.loads((folder / "manifest.json").read_text())
    files = {path.name for path in folder.iterdir()}
    assert all(file in json.dumps(named) or file in ("source", "manifest.json") for file in files), "nothing is left over"


def test_only_what_is_new_is_written(tmp_path, monkeypatch):
    program = Program(tmp_path)
    workspace = program.open(file_of(noise()))
    program.storage.settle()
    written = []
    write = storage_module.write_file
    monkeypatch.setattr(storage_module, "write_file", lambda path, data: (written.append(path.name.partition("-")[0]), write(path, data)))
    changed(workspace, lambda: workspace.push(State("Click", 0, mask_at(workspace, 3, 4))))
    program.storage.settle()
    assert written == ["mask", "manifest.json.part"]
    changed(workspace, lambda: None)
    program.storage.settle()
    assert len(written) == 2


def test_both_of_two_requests_get_the_same_workspace(tmp_path):
    program = Program(tmp_path)
    id = program.open(file_of(noise())).id
    program.storage.settle()
    after, start, got = Program(tmp_path), threading.Barrier(4), []

    def ask():
        start.wait(30)
        got.append(after.workspaces.get(id))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 4 and len(set(map(id_of, got))) == 1 and after.brought_back == [id]


id_of = id


def test_one_that_was_closed_for_lack_of_room_opens_again(tmp_path):
    program = Program(tmp_path, number=1)
    first = program.open(file_of(noise()))
    changed(first, lambda: first.push(State("Click", 0, mask_at(first, 3, 4))))
    second = program.open(file_of(noise(seed=1)))
    assert first.closed and not second.closed
    again = program.workspaces.get(first.id)
    assert again is not first and not again.closed and same_mask(again.state.selection, first.state.selection) and second.closed
    with pytest.raises(NotFound), first.turn():
        pass


def test_closing_removes_it_from_the_disk_too(tmp_path):
    program = Program(tmp_path)
    opened, stored = program.open(file_of(noise())), program.open(file_of(noise(seed=1)))
    program.storage.settle()
    assert program.workspaces.close(opened.id) and not (program.folder / opened.id).exists()
    after = Program(tmp_path)
    assert after.workspaces.close(stored.id) and not any(program.folder.iterdir())
    for id in (opened.id, stored.id):
        assert not after.workspaces.close(id)
        with pytest.raises(NotFound):
            after.workspaces.get(id)
    with opened._turns.take(lambda: None):
        pass
    program.storage.changed(opened)
    program.storage.settle()
    assert not any(program.folder.iterdir()), "a request that ends later does not bring it back"


@pytest.mark.skipif(os.name == "nt", reason="permissions of other systems")
def test_only_the_user_may_read_it(tmp_path):
    program = Program(tmp_path)
    workspace = program.open(file_of(noise()))
    changed(workspace, lambda: workspace.push(State("Click", 0, mask_at(workspace, 3, 4))))
    program.storage.settle()
    paths = [program.folder, *program.folder.rglob("*")]
    assert len(paths) >= 5 and {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths} == {0}


@pytest.mark.parametrize(
    "id",
    ["", ".", "..", "../" * 8, "a/b", "x" * 23, "x" * 25, "%2e%2e" * 4, "..\\..\\..\\..\\..\\..\\..\\..", "x" * 23 + "\n", "x" * 23 + "\0"],
)
def test_a_request_names_no_path(tmp_path, id):
    program = Program(tmp_path)
    program.open(file_of(noise()))
    program.storage.settle()
    before = sorted(tmp_path.rglob("*"))
    assert program.storage.load(id) is None and not program.storage.forget(id) and program.storage.thumbnail(id) is None
    assert program.storage.history([id]) == [] and sorted(tmp_path.rglob("*")) == before


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewritten(key, value):
    def work(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return work


DAMAGE = {
    "manifest cut": ("manifest.json", cut),
    "manifest of another": ("manifest.json", rewritten("id", "x" * 24)),
    "manifest no object": ("manifest.json", lambda path: path.write_text("[]")),
    "states missing": ("manifest.json", rewritten("states", [])),
    "index wrong": ("manifest.json", rewritten("index", 77)),
    "file outside": ("manifest.json", rewritten("results_of", "../../secret.npz")),
    "version missing": ("manifest.json", rewritten("tiles", {})),
    "source cut": ("source", cut),
    "source missing": ("source", Path.unlink),
    "tiles cut": ("tiles-*.npz", cut),
    "tiles missing": ("tiles-*.npz", Path.unlink),
    "mask no archive": ("mask-*.npz", lambda path: path.write_bytes(b"PK\x03\x04 no")),
    "frame empty": ("frame-*.npz", lambda path: path.write_bytes(b"")),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_said_and_removed(tmp_path, caplog, name):
    program = Program(tmp_path)
    workspace, other = program.open(file_of(noise())), program.open(file_of(noise(seed=1)))
    changed(workspace, lambda: workspace.push(State("Click", 0, mask_at(workspace, 3, 4))))
    changed(workspace, lambda: workspace.add_result(noise(seed=2), "Remove", Box(0, 0, 300, 200)))
    changed(workspace, lambda: workspace.add_expanded(noise(301, 200), "Expand", (1, 0, 0, 0)))
    program.storage.settle()
    pattern, damage = DAMAGE[name]
    damage(next((program.folder / workspace.id).glob(pattern)))
    after = Program(tmp_path)
    with caplog.at_level(logging.WARNING), pytest.raises(NotFound):
        after.workspaces.get(workspace.id)
    assert any("damaged" in record.getMessage() for record in caplog.records)
    assert not (program.folder / workspace.id).exists()
    assert_same(other, after.workspaces.get(other.id))


def test_a_write_that_fails_is_said_and_made_up_for(tmp_path, caplog, monkeypatch):
    program = Program(tmp_path)
    workspace = program.open(file_of(noise()))
    program.storage.settle()
    write = storage_module.write_file
    full = [True]

    def written(path, data):
        if full[0] and path.name.startswith("tiles"):
            write(path, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(storage_module, "write_file", written)
    with caplog.at_level(logging.WARNING):
        changed(workspace, lambda: workspace.add_result(noise(seed=2), "Remove", Box(0, 0, 300, 200)))
        program.storage.settle()
    assert "No space left" in caplog.text
    assert not Program(tmp_path).workspaces.get(workspace.id).can_undo, "the last complete state"
    full[0] = False
    changed(workspace, lambda: None)
    assert_same(workspace, restarted(program, workspace))


def test_the_oldest_go_where_there_is_no_room(tmp_path):
    program = Program(tmp_path)
    data = file_of(noise())
    workspaces = [program.open(data, f"{number}.png") for number in range(4)]
    program.storage.settle()
    for age, workspace in zip((30, 1, 3, 2), workspaces, strict=True):
        manifest = program.folder / workspace.id / "manifest.json"
        changed = manifest.stat().st_mtime - age * 24 * 3600
        os.utime(manifest, (changed, changed))
    after = Program(tmp_path, nbytes=3 * len(data) + len(data) // 2)
    assert [entry.name for entry in after.storage.history()] == ["1.png", "3.png", "2.png"], "one is too old"
    newest = after.open(data, "new.png")
    after.storage.settle()
    assert [entry.name for entry in after.storage.history()] == ["new.png", "1.png"]
    assert {path.name for path in program.folder.iterdir()} == {newest.id, workspaces[1].id}


@pytest.mark.parametrize("off", [StorageBounds(0, MEGABYTE), StorageBounds(3, 0)])
def test_where_nothing_is_to_be_kept_nothing_stays(tmp_path, off):
    program = Program(tmp_path)
    workspace = program.open(file_of(noise()))
    program.storage.settle()
    after = Program(tmp_path)
    after.bounds = off
    with pytest.raises(NotFound):
        after.workspaces.get(workspace.id)
    second = after.open(file_of(noise()))
    changed(second, lambda: second.push(State("Click", 0, mask_at(second, 3, 4))))
    after.storage.settle()
    assert not any(program.folder.iterdir()) and after.storage.history() == []
    assert after.workspaces.get(second.id) is second


def test_the_history_says_what_there_is(tmp_path):
    program = Program(tmp_path)
    first, second = program.open(file_of(noise()), "first.png"), program.open(file_of(noise(400, 100, seed=1)), "second.png")
    changed(first, lambda: first.add_expanded(noise(310, 200), "Expand", (10, 0, 0, 0)))
    program.storage.settle()
    after = Program(tmp_path)
    listed = {entry.id: entry for entry in after.storage.history()}
    assert set(listed) == {first.id, second.id}
    assert (listed[first.id].name, listed[first.id].size, listed[first.id].versions) == ("first.png", (310, 200), (0, 1))
    assert listed[first.id].opened == first.opened and listed[first.id].nbytes > 300 * 200
    assert [entry.id for entry in after.storage.history([second.id, "x" * 24])] == [second.id]
    small = decode(after.storage.thumbnail(second.id) or b"")
    assert small.size == (320, 80) and len(after.workspaces) == 0, "nothing was opened for it"


def test_what_may_not_be_opened_now_is_kept(tmp_path):
    """A lower limit of pixels is no damage."""
    program = Program(tmp_path)
    workspace = program.open(file_of(noise()))
    program.storage.settle()

    def refuse(data):
        from clickpaint.errors import TooLarge

        raise TooLarge("Too large.")

    strict = WorkspaceStorage(program.folder, lambda: program.bounds, refuse)
    with pytest.raises(InvalidInput, match="large"):
        strict.load(workspace.id)
    assert_same(workspace, Program(tmp_path).workspaces.get(workspace.id))


class Died(BaseException):
    """The program ends here, as by a signal that nobody can catch."""


def dying(work, left, half=False):
    """`work`, until it and its like were called `left[0]` times; then the program dies, with half of the file written."""

    def operation(*arguments, **named):
        if left[0] == 0:
            if half:
                arguments[0].write_bytes(arguments[1][: len(arguments[1]) // 2])
            raise Died
        left[0] -= 1
        return work(*arguments, **named)

    return operation


@pytest.mark.parametrize("step", ["select", "edit", "expand", "undo", "forget"])
def test_whenever_the_program_dies_the_last_or_the_next_state_is_there(tmp_path, monkeypatch, step):
    """Death at each of the operations that write, half of a file included."""
    for moment in range(40):
        folder = tmp_path / str(moment)
        program = Program(folder)
        workspace = program.open(file_of(noise()))
        changed(workspace, workspace.push, State("Click", 0, mask_at(workspace, 3, 4)))
        changed(workspace, workspace.add_result, noise(seed=2), "Remove", Box(0, 0, 300, 200))
        program.storage.settle()
        before = Program(folder).workspaces.get(workspace.id)
        if step == "select":
            workspace.push(State("Box", 1, mask_at(workspace, 30, 40)))
        elif step == "edit":
            workspace.add_result(noise(seed=3), "Fill", Box(0, 0, 300, 200), None, "Seed: 3")
        elif step == "expand":
            workspace.add_expanded(noise(310, 200, seed=4), "Expand", (10, 0, 0, 0))
        elif step == "forget":
            workspace.forget_oldest(2)
        else:
            workspace.undo()
        left = [moment]

        died = False
        with monkeypatch.context() as patched:
            patched.setattr(storage_module, "write_file", dying(storage_module.write_file, left, half=True))
            for name in ("replace", "unlink"):
                patched.setattr(Path, name, dying(getattr(Path, name), left))
            try:
                program.storage._write(workspace)
            except Died:
                died = True
        after = Program(folder).workspaces.get(workspace.id)
        if not died:
            assert moment >= 2
            assert_same(workspace, after)
            return
        expected = workspace if len(after.contents().states) != len(before.contents().states) or after.can_redo else before
        assert_same(expected, after)
    raise AssertionError("it never ends")
