"""A network in ONNX's format, written by hand: a tagger whose scores are a sigmoid of the picture's mean colours.

The format is protobuf (onnx.proto3): fields as (number, wire type), nested messages with their length before them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

_FLOAT = 1
"""TensorProto.DataType."""
_INT, _INTS = 2, 7
"""AttributeProto.AttributeType."""
_OPSET = 13
SIDE = 448


def _number(value: int) -> bytes:
    """A varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    data = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(data)) + data


def _tensor(name: str, values: np.ndarray) -> bytes:
    data = values.astype("<f4").tobytes()
    return b"".join(_field(1, size) for size in values.shape) + _field(2, _FLOAT) + _field(8, name) + _field(9, data)


def _node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    return (
        b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind) + b"".join(_field(5, one) for one in attributes)
    )


def _port(name: str, shape: list[int | str]) -> bytes:
    """A ValueInfoProto of floats; a size that is a word may be any."""
    sizes = b"".join(_field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, sizes)))


def write(folder: Path, weights: np.ndarray, biases: np.ndarray, tags: list[tuple[str, int]]) -> None:
    """Write model.onnx and selected_tags.csv as WD taggers are published.

    Args:
        weights: [3, tags], for the means of blue, green and red, 0..255. biases: [tags]. tags: (name, category).
    """
    axes = _field(1, "axes") + b"".join(_field(8, axis) for axis in (1, 2)) + _field(20, _INTS)
    flat = _field(1, "keepdims") + _field(3, 0) + _field(20, _INT)
    nodes = [
        _node("ReduceMean", ["input"], "means", axes, flat),
        _node("MatMul", ["means", "weights"], "leanings"),
        _node("Add", ["leanings", "biases"], "logits"),
        _node("Sigmoid", ["logits"], "output"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tagger")
    graph += _field(5, _tensor("weights", weights)) + _field(5, _tensor("biases", biases))
    graph += _field(11, _port("input", ["batch", SIDE, SIDE, 3])) + _field(12, _port("output", ["batch", len(tags)]))
    (folder / "model.onnx").write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(2, _OPSET)))
    rows = ["tag_id,name,category,count", *(f"{index + 9},{name},{category},{100 - index}" for index, (name, category) in enumerate(tags))]
    (folder / "selected_tags.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
