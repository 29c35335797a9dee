"""The use-cases with words: say what is selected, answer questions about it, describe everything, find a phrase, rank results."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from PIL import Image

from clickpaint.caption import all_regions as all_regions
from clickpaint.caption import caption_refinement, finding, ocr, tags
from clickpaint.caption.all_regions import Described, Sieve
from clickpaint.caption.base import Captioner, Crop, Decoding, Turn
from clickpaint.caption.caption_job import Availability, Caption, CaptionOptions, Panorama, PanoramaOptions, Piece, Raw, Told
from clickpaint.caption.caption_refinement import Asked, Refined, TextModel
from clickpaint.caption.clip import Clip
from clickpaint.caption.labels import labelled
from clickpaint.caption.region import crop_region, whole
from clickpaint.caption.registry import Captioners, Surroundings, no_answers
from clickpaint.caption.style import choose
from clickpaint.errors import ClickpaintError, InvalidInput, ModelMissing
from clickpaint.hosts.base import Capabilities, Host
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture
from clickpaint.progress import Progress
from clickpaint.segment import everything as everything_mode
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.everything import EverythingOptions, Region
from clickpaint.session.selection import MODES, combine
from clickpaint.session.workspace import State, Workspace
from clickpaint.studio.model_pool import Engines
from clickpaint.studio.queue import WORK, Compute, Tasks

T = TypeVar("T")

_LONGEST_QUESTION = 2000
_MOST_TURNS = 50
_TRIED = 4
"""Wordings among which a mood, a likeness or something imagined is chosen."""
_EYES = 768
"""Longer side of the picture that a text model with eyes gets."""
_ANSWER_TOKENS = 300
_AROUND = 0.4
"""A stroke that encloses this share of its box goes around something: a circle encloses 0.79 of it, a triangle half, a line nothing."""
_ALONG = 5
"""Points that a stroke over something becomes."""


class Describing:
    """Part of the studio. Captioners compute in the lane of long work; a text model behind an address is waited for outside of it."""

    def __init__(self, host: Host, engines: Engines, tasks: Tasks, compute: Compute) -> None:
        self._engines, self._tasks, self._compute = engines, tasks, compute
        here = Surroundings(host.folders, host.device, host.setting, host.caption, lambda: _silent(host.capabilities()))
        self.captioners = Captioners(here, engines.store, engines.models)

    def controls(self) -> dict[str, Availability]:
        """What of the controls works here now: "caption", "chat", "refine", "language", "wiki", "clip", "find", "tags", "text"."""
        captioners, text, clip = self.captioners.listed(), self._text_model_or_none(), self.captioners.clip()
        speaks = any(one.available and one.captions for one in captioners)
        answers = any(one.available and one.answers for one in captioners)
        polyglot = next((one for one in captioners if one.available and one.captions), None)
        refines = Availability(text is not None, "" if text is not None else caption_refinement.NEEDS_TEXT_MODEL)
        language = Availability(True) if polyglot is not None and polyglot.family == "vision_language" else refines
        finds = self.captioners.finder() is not None or clip is not None or speaks
        tagger = self.captioners.tagger() is not None
        no_clip = "Put a CLIP model's folder into models/captioner."
        return {
            "caption": Availability(speaks, "" if speaks else "There is no captioner: download BLIP, or put one into models/captioner."),
            "chat": Availability(answers or text is not None, "" if answers or text is not None else str(no_answers())),
            "refine": refines, "language": language, "wiki": refines,
            "clip": Availability(clip is not None, "" if clip is not None else no_clip),
            "find": Availability(finds, "" if finds else no_clip),
            "tags": Availability(tagger, "" if tagger else tags.unavailable() or "Put a WD tagger's folder into models/captioner."),
            "text": Availability(not ocr.unavailable(), ocr.unavailable()),
        }  # fmt: skip

    # captions

    def caption(self, workspace: Workspace, options: CaptionOptions, told: Told = lambda one: None) -> Caption:
        """Say what is selected; without a selection, what the picture shows. See `caption_picture`."""
        selection = workspace.state.selection
        mask = None if selection is None else selection.mask
        return self.caption_picture(workspace.picture(), mask, options, told, workspace.id)

    def caption_picture(
        self,
        picture: Picture,
        mask: np.ndarray | None,
        options: CaptionOptions,
        told: Told = lambda one: None,
        workspace: str | None = None,
    ) -> Caption:
        """Say what `mask`, bool [H, W], selects (None: the whole picture). `told` hears the captioner's words first, then the pieces of
        what a text model makes of them. What goes wrong there is the caption's `failure`: the captioner's words stay.

        Raises:
            InvalidInput, NotFound, ModelMissing: there is no captioner to ask, or not for this. Interrupted, OutOfMemory.
        """
        options, began = options.checked(), time.perf_counter()
        captioner = self.captioners.captioner(options.captioner)
        clip, tagger = self.captioners.clip(), self.captioners.tagger() if options.tags else None
        if options.tags and tagger is None:
            raise ModelMissing("There is no tagger here.", self.controls()["tags"].reason)

        def work(progress: Progress) -> Raw:
            return self._raw(captioner, clip, tagger, picture.pixels, mask, options, progress)

        raw = self._run("caption", workspace, work)
        told(raw)
        caption = self._refined(Caption(raw, options.style), captioner, options, told, workspace)
        return replace(caption, milliseconds=(time.perf_counter() - began) * 1000)

    def trace(
        self, workspace: Workspace, strokes: Sequence[Sequence[tuple[float, float]]], segmenter: str | None = None, mode: str = "replace"
    ) -> State:
        """Select what a trajectory of the mouse goes around or over: each stroke, points (x, y), becomes a box or points (see
        `trajectory_prompts`), and what they select together is combined with the selection as `mode` says."""
        if mode not in MODES:
            raise InvalidInput(f"The mode {mode!r} is unknown.", f"Choose one of {', '.join(MODES)}.")
        width, height = workspace.size
        prompts = [trajectory_prompts(stroke, (width, height)) for stroke in strokes if stroke]
        if not prompts:
            raise InvalidInput("The trajectory has no points.", "Draw over what is to be described.")
        name = self._engines.segmenter_name(segmenter)

        def work(progress: Progress) -> np.ndarray:
            made = self._engines.segmenter(name)
            embedding = self._engines.encoded(made, workspace.picture(), progress.part(0.0, 0.8))
            found = [made.predict(embedding, one.checked(width, height), progress.part(0.8, 1.0))[0].mask for one in prompts]
            return np.logical_or.reduce(found)

        with workspace.turn():
            return self._select(workspace, "Trajectory", self._run("select", workspace.id, work), mode)

    def chat(self, workspace: Workspace, question: str, captioner: str | None = None, told: Told = lambda one: None) -> Turn:
        """Answer a question about what is selected (or the picture), with what was said about the same object before in mind; the
        workspace keeps the conversation.

        Raises:
            InvalidInput: no question, or nothing here can answer. TextModelFailed.
        """
        question = question.strip()
        if not 0 < len(question) <= _LONGEST_QUESTION:
            raise InvalidInput(
                "There is no question." if not question else "The question is too long.", f"Ask in 1 to {_LONGEST_QUESTION} letters."
            )
        selection, pixels = workspace.state.selection, workspace.picture().pixels
        box = None if selection is None else selection.box
        crop = whole(pixels) if selection is None else crop_region(pixels, selection.mask)
        history = [turn for turn in workspace.chat if turn.box == box]
        answer = self._answer(crop, question, history, captioner, told, workspace.id)
        turn = Turn(question, answer, box)
        with workspace.turn():
            workspace.chat = (*workspace.chat, turn)[-_MOST_TURNS:]
        return turn

    # everything

    def everything(self, workspace: Workspace, options: PanoramaOptions, segmenter: str | None = None) -> Panorama:
        """Describe all regions; "region" adjustments can then pick from those that got a caption."""
        found = self.everything_in(workspace.picture(), options, segmenter or workspace.segmenter or None, workspace.id)
        with workspace.turn():
            regions = [one.region for one in found.found]
            workspace.regions = tuple(regions)
        return found

    def everything_in(
        self, picture: Picture, options: PanoramaOptions, segmenter: str | None = None, workspace: str | None = None
    ) -> Panorama:
        """Describe all regions of a picture, and join them in a paragraph. Raises as `caption_picture` does."""
        options.style.checked()
        began, pixels = time.perf_counter(), picture.pixels
        captioner, clip = self.captioners.captioner(options.captioner), self.captioners.clip()
        sieve = options.sieve.checked()

        def work(progress: Progress) -> tuple[list[Described], str, tuple[str, ...]]:
            regions = self._regions(picture, options.regions, segmenter, progress.part(0.0, 0.4))
            context = captioner.caption([whole(pixels)], Decoding(seed=options.seed), progress.part(0.4, 0.45))[0][0].text
            chosen = all_regions.sift(regions, sieve)
            found = all_regions.describe(
                captioner, pixels, chosen, options.style, sieve, options.region, clip, options.seed, progress.part(0.45, 0.95)
            )
            progress.report(0.95, "Reading text")
            return found, context, tuple(ocr.read_text(pixels)) if options.text else ()

        found, context, words = self._run("everything", workspace, work)
        captions = [one.caption for one in found]
        told, failure = "", None
        if options.paragraph:
            told = all_regions.paragraph(context, captions, words)
            try:
                model = self.captioners.text_model()
                if model is not None:
                    asked = Asked(caption_refinement.paragraph_messages(context, captions, words, options.style), 600, seed=options.seed)
                    told = self._written(model, asked, lambda piece: None, workspace)
            except ClickpaintError as error:
                failure = error
        overview = labelled(pixels, found)
        milliseconds = (time.perf_counter() - began) * 1000
        return Panorama(captioner.name, picture.size, tuple(found), context, told, words, overview, milliseconds, failure)

    # find, rank

    def find(self, workspace: Workspace, phrase: str, mode: str = "replace", segmenter: str | None = None) -> tuple[State, finding.Found]:
        """Select what a phrase names, combined with the selection as `mode` says. Raises `InvalidInput` where it is not found."""
        if mode not in MODES:
            raise InvalidInput(f"The mode {mode!r} is unknown.", f"Choose one of {', '.join(MODES)}.")
        with workspace.turn():
            found = self.find_in(workspace.picture(), phrase, segmenter or workspace.segmenter or None, workspace.id)
            return self._select(workspace, "Find", found.mask, mode), found

    def find_in(self, picture: Picture, phrase: str, segmenter: str | None = None, workspace: str | None = None) -> finding.Found:
        """Where a phrase is in a picture: by a network made for it, otherwise by CLIP, otherwise by captions, among all regions."""
        phrase = phrase.strip()
        if not 0 < len(phrase) <= 200:
            raise InvalidInput("There is nothing to look for." if not phrase else "The phrase is too long.", "Give up to 200 letters.")
        finder, clip = self.captioners.finder(), self.captioners.clip()
        captioner = self.captioners.captioner() if finder is None and clip is None else None

        def work(progress: Progress) -> finding.Found | None:
            if finder is not None:
                found = finder.find(picture.pixels, phrase, progress.part(0.0, 0.5))
                return self._outlined(picture, found, segmenter, progress.part(0.5, 1.0))
            regions = self._regions(picture, EverythingOptions(), segmenter, progress.part(0.0, 0.6))
            chosen = all_regions.sift(regions, Sieve(smallest=64, most=40))
            if clip is not None:
                best = finding.by_clip(clip, picture.pixels, [one.mask for one in chosen], phrase, progress.part(0.6, 1.0))
                return None if best is None else finding.Found(chosen[best[0]].mask, best[1], clip.name)
            assert captioner is not None
            chosen.sort(key=lambda one: one.area)  # of several that are said to be it, the smallest shows least of anything else
            crops = [crop_region(picture.pixels, one.mask) for one in chosen]
            said = [wordings[0].text for wordings in captioner.caption(crops, Decoding(), progress.part(0.6, 1.0))]
            best = finding.by_captions(said, phrase)
            return None if best is None else finding.Found(chosen[best[0]].mask, best[1], captioner.name)

        found = self._run("find", workspace, work)
        if found is None or not found.mask.any():
            raise InvalidInput(f"“{phrase}” was not found in this picture.", "Say it in other words, or click on it.")
        return found

    def rank(self, workspace: Workspace, prompt: str) -> list[float]:
        """How well each of the last painting's results fits the prompt, by CLIP, in their order. Raises `ModelMissing`, `InvalidInput`."""
        clip = self.captioners.clip()
        if clip is None:
            raise ModelMissing("There is no CLIP model here.", self.controls()["clip"].reason)
        if not workspace.results or not prompt.strip():
            raise InvalidInput("There is nothing to rank.", "Paint first, with a prompt.")
        pictures = [one.pixels for one in workspace.results]
        scores = self._run("rank", workspace.id, lambda progress: clip.similarities(pictures, [prompt], progress))
        return [float(score) for score in scores[:, 0]]

    # how

    def _raw(
        self, captioner: Captioner, clip: Clip | None, tagger: tags.Tagger | None, pixels: np.ndarray, mask: np.ndarray | None,
        options: CaptionOptions, progress: Progress,
    ) -> Raw:  # fmt: skip
        began = time.perf_counter()
        crop, box = (whole(pixels), None) if mask is None else (crop_region(pixels, mask, options.region), PackedMask.of(mask))
        style = options.style
        tried = options.candidates if style.sentiment == "natural" and style.factuality == "factual" else max(options.candidates, _TRIED)
        asked = caption_refinement.instruction(style) if captioner.follows else ""
        wordings = captioner.caption([crop], style.decoding(tried, options.seed, asked), progress.part(0.1, 0.7))[0]
        context = ""
        if options.context and mask is not None:
            context = captioner.caption([whole(pixels)], Decoding(seed=options.seed), progress.part(0.7, 0.8))[0][0].text
        seen: list[float] = []
        order = choose(wordings, style)
        if clip is not None:
            seen = clip.similarities([crop.pixels], [one.text for one in wordings], progress.part(0.8, 0.9))[0].tolist()
            order = choose(wordings, style, seen)
            if context:
                around = clip.similarities([pixels], [one.text for one in wordings], progress.part(0.8, 0.9))[0].tolist()
                order.sort(key=lambda index: around[index] > seen[index])
        order = order[: options.candidates]
        named = tuple(tagger.tags(crop, progress=progress.part(0.9, 1.0))) if tagger is not None else ()
        chosen = tuple(wordings[index] for index in order)
        return Raw(
            captioner.name, chosen, tuple(seen[index] for index in order) if seen else (), None if box is None else box.box, context, named,
            (time.perf_counter() - began) * 1000,
        )  # fmt: skip

    def _refined(self, caption: Caption, captioner: Captioner, options: CaptionOptions, told: Told, workspace: str | None) -> Caption:
        style = options.style
        beyond = [one for one in style.beyond_decoding if not (one == "language" and captioner.follows)]
        if options.refine is False and not beyond:
            return caption
        try:
            model = self.captioners.text_model()
            if model is None and (beyond or options.refine):
                model = caption_refinement.require(model, style)
            if model is None or (options.refine is None and style.plain):
                return caption

            def work(progress: Progress) -> Refined:
                texts = [one.text for one in caption.raw.wordings]
                return caption_refinement.refine(model, texts, style, caption.raw.context, options.seed, _heard(told), progress)

            return replace(caption, refined=self._with(model, workspace, work))
        except ClickpaintError as error:
            return replace(caption, failure=error)

    def _answer(self, crop: Crop, question: str, history: Sequence[Turn], captioner: str | None, told: Told, workspace: str | None) -> str:
        answerer, model = self.captioners.answerer(captioner), self._text_model_or_none()
        if answerer is not None and (captioner is not None or model is None or not model.sees):
            return self._run("chat", workspace, lambda progress: answerer.answer(crop, question, history, progress))
        if model is None:
            raise no_answers()
        caption, picture = "", _jpeg(crop) if model.sees else None
        if picture is None:
            says = self.captioners.captioner()
            caption = self._run("caption", workspace, lambda progress: says.caption([crop], Decoding(), progress))[0][0].text
        asked = Asked(caption_refinement.chat_messages(caption, question, history, picture), _ANSWER_TOKENS)
        return self._written(model, asked, _heard(told), workspace)

    def _written(self, model: TextModel, asked: Asked, heard: Callable[[str], None], workspace: str | None) -> str:
        return self._with(model, workspace, lambda progress: model.write(asked, heard, progress)).strip()

    def _with(self, model: TextModel, workspace: str | None, work: Callable[[Progress], T]) -> T:
        """A text model of ours computes in its lane; for one behind an address nobody else has to wait."""
        if model.ours:
            return self._run("refine", workspace, work)
        with self._tasks.under_way("refine", workspace) as task:
            return work(task.begin())

    def _text_model_or_none(self) -> TextModel | None:
        try:
            return self.captioners.text_model()
        except InvalidInput:  # an address that cannot be used: who asks for the model itself is told
            return None

    def _regions(self, picture: Picture, options: EverythingOptions, segmenter: str | None, progress: Progress) -> list[Region]:
        made = self._engines.segmenter(self._engines.segmenter_name(segmenter))
        embedding = self._engines.encoded(made, picture, progress.part(0.0, 0.3))
        return everything_mode.everything(made, picture.pixels, options, progress.part(0.3, 1.0), embedding)

    def _outlined(self, picture: Picture, found: finding.Found | None, segmenter: str | None, progress: Progress) -> finding.Found | None:
        """What was found, by its outline where it is only a box so far."""
        if found is None or found.box is None:
            return found
        made = self._engines.segmenter(self._engines.segmenter_name(segmenter))
        embedding = self._engines.encoded(made, picture, progress)
        left, top, right, bottom = found.box
        candidates = made.predict(embedding, Prompts(box=(left, top, right, bottom)), progress)
        return replace(found, mask=candidates[0].mask) if candidates and candidates[0].mask.any() else found

    def _select(self, workspace: Workspace, label: str, mask: np.ndarray, mode: str) -> State:
        state = workspace.state
        before = None if state.selection is None else state.selection.mask
        workspace.push(State(label, state.version, PackedMask.of(combine(before, mask, mode)), state.feather))
        return workspace.state

    def _run(self, kind: str, workspace: str | None, work: Callable[[Progress], T]) -> T:
        with self._tasks.under_way(kind, workspace) as task:
            return self._compute.run(task, lambda progress: self._engines.careful(lambda: work(progress)), WORK)


