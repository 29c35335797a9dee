"""The routes with words: captions, questions, everything, find, rank."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response

from clickpaint.api import caption_schemas as schemas
from clickpaint.api import translate
from clickpaint.api.encode import answer, data_url, grey_png, mask_png, rgb_png
from clickpaint.api.streams import Event, stream
from clickpaint.caption.all_regions import Sieve
from clickpaint.caption.base import Turn
from clickpaint.caption.caption_job import Caption, CaptionOptions, Panorama, PanoramaOptions, Piece, Raw, WordsListener
from clickpaint.caption.region import BACKGROUNDS, RegionOptions
from clickpaint.caption.style import FACTUALITIES, FORMS, LANGUAGES, SENTIMENTS, Style
from clickpaint.errors import ClickpaintError, Interrupted, InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.picture import Picture
from clickpaint.segment.base import Point, Prompts
from clickpaint.studio.reading import Text
from clickpaint.studio.studio import Studio
from clickpaint.studio.word_masks import WordLook

log = logging.getLogger(__name__)

_NOTHING: dict[str, Any] = {}
_EVERY_SECONDS = 0.05


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["words"]
    words = studio.words

    @router.get("/captioners", tags=tags, summary="What can be said here, and by whom", response_model=schemas.CaptionersAnswer)
    def captioners() -> Response:
        try:
            model = studio.captioners.text_model()
            name = "" if model is None else model.name
        except ClickpaintError:
            name = ""
        return answer({
            "captioners": [asdict(captioner) for captioner in studio.captioners.listed()],
            "controls": {key: asdict(control) for key, control in words.controls().items()},
            "styles": {
                "sentiment": list(SENTIMENTS), "factuality": list(FACTUALITIES), "form": list(FORMS), "language": list(LANGUAGES),
                "background": list(BACKGROUNDS),
            },
            "text_model": name,
        })  # fmt: skip

    @router.post("/workspaces/{id}/caption", tags=tags, summary="Say what is selected", response_model=schemas.CaptionAnswer)
    def caption(id: str, request: Request, body: schemas.CaptionBody | None = None) -> Response:
        """With `stream`, server-sent events: `raw` (what the captioner says), `piece` and `again` while a text model writes, then
        `caption` with the whole answer, or `error`."""
        body, workspace = body or schemas.CaptionBody(**_NOTHING), studio.workspace(id)
        options = _options(body)

        def work(listener: WordsListener) -> dict[str, Any]:
            return _caption(words.caption(workspace, options, listener, body.trajectory, body.segmenter))

        _check_strokes(body.trajectory)
        return _answered(studio, request, body.stream, work, "caption")

    @router.post("/workspaces/{id}/chat", tags=tags, summary="Ask about what is selected", response_model=schemas.ChatAnswer)
    def chat(id: str, request: Request, body: schemas.ChatBody) -> Response:
        workspace = studio.workspace(id)

        def work(listener: WordsListener) -> dict[str, Any]:
            turn = words.chat(workspace, body.question, body.captioner, listener)
            return {**_turn(turn), "history": [_turn(earlier) for earlier in workspace.chat]}

        return _answered(studio, request, body.stream, work, "answer")

    @router.get("/workspaces/{id}/chat", tags=tags, summary="What was asked so far", response_model=schemas.HistoryAnswer)
    def history(id: str) -> Response:
        return answer({"history": [_turn(turn) for turn in studio.workspace(id).chat]})

    @router.delete("/workspaces/{id}/chat", tags=tags, summary="Forget what was asked", status_code=204, response_class=Response)
    def forget(id: str) -> Response:
        words.forget_chat(studio.workspace(id))
        return Response(status_code=204)

    @router.post("/workspaces/{id}/caption-everything", tags=tags, summary="Say what everything is", response_model=schemas.PanoramaAnswer)
    def caption_everything(id: str, body: schemas.PanoramaBody | None = None) -> Response:
        body = body or schemas.PanoramaBody(**_NOTHING)
        panorama = words.everything(studio.workspace(id), _panorama_options(body), body.regions.segmenter if body.regions else None)
        return answer(_panorama(panorama))

    @router.post("/workspaces/{id}/find", tags=tags, summary="Select what a phrase names", response_model=schemas.FoundAnswer)
    def find(id: str, body: schemas.FindBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        state, place = studio.word_masks.find(workspace, body.phrase, body.mode, body.segmenter, _look(body))
        return answer({**translate.position(workspace, state=state, side=side), "score": round(place.score, 4), "found_by": place.how})

    @router.post("/workspaces/{id}/text", tags=tags, summary="Select all text", response_model=schemas.TextAnswer)
    def select_text(id: str, body: schemas.TextBody | None = None) -> Response:
        """The selection is all of it; `region` operations of the mask pick single lines by their index."""
        workspace = studio.workspace(id)
        text, state = studio.reading.select(workspace, body.mode if body else "replace")
        return answer({**translate.position(workspace, state=state), **_text(text), "labels": data_url(grey_png(text.labels))})

    @router.post("/text", tags=tags, summary="The text in a picture, and its mask", response_model=schemas.TextMaskAnswer)
    def read_text(body: schemas.TextPictureBody) -> Response:
        text = studio.reading.read(studio.decode(translate.picture_bytes(body.image)))
        return answer({**_text(text), "mask": data_url(mask_png(text.mask))})

    @router.post("/workspaces/{id}/trace", tags=tags, summary="Select what strokes go around or over", response_model=schemas.StateAnswer)
    def trace(id: str, body: schemas.TraceBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        _check_strokes(body.strokes)
        state = studio.selecting.trace(workspace, body.strokes, body.segmenter, body.mode)
        return answer(translate.position(workspace, state=state, side=side))

    @router.post("/workspaces/{id}/results/rank", tags=tags, summary="Which result fits the prompt best", response_model=schemas.RankAnswer)
    def rank(id: str, body: schemas.RankBody) -> Response:
        scores = words.rank(studio.workspace(id), body.prompt)
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return answer({"scores": [round(score, 4) for score in scores], "order": order})

    @router.post("/caption", tags=tags, summary="Say what a picture, or a part of it, shows", response_model=schemas.CaptionAnswer)
    def caption_picture(request: Request, body: schemas.CaptionPictureBody) -> Response:
        picture, options = studio.decode(translate.picture_bytes(body.image)), _options(body)
        if body.trajectory:
            raise InvalidInput("A trajectory needs a workspace.", "Give points, a box or a mask.")
        mask = _mask(studio, picture, body)

        def work(listener: WordsListener) -> dict[str, Any]:
            return _caption(words.caption_picture(picture, mask, options, listener))

        return _answered(studio, request, body.stream, work, "caption")

    @router.post("/caption-everything", tags=tags, summary="Say what everything in a picture is", response_model=schemas.PanoramaAnswer)
    def caption_everything_in(body: schemas.PanoramaPictureBody) -> Response:
        picture = studio.decode(translate.picture_bytes(body.image))
        segmenter = body.regions.segmenter if body.regions else None
        return answer(_panorama(words.everything_in(picture, _panorama_options(body), segmenter)))

    @router.post("/find", tags=tags, summary="The mask of what a phrase names", response_model=schemas.MaskAnswer)
    def find_in(body: schemas.FindPictureBody) -> Response:
        place = studio.word_masks.find_in(studio.decode(translate.picture_bytes(body.image)), body.phrase, body.segmenter, _look(body))
        box = masks.bounds(place.mask)
        assert box is not None
        mask = data_url(mask_png(place.mask))
        return answer({"mask": mask, "score": round(place.score, 4), "found_by": place.how, "box": list(box)})


def _look(body: schemas.PhraseBody) -> WordLook | None:
    return None if body.instead is None else WordLook(body.instead, body.mask_ratio, body.resolution)


def _text(text: Text) -> dict[str, Any]:
    lines = [
        {"text": line.text, "score": round(line.score, 4), "outline": line.outline, "box": region.box}
        for line, region in zip(text.lines, text.regions, strict=True)
    ]
    return {"milliseconds": round(text.milliseconds, 1), "lines": lines}


def _answered(studio: Studio, request: Request, streamed: bool, work: Callable[[WordsListener], dict[str, Any]], last: str) -> Response:
    """What `work` gives as one answer, or if that is asked for as the `last` of server-sent events, after all that it says before.

    The events come from a thread of its own, which is one of the requests under way from now on. A client that leaves ends it at its
    next word.

    Raises:
        Busy: too many requests are under way.
    """
    if not streamed:
        return answer(work(lambda _: None))
    happened: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    left = threading.Event()

    def listener(words: Raw | Piece) -> None:
        if left.is_set():
            raise Interrupted()
        if isinstance(words, Raw):
            happened.put(Event(_raw(words), "raw"))
        else:
            happened.put(Event({}, "again") if words.again else Event({"text": words.text}, "piece"))

    place = studio.requests.reserve()

    def run() -> None:
        with place:
            try:
                happened.put(Event(work(listener), last))
            except ClickpaintError as error:
                happened.put(Event(_failure(error), "error"))
            except Exception:
                log.exception("A caption failed")
                failure = {"error": "InternalError", "message": "Something went wrong.", "remedy": "The log of the program says more."}
                happened.put(Event(failure, "error"))
        happened.put(None)

    over = False

    def news() -> list[Event] | None:
        nonlocal over
        if over:
            return None
        events: list[Event] = []
        while not happened.empty():
            event = happened.get_nowait()
            if event is None:
                over = True
                break
            events.append(event)
        return events or (None if over else [])

    threading.Thread(target=run, name="clickpaint-caption", daemon=True).start()
    return stream(request, news, _EVERY_SECONDS, left.set)


def _options(body: schemas.CaptionBody) -> CaptionOptions:
    return CaptionOptions(
        body.captioner, _region(body.region), _style(body.style), body.candidates, body.seed, body.context, body.tags, body.refine
    ).checked()


def _region(body: schemas.RegionBody | None) -> RegionOptions:
    return RegionOptions(**dict(body)).checked() if body is not None else RegionOptions()


def _style(body: schemas.StyleBody | None) -> Style:
    return Style(**dict(body)).checked() if body is not None else Style()


def _panorama_options(body: schemas.PanoramaBody) -> PanoramaOptions:
    sieve = Sieve(**dict(body.sieve)).checked() if body.sieve is not None else Sieve()
    regions = translate.everything_options(body.regions)
    return PanoramaOptions(
        body.captioner, _region(body.region), _style(body.style), sieve, regions, body.paragraph, body.text, body.seed,
    )  # fmt: skip


def _mask(studio: Studio, picture: Picture, body: schemas.CaptionPictureBody) -> np.ndarray | None:
    if body.mask is not None:
        return masks.from_file(translate.picture_bytes(body.mask), picture.size)
    if not body.points and body.box is None:
        return None
    if len(body.points) > schemas.MOST_POINTS:
        raise InvalidInput("There are {count} points.", "Give at most {limit}.", count=len(body.points), limit=schemas.MOST_POINTS)
    prompts = Prompts(tuple(Point(point.x, point.y, point.label) for point in body.points), body.box)
    clicked = studio.selecting.segment(picture, prompts, body.segmenter)
    return clicked.candidates[0].mask


def _check_strokes(strokes: Sequence[Sequence[Any]]) -> None:
    if sum(len(stroke) for stroke in strokes) > schemas.MOST_STROKE_POINTS:
        raise InvalidInput("The trajectory has too many points.", "Give at most {limit}.", limit=schemas.MOST_STROKE_POINTS)


def _raw(raw: Raw) -> dict[str, Any]:
    seen: Sequence[float | None] = raw.seen or (None,) * len(raw.wordings)
    return {
        "captioner": raw.captioner,
        "wordings": [
            {"text": wording.text, "score": round(wording.score, 4), "clip": None if clip is None else round(clip, 4)}
            for wording, clip in zip(raw.wordings, seen, strict=True)
        ],
        "box": None if raw.box is None else list(raw.box), "context": raw.context,
        "tags": [{"name": tag.name, "score": round(tag.score, 4)} for tag in raw.tags], "milliseconds": round(raw.milliseconds, 1),
    }  # fmt: skip


def _caption(caption: Caption) -> dict[str, Any]:
    refined = caption.refined
    return {
        **_raw(caption.raw), "text": caption.text, "prompt": caption.prompt, "refined": None if refined is None else refined.text,
        "background": "" if refined is None else refined.background,
        "failure": None if caption.failure is None else _failure(caption.failure), "milliseconds": round(caption.milliseconds, 1),
    }  # fmt: skip


def _panorama(panorama: Panorama) -> dict[str, Any]:
    return {
        **panorama.as_json(), "captioner": panorama.captioner, "overview": data_url(rgb_png(panorama.overview)),
        "failure": None if panorama.failure is None else _failure(panorama.failure), "milliseconds": round(panorama.milliseconds, 1),
    }  # fmt: skip


def _turn(turn: Turn) -> dict[str, Any]:
    return {"question": turn.question, "answer": turn.answer, "box": None if turn.box is None else list(turn.box)}


def _failure(error: ClickpaintError) -> dict[str, Any]:
    return error.describe()
