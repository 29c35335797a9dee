"""CLIP, and what finds phrases, against transformers' own networks at toy size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from clickpaint.caption import finding
from clickpaint.caption.clip import Clip
from clickpaint.caption.finding import Finder, by_captions, by_clip
from clickpaint.caption.loading import features, transformers
from clickpaint.caption.region import RegionOptions, crop_region
from tests.caption.toys import photo, square


def own(toy, name):
    folder, model = toy(name)
    return getattr(transformers(), type(model).__name__).from_pretrained(folder), transformers().AutoProcessor.from_pretrained(folder)


def test_similarities_are_the_cosines_of_clips_features(toy, cpu, cache):
    pictures, texts = [photo(seed=1), photo(40, 70, seed=2)], ["the red ball", "a sad man", "sea"]
    ours = Clip("clip", toy("clip")[0], cpu, cache).similarities(pictures, texts)
    model, processor = own(toy, "clip")
    with torch.inference_mode():
        inputs = processor(text=texts, images=[Image.fromarray(one) for one in pictures], return_tensors="pt", padding=True)
        seen = features(model.get_image_features(pixel_values=inputs["pixel_values"]))
        said = features(model.get_text_features(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]))
        expected = torch.nn.functional.cosine_similarity(seen[:, None], said[None], dim=-1)
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)
    assert len(np.unique(ours.round(4))) == 6
    assert Clip("clip", toy("clip")[0], cpu, cache).similarities([], texts).shape == (0, 3)


def test_the_region_that_fits_a_phrase_best(toy, cpu, cache):
    clip = Clip("clip", toy("clip")[0], cpu, cache)
    pixels = photo()
    masks = [np.roll(square(), 20 * shift, axis=1) for shift in (-1, 0, 1)]
    crops = [crop_region(pixels, mask, RegionOptions(padding=0.05, smallest=64)).pixels for mask in masks]
    names = set()
    for phrase in ("red ball", "sad man", "sea", "a tree near the house", "dirty window"):
        best = by_clip(clip, pixels, masks, phrase)
        scores = clip.similarities(crops, [phrase])[:, 0]
        assert best is not None and best == (int(scores.argmax()), pytest.approx(float(scores.max())))
        names.add(best[0])
    assert len(names) > 1, "the phrase changes nothing"
    assert by_clip(clip, pixels, [], "sea") is None


def test_clipseg_selects_where_its_heat_is(toy, cpu, cache, monkeypatch):
    monkeypatch.setattr(finding, "_CLIPSEG_LEAST", 0.5)
    pixels = photo()
    finder = Finder("clipseg", "clipseg", toy("clipseg")[0], cpu, cache)
    model, processor = own(toy, "clipseg")
    inputs = processor(text=["the red ball"], images=[Image.fromarray(pixels)], return_tensors="pt", padding=True)
    with torch.inference_mode():
        logits = model(**inputs).logits.reshape(1, 1, 32, 32)
    expected = torch.nn.functional.interpolate(logits, (60, 90), mode="bilinear")[0, 0].numpy() > 0
    match = finder.find(pixels, "the red ball")
    if not expected.any():
        assert match is None
    else:
        assert match is not None
        np.testing.assert_array_equal(match.mask, expected)
        assert 0.5 < match.score <= 1 and match.how == "clipseg"
    monkeypatch.setattr(finding, "_CLIPSEG_LEAST", 1.0)
    assert finder.find(pixels, "the red ball") is None


def test_grounding_dino_gives_the_box_of_its_best_query(toy, cpu, cache, monkeypatch):
    monkeypatch.setattr(finding, "_DINO_LEAST", 0.0)
    pixels = photo()
    model, processor = own(toy, "grounding_dino")
    inputs = processor(images=Image.fromarray(pixels), text="the red ball.", return_tensors="pt")
    with torch.inference_mode():
        output = model(**inputs)
    best = int(output.logits[0].sigmoid().max(dim=-1).values.argmax())
    x, y, width, height = output.pred_boxes[0, best].tolist()
    match = Finder("dino", "grounding_dino", toy("grounding_dino")[0], cpu, cache).find(pixels, "The red ball ")
    assert match is not None and match.box is not None
    expected = np.clip([(x - width / 2) * 90, (y - height / 2) * 60, (x + width / 2) * 90, (y + height / 2) * 60], 0, [90, 60, 90, 60])
    np.testing.assert_allclose(match.box, expected, atol=1)
    assert match.mask[match.box.slices].all() and match.mask.sum() == match.box.area
    monkeypatch.setattr(finding, "_DINO_LEAST", 1.0)
    assert Finder("dino", "grounding_dino", toy("grounding_dino")[0], cpu, cache).find(pixels, "the red ball") is None


@pytest.mark.parametrize(("phrase", "best"), [("the red ball", 1), ("dogs", 0), ("a ball", 1), ("of the", None), ("submarine", None)])
def test_the_caption_that_says_a_phrase(phrase, best):
    match = by_captions(["a dog on the grass", "a red ball", "a blue ball on the red sand"], phrase)
    assert (None if match is None else match[0]) == best
