"""Our captioners against transformers' own generate, on the same weights."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image

from clickpaint.caption.base import Decoding, Turn
from clickpaint.caption.blip import Blip, BlipVqa, from_single_file
from clickpaint.caption.loading import transformers
from clickpaint.caption.region import crop_region
from clickpaint.caption.style import Style, count_words
from clickpaint.caption.transformer import Blip2, Git, VisionLanguage
from clickpaint.errors import CorruptModel, Interrupted, InvalidInput
from clickpaint.progress import Progress
from tests.caption.toys import photo, square

KINDS = {"blip": Blip, "git": Git, "blip2": Blip2, "llava": VisionLanguage}
CROPS = [crop_region(photo(seed=seed), square()) for seed in range(5)]


@pytest.fixture
def captioner(toy, cpu, cache):
    return lambda name: (BlipVqa if name == "vqa" else KINDS[name])(name, toy(name)[0], cpu, cache)


def ids_of(captioner, crops, decoding=None, question=""):
    """The token ids that our captioner generates."""
    seen, original = [], captioner._decode
    captioner._decode = lambda loaded, sequences, inputs: seen.append(sequences.clone()) or original(loaded, sequences, inputs)
    if question:
        captioner.answer(crops[0], question)
    else:
        captioner.caption(crops, decoding)
    return seen


def own(toy, name):
    """transformers' own network and processor of the folder."""
    folder, model = toy(name)
    return getattr(transformers(), type(model).__name__).from_pretrained(folder), transformers().AutoProcessor.from_pretrained(folder)


@pytest.mark.parametrize("name", ["blip", "git"])
def test_captions_have_the_token_ids_of_transformers_own_generate(captioner, toy, name):
    model, processor = own(toy, name)
    for crop in CROPS[:3]:
        (ours,) = ids_of(captioner(name), [crop], Decoding(beams=3, max_tokens=12))
        inputs = processor(images=Image.fromarray(crop.pixels), return_tensors="pt")
        theirs = model.generate(**inputs, num_beams=3, max_new_tokens=12, do_sample=False)
        assert ours.tolist() == theirs.tolist()


def test_answers_have_the_token_ids_of_transformers_own_generate(captioner, toy):
    model, processor = own(toy, "vqa")
    (ours,) = ids_of(captioner("vqa"), CROPS, question="the red ball ?")
    inputs = processor(images=Image.fromarray(CROPS[0].pixels), text="the red ball ?", return_tensors="pt")
    assert ours.tolist() == model.generate(**inputs, num_beams=3, max_new_tokens=60, do_sample=False).tolist()


@pytest.mark.parametrize("name", ["blip", "git"])
def test_scores_are_the_mean_log_probability_that_the_network_gives(captioner, toy, name):
    made = captioner(name)
    model, processor = own(toy, name)
    (wording,) = made.caption(CROPS[:1], Decoding(beams=1, max_tokens=6))[0]
    inputs = processor(images=Image.fromarray(CROPS[0].pixels), return_tensors="pt")
    output = model.generate(**inputs, num_beams=1, max_new_tokens=6, do_sample=False, return_dict_in_generate=True, output_scores=True)
    said = output.sequences[0, -len(output.scores) :]
    expected = np.mean([torch.log_softmax(step[0], 0)[token].item() for step, token in zip(output.scores, said, strict=True)])
    assert wording.score == pytest.approx(expected, abs=1e-5)
    beams = made.caption(CROPS[:1], Decoding(candidates=3, max_tokens=6))[0]
    assert [one.score for one in beams] == sorted((one.score for one in beams), reverse=True)


@pytest.mark.parametrize("name", KINDS)
def test_several_crops_at_once_get_the_captions_of_one_at_a_time(captioner, name):
    made = captioner(name)
    together = made.caption(CROPS, Decoding(max_tokens=8))
    apart = [made.caption([crop], Decoding(max_tokens=8))[0] for crop in CROPS]
    assert [[one.text for one in wordings] for wordings in together] == [[one.text for one in wordings] for wordings in apart]
    assert len({wordings[0].text for wordings in together}) > 1, "the toy sees no difference between the crops"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("length", [4, 8, 20])
def test_the_length_is_held_by_decoding(captioner, name, length):
    style = Style(length=length)
    for wordings in captioner(name).caption(CROPS[:2], style.decoding(2, 0)):
        for one in wordings:
            assert 0.8 * length <= count_words(re.sub(r"[\[\]]", "", one.text)) <= 1.2 * length, one.text


