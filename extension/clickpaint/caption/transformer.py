"""What all captioners from local folders have in common: load once, look at several crops at a time, generate, score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from clickpaint.caption.base import Crop, Decoding, Turn, Wording
from clickpaint.caption.generating import Vocabulary, generation, seeded, steering, wordings
from clickpaint.caption.loading import load_model, load_processor, nbytes
from clickpaint.errors import InvalidInput
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device

_AT_ONCE_ON_CPU, _AT_ONCE = 4, 16
_LONGEST_ANSWER = 60


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network, its processor, and what its tokens are to words.

    Attributes:
        ends: the tokens that end a text.
    """

    model: Any
    processor: Any
    vocabulary: Vocabulary
    ends: tuple[int, ...]

    @property
    def tokenizer(self) -> Any:
        return getattr(self.processor, "tokenizer", self.processor)


class TransformersCaptioner:
    """Implements `Captioner`; a family says which class it is and what goes into it.

    Args:
        load: the network and its processor, where not simply all from `folder`.
    """

    model_class = ""
    can_caption = True
    can_answer = False
    follows = False

    def __init__(
        self, name: str, folder: Path, device: Device, cache: ModelCache, load: Callable[[Progress], tuple[Any, Any]] | None = None
    ) -> None:
        self.name = name
        self._folder, self._device, self._cache, self._load = folder, device, cache, load

    def caption(self, crops: Sequence[Crop], decoding: Decoding, progress: Progress = SILENT) -> list[list[Wording]]:
        if not self.can_caption:
            raise InvalidInput("{name} only answers questions.", "Choose another captioner.", name=self.name)
        loaded = self.loaded(progress)
        wordings: list[list[Wording]] = []
        at_once = _AT_ONCE_ON_CPU if self._device.kind == "cpu" else _AT_ONCE
        for start in range(0, len(crops), at_once):
            progress.report(start / len(crops), "Describing", done=start, total=len(crops))
            some = crops[start : start + at_once]
            wordings += self._generated(loaded, self._inputs(loaded, some, decoding), decoding, len(some), progress)
        return wordings

    def answer(self, crop: Crop, question: str, history: Sequence[Turn] = (), progress: Progress = SILENT) -> str:
        if not self.can_answer:
            raise InvalidInput("{name} cannot answer questions.", "Put a model that can (BLIP-VQA, SmolVLM …) beside it.", name=self.name)
        loaded = self.loaded(progress)
        decoding = Decoding(max_tokens=_LONGEST_ANSWER)
        inputs = self._question(loaded, crop, question, history)
        return self._generated(loaded, inputs, decoding, 1, progress)[0][0].text

    def loaded(self, progress: Progress = SILENT) -> Loaded:
        """Loaded once, then held in the cache."""

        def load() -> tuple[Loaded, int]:
            progress.report(None, f"Loading {self.name}")
            model, processor = self._load(progress) if self._load is not None else self._from_folder()
            tokenizer = getattr(processor, "tokenizer", processor)
            if getattr(tokenizer, "padding_side", "left") != "left" and self.model_class.endswith("ForImageTextToText"):
                tokenizer.padding_side = "left"
            vocabulary = Vocabulary(tokenizer, self._vocabulary_size(model))
            return Loaded(model, processor, vocabulary, self._ends(model, tokenizer)), nbytes(model)

        return self._cache.get(("captioner", self.name), load, progress)

    # what a family says

    def _inputs(self, loaded: Loaded, crops: Sequence[Crop], decoding: Decoding) -> dict[str, Any]:
        """The arguments of generate for these crops."""
        return loaded.processor(images=_pictures(crops), return_tensors="pt")

    def _question(self, loaded: Loaded, crop: Crop, question: str, history: Sequence[Turn]) -> dict[str, Any]:
        raise NotImplementedError

    def _decode(self, loaded: Loaded, sequences: Tensor, inputs: Any) -> list[str]:
        return loaded.tokenizer.batch_decode(sequences, skip_special_tokens=True)

    def _ends(self, model: Any, tokenizer: Any) -> tuple[int, ...]:
        ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
        ends = tokenizer.eos_token_id if ends is None else ends
        return tuple(ends) if isinstance(ends, (list, tuple)) else (ends,)

    def _vocabulary_size(self, model: Any) -> int:
        return model.get_output_embeddings().weight.shape[0]

    # how

    def _from_folder(self) -> tuple[Any, Any]:
        return load_model(self.model_class, self._folder, self._device), load_processor(self._folder)

    def _generated(self, loaded: Loaded, inputs: Any, decoding: Decoding, count: int, progress: Progress) -> list[list[Wording]]:
        import torch

        device, dtype = self._device.torch, self._device.torch_dtype
        given = {key: _moved(value, device, dtype) for key, value in dict(inputs).items()}
        arguments = generation(decoding, steering(loaded.vocabulary, decoding, loaded.ends, progress))
        with torch.inference_mode(), seeded(decoding.seed, device):
            output = loaded.model.generate(**given, **arguments)
        return wordings(output, lambda sequences: self._decode(loaded, sequences, inputs), count, loaded.ends)


