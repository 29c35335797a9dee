"""Toy captioners in folders, made once."""

from __future__ import annotations

import pytest

from clickpaint.caption.loading import transformers
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from tests.caption import eyes, toys

NEEDED = {
    "llava": "LlavaForConditionalGeneration", "grounding_dino": "GroundingDinoForObjectDetection",
    "florence2": "Florence2ForConditionalGeneration", "smolvlm": "SmolVLMForConditionalGeneration",
    "idefics3": "Idefics3ForConditionalGeneration", "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration", "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "sam3": "Sam3Model", "sam3_video": "Sam3VideoModel",
}  # fmt: skip
"""Of the networks that not every version of transformers has."""


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """`toy("blip")`: the folder of a toy captioner, and its network."""
    made = {}

    def make(name):
        needed = NEEDED.get(name, "CLIPModel")
        if not hasattr(transformers(), needed):
            pytest.skip(f"the installed transformers has no {needed}")
        if name not in made:
            folder = tmp_path_factory.mktemp("captioner") / name
            kinds = {"vqa": lambda: toys.blip(folder, "BlipForQuestionAnswering")}
            made[name] = folder, kinds.get(name, lambda: getattr(toys if hasattr(toys, name) else eyes, name)(folder))()
        return made[name]

    return make


@pytest.fixture
def cache():
    return ModelCache(lambda: 1 << 30)


@pytest.fixture
def cpu():
    return Device()
