"""Today's small captioners, and SAM 3: the real classes of the installed transformers at toy size, opened from a folder as users do."""

from __future__ import annotations

import importlib
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from clickpaint.caption import finding
from clickpaint.caption.base import Decoding, Turn
from clickpaint.caption.loading import transformers, without_num2words
from clickpaint.caption.region import RegionOptions, crop_region
from clickpaint.caption.registry import Captioners, Surroundings
from clickpaint.caption.style import Style, count_words
from clickpaint.settings import SETTINGS
from clickpaint.weights.store import Store
from tests.caption.test_captioners import ids_of
from tests.caption.toys import photo, square

CHATTING = ["smolvlm", "idefics3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"]
EYES = ["florence2", *CHATTING]
CROPS = [crop_region(photo(seed=seed), square()) for seed in range(4)]
SHORT = Decoding(beams=3, max_tokens=10)


@pytest.fixture
def registry(toy, cpu, cache, tmp_path):
    """Of a user whose models/captioner holds the folder of `name`."""

    def make(name):
        shutil.copytree(toy(name)[0], tmp_path / "captioner" / name)
        folders = lambda kind: [tmp_path / kind]  # noqa: E731
        says = lambda pixels, beams, tokens: ""  # noqa: E731
        here = Surroundings(folders, lambda: cpu, lambda key: SETTINGS[key].default, says, lambda: None)
        return Captioners(here, Store(folders), cache)

    return make


def own(toy, crop, text="Describe this picture in one sentence."):
    """What transformers' own network generates from its own processor's inputs, as its documentation shows it."""
    folder, model = toy
    with without_num2words():
        processor = transformers().AutoProcessor.from_pretrained(folder)
    image = Image.fromarray(crop.pixels)
    if type(model).__name__.startswith("Florence2"):
        inputs = processor(images=image, text="<CAPTION>", return_tensors="pt")
    else:
        turn = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}
        inputs = processor.apply_chat_template(
            [turn], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )  # fmt: skip
    return type(model).from_pretrained(folder).generate(**inputs, num_beams=3, max_new_tokens=10, do_sample=False)


@pytest.mark.parametrize("name", EYES)
def test_captions_have_the_token_ids_of_transformers_own_generate(registry, toy, name):
    captioner = registry(name).captioner()
    assert captioner.name == name
    expected = [own(toy(name), crop).tolist() for crop in CROPS[:2]]
    assert [ids_of(captioner, [crop], SHORT)[0].tolist() for crop in CROPS[:2]] == expected
    assert expected[0] != expected[1], "the toy sees no difference"


@pytest.mark.parametrize("name", EYES)
def test_several_crops_at_once_get_the_captions_of_one_at_a_time(registry, name):
    captioner = registry(name).captioner()
    crops = [*CROPS, crop_region(photo(seed=9), square(), RegionOptions(padding=1.5))]  # one is not square
    together = [wordings[0].text for wordings in captioner.caption(crops, SHORT)]
    assert together == [captioner.caption([crop], SHORT)[0][0].text for crop in crops]
    assert len(set(together)) > 1


@pytest.mark.parametrize("name", EYES)
@pytest.mark.parametrize("length", [5, 30])
def test_the_length_is_held_by_decoding(registry, name, length):
    for one in registry(name).captioner().caption(CROPS[:1], Style(length=length).decoding(2, 0))[0]:
        assert 0.8 * length <= count_words(one.text) <= 1.2 * length, one.text


def test_florence_is_asked_for_details_where_the_caption_is_to_be_long(registry):
    captioner = registry("florence2").captioner()
    loaded = captioner.loaded()
    asked = [captioner._inputs(loaded, CROPS[:1], Decoding(words=words))["input_ids"] for words in (None, (8, 12), (24, 36))]
    prompts = [loaded.processor._construct_prompts(task)[0] for task in ("<CAPTION>", "<CAPTION>", "<DETAILED_CAPTION>")]
    for ids, prompt in zip(asked, prompts, strict=True):
        words = loaded.tokenizer(f"<s>{prompt}</s>", add_special_tokens=False)["input_ids"]
        assert ids[0].tolist()[-len(words) :] == words


@pytest.mark.parametrize("name", CHATTING)
def test_questions_and_what_was_said_before_reach_it(registry, toy, name):
    answerer = registry(name).answerer()
    assert answerer is not None and answerer.follows
    ids = ids_of(answerer, CROPS[:1], question="the dog ?")[0]
    expected = own(toy(name), CROPS[0], "the dog ?")
    assert ids[0, : expected.shape[1] - 10].tolist() == expected[0, :-10].tolist()  # the prompt
    fresh = answerer.answer(CROPS[0], "the dog ?")
    assert fresh != answerer.answer(CROPS[0], "the dog ?", [Turn("a man on the road ?", "dirty dark window")])
    assert fresh != answerer.answer(CROPS[1], "the dog ?")


def test_the_package_that_smolvlm_asks_for_is_not_needed(registry):
    module = importlib.import_module("transformers.models.smolvlm.processing_smolvlm")
    before = module.num2words
    assert registry("smolvlm").captioner().caption(CROPS[:1], SHORT)[0][0].text
    assert module.num2words is before, "transformers is left as it was"


@pytest.mark.parametrize("name", ["sam3", "sam3_video"])
def test_sam_3_selects_what_transformers_own_post_processing_finds(registry, toy, name, monkeypatch):
    finder = registry(name).finder()
    assert finder is not None and finder.name == name
    pixels = photo()
    network = transformers().Sam3Model.from_pretrained(toy(name)[0])
    processor = transformers().Sam3Processor.from_pretrained(toy(name)[0])
    inputs = processor(images=Image.fromarray(pixels), text="the red ball", return_tensors="pt")
    with torch.inference_mode():
        output = network(**inputs)
    scores = processor.post_process_instance_segmentation(output, threshold=0.0, mask_threshold=0.5, target_sizes=[(60, 90)])[0]["scores"]
    threshold = float(scores.sort(descending=True).values[2])  # two are better
    monkeypatch.setattr(finding, "_SAM3_LEAST", threshold)
    expected = processor.post_process_instance_segmentation(output, threshold=threshold, mask_threshold=0.5, target_sizes=[(60, 90)])[0]
    assert 1 <= len(expected["scores"]) < len(scores)
    match = finder.find(pixels, "the red ball")
    assert match is not None and match.mask.any() and not match.mask.all()
    np.testing.assert_array_equal(match.mask, expected["masks"].bool().any(dim=0).numpy())
    assert match.score == pytest.approx(float(expected["scores"].max()))
    other = finder.find(pixels, "a sad man in the sea")
    assert other is None or (other.mask != match.mask).any() or other.score != match.score, "the phrase changes nothing"
    monkeypatch.setattr(finding, "_SAM3_LEAST", 1.0)
    assert finder.find(pixels, "the red ball") is None
