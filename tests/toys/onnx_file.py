"""Networks in ONNX's format, written by hand.

The format is protobuf (onnx.proto3): fields as (number, wire type), nested messages with their length before them.
"""

from __future__ import annotations

import numpy as np

FLOAT, UINT8, INT64 = 1, 2, 7
"""TensorProto.DataType."""
_FORMATS = {FLOAT: "<f4", UINT8: "u1", INT64: "<i8"}
_INT, _INTS = 2, 7
"""AttributeProto.AttributeType."""
_OPSET = 13


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


def tensor(name: str, values: np.ndarray | np.floating, kind: int = FLOAT) -> bytes:
    """A constant of the graph."""
    data = np.asarray(values).astype(_FORMATS[kind])
    return b"".join(_field(1, size) for size in data.shape) + _field(2, kind) + _field(8, name) + _field(9, data.tobytes())


def node(kind: str, inputs: list[str], output: str, **attributes: int | list[int]) -> bytes:
    """An operation with one output."""
    written = []
    for name, value in attributes.items():
        listed = isinstance(value, list)
        values = b"".join(_field(8, number) for number in value) if isinstance(value, list) else _field(3, value)
        written.append(_field(5, _field(1, name) + values + _field(20, _INTS if listed else _INT)))
    return b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind) + b"".join(written)


def port(name: str, shape: list[int | str], kind: int = FLOAT) -> bytes:
    """An input or an output; a size that is a word may be any."""
    sizes = b"".join(_field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, sizes)))


def network(nodes: list[bytes], constants: list[bytes], inputs: list[bytes], outputs: list[bytes]) -> bytes:
    """The whole file."""
    graph = b"".join(_field(1, one) for one in nodes) + _field(2, "toy") + b"".join(_field(5, one) for one in constants)
    graph += b"".join(_field(11, one) for one in inputs) + b"".join(_field(12, one) for one in outputs)
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, _OPSET))