def _pictures(crops: Sequence[Crop]) -> list[Image.Image]:
    return [Image.fromarray(crop.pixels) for crop in crops]


def _moved(value: Any, device: Any, dtype: Any) -> Any:
    return value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype) if hasattr(value, "to") else value


class Git(TransformersCaptioner):
    """GIT (Wang et al. 2022)."""

    model_class = "GitForCausalLM"

    def _vocabulary_size(self, model: Any) -> int:
        return model.output.weight.shape[0]


class Blip2(TransformersCaptioner):
    """BLIP-2 (Li et al. 2023); asked in the form it was trained on."""

    model_class = "Blip2ForConditionalGeneration"
    can_answer = True

    def _question(self, loaded: Loaded, crop: Crop, question: str, history: Sequence[Turn]) -> dict[str, Any]:
        before = "".join(f"Question: {turn.question} Answer: {turn.answer}. " for turn in history)
        return loaded.processor(images=_pictures([crop]), text=f"{before}Question: {question} Answer:", return_tensors="pt")

    def _decode(self, loaded: Loaded, sequences: Tensor, inputs: Any) -> list[str]:
        return super()._decode(loaded, _without_prompt(sequences, inputs), inputs)

    def _ends(self, model: Any, tokenizer: Any) -> tuple[int, ...]:
        return super()._ends(model.language_model, tokenizer)


class Florence2(TransformersCaptioner):
    """Florence-2 (Xiao et al. 2023), as transformers has it since 4.56; its tasks are words of its prompt."""

    model_class = "Florence2ForConditionalGeneration"
    _LONG = 25
    """From this many words on the detailed caption is asked for."""

    def _inputs(self, loaded: Loaded, crops: Sequence[Crop], decoding: Decoding) -> dict[str, Any]:
        task = "<DETAILED_CAPTION>" if decoding.words is not None and decoding.words[1] >= self._LONG else "<CAPTION>"
        return loaded.processor(images=_pictures(crops), text=[task] * len(crops), return_tensors="pt")


class VisionLanguage(TransformersCaptioner):
    """Any chat model with eyes that transformers has (SmolVLM, Qwen-VL, LLaVA, Gemma …)."""

    model_class = "AutoModelForImageTextToText"
    can_answer = True
    follows = True
    _ASKED = "Describe this picture in one sentence."

    def _from_folder(self) -> tuple[Any, Any]:
        from clickpaint.caption.loading import transformers

        name = self.model_class if hasattr(transformers(), self.model_class) else "AutoModelForVision2Seq"  # before 4.46
        return load_model(name, self._folder, self._device), load_processor(self._folder)

    def _inputs(self, loaded: Loaded, crops: Sequence[Crop], decoding: Decoding) -> dict[str, Any]:
        turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": decoding.instruction or self._ASKED}]}]
        return self._prompted(loaded, crops, turns)

    def _question(self, loaded: Loaded, crop: Crop, question: str, history: Sequence[Turn]) -> dict[str, Any]:
        texts = [text for turn in history for text in (turn.question, turn.answer)] + [question]
        turns = [
            {
                "role": "assistant" if index % 2 else "user",
                "content": [*([{"type": "image"}] * (not index)), {"type": "text", "text": text}],
            }
            for index, text in enumerate(texts)
        ]
        return self._prompted(loaded, [crop], turns)

    def _prompted(self, loaded: Loaded, crops: Sequence[Crop], turns: list[dict[str, Any]]) -> dict[str, Any]:
        prompt = loaded.processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        images = [[picture] for picture in _pictures(crops)]
        return loaded.processor(text=[prompt] * len(crops), images=images, return_tensors="pt", padding=True)

    def _decode(self, loaded: Loaded, sequences: Tensor, inputs: Any) -> list[str]:
        return super()._decode(loaded, _without_prompt(sequences, inputs), inputs)


def _without_prompt(sequences: Tensor, inputs: Any) -> Tensor:
    """Only what was generated, whether or not this version of transformers repeats the prompt before it."""
    prompt = dict(inputs).get("input_ids")
    if prompt is None or sequences.shape[1] < prompt.shape[1]:
        return sequences
    same = (sequences[: len(prompt), : prompt.shape[1]].cpu() == prompt.cpu()).all() if len(sequences) >= len(prompt) else False
    return sequences[:, prompt.shape[1] :] if same else sequences
