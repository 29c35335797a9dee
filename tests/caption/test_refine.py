"""A text model behind an address: what it is asked for every control, and what becomes of its faults."""

from __future__ import annotations

import base64
import logging
import threading
import time

import pytest

from clickpaint.caption.base import Turn
from clickpaint.caption.caption_refinement import Message, TextModelFailed, TextRequest, chat_messages, refine
from clickpaint.caption.endpoint import Endpoint
from clickpaint.caption.local_text_model import LocalTextModel
from clickpaint.caption.style import LANGUAGES, Style, count_words
from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.progress import Progress
from tests.caption.text_server import text_server

CAPTIONS = ["a red ball", "a ball on a lawn"]
ASKED = TextRequest((Message("user", "say something"),), 50)


@pytest.fixture
def server():
    with text_server() as server:
        yield server


@pytest.fixture
def model(server):
    return Endpoint(server.address, "secret-key", "toy", silence=1.5)


def prompt_for(server, model, style, context=""):
    refine(model, CAPTIONS, style, context)
    return server.prompt


CONTROLS = {
    "length": Style(length=6), "positive": Style(sentiment="positive"), "negative": Style(sentiment="negative"),
    "imagination": Style(factuality="imagination"), "prompt": Style(form="prompt"),
    **{language: Style(language=language) for language in LANGUAGES if language != "English"},
}  # fmt: skip


def test_every_control_changes_what_is_asked(server, model):
    server.answers = ["a red ball on the grass"]
    plain = prompt_for(server, model, Style())
    asked = {name: prompt_for(server, model, style) for name, style in CONTROLS.items()}
    assert len({plain, *asked.values()}) == len(CONTROLS) + 1
    assert "6 words" in asked["length"] and "gloomy" in asked["negative"] and "positive" in asked["positive"]
    assert "imagination" in asked["imagination"] and "Stable Diffusion" in asked["prompt"] and "Write in Cantonese" in asked["Cantonese"]
    assert all(caption in plain for caption in CAPTIONS)
    assert "a park" in prompt_for(server, model, Style(), "a park")


def test_the_imagination_is_warmer(server, model):
    for factuality in ("factual", "imagination"):
        refine(model, CAPTIONS, Style(factuality=factuality), seed=7)
    assert server.asked[0]["temperature"] < server.asked[1]["temperature"]
    assert {body["seed"] for body in server.asked} == {7}


def test_knowledge_is_asked_for_apart_from_the_caption(server, model):
    server.answers = ["a red ball", "Balls are round. " * 100]
    refined = refine(model, CAPTIONS, Style(wiki=True, language="Spanish"))
    assert refined.text == "a red ball" and refined.background.startswith("Balls are round.")
    assert count_words(refined.background) <= 120
    assert len(server.asked) == 2 and "generally known" in server.prompt and "Spanish" in server.prompt
    assert refine(model, CAPTIONS, Style()).background == ""


def test_a_length_that_is_missed_is_asked_for_once_more(server, model):
    server.answers = ["too short", "a red ball lies on the green grass"]
    pieces: list[str] = []
    refined = refine(model, CAPTIONS, Style(length=8), on_text=pieces.append)
    assert refined.text == "a red ball lies on the green grass"
    assert len(server.asked) == 2 and "That has 2 words" in server.prompt
    assert "".join(pieces) == "too short\0a red ball lies on the green grass", "what is taken back has to be told"


@pytest.mark.parametrize("length", [5, 10, 40])
def test_what_stays_too_long_is_cut(server, model, length):
    server.answers = ["A red ball lies here in the sun. " * 40]
    text = refine(model, CAPTIONS, Style(length=length)).text
    assert 0.8 * length <= count_words(text) <= 1.2 * length
    assert len(server.asked) == 2, "one retry and no more"


def test_what_fits_is_taken_as_it_is(server, model):
    server.answers = ['"A red ball on the grass."']
    pieces: list[str] = []
    assert refine(model, CAPTIONS, Style(length=6), on_text=pieces.append).text == "A red ball on the grass."
    assert len(server.asked) == 1 and len(pieces) == 6, "it streams"


def test_thoughts_are_not_part_of_the_caption(server, model):
    server.answers = ["<think>hm, a ball?</think> Caption: a ball"]
    assert refine(model, CAPTIONS, Style()).text == "a ball"


