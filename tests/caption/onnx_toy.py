"""A tagger in ONNX's format whose scores are a sigmoid of the picture's mean colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.toys.onnx_file import network, node, port, tensor

SIDE = 448


def write(folder: Path, weights: np.ndarray, biases: np.ndarray, tags: list[tuple[str, int]]) -> None:
    """Write model.onnx and selected_tags.csv as WD taggers are published.

    Args:
        weights: [3, tags], for the means of blue, green and red, 0..255. biases: [tags]. tags: (name, category).
    """
    nodes = [
        node("ReduceMean", ["input"], "means", axes=[1, 2], keepdims=0),
        node("MatMul", ["means", "weights"], "leanings"),
        node("Add", ["leanings", "biases"], "logits"),
        node("Sigmoid", ["logits"], "output"),
    ]
    constants = [tensor("weights", weights), tensor("biases", biases)]
    ports = [port("input", ["batch", SIDE, SIDE, 3])], [port("output", ["batch", len(tags)])]
    (folder / "model.onnx").write_bytes(network(nodes, constants, *ports))
    rows = ["tag_id,name,category,count", *(f"{index + 9},{name},{category},{100 - index}" for index, (name, category) in enumerate(tags))]
    (folder / "selected_tags.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
