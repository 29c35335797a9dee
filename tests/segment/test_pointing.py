"""Points and boxes as text."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickpaint.errors import InvalidInput
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.pointing import prompts, tidy

SIZE = (200, 100)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("120,80", [(120, 80, 1)]),
        ("120, 80 ; 30 40 0;", [(120, 80, 1), (30, 40, 0)]),
        ("1,2,1\n3\t4", [(1, 2, 1), (3, 4, 1)]),
        ("0.5,0.25", [(100, 25, 1)]),
        ("0.5,0", [(100, 0, 1)]),
        (".5,.5,0; 7,7", [(100, 50, 0), (7, 7, 1)]),
        ("1.0,1.0", [(199, 99, 1)]),
        ("1,1", [(1, 1, 1)]),  # without a dot these are pixels
        ("0,0", [(0, 0, 1)]),
        ("0.5,40", [(0.5, 40, 1)]),  # 40 cannot be a share
        ("+5,6", [(5, 6, 1)]),
    ],
)
def test_points(text, points):
    assert prompts(text, "10,10,20,20", SIZE).points == tuple(Point(*one) for one in points)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("10,20,30,40", (10, 20, 30, 40)),
        ("0.25 0.5 0.75 1", (50, 50, 150, 100)),
        ("-5,-5,50.5,60", (-5, -5, 50.5, 60)),
        ("0.,0,1,1;", (0, 0, 200, 100)),
        ("0,0,1,1", (0, 0, 1, 1)),
    ],
)
def test_boxes(text, box):
    assert prompts("", text, SIZE) == Prompts((), box)


@pytest.mark.parametrize(
    ("points", "box", "message"),
    [
        ("", "", "Nothing was pointed at"), (" ; ;\n", "", "Nothing was pointed at"), ("5", "", "has 1 numbers"),
        ("1,2,0,4", "", "has 4 numbers"), ("1,2,3", "", "label '3'"), ("1,2,1.0", "", "label '1.0'"), ("a,2", "", "'a' is not a number"),
        ("nan,2", "", "not a number"), ("inf,2", "", "not a number"), ("1e2,2", "", "not a number"), ("0x10,2", "", "not a number"),
        ("1_0,2", "", "not a number"), ("٣,4", "", "not a number"), ("1:2", "", "not a number"), ("500,5", "", "outside the picture"),
        ("-1,5", "", "outside the picture"), ("9" * 400 + ",5", "", "not a number"), ("5,5,0", "", "only negative"),
        ("", "1,2,3", "is not a box"), ("", "1,2,3,4;5,6,7,8", "is not a box"), ("", "30,30,10,10", "empty"), ("", "x", "not a number"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_told(points, box, message):
    with pytest.raises(InvalidInput, match=message):
        prompts(points, box, SIZE)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="0123456789.,;:+- \n\t\"'eEnaix_", max_size=40) | st.text(max_size=30))
@example("1,2;3,4,0")
@example("\x1f1,2")
@example("1\u20282")
def test_any_text_gives_points_or_says_what_is_wrong(text):
    for given_points, given_box in ((text, ""), ("", text)):
        try:
            made = prompts(given_points, given_box, SIZE)
        except InvalidInput as error:
            assert error.message and len(error.message) < 300
            continue
        neat = tidy(text)
        assert not set(neat) & set(",:\n\"'") and neat == neat.strip()
        again = prompts(*((neat, "") if given_points else ("", neat)), SIZE)
        assert again == made and tidy(neat) == neat
        assert all(0 <= point.x < SIZE[0] and 0 <= point.y < SIZE[1] for point in made.points)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 99), st.sampled_from([0, 1])), min_size=1, max_size=6), st.sampled_from(",; ")
)
def test_pixels_come_through_as_they_are(points, separator):
    text = ("\n" if separator == ";" else ";").join(f"{x}{',' if separator == ';' else separator}{y},{label}" for x, y, label in points)
    assert prompts(text, "0,0,9,9", SIZE).points == tuple(Point(*one) for one in points)


@settings(deadline=None, max_examples=100)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5000), st.integers(1, 5000))
def test_shares_are_always_inside(x, y, width, height):
    (point,) = prompts(f"{x:.12f},{y:.12f}", "", (width, height)).points
    assert 0 <= point.x < width and 0 <= point.y < height
    assert abs(point.x - min(x * width, width - 1)) < 1e-6 * width