def test_a_server_that_does_not_stream_will_do(server, model):
    server.fault, server.answers = "plain", ["a plain ball"]
    assert refine(model, CAPTIONS, Style()).text == "a plain ball"


def test_the_request_is_openais(server, model):
    model.write(ASKED, lambda piece: None)
    body, headers = server.asked[0], server.headers[0]
    assert body["path"] == "/v1/chat/completions" and body["model"] == "toy" and body["stream"] is True and body["max_tokens"] == 50
    assert body["messages"] == [{"role": "user", "content": "say something"}]
    assert headers["Authorization"] == "Bearer secret-key"
    Endpoint(server.address + "/chat/completions").write(ASKED, lambda piece: None)
    assert server.asked[1]["path"] == "/v1/chat/completions" and "Authorization" not in server.headers[1] and "model" not in server.asked[1]


def test_pictures_go_only_to_who_sees(server):
    asked = TextRequest(chat_messages("a ball", "what is it?", [Turn("where?", "there")], b"jpeg"), 50)
    Endpoint(server.address, sees=True).write(asked, lambda piece: None)
    text, picture = server.prompt
    assert text["text"] == "what is it?"
    assert base64.b64decode(picture["image_url"]["url"].partition(",")[2]) == b"jpeg"
    assert [one["role"] for one in server.asked[0]["messages"]] == ["system", "user", "assistant", "user"]
    Endpoint(server.address).write(asked, lambda piece: None)
    assert server.prompt == "what is it?"


FAULTS = {
    "401": "refuses the key", "redirect": "not followed", "garbage": "not OpenAI", "binary": "not OpenAI", "error": "error of its own",
    "endless": "does not stop", "silent": "too long|in time", "slow": "too long|in time", "cut": "speak HTTP|answers",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_and_nothing_hangs(server, model, fault, caplog):
    server.fault = fault
    with caplog.at_level(logging.DEBUG):
        if fault == "cut":  # what came is what there is
            assert model.write(ASKED, lambda piece: None) == "a "
            return
        with pytest.raises(TextModelFailed, match=FAULTS[fault]) as failed:
            model.write(ASKED, lambda piece: None)
    assert len(server.asked) == 1, "a redirection was followed"
    assert "secret-key" not in str(failed.value) + caplog.text + repr(model)


def test_nothing_there_is_a_fault_as_well():
    with pytest.raises(TextModelFailed, match="nothing listens"):
        Endpoint("http://127.0.0.1:9/v1", silence=2).write(ASKED, lambda piece: None)


def test_an_answer_of_nothing_is_a_fault(server, model):
    server.answers = [" "]
    with pytest.raises(TextModelFailed, match="nothing"):
        refine(model, CAPTIONS, Style())


def test_the_proxies_of_the_environment_are_not_asked(server, model, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert model.write(ASKED, lambda piece: None) == "a red ball on grass"


def test_an_interruption_is_heard_while_it_waits(server):
    server.fault = "silent"
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        Endpoint(server.address, silence=20).write(ASKED, lambda piece: None, Progress(None, stop.is_set))
    assert time.monotonic() - began < 10, "it waited for the answer"


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1/v1", "127.0.0.1:1234", "http://", "http://me:pass@host/v1", "http://host:x/v1", "http://h/v1?key=1"]
)
def test_addresses_that_cannot_be_used(address):
    with pytest.raises(InvalidInput):
        Endpoint(address)


def test_a_key_cannot_smuggle_headers():
    with pytest.raises(InvalidInput):
        Endpoint("http://127.0.0.1/v1", "key\r\nHost: elsewhere")


@pytest.mark.parametrize("length", [5, 10, 30])
def test_a_local_model_holds_the_length_and_streams(toy, cpu, cache, length):
    model = LocalTextModel("llama", toy("llama")[0], cpu, cache)
    pieces: list[str] = []
    text = refine(model, CAPTIONS, Style(length=length), on_text=pieces.append).text
    assert 0.8 * length <= count_words(text) <= 1.2 * length
    assert len(pieces) > 2 and "".join(pieces).split("\0")[-1].strip()


def test_a_local_model_reads_the_prompt(toy, cpu, cache):
    model = LocalTextModel("llama", toy("llama")[0], cpu, cache)
    questions = ("the red ball", "a sad man on the road")
    answers = {model.write(TextRequest((Message("user", words),), 12), lambda piece: None) for words in questions}
    assert len(answers) == 2
