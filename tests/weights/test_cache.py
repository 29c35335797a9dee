"""One maker per key, the budget, and what failures leave behind."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.errors import Interrupted
from clickpaint.progress import Progress
from clickpaint.weights.cache import EmbeddingCache, Held, ModelCache


@dataclass
class Encoded:
    nbytes: int


def test_made_once_and_then_remembered():
    cache = ModelCache(lambda: 100)
    made = []
    for _ in range(3):
        assert cache.get("sam", lambda: (made.append(1) or "model", 10)) == "model"
    assert made == [1]
    assert cache.contents() == [Held("sam", 10)]
    assert cache.nbytes == 10


def test_the_least_recently_used_goes_first():
    cache = ModelCache(lambda: 30)
    for key in "abc":
        cache.get(key, lambda: (object(), 10))
    cache.get("a", lambda: pytest.fail("a is still here"))
    cache.get("d", lambda: (object(), 10))
    assert [held.key for held in cache.contents()] == ["c", "a", "d"]


def test_the_newest_stays_even_if_it_alone_is_too_large():
    cache = ModelCache(lambda: 30)
    cache.get("small", lambda: (object(), 10))
    cache.get("large", lambda: (object(), 1000))
    assert [held.key for held in cache.contents()] == ["large"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=30), st.integers(0, 60))
@settings(deadline=None, max_examples=60)
def test_never_over_the_budget_but_for_the_newest(steps, budget):
    cache = ModelCache(lambda: budget)
    for key, size in steps:
        cache.get(key, lambda size=size: (object(), size))
        held = cache.contents()
        assert held[-1].key == key
        assert sum(one.nbytes for one in held) <= budget or len(held) == 1 or sum(one.nbytes for one in held[:-1]) == 0


def test_room_is_made_before_a_load_and_unloading_gives_memory_back():
    dropped = []
    cache = ModelCache(lambda: 30, dropped=lambda: dropped.append(1))
    cache.get("a", lambda: (object(), 20))
    cache.make_room(20)
    assert cache.contents() == []
    assert dropped == [1]
    cache.get("b", lambda: (object(), 7))
    cache.get("c", lambda: (object(), 5))
    assert cache.unload("b") == 7
    assert cache.unload("nothing") == 0
    assert cache.unload() == 5
    assert len(dropped) == 3


def test_many_threads_one_maker():
    cache = EmbeddingCache(lambda: 100)
    made, results = [], []
    barrier, goes_on = threading.Barrier(9), threading.Event()

    def make():
        made.append(1)
        goes_on.wait(60)
        return Encoded(10)

    def ask():
        barrier.wait()
        results.append(cache.get(("sam", "digest"), make))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()  # all of them ask now
    goes_on.set()
    for thread in threads:
        thread.join(30)
    assert made == [1]
    assert len(results) == 8
    assert len({id(result) for result in results}) == 1


def test_different_keys_do_not_wait_for_each_other():
    cache = ModelCache(lambda: 100)
    gate, inside = threading.Event(), threading.Event()

    def slow():
        inside.set()
        gate.wait(30)
        return "slow", 1

    thread = threading.Thread(target=lambda: cache.get("slow", slow))
    thread.start()
    inside.wait(30)
    assert cache.get("quick", lambda: ("quick", 1)) == "quick"
    gate.set()
    thread.join(30)


def test_a_failure_is_not_remembered():
    cache = ModelCache(lambda: 100)

    def fails():
        raise OSError("broken file")

    with pytest.raises(OSError, match="broken file"):
        cache.get("sam", fails)
    assert cache.get("sam", lambda: ("model", 1)) == "model"


def test_who_waited_for_one_that_was_interrupted_makes_its_own():
    cache = EmbeddingCache(lambda: 100)
    inside, stop = threading.Event(), threading.Event()
    errors, texts = [], []

    def interrupted():
        inside.set()
        stop.wait(30)
        raise Interrupted()

    def first():
        try:
            cache.get(("sam", "d"), interrupted)
        except Interrupted as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(30)
    threading.Timer(0.3, stop.set).start()
    result = cache.get(("sam", "d"), lambda: Encoded(3), Progress(lambda step: texts.append(step.text)))
    thread.join(30)
    assert result.nbytes == 3
    assert len(errors) == 1
    assert "Waiting for the picture to be encoded" in texts


def test_who_waits_can_be_interrupted():
    cache = ModelCache(lambda: 100)
    inside, gate = threading.Event(), threading.Event()

    def slow():
        inside.set()
        gate.wait(30)
        return "model", 1

    thread = threading.Thread(target=lambda: cache.get("sam", slow))
    thread.start()
    inside.wait(30)
    with pytest.raises(Interrupted):
        cache.get("sam", lambda: pytest.fail("must wait"), Progress(interrupted=lambda: True))
    gate.set()
    thread.join(30)
    assert cache.get("sam", lambda: pytest.fail("is here")) == "model"
