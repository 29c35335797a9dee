"""Saying a caption in another way, by a text model: the prompt made of the controls, and the length held to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from clickpaint.caption.base import Turn
from clickpaint.caption.style import Style, bounds, count_words, trimmed
from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.progress import SILENT, Progress

_WIKI_WORDS = 100
_TOKENS_PER_WORD = 4
"""Enough for every language; what is cut off there was not going to stop."""
_FEWEST_TOKENS = 100
_UNCOUNTED = frozenset({"Chinese", "Cantonese", "Japanese", "Korean", "Arabic", "Hindi", "Russian", "Ukrainian"})
"""Languages of which decoders see pieces of letters rather than words, so that these cannot be counted there."""


NEEDS_TEXT_MODEL = (
    "Set the address of a text model (Ollama, LM Studio, llama.cpp …) in the settings, or put an instruct model into the captioner folder."
)


class TextModelFailed(ClickpaintError):
    """The text model could not be reached, refused, or answered something that is of no use."""


@dataclass(frozen=True)
class Message:
    """One message to a text model.

    Attributes:
        role: "system", "user" or "assistant".
        picture: a JPEG for models with eyes.
    """

    role: str
    text: str
    picture: bytes | None = None


@dataclass(frozen=True)
class TextRequest:
    """One request to a text model.

    Attributes:
        messages: the conversation so far, oldest first.
        tokens: at most so many come back.
        temperature: of the sampling, 0 for always the likeliest token.
        seed: of the sampling.
        words: (fewest, most), where decoding can hold to it.
    """

    messages: tuple[Message, ...]
    tokens: int
    temperature: float = 0.3
    seed: int = 0
    words: tuple[int, int] | None = None


class TextModel(Protocol):
    """What writes text for messages.

    Attributes:
        name: for people.
        sees: whether `Message.picture` reaches it.
        ours: whether it computes here, on the device.
    """

    name: str
    sees: bool
    ours: bool

    def write(self, request: TextRequest, on_text: Callable[[str], None], progress: Progress = SILENT) -> str:
        """The whole text; `on_text` gets each piece as it comes. Raises `TextModelFailed`, `Interrupted`."""
        ...


@dataclass(frozen=True)
class Refined:
    """What a text model made of a caption.

    Attributes:
        text: the caption.
        background: what is generally known, "" where that was not asked for.
    """

    text: str
    background: str = ""


def refine(
    model: TextModel, captions: Sequence[str], style: Style, context: str = "", seed: int = 0,
    on_text: Callable[[str], None] = lambda piece: None, progress: Progress = SILENT,
) -> Refined:  # fmt: skip
    """One caption in the style, made of what a captioner said of a region.

    Args:
        captions: the captioner's wordings, best first.
        context: what it says of the whole picture.
        on_text: gets the text as it comes; what comes of a second try begins with "\\0", which takes back what was said.

    Raises:
        TextModelFailed, Interrupted
    """
    messages = caption_messages(captions, style, context)
    temperature = 0.9 if style.factuality == "imagination" else 0.3
    tokens = max(_TOKENS_PER_WORD * (style.length or 60), _FEWEST_TOKENS)
    words = None if style.language in _UNCOUNTED else style.words
    request = TextRequest(messages, tokens, temperature, seed, words)
    text = _tidy(model.write(request, on_text, progress))
    if style.length is not None and not _fits(text, style.length):
        again = (
            *messages, Message("assistant", text),
            Message("user", f"That has {count_words(text)} words. Write it again with {style.length} words. Answer with the text alone."),
        )  # fmt: skip
        on_text("\0")
        second = _tidy(model.write(TextRequest(again, tokens, temperature, seed, words), on_text, progress))
        text = min((text, second), key=lambda candidate: abs(count_words(candidate) - (style.length or 0))) if second else text
        text = trimmed(text, style.length)
    if not count_words(text):
        raise TextModelFailed("{name} answered nothing.", "Choose another text model.", name=model.name)
    if not style.wiki:
        return Refined(text)
    wiki = TextRequest(wiki_messages(text, style), _TOKENS_PER_WORD * _WIKI_WORDS, 0.3, seed)
    return Refined(text, trimmed(_tidy(model.write(wiki, lambda piece: None, progress)), _WIKI_WORDS))


def caption_messages(captions: Sequence[str], style: Style, context: str = "") -> tuple[Message, ...]:
    """What a text model is asked for a caption in this style: every control that is set is one sentence of it."""
    mood = {
        "positive": "Put it in a warm, positive mood.",
        "natural": "Keep a neutral mood.",
        "negative": "Put it in a gloomy, negative mood.",
    }[style.sentiment]
    wanted = [mood]
    if style.factuality == "factual":
        wanted.append("Say only what the descriptions say; add no object, number or event.")
    else:
        wanted.append("Use your imagination: you may invent details and a story around it.")
    if style.form == "prompt":
        wanted.append(
            "Write it as a prompt for Stable Diffusion: short comma-separated phrases, the main subject first, no full sentences."
        )
    if style.length is not None:
        least, most = bounds(style.length)
        wanted.append(f"Use {style.length} words, at least {least} and at most {most}.")
    wanted.append(f"Write in {style.language}.")
    described = "\n".join(f"- {caption}" for caption in captions)
    around = f"\nThe whole picture: {context}" if context else ""
    return (
        Message("system", "You rewrite descriptions of a part of a picture. Answer with the text alone, without quotes or remarks."),
        Message("user", f"Descriptions of the same object:\n{described}{around}\n\nWrite one caption of it. {' '.join(wanted)}"),
    )


def wiki_messages(caption: str, style: Style) -> tuple[Message, ...]:
    wanted = f"Use at most {_WIKI_WORDS} words, and write in {style.language}."
    return (
        Message("system", "You know a lot and keep it short. Answer with the text alone."),
        Message("user", f"What is generally known about the main object of this caption? {wanted}\n{caption}"),
    )


def instruction(style: Style) -> str:
    """What a captioner that follows instructions is asked."""
    length = f" in {style.length} words" if style.length is not None else " in one sentence"
    if style.form == "prompt":
        request = f"List what this picture shows as a prompt for Stable Diffusion{length}: short comma-separated phrases."
    else:
        request = f"Describe this picture{length}."
    mood = {"positive": " Put it in a warm, positive mood.", "natural": "", "negative": " Put it in a gloomy, negative mood."}[
        style.sentiment
    ]
    imagined = " You may invent details and a story." if style.factuality == "imagination" else " Say only what can be seen."
    language = f" Write in {style.language}." if style.language != "English" else ""
    return request + mood + imagined + language


def paragraph_messages(whole: str, regions: Sequence[str], words: Sequence[str], style: Style) -> tuple[Message, ...]:
    """A picture in one paragraph, from what was said of all of it, of its regions, and what is written in it."""
    described = "\n".join(f"- {region}" for region in regions)
    written = f"\nText in the picture: {'; '.join(words)}" if words else ""
    length = f"about {style.length} words" if style.length is not None else "at most six sentences"
    return (
        Message("system", "You describe pictures from notes. Answer with the text alone, without quotes or remarks."),
        Message(
            "user",
            f"The whole picture: {whole}\nIts parts:\n{described}{written}\n\nDescribe the picture in one paragraph of {length}, in "
            f"{style.language}. Say only what the notes say.",
        ),
    )


def chat_messages(caption: str, question: str, history: Sequence[Turn], picture: bytes | None) -> tuple[Message, ...]:
    """A question about an object; without a picture, only its caption is known."""
    known = "The picture shows it." if picture is not None else f"It is described as: {caption}"
    before = tuple(message for turn in history for message in (Message("user", turn.question), Message("assistant", turn.answer)))
    return (
        Message("system", f"You answer questions about one object of a picture, briefly. {known} Say so if you cannot know."),
        *before,
        Message("user", question, picture),
    )


def require(model: TextModel | None, style: Style) -> TextModel:
    """The text model, or why what the style asks for cannot be had without one."""
    if model is None:
        raise InvalidInput(
            "Without a text model, {names} cannot be had.",
            NEEDS_TEXT_MODEL,
            controls=list(style.beyond_decoding),
            names=" and ".join(style.beyond_decoding) or "this",
        )
    return model


def _fits(text: str, length: int) -> bool:
    least, most = bounds(length)
    return least <= count_words(text) <= most


def _tidy(text: str) -> str:
    """Without what models put around a text: thoughts, quotes, a heading."""
    if "</think>" in text:
        text = text.rpartition("</think>")[2]
    text = text.strip().removeprefix("Caption:").strip()
    if len(text) > 1 and text[0] in "\"'“‘" and text[-1] in "\"'”’":
        text = text[1:-1].strip()
    return text
