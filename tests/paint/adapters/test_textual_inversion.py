"""Learned words: every layout is read, by the width of the encoder they are for, and only those of the checkpoint's family are words."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.adapters.embedding_pictures import embedding_in
from clickpaint.paint.adapters.textual_inversion import EmbeddingShelf, read_embedding


def encoders(*widths: int) -> Any:
    """The part of a `Checkpoint` that learned words look at."""
    return SimpleNamespace(text_encoders=[SimpleNamespace(width=width) for width in widths])


SD1, SD2, SDXL = encoders(768), encoders(1024), encoders(768, 1280)
ONE, THREE, BIG, WIDE = torch.arange(768.0), torch.randn(3, 768), torch.randn(3, 1280), torch.randn(2, 1024)


def words(text: str, folders: Any, checkpoint: Any = SD1) -> dict[str, int]:
    """The learned words of a text, each with the number of its vectors."""
    return {name: len(vectors[0]) for name, vectors in EmbeddingShelf().words(text, folders, checkpoint).items()}


@pytest.mark.parametrize(
    ("filename", "content", "checkpoint", "vectors"),
    [
        ("webui.pt", {"string_to_token": {"*": 265}, "string_to_param": {"*": THREE}, "name": "other", "step": np.int64(3)}, SD1, [THREE]),
        (
            "first.pt",
            {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(THREE)})},
            SD1,
            [THREE],
        ),
        ("concept.bin", {"<cat-toy>": ONE}, SD1, [ONE[None]]),
        ("webui.safetensors", {"emb_params": WIDE}, SD2, [WIDE]),
        ("capitals.SAFETENSORS", {"emb_params": WIDE}, SD2, [WIDE]),
        ("short.sft", {"emb_params": WIDE}, SD2, [WIDE]),
        ("sdxl.safetensors", {"clip_g": BIG, "clip_l": THREE}, SDXL, [THREE, BIG]),
        ("sdxl_diffusers.safetensors", {"text_encoders_0": THREE, "text_encoders_1": BIG}, SDXL, [THREE, BIG]),
        ("half.safetensors", {"emb_params": THREE.half()}, SD1, [THREE.half().float()]),
    ],
)
def test_every_layout_is_read(tmp_path, filename, content, checkpoint: Any, vectors):
    path = tmp_path / filename
    torch.save(content, path) if path.suffix in (".pt", ".bin") else save_file(content, path)
    embedding = read_embedding(path)
    assert embedding.name == path.stem
    tensors = embedding.for_encoders(checkpoint)
    assert tensors is not None
    assert len(tensors) == len(vectors)
    assert all(torch.equal(one, other) and one.dtype == torch.float32 for one, other in zip(tensors, vectors, strict=True))
    assert all(embedding.for_encoders(other) is None for other in (SD1, SD2, SDXL) if other is not checkpoint)


def test_a_file_may_be_called_by_another_formats_ending(tmp_path):
    save_file({"emb_params": THREE}, tmp_path / "a.pt")
    torch.save({"string_to_param": {"*": THREE}}, tmp_path / "b.safetensors")
    for name in ("a.pt", "b.safetensors"):
        assert torch.equal(read_embedding(tmp_path / name).vectors[768], THREE)


class Harmful:
    def __reduce__(self):
        return print, ("this runs",)


def test_what_is_something_else_is_refused_and_runs_nothing(tmp_path, capsys):
    for number, content in enumerate(
        (
            {"emb_params": torch.zeros(2, 512)},
            {"clip_l": THREE, "clip_g": torch.zeros(2, 768)},
            {"a": ONE, "b": ONE},
            {"a.lora_down.weight": THREE, "a.lora_up.weight": THREE, "a.alpha": torch.tensor(4.0)},
            {"emb_params": torch.zeros(0, 768)},
        )
    ):
        save_file({key: value.clone() for key, value in content.items()}, tmp_path / f"{number}.safetensors")
        with pytest.raises(InvalidInput, match="no textual inversion"):
            read_embedding(tmp_path / f"{number}.safetensors")
    with pytest.raises(InvalidInput, match="for Stable Diffusion but a LoRA"):
        read_embedding(tmp_path / "3.safetensors")
    save_file({"emb_params": torch.full((1, 768), float("nan"))}, tmp_path / "nan.safetensors")
    with pytest.raises(InvalidInput, match="not finite"):
        read_embedding(tmp_path / "nan.safetensors")
    torch.save({"string_to_param": {"*": Harmful()}}, tmp_path / "harmful.pt")
    with pytest.raises(CorruptModel, match="asks for code") as raised:
        read_embedding(tmp_path / "harmful.pt")
    assert "weights_only" not in str(raised.value) and capsys.readouterr().out == ""


def test_a_checkpoint_is_not_read_for_an_embedding(tmp_path, monkeypatch):
    path = tmp_path / "zebra.safetensors"
    with path.open("wb") as stream:
        stream.truncate(65 << 20)
    monkeypatch.setattr("clickpaint.paint.adapters.textual_inversion.read_weights_file", lambda *_: pytest.fail("it was read"))
    with pytest.raises(InvalidInput, match=r"zebra\.safetensors is no textual inversion for Stable Diffusion: it has 65 MB"):
        read_embedding(path)


def test_the_words_of_a_prompt_are_the_files_of_its_family_that_it_names(tmp_path, caplog):
    folder = tmp_path / "embeddings" / "negative"
    folder.mkdir(parents=True)
    for name, tensor in (("EasyNegative", THREE), ("bad-hands", ONE[None]), ("wide", WIDE), ("unused", THREE)):
        save_file({"emb_params": tensor}, folder / f"{name}.safetensors")
    (folder / "torn.pt").write_bytes(b"PK\3\4torn")
    save_file({"emb_params": ONE[None].clone()}, tmp_path / "EasyNegative.safetensors")
    folders = [tmp_path / "missing", tmp_path / "embeddings", tmp_path]
    with caplog.at_level(logging.WARNING):
        assert words("wide, torn (easynegative:1.2), bad-hands", folders) == {"EasyNegative": 3, "bad-hands": 1}
    assert "The embedding wide is not used: it was made for Stable Diffusion 2." in caplog.messages
    assert any(
        text.startswith("The embedding torn is not used: torn.pt cannot be read as weights: it is cut off.") for text in caplog.messages
    )
    assert words("wide easynegative", folders, SD2) == {"wide": 2}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", True), ("a (cat:1.2)", True), ("CAT, dog", True), ("[cat|dog]", True), ("a \\(cat\\)", True), ("dog\ncat", True),
        ("a category", False), ("concat", False), ("ca t", False), ("<lora:cat:1> a dog", False), ("a dog", False), ("", False),
    ],
)  # fmt: skip
def test_a_name_is_a_word_and_no_part_of_one(tmp_path, prompt, expected):
    save_file({"emb_params": THREE}, tmp_path / "cat.safetensors")
    assert bool(words(prompt, [tmp_path])) == expected


def test_a_name_with_accents_is_one_however_it_is_written(tmp_path):
    import unicodedata

    save_file({"emb_params": THREE}, tmp_path / (unicodedata.normalize("NFD", "café") + ".safetensors"))
    assert words("a café", [tmp_path]) == {"café": 3} == words(unicodedata.normalize("NFD", "a café"), [tmp_path])


# --- inside of pictures


def content(vectors: torch.Tensor, name: str = "inner-word") -> dict[str, Any]:
    """What the web UI writes into a picture."""
    return {"string_to_token": {"*": 265}, "string_to_param": {"*": {"TORCHTENSOR": vectors.tolist()}}, "name": name, "step": 7}


def text_of(vectors: torch.Tensor) -> str:
    return base64.b64encode(json.dumps(content(vectors)).encode()).decode()


def in_pixels(vectors: torch.Tensor, height: int = 64) -> Image.Image:
    """A picture between two strips that hold the halves of the bytes of the compressed text, disguised, as the web UI draws it."""
    octets = np.frombuffer(zlib.compress(json.dumps(content(vectors)).encode(), 9), np.uint8)
    size = -(-len(octets) // (3 * height)) * 3 * height
    octets = np.resize(octets, size).reshape(height, -1, 3)
    state, disguise = 0, []
    for _ in range(size):
        state = (1664525 * state + 1013904223) % 2**32
        disguise.append(state % 255 & 15)
    mask = np.array(disguise, np.uint8).reshape(octets.shape)
    random = np.random.default_rng(1)
    low, high = ((half ^ mask) | (random.integers(1, 16, half.shape).astype(np.uint8) << 4) for half in (octets & 15, octets >> 4))
    black = np.zeros((height, 1, 3), np.uint8)
    picture = random.integers(1, 256, (height, 50, 3)).astype(np.uint8) | 1
    return Image.fromarray(np.concatenate([low, black, picture, black, high], axis=1))


def png_with_text(path, vectors, key="sd-ti-embedding"):
    info = PngImagePlugin.PngInfo()
    info.add_text(key, text_of(vectors))
    Image.new("RGB", (16, 16), "red").save(path, pnginfo=info)


def webp_with_exif(path, vectors, comment: bool):
    exif = Image.Exif()
    if comment:
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text_of(vectors).encode("utf-16-be")
    else:
        exif[0x010E] = text_of(vectors)
    Image.new("RGB", (16, 16), "red").save(path, exif=exif)


PICTURES = {
    "text in PNG": ("a.png", png_with_text),
    "pixels in PNG": ("a.PNG", lambda path, vectors: in_pixels(vectors).save(path)),
    "pixels in WebP": ("a.webp", lambda path, vectors: in_pixels(vectors).save(path, lossless=True, exact=True)),
    "EXIF in WebP": ("a.webp", lambda path, vectors: webp_with_exif(path, vectors, True)),
    "description in WebP": ("a.webp", lambda path, vectors: webp_with_exif(path, vectors, False)),
}


@pytest.mark.parametrize("how", PICTURES)
def test_a_picture_with_an_embedding_in_it_is_the_word_that_it_says(tmp_path, how):
    filename, write = PICTURES[how]
    write(tmp_path / filename, THREE)
    embedding = read_embedding(tmp_path / filename)
    assert embedding.name == "inner-word"
    torch.testing.assert_close(embedding.vectors[768], THREE)
    assert words("an inner-word zebra", [tmp_path]) == {"inner-word": 3}
    assert words("a zebra", [tmp_path]) == {}


def test_pictures_that_are_only_previews_are_passed_over(tmp_path, caplog, monkeypatch):
    save_file({"emb_params": THREE}, tmp_path / "cat.safetensors")
    for name in ("cat.png", "cat.preview.png", "lone.png", "lone.webp"):
        Image.new("RGB", (16, 16), "red").save(tmp_path / name)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG torn")
    shelf, looked = EmbeddingShelf(), []
    monkeypatch.setattr(
        "clickpaint.paint.adapters.embedding_pictures.embedding_in", lambda path: (looked.append(path.name), embedding_in(path))[1]
    )
    for _ in range(2):
        assert list(shelf.words("cat, lone, torn", [tmp_path], SD1)) == ["cat"]
    assert sorted(looked) == ["lone.png", "lone.webp", "torn.png"]  # once each
    assert caplog.messages == []
    with pytest.raises(InvalidInput, match=r"lone\.png is a picture without an embedding in it"):
        read_embedding(tmp_path / "lone.png")


@pytest.mark.parametrize("text", ["", "!", base64.b64encode(b"{}").decode(), base64.b64encode(b"[" * 100_000).decode()])
def test_damaged_text_in_a_picture_is_no_embedding(tmp_path, text):
    info = PngImagePlugin.PngInfo()
    info.add_text("sd-ti-embedding", text)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png", pnginfo=info)
    assert embedding_in(tmp_path / "a.png") is None
