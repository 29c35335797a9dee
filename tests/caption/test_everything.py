from __future__ import annotations

import json

import numpy as np
import pytest

from clickpaint.caption.all_regions import Described, Sieve, as_json, describe, paragraph, sift
from clickpaint.caption.base import NoAnswers, Wording
from clickpaint.caption.hosted import HostCaptioner
from clickpaint.caption.labels import labelled
from clickpaint.caption.region import RegionOptions, crop_region
from clickpaint.caption.style import Style
from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.progress import Progress
from clickpaint.segment.everything import Region
from tests.caption.toys import photo
from tests.image.rle import from_rle


def region(left, top, right, bottom, score=0.9):
    mask = np.zeros((60, 90), bool)
    mask[top:bottom, left:right] = True
    region = Region.scored(mask, score)
    assert region is not None
    return region


class Toy(NoAnswers):
    """Says how large a crop is, and is as sure as it is told to."""

    name, can_caption, follows = "toy", True, False

    def __init__(self, scores=(-1.0,)):
        self.scores, self.batches = scores, []

    def caption(self, crops, decoding, progress=None):
        self.batches.append(len(crops))
        return [[Wording(f"{crop.pixels.shape[1]} wide", self.scores[i % len(self.scores)])] for i, crop in enumerate(crops)]


class Seer:
    """A CLIP that finds what is `wide` likely and all else not."""

    def __init__(self, wide):
        self.wide = wide

    def similarities(self, pictures, texts, progress=None):
        return np.array([[0.3 if text == f"{self.wide} wide" else 0.1 for text in texts] for _ in pictures], np.float32)


PLAIN = RegionOptions(padding=0, smallest=1)


def test_small_regions_copies_and_too_many_are_left_out():
    regions = [region(0, 0, 50, 50, 0.7), region(0, 0, 50, 49, 0.9), region(60, 0, 90, 30, 0.8), region(80, 50, 84, 54, 0.99)]
    assert [one.score for one in sift(regions, Sieve(smallest=100))] == [0.9, 0.8]
    assert [one.score for one in sift(regions, Sieve(smallest=100, overlap=1))] == [0.9, 0.8, 0.7]
    assert [one.score for one in sift(regions, Sieve(smallest=100, most=1))] == [0.9]
    assert [one.score for one in sift(regions, Sieve(smallest=10))] == [0.99, 0.9, 0.8]


@pytest.mark.parametrize("options", [{"most": 0}, {"overlap": 2}, {"surest": 1}, {"seen": float("nan")}, {"smallest": -1}])
def test_a_sieve_out_of_its_range_is_refused(options):
    with pytest.raises(InvalidInput):
        Sieve(**options).checked()


def test_only_sure_and_seen_captions_stay_and_all_are_asked_for_at_once():
    regions = [region(0, 0, 20, 20), region(30, 0, 60, 30), region(0, 30, 10, 40)]
    toy = Toy((-1.0, -1.0, -3.0))
    described = describe(toy, photo(), regions, Style(), Sieve(), PLAIN)
    assert [one.caption for one in described] == ["30 wide", "20 wide"], "the largest first, without the unsure one"
    assert toy.batches == [3]
    seen = describe(toy, photo(), regions, Style(), Sieve(), PLAIN, Seer(20))  # type: ignore[arg-type]
    assert [(one.caption, one.seen) for one in seen] == [("20 wide", pytest.approx(0.3))]
    assert len(describe(toy, photo(), regions, Style(), Sieve(surest=-5), PLAIN)) == 3


def test_an_interruption_is_heard():
    with pytest.raises(Interrupted):
        describe(Toy(), photo(), [region(0, 0, 20, 20)], Style(), Sieve(), PLAIN, progress=Progress(None, lambda: True))


def test_the_paragraph_without_a_text_model_says_everything():
    assert paragraph("a park", ["a dog", "a ball."], ["EXIT"]) == "A park. In it: a dog; a ball. It says: “EXIT”."
    assert paragraph("a park!", [], []) == "A park!"


def test_json_brings_the_masks_back():
    one = Described(region(10, 5, 30, 25), "a dog", -0.5, 0.25)
    document = json.loads(json.dumps(as_json((90, 60), [one], "a park", "A park.", ["EXIT"])))
    assert (document["width"], document["height"], document["caption"], document["text"]) == (90, 60, "a park", ["EXIT"])
    (entry,) = document["regions"]
    assert entry["box"] == [10, 5, 30, 25] and entry["area"] == 400 and entry["caption"] == "a dog"
    np.testing.assert_array_equal(from_rle(entry["segmentation"]), one.region.mask)


def test_labels_are_drawn_on_a_copy():
    pixels = np.full((300, 400, 3), 128, np.uint8)
    mask = np.zeros((300, 400), bool)
    mask[100:200, 200:350] = True
    region = Region.scored(mask, 0.9)
    assert region is not None
    before = pixels.copy()
    drawn = labelled(pixels, [Described(region, "a dog", -0.5)])
    np.testing.assert_array_equal(pixels, before)
    assert (drawn[199, 220:340] != 128).any(axis=1).all(), "the outline"
    np.testing.assert_array_equal(drawn[250:, :150], before[250:, :150])
    assert (drawn[100:118, 203:240] < 110).all(axis=2).any(), "letters"
    longer = labelled(pixels, [Described(region, "a dog that is somewhat larger", -0.5)])
    assert (longer != drawn).any()
    np.testing.assert_array_equal(labelled(pixels, []), before)


def test_the_hosts_captioner_is_asked_until_the_length_is_right():
    asked = []

    def says(pixels, beams, tokens):
        asked.append((beams, tokens))
        return " ".join(["word"] * (3 if tokens is None else max(1, tokens[0] - 9)))

    captioner = HostCaptioner(says)
    crop = crop_region(photo(), region(0, 0, 20, 20).mask)
    assert captioner.caption([crop], Style().decoding(1, 0))[0][0].text == "word word word"
    assert asked == [(None, None)]
    (wording,) = captioner.caption([crop], Style(length=10).decoding(1, 0))[0]
    assert 8 <= len(wording.text.split()) <= 12 and len(asked) == 3, "one more try"
    asked.clear()
    captioner.caption([crop], Style().decoding(4, 0))
    assert [beams for beams, _ in asked] == [3, 1, 5, 2]
    with pytest.raises(InvalidInput):
        captioner.answer(crop, "what?")
