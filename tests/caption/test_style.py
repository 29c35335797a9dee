from __future__ import annotations

import pytest

from clickpaint.caption.base import Wording
from clickpaint.caption.style import LANGUAGES, Style, as_prompt, bounds, choose, count_words, mood, trimmed
from clickpaint.errors import InvalidInput


def test_words_are_counted_as_people_do():
    assert count_words("A dog's ball, half-way up.") == 5
    assert count_words("") == count_words("...") == 0
    assert count_words("一只狗在草地上奔跑着呢") == 7  # 11 letters
    assert count_words("一只 red 狗") == 3


@pytest.mark.parametrize("length", [3, 10, 47, 150])
def test_a_length_admits_a_fifth_more_or_less(length):
    least, most = bounds(length)
    assert 0.8 * length <= least <= length <= most <= 1.2 * length


@pytest.mark.parametrize(
    "style", [{"length": 2}, {"length": 151}, {"sentiment": "angry"}, {"factuality": ""}, {"form": "x"}, {"language": "Klingon"}]
)
def test_what_is_unknown_is_refused(style):
    with pytest.raises(InvalidInput):
        Style(**style).checked()


def test_only_language_and_background_need_a_text_model():
    assert Style(length=10, sentiment="negative", factuality="imagination", form="prompt").beyond_decoding == ()
    assert Style(language="French", wiki=True).beyond_decoding == ("language", "wiki")
    assert {"English", "Chinese", "French", "Spanish", "Arabic", "Portuguese", "Cantonese"} <= set(LANGUAGES)


def test_the_choice_follows_the_mood():
    said = [Wording("a dog", -1.0), Wording("an ugly dog", -1.1), Wording("a lovely dog", -1.2)]
    assert mood("an ugly, lovely, dirty dog") == -1
    assert choose(said, Style())[0] == 0
    assert choose(said, Style(sentiment="negative"))[0] == 1
    assert choose(said, Style(sentiment="positive"))[0] == 2


def test_facts_are_what_is_seen_and_the_imagination_may_leave_it():
    said = [Wording("a dragon", -1.0), Wording("a dog", -1.8)]
    seen = [0.20, 0.26]
    assert choose(said, Style(), seen)[0] == 1
    assert choose(said, Style(factuality="imagination"), seen)[0] == 0


def test_the_choice_keeps_to_the_length():
    said = [Wording("a red dog on a long green lawn", -0.5), Wording("a red dog", -1.0)]
    assert choose(said, Style())[0] == 0
    assert choose(said, Style(length=3))[0] == 1


@pytest.mark.parametrize(("caption", "prompt"), [
    ("a picture of a dog and a ball", "dog, ball"),
    ("There is a red ball that is lying on the grass.", "red ball, lying on the grass"),
    ("This is a close-up photo of an old man with a hat", "old man, hat"),
    ("a dog, a dog, the sea", "dog, sea"),
    ("", ""),
])  # fmt: skip
def test_a_caption_becomes_a_prompt(caption, prompt):
    assert as_prompt(caption) == prompt


def test_what_is_too_long_is_cut_at_a_sentence_or_at_a_word():
    text = "A red ball lies here. It is big and round and lies on the grass of the park."
    assert trimmed(text, 5) == "A red ball lies here."
    assert trimmed(text, 8) == "A red ball lies here. It is big."
    assert trimmed(text, 30) == text
    assert count_words(trimmed("一只狗在草地上奔跑，" * 20, 10)) in range(8, 13)
