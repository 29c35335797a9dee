"""Prompts: against what the web UI itself made of them (`a1111_prompts.py`), and what follows from that for the conditioning."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpaint.paint.diffusion.conditioning import encode, learned_words
from clickpaint.paint.diffusion.prompt import CHUNK, Network, Piece, chunks, pieces, schedule, without_networks
from tests.paint.diffusion.a1111_prompts import CHANNELS, PLACES, WORD
from tests.paint.diffusion.toys import random_checkpoint, toy_checkpoint

HERE = Path(__file__).parent
ANSWERS = json.loads((HERE / "a1111_prompts.json").read_text(encoding="utf-8"))
BY_PROMPT = pytest.mark.parametrize("answer", ANSWERS, ids=[str(number) for number in range(len(ANSWERS))])
END = 49407


def tokens(text: str) -> list[int]:
    return toy_checkpoint().text_encoders[0].tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def words():
    import torch

    return {WORD: [torch.arange(3)[:, None].expand(3, 768) / 10]}


@BY_PROMPT
def test_pieces_are_the_web_uis(answer):
    ours = pieces(answer["prompt"])
    theirs = [Piece(None if text == "BREAK" and weight == -1 else text, weight) for text, weight in answer["pieces"]]
    assert [piece.text for piece in ours] == [piece.text for piece in theirs]
    assert [piece.weight for piece in ours if piece.text] == pytest.approx([piece.weight for piece in theirs if piece.text])


@BY_PROMPT
def test_schedules_are_the_web_uis(answer):
    assert [list(each) for each in schedule(answer["prompt"], 20)] == answer["schedule"]


@BY_PROMPT
def test_chunks_are_the_web_uis(answer):
    known = tokens(WORD)

    def word(tokens, place):
        return (WORD, 3, len(known)) if list(tokens[place : place + len(known)]) == known else None

    tokenized = [(None if piece.text is None else tokens(piece.text), piece.weight) for piece in pieces(answer["prompt"])]
    ours = chunks(tokenized, comma=tokens(",")[0], padding=END, word=word)
    assert len(ours) == len(answer["chunks"])
    for chunk, (expected, weights) in zip(ours, answer["chunks"], strict=True):
        padding = CHUNK - len(expected)  # which the record leaves out
        assert chunk.tokens == expected + [END] * padding
        assert chunk.weights == pytest.approx(weights + [1.0] * padding)


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if "values" in answer], ids=lambda answer: answer["prompt"][:20])
@pytest.mark.parametrize("clip_skip", [1, 2])
def test_the_conditioning_is_the_web_uis(answer, clip_skip):
    if answer["schedule"][0][1] != answer["prompt"]:
        pytest.skip("the record has no changes during the sampling")
    texts = encode(toy_checkpoint(), answer["prompt"], size=(64, 64), steps=20, clip_skip=clip_skip, words=words())
    context = texts.text("cond", 0).context.view(-1, 77, 768)
    ours = context[:, PLACES, :CHANNELS].flatten().numpy()
    assert np.abs(ours - answer["values"][clip_skip - 1]).max() < 2e-4


def test_the_record_is_what_the_web_ui_says(tmp_path):
    """Where there is one: its own code answers as it did."""
    if "CLICKPAINT_A1111_DIR" not in os.environ:
        pytest.skip("set CLICKPAINT_A1111_DIR to the folder of an A1111 installation")
    import torch
    from safetensors.torch import save_file

    from tests.hosts.real import python_of
    from tests.toys.checkpoint import clip_config, state_dict
    from tests.toys.tokenizer import write_tokenizer

    host, prefix = Path(os.environ["CLICKPAINT_A1111_DIR"]), "cond_stage_model.transformer."
    write_tokenizer(tmp_path, host)
    (tmp_path / "config.json").write_text(json.dumps(clip_config()))
    weights = {key.removeprefix(prefix): value for key, value in state_dict(dtype=torch.float32).items() if key.startswith(prefix)}
    save_file({key: value for key, value in weights.items() if "position_ids" not in key}, tmp_path / "model.safetensors", {"format": "pt"})
    asked = json.dumps([answer["prompt"] for answer in ANSWERS])
    command = [python_of(host), str(HERE / "a1111_prompts.py"), str(tmp_path)]
    run = subprocess.run(command, cwd=host, input=asked, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    for answer, recorded in zip(json.loads(run.stdout), ANSWERS, strict=True):
        assert answer["schedule"] == recorded["schedule"]
        assert np.allclose([weight for _, weight in answer["pieces"]], [weight for _, weight in recorded["pieces"]])
        assert [text for text, _ in answer["pieces"]] == [text for text, _ in recorded["pieces"]]
        if "values" in recorded:
            assert np.abs(np.subtract(answer["values"], recorded["values"])).max() < 2e-4


def test_a_break_in_parentheses_breaks():
    assert pieces("(a BREAK b:2)") == [Piece("a", 2), Piece(None, 2), Piece("b", 2)]


def test_a_weight_that_is_no_number_is_text():
    assert pieces("(a:1.2.3)") == [Piece("a:1.2.3", 1.1)]


@given(st.text(alphabet="ab,:|[]()\\ .5BREAK\n", max_size=40))
def test_nothing_that_is_typed_fails(prompt):
    assert pieces(prompt)
    planned = schedule(prompt, 7)
    assert planned[-1][0] == 7
    assert [end for end, _ in planned] == sorted({end for end, _ in planned})


def test_brackets_may_nest_as_deep_as_one_likes():
    deep = "[" * 3000 + "a" + "]" * 3000
    assert schedule(deep, 20) == [(20, deep)]
    assert pieces(deep)[0].text == "a"


def test_networks_leave_the_prompt():
    prompt, networks = without_networks("a <lora:old:0.5> house <hypernet:x:1:2><lora:no weight>, <not one>")
    assert prompt == "a  house , <not one>"
    assert networks == (Network("lora", "old", ("0.5",)), Network("hypernet", "x", ("1", "2")), Network("lora", "no weight", ()))


def test_emphasis_by_hand():
    """Weights multiply the vectors of their tokens; the mean of the whole stays."""
    checkpoint = random_checkpoint()
    plain, strong = (
        encode(checkpoint, text, size=(64, 64), steps=1).text("cond", 0).context[0].numpy() for text in ("a cat", "a (cat:1.5)")
    )
    expected = plain.copy()
    expected[2] *= 1.5  # start, "a", "cat"
    assert np.allclose(strong, expected * plain.mean() / expected.mean(), atol=1e-5)
    assert not np.allclose(strong, plain, atol=1e-3)


def test_prompts_change_during_the_sampling():
    checkpoint = random_checkpoint()
    texts = encode(checkpoint, "a [cat:dog:0.5]", "[x|y]", size=(64, 64), steps=10)
    cat, dog = (encode(checkpoint, text, size=(64, 64), steps=10).text("cond", 0).context for text in ("a cat", "a dog"))
    animals = ["cat" if (texts.text("cond", step / 10).context == cat).all() else "dog" for step in range(10)]
    assert animals == ["cat"] * 6 + ["dog"] * 4  # the web UI counts the step that is named to the first
    assert (texts.text("cond", 0.9).context == dog).all()
    assert len({id(texts.text("uncond", step / 10)) for step in range(10)}) == 2


def test_sdxl_is_told_sizes_and_gets_nothing_for_no_negative_prompt():
    checkpoint = random_checkpoint(4, "epsilon", "sdxl")
    texts = encode(checkpoint, "a cat", "", size=(64, 48), steps=1)
    cond, uncond = texts.text("cond", 0), texts.text("uncond", 0)
    assert cond.context.shape == (1, 77, 64) and cond.added["text_embeds"].shape == (1, 32)
    assert cond.added["time_ids"].tolist() == [[48, 64, 0, 0, 48, 64]]
    assert not uncond.context.any() and not uncond.added["text_embeds"].any()
    assert encode(checkpoint, "a", "x", size=(64, 48), steps=1).text("uncond", 0).context.any()


def test_openclip_pads_with_zeros_behind_the_end():
    from clickpaint.paint.diffusion.conditioning import _ids, _tokens

    first, second = random_checkpoint(4, "epsilon", "sdxl").text_encoders
    chunk = chunks([(_tokens(first, "a cat"), 1.0)], comma=267, padding=END)[0]
    assert _ids(chunk, first)[0].tolist() == [49406, 320, 2368] + [END] * 74
    assert _ids(chunk, second)[0].tolist() == [49406, 320, 2368, END] + [0] * 73


def test_a_learned_word_stands_where_its_name_does_and_only_then():
    import torch

    embedding = torch.nn.Embedding(10, 4)
    ids = torch.tensor([[1, 0, 0, 2]])
    plain = embedding(ids)
    vectors = torch.full((2, 4), 7.0)
    with pytest.raises(RuntimeError, match="stop"), learned_words(embedding, [(1, vectors)]):
        assert (embedding(ids)[0, 1:3] == 7).all() and (embedding(ids)[0, [0, 3]] == plain[0, [0, 3]]).all()
        raise RuntimeError("stop")
    assert (embedding(ids) == plain).all()
