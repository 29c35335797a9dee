from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager, nullcontext

import pytest

from clickpaint.errors import Busy, Interrupted, InvalidInput
from clickpaint.studio import queue, tasks
from clickpaint.studio.queue import BACKGROUND, CLICK, WORK, Compute
from clickpaint.studio.tasks import Task, Tasks


class Gate:
    """Work that tells when it has begun and goes on when it is let."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, progress):
        self.begun.set()
        while not self.open.wait(0.01):
            progress.check()
        return "through"


def in_thread(work):
    """Calls `work` in a thread; its outcome is in the list that is returned once the thread has ended."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def test_work_is_done_under_the_hosts_lock_in_one_other_thread():
    inside = []

    @contextmanager
    def exclusive():
        inside.append("in")
        yield
        inside.append("out")

    compute = Compute(exclusive)
    seen = [compute.run(Task("erase"), lambda progress: (list(inside), threading.current_thread().name)) for _ in range(2)]
    assert seen == [(["in"], "clickpaint-compute"), (["in", "out", "in"], "clickpaint-compute")]


def test_after_a_stop_its_thread_has_ended_and_a_new_one_computes():
    compute = Compute(nullcontext)
    thread = compute.run(Task("erase"), lambda progress: threading.current_thread())
    compute.stop(60)
    assert not thread.is_alive()
    assert compute.run(Task("erase"), lambda progress: "again") == "again"


def test_errors_come_to_who_asked():
    compute = Compute(nullcontext)
    task = Task("erase")

    def fail(progress):
        raise InvalidInput("No.", "Yes.")

    with pytest.raises(InvalidInput, match="No"):
        compute.run(task, fail)
    assert task.active, "it may have more parts"
    assert compute.run(Task("erase"), lambda progress: 3) == 3