@pytest.mark.parametrize("name", ["blip", "git", "llava"])
def test_the_sentiment_reaches_the_decoder(captioner, name):
    made = captioner(name)
    said = {
        mood: made.caption(CROPS[:1], Style(sentiment=mood, length=8).decoding(1, 0))[0][0].text
        for mood in ("positive", "natural", "negative")
    }
    good, bad = {"lovely", "new", "beautiful", "happy", "bright"}, {"old", "ugly", "sad", "broken", "dirty", "dark"}
    assert good & set(said["positive"].split()) and not bad & set(said["positive"].split())
    assert bad & set(said["negative"].split()) and not good & set(said["negative"].split())
    assert said["natural"] not in (said["positive"], said["negative"])


@pytest.mark.parametrize("name", ["blip", "llava"])
def test_imagination_draws_by_the_seed_and_facts_do_not(captioner, name):
    made = captioner(name)

    def say(factuality, seed):
        return made.caption(CROPS[:1], Style(factuality=factuality).decoding(2, seed))[0]

    assert say("imagination", 1) == say("imagination", 1)
    assert say("imagination", 1) != say("imagination", 2)
    assert say("factual", 1) == say("factual", 2)
    before = torch.random.get_rng_state()
    say("imagination", 3)
    assert torch.equal(before, torch.random.get_rng_state()), "the host's random numbers were touched"


def test_an_instruction_reaches_those_who_follow(captioner):
    made = captioner("llava")
    assert made.follows
    assert made.caption(CROPS[:1], Decoding(instruction="a red ball")) != made.caption(CROPS[:1], Decoding(instruction="the sky in light"))


@pytest.mark.parametrize("name", ["blip2", "llava"])
def test_what_was_said_before_changes_the_answer(captioner, name):
    made = captioner(name)
    fresh = made.answer(CROPS[0], "the dog ?")
    assert fresh == made.answer(CROPS[0], "the dog ?")
    assert fresh != made.answer(CROPS[0], "the dog ?", [Turn("a man on the road ?", "dirty dark window")])


def test_who_cannot_says_so(captioner):
    with pytest.raises(InvalidInput, match="only answers"):
        captioner("vqa").caption(CROPS[:1], Decoding())
    with pytest.raises(InvalidInput, match="cannot answer"):
        captioner("blip").answer(CROPS[0], "the dog ?")


def test_an_interruption_is_heard_between_two_words(captioner):
    heard = iter([False] * 5 + [True] * 1000)
    with pytest.raises(Interrupted):
        captioner("git").caption(CROPS[:1], Decoding(max_tokens=40), Progress(None, lambda: next(heard)))


def test_pickled_weights_are_read_without_running_them(captioner, toy, cpu, cache, tmp_path):
    folder, model = toy("blip")
    expected = captioner("blip").caption(CROPS[:1], Decoding(max_tokens=8))
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (pickled / file.name).write_bytes(file.read_bytes())
    torch.save(model.state_dict(), pickled / "pytorch_model.bin")
    assert Blip("pickled", pickled, cpu, cache).caption(CROPS[:1], Decoding(max_tokens=8)) == expected

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "evil"), "w"))

    torch.save({"weight": Evil()}, pickled / "pytorch_model.bin")
    with pytest.raises(CorruptModel):
        Blip("evil", pickled, cpu, cache).caption(CROPS[:1], Decoding())
    assert not (tmp_path / "evil").exists()


def test_salesforces_single_file_is_the_same_network(captioner, toy, cpu, tmp_path):
    folder, model = toy("blip")
    renamed = {
        "vision_model.embeddings.patch_embedding": "visual_encoder.patch_embed.proj",
        "vision_model.embeddings.position_embedding": "visual_encoder.pos_embed",
        "vision_model.embeddings.class_embedding": "visual_encoder.cls_token",
        "vision_model.post_layernorm": "visual_encoder.norm",
        "vision_model.encoder.layers": "visual_encoder.blocks",
        "self_attn.projection": "attn.proj",
        "self_attn": "attn",
        "layer_norm": "norm",
    }

    def theirs(key):
        if key.startswith("vision_model."):
            for ours, name in renamed.items():
                key = key.replace(ours, name)
        return key

    torch.save({"model": {theirs(key): value for key, value in model.state_dict().items()}}, tmp_path / "blip.pth")
    network, processor = from_single_file(tmp_path / "blip.pth", folder / "vocab.txt", cpu)
    assert processor.image_processor.size["height"] == 32
    pixels = processor(images=Image.fromarray(CROPS[0].pixels), return_tensors="pt")["pixel_values"]
    (expected,) = ids_of(captioner("blip"), CROPS[:1], Decoding(beams=1, max_tokens=8))
    assert network.generate(pixel_values=pixels, num_beams=1, max_new_tokens=8).tolist() == expected.tolist()
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "other.pth")
    with pytest.raises(CorruptModel, match="no BLIP captioner"):
        from_single_file(tmp_path / "other.pth", folder / "vocab.txt", cpu)
