"""More requests than the server has threads: who asks how far it is, or wants to stop it, is answered all the same."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import anyio.to_thread
import httpx
import pytest

from clickpaint.api.router import PREFIX
from tests.toys.studio import file_of, pixels

THREADS = 40
"""Of a server, by anyio's default, which every host has."""
BOUND = 60
"""Seconds until a test that hangs is given up."""
KINDS = {
    "paint": ("paint", {}),
    "caption": ("caption", {}),
    "chat": ("chat", {"question": "Which colour?"}),
    "control": ("control", {"layers": [{"preprocessor": "canny"}]}),
    "everything": ("caption-everything", {}),
}


class FarAway:
    """A text model on another machine that never answers."""

    name, ours, sees = "far away", False, True

    def __init__(self):
        self.asked = threading.Event()

    def write(self, asked, heard, progress):
        self.asked.set()
        waiting = threading.Event()
        while True:
            progress.check()
            waiting.wait(0.02)


@pytest.fixture
def blocked(studio, monkeypatch):
    """The studio, whose host paints until it is interrupted, whose text model never answers; and whether it paints."""
    painting, waiting = threading.Event(), threading.Event()

    def hold(progress):
        painting.set()
        while True:
            progress.check()
            waiting.wait(0.02)

    studio.toy.can_paint = studio.toy.can_caption = True
    studio.toy.before_painting = hold
    model = FarAway()
    monkeypatch.setattr(studio.captioners, "text_model", lambda: model)
    return studio, painting


def in_a_server(app, studio, work):
    """`work(client)` on an event loop with the threads that a server has."""

    async def run():
        assert anyio.to_thread.current_default_thread_limiter().total_tokens == THREADS
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://testserver{PREFIX}/", timeout=None) as client:
            try:
                await asyncio.wait_for(work(client), BOUND)
            finally:
                studio.toy.stop = True  # a test that failed leaves no thread behind that never ends
                studio.shut_down()

    asyncio.run(run())


async def opened(client, number):
    files = {"file": ("toy.png", file_of(pixels(colour=(number, number, number))))}
    id = (await client.post("workspaces", files=files)).json()["id"]
    assert (await client.post(f"workspaces/{id}/select", json={"points": [{"x": 30, "y": 20}]})).status_code == 200
    return id


def test_a_hundred_use_cases_on_forty_threads_leave_progress_and_interrupt_answering(app, blocked):
    studio, painting = blocked

    async def work(client):
        ids = [await opened(client, number) for number in range(8)]

        def ask(number):
            path, body = KINDS[[*KINDS][number % len(KINDS)]]
            return asyncio.create_task(client.post(f"workspaces/{ids[number % 8]}/{path}", json=body))

        calls = [ask(0)]
        await asyncio.get_running_loop().run_in_executor(None, painting.wait, BOUND)
        calls += [ask(number) for number in range(1, 100)]
        while sum(call.done() for call in calls) < 100 - 24:
            await asyncio.wait([call for call in calls if not call.done()], return_when=asyncio.FIRST_COMPLETED)
        assert {call.result().status_code for call in calls if call.done()} == {429}
        assert all(call.result().json()["remedy"] for call in calls if call.done())

        under_way = Counter()
        for id in ids:
            answer = await client.get("progress", params={"workspace": id})
            assert answer.status_code == 200
            under_way.update(task["kind"] for task in answer.json()["tasks"] if task["state"] in ("waiting", "running"))
        assert {"paint", "chat"} <= {*under_way} <= {*KINDS, "encode"}
        stopped = 0
        while not all(call.done() for call in calls):  # one may only just have been let in
            stopped += sum([(await client.post("interrupt", json={"workspace": id})).json()["interrupted"] for id in ids])
            await asyncio.sleep(0)  # what the other threads answered is heard by the loop
        assert stopped
        answers = await asyncio.gather(*calls)
        # with the first painting stopped, one that waited may have been answered before it was stopped itself
        assert answers[0].status_code == 409 and {answer.status_code for answer in answers} <= {200, 409, 429}
        assert {answer.json()["error"] for answer in answers if answer.status_code == 409} == {"Interrupted"}
        assert (await client.post(f"workspaces/{ids[0]}/undo")).status_code == 200, "there is room again"

    in_a_server(app, studio, work)


def test_progress_events_and_interrupt_need_no_thread(app, blocked, monkeypatch):
    studio, painting = blocked
    looked = iter(range(100))
    monkeypatch.setattr(studio.toy, "ending", lambda: next(looked) > 0)

    async def work(client):
        id = await opened(client, 1)
        call = asyncio.create_task(client.post(f"workspaces/{id}/paint", json={}))
        await asyncio.get_running_loop().run_in_executor(None, painting.wait, BOUND)
        limiter, others = anyio.to_thread.current_default_thread_limiter(), [object() for _ in range(THREADS - 1)]
        for other in others:
            limiter.acquire_on_behalf_of_nowait(other)
        assert limiter.available_tokens == 0
        for path in ("progress", "events"):
            answer = await client.get(path, params={"workspace": id})
            assert answer.status_code == 200 and "paint" in answer.text
        assert (await client.post("interrupt", json={"workspace": id})).json() == {"interrupted": 1}
        assert (await call).status_code == 409
        for other in others:
            limiter.release_on_behalf_of(other)

    in_a_server(app, studio, work)


def test_streams_take_a_place_as_well(app, blocked):
    studio, _ = blocked

    async def work(client):
        id = await opened(client, 1)
        body = {"question": "Which colour?", "stream": True}
        calls = [asyncio.create_task(client.post(f"workspaces/{id}/chat", json=body)) for _ in range(60)]
        while sum(call.done() for call in calls) < 60 - 24:
            await asyncio.wait([call for call in calls if not call.done()], return_when=asyncio.FIRST_COMPLETED)
        assert {call.result().status_code for call in calls if call.done()} == {429}
        while True:  # a thread that has just begun may not have its task yet
            await asyncio.sleep(0)
            tasks = (await client.get("progress", params={"workspace": id})).json()["tasks"]
            if sum(task["kind"] == "chat" and task["state"] == "running" for task in tasks) == 24:
                break
        assert (await client.post("interrupt", json={"workspace": id})).json()["interrupted"] == 24
        streamed = [answer for answer in await asyncio.gather(*calls) if answer.status_code == 200]
        assert len(streamed) == 24 and all("event: error" in answer.text and "Interrupted" in answer.text for answer in streamed)

    in_a_server(app, studio, work)
