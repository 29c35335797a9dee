"""torchvision beside a torch that it was not built for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clickpaint.compat import torchvision as compat

EXTENSION = Path(__file__).parents[2] / "extension"


def reference(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> list[int]:
    """The definition, pair by pair."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):
        ok = True
        for k in kept:
            width = min(boxes[i][2], boxes[k][2]) - max(boxes[i][0], boxes[k][0])
            height = min(boxes[i][3], boxes[k][3]) - max(boxes[i][1], boxes[k][1])
            overlap = max(width, 0.0) * max(height, 0.0)
            union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[k])) - overlap
            ok &= bool(overlap / union <= threshold)
        if ok:
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
def test_nms_keeps_what_the_definition_keeps(seed, threshold):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(40, 2, generator=generator) * 50
    boxes = torch.cat([corner, corner + 5 + torch.rand(40, 2, generator=generator) * 40], 1)
    scores = torch.rand(40, generator=generator)
    before = boxes.clone(), scores.clone()
    assert compat.nms(boxes, scores, threshold).tolist() == reference(boxes, scores, threshold)
    assert torch.equal(boxes, before[0])
    assert torch.equal(scores, before[1])


def test_nms_of_nothing_and_of_ties():
    assert compat.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    same = torch.tensor([[0.0, 0.0, 2.0, 2.0]] * 3)
    assert compat.nms(same, torch.ones(3), 0.5).tolist() == [0]
    assert compat.nms(torch.zeros(2, 4), torch.ones(2), 0.5).tolist() == [0, 1]  # empty boxes overlap nothing


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(EXTENSION), "PATH": ""}, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(compat.available() is not None, reason=f"no torchvision: {compat.available()}")
def test_a_fresh_process_can_import_it_and_what_needs_it():
    code = """
from clickpaint.compat import torchvision as compat
compat.ensure(); compat.ensure()
assert compat.available() is None
import torch, torchvision
from torchvision.ops import batched_nms, nms
boxes = torch.tensor([[0., 0., 10., 10.], [1., 1., 11., 11.], [20., 20., 30., 30.]])
scores = torch.tensor([.5, .9, .1])
print(nms(boxes, scores, .5).tolist(), batched_nms(boxes, scores, torch.tensor([0, 1, 1]), .5).tolist())
with torch.autocast("cpu", torch.bfloat16):
    assert nms(boxes, scores, .5).tolist() == [1, 2]
import torchvision.transforms.functional as functional
from PIL import Image
print(functional.to_tensor(Image.new("RGB", (3, 2))).shape[1:])
"""
    assert run(code).splitlines() == ["[1, 2] [1, 0, 2]", "torch.Size([2, 3])"]


def test_absence_is_a_reason_and_not_a_crash():
    code = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "torchvision" else real(name, *a)
from clickpaint.compat import torchvision as compat
print(compat.available())
"""
    assert "not installed" in run(code)
