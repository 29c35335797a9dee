"""A text model from a local folder: any instruct model that transformers has and that brings a chat template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.caption.base import Decoding
from clickpaint.caption.caption_refinement import TextModelFailed, TextRequest
from clickpaint.caption.generating import Vocabulary, seeded, steering
from clickpaint.caption.loading import load_model, load_processor, nbytes
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any
    tokenizer: Any
    vocabulary: Vocabulary
    ends: tuple[int, ...]


class LocalTextModel:
    """Implements `refine.TextModel`."""

    sees = False
    ours = True

    def __init__(self, name: str, folder: Path, device: Device, cache: ModelCache) -> None:
        self.name = name
        self._folder, self._device, self._cache = folder, device, cache

    def write(self, request: TextRequest, on_text: Callable[[str], None], progress: Progress = SILENT) -> str:
        import torch

        loaded = self._cache.get(("text", self.name), lambda: self._load(progress), progress)
        progress.report(None, "Rewording")
        turns = [{"role": message.role, "content": message.text} for message in request.messages]
        prompt = loaded.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        inputs = loaded.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        processors = steering(loaded.vocabulary, Decoding(words=request.words), loaded.ends, progress)
        speaker = _Speaker(loaded.tokenizer, on_text)
        drawn = {"do_sample": True, "temperature": request.temperature, "top_p": 0.9} if request.temperature > 0.5 else {"do_sample": False}
        with torch.inference_mode(), seeded(request.seed, self._device.torch):
            output = loaded.model.generate(
                input_ids=inputs["input_ids"].to(self._device.torch), attention_mask=inputs["attention_mask"].to(self._device.torch),
                max_new_tokens=request.tokens, logits_processor=processors, streamer=speaker, **drawn,
            )  # fmt: skip
        generated = output[0, inputs["input_ids"].shape[1] :]
        return str(loaded.tokenizer.decode(generated, skip_special_tokens=True)).strip()

    def _load(self, progress: Progress) -> tuple[_Loaded, int]:
        progress.report(None, f"Loading {self.name}")
        model, tokenizer = load_model("AutoModelForCausalLM", self._folder, self._device), load_processor(self._folder, "AutoTokenizer")
        if not getattr(tokenizer, "chat_template", None):
            raise TextModelFailed("{name} is no instruct model: it has no chat template.", "Put an instruct model there.", name=self.name)
        ends = model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        ends = tuple(ends) if isinstance(ends, (list, tuple)) else (ends,)
        size = model.get_output_embeddings().weight.shape[0]
        return _Loaded(model, tokenizer, Vocabulary(tokenizer, size), ends), nbytes(model)


class _Speaker:
    """What generate calls with every token (transformers' streamer): hands on what has become readable since."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None]) -> None:
        self._tokenizer, self._on_text = tokenizer, on_text
        self._tokens: list[int] = []
        self._letters_sent = 0
        self._prompt = True

    def put(self, value: Any) -> None:
        if self._prompt:  # the first call brings what was asked
            self._prompt = False
            return
        self._tokens += value.reshape(-1).tolist()
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True)
        if not text.endswith("\ufffd"):  # half of a letter
            self._on_text(text[self._letters_sent :])
            self._letters_sent = len(text)

    def end(self) -> None:
        pass
