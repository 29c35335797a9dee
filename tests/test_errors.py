"""Sentences that know what they were made of, and errors as the API tells them."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from clickpaint.errors import AccessDenied, Interrupted, NotFound, Sentence, with_codes


def test_an_error_is_its_templates_with_the_data_in_them():
    error = NotFound("There is no candidate {index}.", "{what} goes from 0 to {last}.", what="candidate", index=7, last=2, name="x")
    assert (error.message, error.remedy) == ("There is no candidate 7.", "candidate goes from 0 to 2.")
    assert str(error) == "There is no candidate 7. candidate goes from 0 to 2."
    assert error.describe() == {
        "error": "NotFound", "message": "There is no candidate 7.", "remedy": "candidate goes from 0 to 2.",
        "code": "There is no candidate {index}.", "remedy_code": "{what} goes from 0 to {last}.",
        "data": {"what": "candidate", "index": 7, "last": 2, "name": "x"},
    }  # fmt: skip
    assert json.loads(json.dumps(error.describe())) == error.describe()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("Nothing is selected.", {}),
        ("Nothing is selected.", {"limit": 3}),
        ("The name {x} of a file is not filled in.", {}),
        ("{x} and {y}: of these one is unknown.", {"x": 1}),
        ("It has a { brace.", {"x": 1}),
        ("An empty {} pair.", {"x": 1}),
        ("{x.__class__} is no plain name.", {"x": 1}),
        ("{0} is no name.", {"x": 1}),
        ('{"a": 1}', {"a": 1}),
    ],
)
def test_what_is_no_template_stands_as_it_is(text, data):
    error = NotFound(text, text, **data)
    assert error.message == error.remedy == error.message.template == text


def test_formats_and_braces_are_pythons():
    sentence = Sentence("{name!r} has {size:.1f} MB {{exactly}}.", name="a", size=12.345)
    assert sentence == "'a' has 12.3 MB {exactly}." and sentence.data == {"name": "a", "size": 12.345}


def test_values_that_json_does_not_know_become_text():
    error = NotFound("{file} is not there: {cause}.", file=Path("a.png"), cause=ValueError("no"))
    assert error.message == "a.png is not there: no."
    assert error.data == {"file": "a.png", "cause": "no"}


def test_a_sentence_stays_what_it_is_wherever_it_is_handed_on():
    first = NotFound("There is no {name}.", "Take {other}.", name="a", other="b")
    again = NotFound(first.message, first.remedy, reason=first.sentence)
    assert (again.message.template, again.describe()["data"]["name"]) == ("There is no {name}.", "a")
    for same in (copy.deepcopy(first.message), copy.copy(first.message), pickle.loads(pickle.dumps(first.message))):
        assert same == first.message and (same.template, same.data) == (first.message.template, first.message.data)


def test_beside_sentences_stand_their_codes():
    reason = NotFound("There is no {name}.", "Take another one.", name="a").sentence
    assert reason == "There is no a. Take another one."
    coded = with_codes({"list": [{"reason": reason}, {"reason": "plain"}, {"reason": Sentence("plain")}], "numbers": [1, 2]})
    assert coded["numbers"] == [1, 2]
    first, second, third = coded["list"]
    assert second == third == {"reason": "plain"}
    assert first["reason"] == "There is no a. Take another one." and first["reason_code"] == "{message} {remedy}"
    assert first["reason_data"] == {
        "message": "There is no a.", "message_code": "There is no {name}.", "message_data": {"name": "a"}, "remedy": "Take another one.",
    }  # fmt: skip
    assert type(first["reason"]) is str


def test_errors_with_arguments_of_their_own():
    denied = AccessDenied(401, "{who} may not.", challenge="", who="Joe")
    assert (denied.message, denied.status, denied.data) == ("Joe may not.", 401, {"who": "Joe"})
    assert Interrupted().describe()["code"] == "Interrupted."
