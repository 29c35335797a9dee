"""What is asked of a touch-up: values of a form, objects of API clients, and infotexts."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.errors import InvalidInput
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import Masking, Sampling, TextPrompt
from clickpaint.paint.touchup_job import INFOTEXT, NAMES, TouchUp, touch_up_from

FORM = [True, "Fill", "0.5,0.5", "", "a cat", "", 0.6, "AUTO", -1, 7]


def test_a_forms_values():
    wish = touch_up_from(FORM)
    assert wish == TouchUp("fill", "0.5,0.5", "", "a cat", "", 0.6, "auto", None, 7)
    assert len(FORM) == len(NAMES)
    assert touch_up_from(FORM[:3]) == TouchUp("fill", "0.5,0.5")  # API clients may leave out the rest
    assert touch_up_from([True]) == TouchUp()


def test_objects():
    assert touch_up_from([{"task": "replace", "box": "1,2,3,4", "grow": 3.0, "feather": None}]) == TouchUp("replace", box="1,2,3,4", grow=3)
    assert touch_up_from([{"enabled": True}]) == TouchUp()
    assert touch_up_from([{}]) == TouchUp()  # whoever sends an object wants it


@pytest.mark.parametrize("values", [[], [False], [None], [False, "nonsense"], [{"enabled": False}], [{"enabled": None}], [None] * 10])
def test_switched_off(values):
    assert touch_up_from(values) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([{"tusk": "fill"}], "tusk is unknown"),
        ([{"task": "fly"}], "'fly' is unknown"),
        ([{"task": 3}], "task cannot be '3'"),
        ([{"points": [[1, 2]]}], "points cannot be"),
        ([{"points": "a,b"}], "'a' is not a number"),
        ([{"box": "1,2,x,4"}], "'x' is not a number"),
        ([{"denoising_strength": 1.5}], "denoising strength cannot be 1.5"),
        ([{"denoising_strength": float("nan")}], "denoising_strength cannot be"),
        ([{"grow": "big"}], "grow cannot be 'big'"),
        ([{"feather": 5000}], "Feather cannot be 5000"),
        (["yes", "fill"], "enabled cannot be 'yes'"),
        ([{"enabled": "false"}], "enabled cannot be"),
        ([True, "fill", 12], "points cannot be"),
    ],
)
def test_mistakes_are_told(values, message):
    with pytest.raises(InvalidInput, match=message):
        touch_up_from(values)


def test_painting_takes_from_the_generation_what_is_left_open():
    generation = grouped(prompt="a table", negative_prompt="ugly", sampler="Euler a", steps=7, seed=4, batch_count=3)
    fill = TouchUp("fill", prompt="a cat", denoising_strength=0.5, grow=2).painting(generation)
    assert (fill.task, fill.prompt) == ("fill", TextPrompt("a cat", "ugly"))
    assert fill.sampling == Sampling("Euler a", steps=7, seed=4, denoising_strength=0.5, batch_count=1)
    assert fill.masking == Masking("fill", grow=2, feather=None)
    replace = TouchUp("replace").painting(generation)
    assert (replace.task, replace.prompt.positive, replace.masking.content) == ("replace", "a table", "original")


def quote(text: str) -> str:
    """As the web UIs quote a value of an infotext."""
    return text if not re.search(r"[,\n:]", text) else json.dumps(text, ensure_ascii=False)


def parsed(line: str) -> dict[str, str]:
    """As the web UIs read the last line of an infotext."""
    matched = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', line)
    return {name: json.loads(value) if value[:1] == value[-1:] == '"' else value for name, value in matched}


PROMPT = st.text(alphabet='abc ,:;()[]<>"\\\n0.5é', max_size=20).map(str.strip).filter(lambda text: text[:1] != '"' or text[-1:] != '"')
"""A prompt that begins and ends with quotation marks the web UIs do not read back as it was, not even their own."""


@settings(deadline=None, max_examples=200)
@given(
    st.builds(
        TouchUp,
        task=st.sampled_from(["fill", "replace"]),
        points=st.sampled_from(["", "0.5,0.5", "10,20,0;3 4", "1,2\n3,4"]),
        box=st.sampled_from(["", "1,2,3,4", "0.1, 0.2, 0.5, 1"]),
        prompt=PROMPT,
        negative_prompt=PROMPT,
        denoising_strength=st.integers(0, 100).map(lambda n: n / 100),
        grow=st.none() | st.integers(0, 200),
        feather=st.none() | st.integers(0, 200),
    )
)
def test_infotexts_come_back(wish):
    infotext = wish.infotext()
    line = "Steps: 4, " + ", ".join(f"{name}: {quote(value)}" for name, value in infotext.items()) + ", Version: v1.10.1"
    read = parsed(line)
    assert {name: read[name] for name in infotext} == infotext
    assert set(read) == {"Steps", "Version", *infotext}
    for name in ("points", "box", "task"):
        assert quote(infotext.get(INFOTEXT[name], "")) == infotext.get(INFOTEXT[name], "")  # these never need quoting
    back = {name: read[label] for name, label in INFOTEXT.items() if label in read}
    again = touch_up_from([back])
    assert again is not None and again.infotext() == infotext


def test_an_infotext_says_only_what_matters():
    assert TouchUp(prompt="x").infotext() == {"Clickpaint task": "remove", "Clickpaint eraser": "auto"}
    assert TouchUp("fill", grow=0).infotext() == {
        "Clickpaint task": "fill", "Clickpaint denoising strength": "0.75", "Clickpaint grow": "0",
    }  # fmt: skip
