"""What a file of weights is follows from its first bytes; what it is instead is said in one sentence; what it asks for is never run."""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.weights.load_weights import load_state_dict
from clickpaint.weights.weights_file import mapped_in_pieces, read_weights_file, safetensors_header, weights_format

torch = pytest.importorskip("torch")
from safetensors.torch import save, save_file  # noqa: E402

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16)}


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return out.getvalue()


def saved(content: object, legacy: bool = False) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def same(tensors, expected=TENSORS):
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[key], value) and tensors[key].dtype == value.dtype for key, value in expected.items())


@pytest.mark.parametrize("ending", ["safetensors", "SAFETENSORS", "sft", "ckpt", "pt", "pth", "bin", ""])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "pickle"])
def test_the_first_bytes_count_and_not_the_ending(tmp_path, kind, ending):
    path = tmp_path / f"model.{ending}"
    path.write_bytes(save(TENSORS) if kind == "safetensors" else saved(TENSORS, kind == "pickle"))
    assert weights_format(path) == kind
    for mapped in (True, False):
        same(read_weights_file(path, mapped)[0])
    same(load_state_dict(path))


def test_metadata_and_shapes_are_read_without_the_numbers(tmp_path):
    save_file(TENSORS, tmp_path / "a.ckpt", {"ss_output_name": "style"})
    tensors, metadata = safetensors_header(tmp_path / "a.ckpt")
    assert {key: (value.shape, value.dtype) for key, value in tensors.items()} == {"a": ((2, 3), "F32"), "b": ((2,), "F16")}
    assert metadata == {"ss_output_name": "style"} == read_weights_file(tmp_path / "a.ckpt")[1]


ODD = {
    "empty": (b"", "it is empty"),
    "web page": (b"\n <!DOCTYPE html><title>Log in</title>", "a web page"),
    "web page in XML": (b"\xef\xbb\xbf<?xml version='1.0'?><html/>", "a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "a pointer of Git LFS"),
    "answer in JSON": (json.dumps({"error": "Unauthorized"}).encode(), "it is text, which begins with “{\"error\": \"Unauthorized\"}”"),
    "answer in words": (b"Entry not found", "it is text, which begins with “Entry not found”"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(100), "GGUF"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "packed"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "packed"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "WebP": (b"RIFF\x10\0\0\0WEBPVP8L", "a picture"),
    "beside a file": (b"\x00\x05\x16\x07" + bytes(100), "what macOS keeps beside a file"),
    "zeros": (bytes(4096), "nothing but zeros"),
    "archive": (zipped("model/unet.safetensors"), "a ZIP archive (model/unet.safetensors is in it)"),
    "program": (zipped("a/data.pkl", "a/constants.pkl"), "TorchScript"),
    "cut ZIP": (saved(TENSORS)[:200], "cut off"),
    "cut safetensors": (save(TENSORS)[:-5], "cut off, 5 bytes are missing"),
    "cut header": (save(TENSORS)[:20], "cut off"),
    "endless header": (struct.pack("<Q", 1 << 60) + b"{}", "longer than any header"),
    "damaged header": (struct.pack("<Q", 9) + b'{"a": 1} ', "its header is damaged"),
    "pickle of others": (pickle.dumps({"a": 1}), "PyTorch did not write it"),
}  # fmt: skip


@pytest.mark.parametrize("ending", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("what", ODD)
def test_what_is_no_weights_is_called_what_it_is(tmp_path, what, ending):
    content, sentence = ODD[what]
    path = tmp_path / f"model{ending}"
    path.write_bytes(content)
    for reader in (read_weights_file, load_state_dict):
        with pytest.raises(CorruptModel) as raised:
            reader(path)
        assert sentence in raised.value.message and raised.value.message.startswith(f"model{ending} cannot be read as weights: ")
        assert raised.value.remedy.endswith(".")


def test_noise_and_nothing_are_said_too(tmp_path):
    (tmp_path / "noise.ckpt").write_bytes(b"\xfe" * 9 + random.Random(0).randbytes(2000))  # the ninth byte could be that of a header
    with pytest.raises(CorruptModel, match="in no format of weights that is known"):
        read_weights_file(tmp_path / "noise.ckpt")
    with pytest.raises(InvalidInput, match=r"There is no file none\.ckpt"):
        read_weights_file(tmp_path / "none.ckpt")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="only for users whom a file can keep out")
def test_a_file_that_may_not_be_read_is_said(tmp_path):
    path = tmp_path / "locked.ckpt"
    path.write_bytes(saved(TENSORS))
    path.chmod(0)
    with pytest.raises(CorruptModel, match=r"locked\.ckpt cannot be read: Permission denied"):
        read_weights_file(path)


def test_a_file_in_pieces_is_the_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({**TENSORS, "c": torch.zeros(40)}, path)
    types = {"a": torch.float32, "b": torch.float32, "c": torch.float32, "elsewhere": torch.float32}
    pieces = list(mapped_in_pieces(path, types, most=28))  # a and b: 24 + 4 bytes; c alone is more
    assert sorted(key for piece in pieces for key in piece) == ["a", "c"], "b is of another type than expected"
    assert len(pieces) > 1 and torch.equal(next(piece["a"] for piece in pieces if "a" in piece), TENSORS["a"])
    path.write_bytes(saved(TENSORS))
    assert list(mapped_in_pieces(path, types)) == [], "no mapping, no pieces"


@pytest.mark.parametrize("legacy", [False, True])
def test_numbers_of_numpy_and_what_else_trainers_leave_are_no_obstacle(tmp_path, legacy):
    if not hasattr(torch.serialization, "safe_globals"):
        pytest.skip("this PyTorch takes no names but its own")
    beside = {
        "global_step": np.int64(840_000), "loss": np.float32(0.5), "seen": np.bool_(True), "losses": np.zeros(3), "dtype": np.dtype("f4"),
        "arguments": argparse.Namespace(lr=1e-4, folder=pathlib.Path("x")), "words": np.str_("a"),
    }  # fmt: skip
    (tmp_path / "a.ckpt").write_bytes(saved({**TENSORS, **beside}, legacy))
    content = read_weights_file(tmp_path / "a.ckpt")[0]
    same({key: content[key] for key in TENSORS})
    assert content.keys() == {*TENSORS, *beside}


class Harmful:
    def __reduce__(self):
        return print, ("this runs",)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_asks_for_code_is_named_and_no_advice_to_run_it_is_given(tmp_path, capsys, legacy):
    (tmp_path / "model.safetensors").write_bytes(saved({**TENSORS, "b": Harmful()}, legacy))
    for reader in (read_weights_file, load_state_dict):
        with pytest.raises(CorruptModel) as raised:
            reader(tmp_path / "model.safetensors")
        assert "it asks for code (print)" in str(raised.value)
        assert "weights_only" not in str(raised.value) and "torch." not in str(raised.value)
    assert capsys.readouterr().out == ""
