"""Models that the user put into folders: what each is, by its config.json, without loading anything."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickpaint.caption import loading
from clickpaint.errors import Sentence
from clickpaint.weights.folders import folders_in, is_file

KINDS = ("captioner", "BLIP", "LLM")
"""The host's folders that are looked through: each model is a folder of its own, as `save_pretrained` and model hubs have it."""

_BY_CLASS = {
    "BlipForConditionalGeneration": ("captioner", "blip"),
    "BlipForQuestionAnswering": ("captioner", "blip_vqa"),
    "Blip2ForConditionalGeneration": ("captioner", "blip2"),
    "GitForCausalLM": ("captioner", "git"),
    "Florence2ForConditionalGeneration": ("captioner", "florence2"),
    "CLIPModel": ("clip", "clip"),
    "CLIPSegForImageSegmentation": ("finder", "clipseg"),
    "GroundingDinoForObjectDetection": ("finder", "grounding_dino"),
    "Sam3Model": ("finder", "sam3"),
    "Sam3VideoModel": ("finder", "sam3"),  # what is published: for films, and in it the network for pictures
}
_CODE_OF_THEIR_OWN = ("describe_anything", "dam", "llava_llama")
"""Model types whose networks no transformers has; NVIDIA's Describe Anything is one."""


@dataclass(frozen=True)
class LocalModel:
    """A model's folder on this machine.

    Attributes:
        name: of its folder.
        role: "captioner", "text", "clip", "finder", "tagger" or "classifier".
        family: whose code runs it.
        reason: why it cannot be used, "" where it can.
    """

    name: str
    role: str
    family: str
    path: Path
    reason: str = ""


def local_models(folders: Iterable[Path]) -> list[LocalModel]:
    """The models in these folders by name; the first of a name counts."""
    models: dict[str, LocalModel] = {}
    for path in folders_in(folders):
        model = _recognised(path)
        if model is not None:
            models.setdefault(model.name, model)
    return list(models.values())


def _recognised(path: Path) -> LocalModel | None:
    if is_file(path / "selected_tags.csv") and is_file(path / "model.onnx"):
        return LocalModel(path.name, "tagger", "wd14", path)
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        model_type, (name, *_) = str(config["model_type"]), config["architectures"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    role, family = _role(path, str(name), model_type, config)
    return None if role is None else LocalModel(path.name, role, family, path, _reason(model_type, str(name), "auto_map" in config))


def _role(path: Path, name: str, model_type: str, config: dict[str, Any]) -> tuple[str | None, str]:
    if name in _BY_CLASS:
        return _BY_CLASS[name]
    if model_type in _CODE_OF_THEIR_OWN:
        return "captioner", "describe_anything"
    if name.endswith("ForImageClassification"):
        return "classifier", "classifier"
    if "vision_config" in config and name.endswith("ForConditionalGeneration"):
        return "captioner", "vision_language"
    if "vision_config" not in config and name.endswith("ForCausalLM") and any(path.glob("*token*")):
        return "text", "instruct"
    return None, ""


def _reason(model_type: str, name: str, brings_code: bool) -> str:
    if model_type in _CODE_OF_THEIR_OWN:
        return Sentence("{name} is not part of transformers, and code that comes with weights is not run.", name=name)
    if not loading.version()[0]:
        return "transformers is not installed."
    if not loading.knows(model_type):
        major, minor = loading.version()
        return Sentence(
            "The installed transformers ({major}.{minor}) has no {model_type} yet; a newer one may.",
            major=major,
            minor=minor,
            model_type=model_type,
        )
    if brings_code and model_type == "florence2":  # its weights have other names than those of transformers' network
        return "This is Florence-2 with code of its own, which is not run; take the form that florence-community publishes."
    return ""