def test_an_unexpected_error_tells_the_user_nothing_of_the_inside():
    compute, task = Compute(nullcontext), Task("erase")
    compute.submit(task, lambda progress: 1 // 0)
    assert task.wake.wait(30)
    assert task.state == "failed" and "division" not in task.error


def test_the_most_urgent_goes_first_and_knows_its_place():
    compute, gate, order = Compute(nullcontext), Gate(), []
    first, _ = in_thread(lambda: compute.run(Task("erase"), gate))
    assert gate.begun.wait(30)
    waiting = []
    for name, urgency in (("ahead", BACKGROUND), ("erase", WORK), ("click 1", CLICK), ("click 2", CLICK)):
        task = Task("encode")
        waiting.append(task)
        compute.submit(task, lambda progress, name=name: order.append(name), urgency)
    assert [compute.position(task) for task in waiting] == [4, 3, 1, 2]
    gate.open.set()
    first.join(30)
    assert waiting[0].wake.wait(30)
    assert order == ["click 1", "click 2", "erase", "ahead"]
    assert compute.position(waiting[0]) is None


def test_too_many_waiting_is_busy_and_encoding_ahead_gives_way():
    compute, gate = Compute(nullcontext, limit=2), Gate()
    first, _ = in_thread(lambda: compute.run(Task("erase"), gate))
    assert gate.begun.wait(30)
    ahead = [Task("encode"), Task("encode"), Task("encode")]
    assert [compute.submit(task, lambda progress: None) for task in ahead] == [True, True, False]
    assert [task.state for task in ahead] == ["waiting", "waiting", "interrupted"]
    others = [in_thread(lambda: compute.run(Task("select"), lambda progress: "clicked", CLICK)) for _ in range(2)]
    assert all(task.wake.wait(30) for task in ahead)
    assert [task.state for task in ahead] == ["interrupted"] * 3
    refused = Task("select")
    with pytest.raises(Busy):
        compute.run(refused, lambda progress: None, CLICK)
    gate.open.set()
    for thread, outcome in others:
        thread.join(30)
        assert outcome == ["clicked"]
    first.join(30)


@pytest.mark.parametrize("stage", ["waiting", "waiting for the host", "running", "running deaf"])
def test_interrupt_comes_back_without_waiting_for_the_work(stage):
    lock, gate, deaf = threading.Lock(), Gate(), threading.Event()
    compute, task = Compute(lambda: lock), Task("erase")
    deaf_begun = threading.Event()
    work = {"running deaf": lambda progress: (deaf_begun.set(), deaf.wait(100))}.get(stage, gate)
    other = None
    if stage == "waiting":
        other = Gate()
        in_thread(lambda: compute.run(Task("erase"), other))
        assert other.begun.wait(30)
    elif stage == "waiting for the host":
        lock.acquire()
    thread, outcome = in_thread(lambda: compute.run(task, work))
    deadline = time.monotonic() + 30
    while compute.position(task) is None and time.monotonic() < deadline:
        pass
    if stage.startswith("running"):
        assert (deaf_begun if stage == "running deaf" else gate.begun).wait(30)
    task.interrupt()
    thread.join(30)
    assert not thread.is_alive()
    assert isinstance(outcome[0], Interrupted)
    # and the next one is served once the thread is free
    deaf.set()
    if other is not None:
        other.open.set()
    if stage == "waiting for the host":
        lock.release()
    assert compute.run(Task("select"), lambda progress: "next") == "next"
    assert gate.begun.is_set() == (stage == "running")


def test_a_task_of_several_parts_waits_again_and_is_stopped_in_the_next():
    compute, task, gate = Compute(nullcontext), Task("caption"), Gate()
    assert compute.run(task, lambda progress: task.state) == "running"
    blocking, _ = in_thread(lambda: compute.run(Task("erase"), gate))
    assert gate.begun.wait(30)
    thread, outcome = in_thread(lambda: compute.run(task, lambda progress: "second"))
    deadline = time.monotonic() + 30
    while compute.position(task) != 1 and time.monotonic() < deadline:
        pass
    assert task.state == "waiting"
    task.interrupt()
    thread.join(30)
    assert isinstance(outcome[0], Interrupted) and compute.position(task) is None
    with pytest.raises(Interrupted):
        compute.run(task, lambda progress: "third")
    gate.open.set()
    blocking.join(30)


def test_every_kind_of_task_is_known():
    with pytest.raises(AssertionError, match="its place in KINDS"):
        Task("nonsense")


def test_the_hosts_own_interrupt_stops_what_runs():
    stop = threading.Event()
    registry, compute, gate = Tasks(stop.is_set), Compute(nullcontext), Gate()
    task = registry.start("erase", "a")
    thread, outcome = in_thread(lambda: compute.run(task, gate))
    assert gate.begun.wait(30)
    stop.set()
    thread.join(30)
    assert isinstance(outcome[0], Interrupted)


def test_idle_threads_end_and_come_back(monkeypatch):
    monkeypatch.setattr(queue, "_IDLE_SECONDS", 0.05)
    compute = Compute(nullcontext)
    threads = []
    for _ in range(2):
        compute.run(Task("erase"), lambda progress: threads.append(threading.current_thread()))
        threads[-1].join(30)
        assert not threads[-1].is_alive()
    assert threads[0] is not threads[1]


def test_nobody_sees_the_tasks_of_others():
    registry = Tasks()
    mine, yours, alone, download = (
        registry.start(*what) for what in (("erase", "a"), ("erase", "b"), ("select",), ("download", None, "lama"))
    )
    assert registry.visible("a") == [mine, download]
    assert registry.visible() == [alone, download]
    assert registry.interrupt("a") == 1
    assert [task.stopped for task in (mine, yours, alone, download)] == [True, False, False, False]
    assert registry.interrupt() == 1 and alone.stopped and not download.stopped
    assert registry.find(("download",), "lama") is download and registry.find(("download",), "mat") is None
    assert registry.count(("download", "verify")) == 1


def test_finished_tasks_are_seen_for_a_while(monkeypatch):
    registry = Tasks()
    with registry.under_way("select", "a") as task:
        assert registry.active("a")
    assert task.state == "done" and not registry.active("a")
    assert registry.visible("a") == [task]
    with registry.under_way("verify") as check:
        pass
    later = time.monotonic() + 90
    monkeypatch.setattr(tasks.time, "monotonic", lambda: later)
    assert registry.visible("a") == [check], "a page behind another one, which may ask once a minute, learns how it ended"
    later += 90
    assert registry.visible("a") == []


def test_a_task_ends_badly_with_its_block_and_tells_its_progress():
    registry = Tasks()
    with pytest.raises(InvalidInput), registry.under_way("erase", "a") as task:
        task.begin().report(0.25, "Filling", done=1, total=4, unit="tile")
        assert task.describe(0)["state"] == "running"
        raise InvalidInput("No.")
    description = task.describe()
    assert (
        description["state"],
        description["text"],
        description["fraction"],
        description["done"],
        description["total"],
        description["unit"],
    ) == (
        "failed",
        "No.",
        0.25,
        1,
        4,
        "tile",
    )


def test_what_a_computation_held_is_let_go_of_before_its_end_is_told():
    class Picture:
        pass

    class Watched(Task):
        def finish(self, error=None):
            kept.append(picture())
            super().finish(error)

    kept, go, held = [], threading.Event(), Picture()
    picture = weakref.ref(held)
    task = Watched("erase")
    Compute(nullcontext).submit(task, lambda progress, held=held: go.wait(30))
    del held
    go.set()
    assert task.wake.wait(30) and kept == [None]


ENDING = {
    "computing": """
        def work(progress):
            while True:
                blur()
                progress.check()

        Compute(nullcontext).submit(Task("encode"), work)
        begun.wait()
    """,
    "given up": """
        def work():
            for _ in range(20):
                blur()

        with suppress(Interrupted):
            interruptible(work, Progress(interrupted=begun.is_set))
    """,
}


@pytest.mark.parametrize("how", ENDING)
def test_a_process_that_ends_in_the_middle_of_a_computation_ends_well(how):
    """OpenCV comes back to an interpreter that has ended, and aborts the process, unless it is waited for."""
    pytest.importorskip("cv2")
    script = """if True:
        import threading
        from contextlib import nullcontext, suppress

        import cv2
        import numpy as np

        from clickpaint.compat.interruptible import interruptible
        from clickpaint.errors import Interrupted
        from clickpaint.progress import Progress
        from clickpaint.studio.queue import Compute
        from clickpaint.studio.tasks import Task

        begun, pixels = threading.Event(), np.zeros((2000, 2000, 3), np.uint8)

        def blur():
            begun.set()
            cv2.GaussianBlur(pixels, (0, 0), 5.0)
    """
    path = os.pathsep.join(one for one in sys.path if one)
    environment = {**os.environ, "PYTHONPATH": path}
    ended = subprocess.run([sys.executable, "-c", script + ENDING[how]], env=environment, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, "")