def trajectory_prompts(stroke: Sequence[tuple[float, float]], size: tuple[int, int]) -> Prompts:
    """What a stroke of the mouse, points (x, y) in a picture of `size` (width, height), points at.

    One that goes around something is the box around itself, at least 2 pixels wide and high. One that goes over something is points
    along it: its own box would only hold the part of the object that was painted over.
    """
    points = np.asarray(stroke, np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise InvalidInput("A point has a coordinate that is not a number.", "Give x and y in pixels of the picture.")
    points = points.clip(0, np.subtract(size, 1))
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0) + 1
    x, y = points.T
    enclosed = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    if enclosed >= _AROUND * (right - left) * (bottom - top) and min(right - left, bottom - top) >= 2:
        return Prompts(box=(float(left), float(top), float(right), float(bottom)))
    along = np.append(0.0, np.hypot(*np.diff(points, axis=0).T).cumsum())
    places = along[-1] * (np.arange(_ALONG) + 0.5) / _ALONG if along[-1] >= _ALONG else along[-1:] / 2
    return Prompts(tuple(Point(float(np.interp(at, along, x)), float(np.interp(at, along, y))) for at in places))


def _heard(told: Told) -> Callable[[str], None]:
    return lambda piece: told(Piece("", again=True) if piece == "\0" else Piece(piece))


def _silent(can: Capabilities) -> str | None:
    return "" if can.caption else can.caption_reason or None


def _jpeg(crop: Crop) -> bytes:
    picture = Image.fromarray(crop.pixels)
    picture.thumbnail((_EYES, _EYES))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
