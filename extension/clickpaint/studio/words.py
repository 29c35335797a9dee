"""The use-cases with words: say what is selected, answer questions about it, describe everything, rank results."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from PIL import Image

from clickpaint.caption import all_regions, caption_refinement, ocr, tags
from clickpaint.caption.all_regions import Described
from clickpaint.caption.base import Captioner, Crop, Decoding, Turn
from clickpaint.caption.caption_job import Availability, Caption, CaptionOptions, Panorama, PanoramaOptions, Piece, Raw, WordsListener
from clickpaint.caption.caption_refinement import Refined, TextModel, TextRequest
from clickpaint.caption.clip import Clip
from clickpaint.caption.labels import labelled
from clickpaint.caption.region import crop_region, whole
from clickpaint.caption.registry import Captioners, no_answers
from clickpaint.caption.style import choose
from clickpaint.errors import ClickpaintError, InvalidInput, ModelMissing
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture
from clickpaint.progress import Progress
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests, RunningRequest
from clickpaint.studio.selecting import Selecting, regions_of
from clickpaint.studio.word_masks import WordMasks

T = TypeVar("T")

_LONGEST_QUESTION = 2000
_MOST_TURNS = 50
_TRIED = 4
"""Wordings among which a mood, a likeness or something imagined is chosen."""
_EYES = 768
"""Longer side of the picture that a text model with eyes gets."""
_ANSWER_TOKENS = 300
_PARAGRAPH_TOKENS = 600


class Words:
    """Part of the studio. Captioners compute in the lane of long work; a text model behind an address is waited for outside of it."""

    def __init__(
        self, requests: Requests, pool: ModelPool, captioners: Captioners, selecting: Selecting, word_masks: WordMasks
    ) -> None:  # fmt: skip
        self._requests, self._pool, self._captioners = requests, pool, captioners
        self._selecting, self._word_masks = selecting, word_masks

    def controls(self) -> dict[str, Availability]:
        """What of the controls works here now: "caption", "chat", "refine", "language", "wiki", "clip", "find", "checkpoint"
        (which finds, too), "tags", "text"."""
        captioners, text, clip = self._captioners.listed(), self._text_model_or_none(), self._captioners.clip()
        speaks = any(captioner.available and captioner.captions for captioner in captioners)
        answers = any(captioner.available and captioner.answers for captioner in captioners)
        polyglot = next((captioner for captioner in captioners if captioner.available and captioner.captions), None)
        refines = Availability(text is not None, "" if text is not None else caption_refinement.NEEDS_TEXT_MODEL)
        language = Availability(True) if polyglot is not None and polyglot.family == "vision_language" else refines
        looks = self._word_masks.available()
        finds = self._captioners.finder() is not None or clip is not None or speaks or looks
        tagger = self._captioners.tagger() is not None
        no_clip = "Put a CLIP model's folder into models/captioner."
        return {
            "caption": Availability(speaks, "" if speaks else "There is no captioner: download BLIP, or put one into models/captioner."),
            "chat": Availability(answers or text is not None, "" if answers or text is not None else no_answers().sentence),
            "refine": refines, "language": language, "wiki": refines,
            "clip": Availability(clip is not None, "" if clip is not None else no_clip),
            "find": Availability(finds, "" if finds else no_clip),
            "checkpoint": Availability(looks, "" if looks else "There is no checkpoint that could look."),
            "tags": Availability(tagger, "" if tagger else tags.unavailable() or "Put a WD tagger's folder into models/captioner."),
            "text": Availability(not ocr.unavailable(), ocr.unavailable()),
        }  # fmt: skip

    def caption(
        self, workspace: Workspace, options: CaptionOptions, listener: WordsListener = lambda _: None,
        strokes: Sequence[Sequence[tuple[float, float]]] = (), segmenter: str | None = None,
    ) -> Caption:  # fmt: skip
        """Say what is selected; without a selection, what the picture shows.

        Args:
            options: what is asked for.
            listener: see `caption_picture`.
            strokes: select what these go around or over first, see `Selecting.trace`.
            segmenter: for the strokes.

        Raises:
            As `caption_picture`, and `Selecting.trace` with strokes.
        """
        speakers = self._speakers(options)
        with self._requests.run("caption", workspace) as request:
            if strokes:
                with request.turn():
                    self._selecting.trace_within(request, workspace, strokes, segmenter)
                    state, picture = workspace.snapshot()
            else:
                state, picture = workspace.snapshot()
            mask = None if state.selection is None else state.selection.mask
            return self._caption(request, picture, mask, options, speakers, listener)

    def caption_picture(
        self, picture: Picture, mask: np.ndarray | None, options: CaptionOptions, listener: WordsListener = lambda _: None
    ) -> Caption:
        """Say what a mask selects.

        Args:
            picture: one that belongs to no workspace.
            mask: bool [H, W]; None for the whole picture.
            options: what is asked for.
            listener: hears the captioner's words first, then the pieces of what a text model makes of them. What goes wrong there is
                the caption's `failure`: the captioner's words stay.

        Raises:
            InvalidInput, NotFound, ModelMissing: there is no captioner to ask, or not for this. Interrupted, OutOfMemory.
        """
        speakers = self._speakers(options)
        with self._requests.run("caption") as request:
            return self._caption(request, picture, mask, options, speakers, listener)

    def chat(self, workspace: Workspace, question: str, captioner: str | None = None, listener: WordsListener = lambda _: None) -> Turn:
        """Answer a question about what is selected (or the picture), with what was said about the same object before in mind; the
        workspace keeps the conversation.

        Args:
            question: up to 2000 letters.
            captioner: the one that is to answer; None for the best that can.
            listener: hears the pieces of the answer, where a text model writes it.

        Raises:
            InvalidInput: no question, or nothing here can answer. TextModelFailed, Interrupted.
        """
        question = question.strip()
        if not 0 < len(question) <= _LONGEST_QUESTION:
            raise InvalidInput(
                "There is no question." if not question else "The question is too long.",
                "Ask in 1 to {limit} letters.",
                limit=_LONGEST_QUESTION,
            )
        with self._requests.run("chat", workspace) as request:
            state, picture = workspace.snapshot()
            selection, pixels = state.selection, picture.pixels
            box = None if selection is None else selection.box
            crop = whole(pixels) if selection is None else crop_region(pixels, selection.mask)
            history = [turn for turn in workspace.chat if turn.box == box]
            answer = self._answer(request, crop, question, history, captioner, listener)
            turn = Turn(question, answer, box)
            with request.turn():
                workspace.chat = (*workspace.chat, turn)[-_MOST_TURNS:]
            return turn

    def forget_chat(self, workspace: Workspace) -> None:
        """Forget what was asked and answered."""
        with self._requests.run("chat", workspace) as request, request.turn():
            workspace.chat = ()

    def everything(self, workspace: Workspace, options: PanoramaOptions, segmenter: str | None = None) -> Panorama:
        """Describe all regions; "region" adjustments can then pick from those that got a caption, unless the picture was changed
        meanwhile. Raises as `everything_in`."""
        captioner = self._everything_captioner(options)
        with self._requests.run("everything", workspace) as request:
            state, picture = workspace.snapshot()

            def hold(regions: Sequence[Described]) -> None:
                with request.turn():
                    if workspace.state.version == state.version:
                        workspace.hold_regions(tuple(described.region for described in regions))

            return self._panorama(request, picture, options, captioner, segmenter or workspace.segmenter or None, hold)

    def everything_in(self, picture: Picture, options: PanoramaOptions, segmenter: str | None = None) -> Panorama:
        """Describe all regions of a picture that belongs to no workspace, and join them in a paragraph. Raises as `caption_picture`."""
        captioner = self._everything_captioner(options)
        with self._requests.run("everything") as request:
            return self._panorama(request, picture, options, captioner, segmenter, lambda _: None)

    def rank(self, workspace: Workspace, prompt: str) -> list[float]:
        """How well each of the last painting's results fits the prompt, by CLIP, in their order. Raises `ModelMissing`, `InvalidInput`."""
        clip = self._captioners.clip()
        if clip is None:
            raise ModelMissing("There is no CLIP model here.", self.controls()["clip"].reason)
        with self._requests.run("rank", workspace) as request:
            results = workspace.results
            if not results or not prompt.strip():
                raise InvalidInput("There is nothing to rank.", "Paint first, with a prompt.")
            pictures = [result.pixels for result in results]
            scores = request.compute(lambda progress: clip.similarities(pictures, [prompt], progress))
            return [float(score) for score in scores[:, 0]]

    def _speakers(self, options: CaptionOptions) -> tuple[Captioner, Clip | None, tags.Tagger | None]:
        """Who says something for these options; raises early what `caption_picture` raises."""
        options.checked()
        captioner, clip = self._captioners.captioner(options.captioner), self._captioners.clip()
        tagger = self._captioners.tagger() if options.tags else None
        if options.tags and tagger is None:
            raise ModelMissing("There is no tagger here.", self.controls()["tags"].reason)
        return captioner, clip, tagger

    def _caption(
        self, request: RunningRequest, picture: Picture, mask: np.ndarray | None, options: CaptionOptions,
        speakers: tuple[Captioner, Clip | None, tags.Tagger | None], listener: WordsListener,
    ) -> Caption:  # fmt: skip
        began = time.perf_counter()
        captioner, clip, tagger = speakers
        raw = request.compute(lambda progress: self._raw(captioner, clip, tagger, picture.pixels, mask, options, progress))
        listener(raw)
        caption = self._refined(request, Caption(raw, options.style), captioner, options, listener)
        return replace(caption, milliseconds=(time.perf_counter() - began) * 1000)

    def _raw(
        self, captioner: Captioner, clip: Clip | None, tagger: tags.Tagger | None, pixels: np.ndarray, mask: np.ndarray | None,
        options: CaptionOptions, progress: Progress,
    ) -> Raw:  # fmt: skip
        began = time.perf_counter()
        crop, box = (whole(pixels), None) if mask is None else (crop_region(pixels, mask, options.region), PackedMask.of(mask))
        style = options.style
        tried = options.candidates if style.sentiment == "natural" and style.factuality == "factual" else max(options.candidates, _TRIED)
        instruction = caption_refinement.instruction(style) if captioner.follows else ""
        wordings = captioner.caption([crop], style.decoding(tried, options.seed, instruction), progress.part(0.1, 0.7))[0]
        context = ""
        if options.context and mask is not None:
            context = captioner.caption([whole(pixels)], Decoding(seed=options.seed), progress.part(0.7, 0.8))[0][0].text
        texts = [wording.text for wording in wordings]
        seen: list[float] = []
        order = choose(wordings, style)
        if clip is not None:
            seen = clip.similarities([crop.pixels], texts, progress.part(0.8, 0.9))[0].tolist()
            order = choose(wordings, style, seen)
            if context:
                around = clip.similarities([pixels], texts, progress.part(0.8, 0.9))[0].tolist()
                order.sort(key=lambda index: around[index] > seen[index])
        order = order[: options.candidates]
        named = tuple(tagger.tags(crop, progress=progress.part(0.9, 1.0))) if tagger is not None else ()
        chosen = tuple(wordings[index] for index in order)
        return Raw(
            captioner.name, chosen, tuple(seen[index] for index in order) if seen else (), None if box is None else box.box, context, named,
            (time.perf_counter() - began) * 1000,
        )  # fmt: skip

    def _refined(
        self, request: RunningRequest, caption: Caption, captioner: Captioner, options: CaptionOptions, listener: WordsListener
    ) -> Caption:
        style = options.style
        beyond = [control for control in style.beyond_decoding if not (control == "language" and captioner.follows)]
        if options.refine is False and not beyond:
            return caption
        try:
            model = self._captioners.text_model()
            if model is None and (beyond or options.refine):
                model = caption_refinement.require(model, style)
            if model is None or (options.refine is None and style.plain):
                return caption

            def work(progress: Progress) -> Refined:
                texts = [wording.text for wording in caption.raw.wordings]
                return caption_refinement.refine(
                    model, texts, style, caption.raw.context, options.seed, _pieces_to(listener), progress
                )  # fmt: skip

            return replace(caption, refined=_by_text_model(request, model, work))
        except ClickpaintError as error:
            return replace(caption, failure=error)

    def _answer(
        self, request: RunningRequest, crop: Crop, question: str, history: Sequence[Turn], captioner: str | None, listener: WordsListener
    ) -> str:
        answerer, model = self._captioners.answerer(captioner), self._text_model_or_none()
        if answerer is not None and (captioner is not None or model is None or not model.sees):
            return request.compute(lambda progress: answerer.answer(crop, question, history, progress))
        if model is None:
            raise no_answers()
        caption, picture = "", _jpeg(crop) if model.sees else None
        if picture is None:
            speaker = self._captioners.captioner()
            caption = request.compute(lambda progress: speaker.caption([crop], Decoding(), progress))[0][0].text
        text_request = TextRequest(caption_refinement.chat_messages(caption, question, history, picture), _ANSWER_TOKENS)
        return _written(request, model, text_request, _pieces_to(listener))

    def _everything_captioner(self, options: PanoramaOptions) -> Captioner:
        options.style.checked()
        options.sieve.checked()
        return self._captioners.captioner(options.captioner)

    def _panorama(
        self, request: RunningRequest, picture: Picture, options: PanoramaOptions, captioner: Captioner, segmenter: str | None,
        hold: Callable[[Sequence[Described]], None],
    ) -> Panorama:  # fmt: skip
        """hold: is given the regions that got a caption, before a text model joins them."""
        began, pixels, clip = time.perf_counter(), picture.pixels, self._captioners.clip()
        name = self._pool.segmenter_name(segmenter)

        def work(progress: Progress) -> tuple[list[Described], str, tuple[str, ...]]:
            regions = regions_of(self._pool, name, picture, options.regions, progress.part(0.0, 0.4))
            context = captioner.caption([whole(pixels)], Decoding(seed=options.seed), progress.part(0.4, 0.45))[0][0].text
            chosen = all_regions.sift(regions, options.sieve)
            described = all_regions.describe(
                captioner, pixels, chosen, options.style, options.sieve, options.region, clip, options.seed, progress.part(0.45, 0.95)
            )
            progress.report(0.95, "Reading text")
            return described, context, tuple(ocr.read_text(pixels, self._pool.models)) if options.text else ()

        described, context, words = request.compute(work)
        hold(described)
        captions = [region.caption for region in described]
        paragraph, failure = "", None
        if options.paragraph:
            paragraph = all_regions.paragraph(context, captions, words)
            try:
                model = self._captioners.text_model()
                if model is not None:
                    messages = caption_refinement.paragraph_messages(context, captions, words, options.style)
                    paragraph = _written(request, model, TextRequest(messages, _PARAGRAPH_TOKENS, seed=options.seed), lambda _: None)
            except ClickpaintError as error:
                failure = error
        overview = labelled(pixels, described)
        milliseconds = (time.perf_counter() - began) * 1000
        return Panorama(
            captioner.name, picture.size, tuple(described), context, paragraph, words, overview, milliseconds, failure
        )  # fmt: skip

    def _text_model_or_none(self) -> TextModel | None:
        try:
            return self._captioners.text_model()
        except InvalidInput:  # an address that cannot be used: who asks for the model itself hears of it
            return None


def _by_text_model(request: RunningRequest, model: TextModel, work: Callable[[Progress], T]) -> T:
    """A text model of ours computes in its lane; for one behind an address nobody else has to wait."""
    return request.compute(work) if model.ours else request.wait(work)


def _written(request: RunningRequest, model: TextModel, text_request: TextRequest, hear: Callable[[str], None]) -> str:
    return _by_text_model(request, model, lambda progress: model.write(text_request, hear, progress)).strip()


def _pieces_to(listener: WordsListener) -> Callable[[str], None]:
    return lambda piece: listener(Piece("", again=True) if piece == "\0" else Piece(piece))


def _jpeg(crop: Crop) -> bytes:
    picture = Image.fromarray(crop.pixels)
    picture.thumbnail((_EYES, _EYES))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
