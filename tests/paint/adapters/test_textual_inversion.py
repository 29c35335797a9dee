"""Learned words: every layout is read, by the width of the encoder they are for, and only those of the checkpoint's family are words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.adapters.textual_inversion import read_embedding, words_in


def encoders(*widths: int) -> Any:
    """The part of a `Checkpoint` that learned words look at."""
    return SimpleNamespace(text_encoders=[SimpleNamespace(width=width) for width in widths])


SD1, SD2, SDXL = encoders(768), encoders(1024), encoders(768, 1280)
ONE, THREE, BIG, WIDE = torch.arange(768.0), torch.randn(3, 768), torch.randn(3, 1280), torch.randn(2, 1024)


@pytest.mark.parametrize(
    ("filename", "content", "checkpoint", "vectors"),
    [
        ("webui.pt", {"string_to_token": {"*": 265}, "string_to_param": {"*": THREE}, "name": "other", "step": 3}, SD1, [THREE]),
        (
            "first.pt",
            {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(THREE)})},
            SD1,
            [THREE],
        ),
        ("concept.bin", {"<cat-toy>": ONE}, SD1, [ONE[None]]),
        ("webui.safetensors", {"emb_params": WIDE}, SD2, [WIDE]),
        ("sdxl.safetensors", {"clip_g": BIG, "clip_l": THREE}, SDXL, [THREE, BIG]),
        ("sdxl_diffusers.safetensors", {"text_encoders_0": THREE, "text_encoders_1": BIG}, SDXL, [THREE, BIG]),
        ("half.safetensors", {"emb_params": THREE.half()}, SD1, [THREE.half().float()]),
    ],
)
def test_every_layout_is_read(tmp_path, filename, content, checkpoint: Any, vectors):
    path = tmp_path / filename
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    embedding = read_embedding(path)
    assert embedding.name == path.stem
    found = embedding.for_encoders(checkpoint)
    assert found is not None
    assert len(found) == len(vectors)
    assert all(torch.equal(one, other) and one.dtype == torch.float32 for one, other in zip(found, vectors, strict=True))
    assert all(embedding.for_encoders(other) is None for other in (SD1, SD2, SDXL) if other is not checkpoint)


class Harmful:
    def __reduce__(self):
        return print, ("this runs",)


def test_what_is_something_else_is_refused_and_runs_nothing(tmp_path, capsys):
    for number, content in enumerate(
        ({"emb_params": torch.zeros(2, 512)}, {"clip_l": THREE, "clip_g": torch.zeros(2, 768)}, {"a": ONE, "b": ONE})
    ):
        save_file({key: value.clone() for key, value in content.items()}, tmp_path / f"{number}.safetensors")
        with pytest.raises(InvalidInput, match="no textual inversion"):
            read_embedding(tmp_path / f"{number}.safetensors")
    torch.save({"string_to_param": {"*": Harmful()}}, tmp_path / "harmful.pt")
    with pytest.raises(CorruptModel):
        read_embedding(tmp_path / "harmful.pt")
    assert capsys.readouterr().out == ""


def test_the_words_of_a_prompt_are_the_files_of_its_family_that_it_names(tmp_path):
    folder = tmp_path / "embeddings" / "negative"
    folder.mkdir(parents=True)
    for name, tensor in (("EasyNegative", THREE), ("bad-hands", ONE[None]), ("wide", WIDE), ("unused", THREE)):
        save_file({"emb_params": tensor}, folder / f"{name}.safetensors")
    (folder / "torn.pt").write_bytes(b"torn")
    save_file({"emb_params": ONE[None].clone()}, tmp_path / "EasyNegative.safetensors")
    folders = [tmp_path / "missing", tmp_path / "embeddings", tmp_path]
    words = words_in("wide, torn (easynegative:1.2), bad-hands", folders, SD1)
    assert {name: [len(one) for one in vectors] for name, vectors in words.items()} == {"EasyNegative": [3], "bad-hands": [1]}
    assert set(words_in("wide easynegative", folders, SD2)) == {"wide"}
