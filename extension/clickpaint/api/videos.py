"""The routes of videos: open one, look at it, say what is meant in it, follow that, remove it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from clickpaint.api import json_body, translate, video_answers, video_schemas
from clickpaint.api.access import Gate
from clickpaint.api.encode import PRIVATE, answer, data_url, mask_png, zip_file
from clickpaint.api.painting import options_of
from clickpaint.api.ranges import file_answer
from clickpaint.api.receiving import receive
from clickpaint.api.route import SMALL, too_large
from clickpaint.errors import AccessDenied, InvalidInput, NotFound
from clickpaint.image.packed import resampled
from clickpaint.session.open_video import SOURCE, OpenVideo
from clickpaint.studio.studio import Studio
from clickpaint.studio.tasks import Task

_LASTING = "private, max-age=31536000, immutable"
_NO = ("", "0", "false")
CLIP = {"requestBody": video_schemas.OPEN_BODY, "x-takes": "clip"}
"""Of a route whose body may have the size of a clip."""


def add_routes(router: APIRouter, studio: Studio, gate: Gate) -> None:
    tags: list[Any] = ["video"]
    library = studio.video_library

    @router.post("/videos", tags=tags, summary="Open a clip", status_code=201, response_model=video_schemas.VideoAnswer,
                 openapi_extra=CLIP)  # fmt: skip
    async def open_video(request: Request) -> Response:
        """It is written to the disk while it arrives, and known by its content, not by its name."""
        if _kind(request) == "application/json":
            path = await _path(request)
            if not gate.one_user(request):
                raise AccessDenied(403, "Files on the server are opened only by its one user.", "Upload the clip instead.")
            opened = await run_in_threadpool(library.open_path, path)
        else:
            opened = await _received(request, library.open)
        return await run_in_threadpool(lambda: answer(video_answers.video(studio, opened), 201))

    @router.get("/videos", tags=tags, summary="What was opened", response_model=list[video_schemas.StoredVideoAnswer])
    def list_videos(request: Request, ids: str = "") -> Response:
        """The one changed last first. ids: separated by commas, only these; an id is known to nobody but those who opened the clip.
        Left out, all there are where the program serves one user (stand-alone, on this machine, without a token), otherwise none."""
        named = translate.ids_of(ids)
        if not named and not gate.one_user(request):
            return answer([])
        return answer([video_answers.stored(entry) for entry in library.listed(named or None)])

    @router.get("/videos/{id}", tags=tags, summary="What there is of a clip", response_model=video_schemas.VideoAnswer)
    def get_video(id: str) -> Response:
        return answer(video_answers.video(studio, library.get(id)))

    @router.delete("/videos/{id}", tags=tags, summary="Close, and remove from the disk", status_code=204, response_class=Response)
    def close_video(id: str) -> Response:
        library.close(id)
        studio.video_views.forget(id)
        return Response(status_code=204)

    @router.patch("/videos/{id}", tags=tags, summary="Set the marks", response_model=video_schemas.VideoAnswer)
    def mark(id: str, body: video_schemas.MarksBody) -> Response:
        """Only what lies between the marks, both included, is followed and changed."""
        opened = library.get(id)
        library.mark(opened, body.in_mark, body.out_mark)
        return answer(video_answers.video(studio, opened))

    @router.get("/videos/{id}/frames/{number}", tags=tags, summary="One frame", response_class=Response,
                responses={200: {"content": {"image/*": {}}}})  # fmt: skip
    def frame(id: str, number: str, version: str = "", width: str = "", format: str = "jpeg") -> Response:
        """version: left out, the one shown now; with it, the answer never changes and may be kept. width: 1 to 4096 pixels, left out its
        own. format: jpeg, webp, or png, which has every value as it is."""
        opened = library.get(id)
        data = studio.video_views.frame(opened, _number(number), _version(version), _optional(width, "width"), format)
        return Response(data, 200, {"Cache-Control": _LASTING if version else "private, no-store"}, f"image/{format}")

    @router.get("/videos/{id}/strip", tags=tags, summary="Thumbnails over the whole length", response_model=video_schemas.StripAnswer,
                responses={200: {"content": {"image/jpeg": {}}}})  # fmt: skip
    def strip(id: str, count: str = "20", height: str = "48", version: str = "", format: str = "jpeg") -> Response:
        """One JPEG with count thumbnails (1 to 200) beside each other, height pixels (8 to 480) high; whose they are says the header
        X-Frames, a list in JSON. format=json: both in JSON."""
        opened = library.get(id)
        made = studio.video_views.strip(opened, _number(count), _number(height), _version(version))
        if format == "json":
            width, tall = made.size
            return answer({"picture": data_url(made.picture, "image/jpeg"), "frames": list(made.frames), "width": width, "height": tall})
        headers = {
            "Cache-Control": _LASTING if version else "private, no-store", "X-Frames": json.dumps(made.frames),
            "Access-Control-Expose-Headers": "X-Frames",
        }  # fmt: skip
        return Response(made.picture, 200, headers, "image/jpeg")

    @router.get("/videos/{id}/file", tags=tags, summary="To play, or the whole result", response_class=Response,
                responses={200: {"content": {"video/*": {}}}, 206: {"description": "The part that was asked for"}})  # fmt: skip
    def file(
        request: Request,
        id: str,
        version: str = "",
        original: str = "0",
        container: str = "source",
        lossless: str = "0",
        download: str = "0",
    ) -> Response:
        """What browsers play, made when it is asked for first (a task of the kind preview); Range is heeded. original: 1 for the whole
        result in the clip's own container, or another: mp4, mov, mkv, webm, avi, gif, webp, apng, or frames, PNGs in a zip file.
        lossless: 1 for an encoder that loses nothing. download: 1 to save it."""
        opened = library.get(id)
        if original in _NO:
            made = studio.video_views.playable(opened, _version(version))
        else:
            made = studio.video_views.result(opened, _version(version), container, lossless not in _NO)
        return file_answer(request, made.path, made.media_type, made.name if download not in _NO else "", lasting=bool(version))

    @router.get("/videos/{id}/parts", tags=tags, summary="How it is divided to be played", response_model=video_schemas.PartsAnswer)
    def parts(id: str) -> Response:
        divided, media_type = studio.video_views.parts(library.get(id))
        return answer({"frames_each": divided.each, "count": divided.count, "media_type": media_type})

    @router.get("/videos/{id}/parts/{number}", tags=tags, summary="A part of it, to be played", response_class=Response,
                responses={200: {"content": {"video/mp4": {}}}})  # fmt: skip
    def part(request: Request, id: str, number: str, version: str = "") -> Response:
        """A fragmented MP4 of some frames and their sound with the times of the clip, as media sources take them; made when it is asked
        for first, so that playing can begin anywhere at once."""
        made = studio.video_views.part(library.get(id), _number(number), _version(version))
        return file_answer(request, made.path, made.media_type, lasting=bool(version))

    @router.post("/videos/{id}/undo", tags=tags, summary="Show the version before", response_model=video_schemas.VideoAnswer)
    def undo(id: str) -> Response:
        opened = library.get(id)
        studio.video_results.undo(opened)
        return answer(video_answers.video(studio, opened))

    @router.post("/videos/{id}/redo", tags=tags, summary="Show the version after", response_model=video_schemas.VideoAnswer)
    def redo(id: str) -> Response:
        opened = library.get(id)
        studio.video_results.redo(opened)
        return answer(video_answers.video(studio, opened))

    @router.put("/videos/{id}/objects/{object}", tags=tags, summary="Say what an object is, in some frames",
                response_model=video_schemas.ObjectAnswer)  # fmt: skip
    def put_object(id: str, object: str, body: video_schemas.ObjectBody) -> Response:
        """It is made where there is none of this id: up to 32 letters, digits, - and _."""
        opened = library.get(id)
        masks = studio.video_objects.select(opened, _object(object), video_answers.selections(body.frames), body.name, body.segmenter)
        shown = [video_answers.frame_mask(number, mask) for number, mask in masks.items()]
        return answer({**video_answers.tracked_object(opened, object), "masks": shown})

    @router.get("/videos/{id}/objects/{object}", tags=tags, summary="What is known of an object", response_model=video_schemas.ObjectAnswer)
    def get_object(id: str, object: str, confidence: str = "0") -> Response:
        """confidence: 1 for that of every frame."""
        opened = library.get(id)
        studio.video_objects.check(opened, object)
        wanted = [] if confidence in _NO else video_answers.confidence(opened, object)
        return answer({**video_answers.tracked_object(opened, object), "confidence": wanted})

    @router.delete("/videos/{id}/objects/{object}", tags=tags, summary="Forget an object", status_code=204, response_class=Response)
    def remove_object(id: str, object: str) -> Response:
        studio.video_objects.remove(library.get(id), object)
        return Response(status_code=204)

    @router.get("/videos/{id}/objects/{object}/masks/{number}", tags=tags, summary="An object's mask in a frame", response_class=Response,
                responses={200: {"content": {"image/png": {}}}})  # fmt: skip
    def mask(id: str, object: str, number: str, width: str = "") -> Response:
        """A PNG of one channel, black where nothing is known. object: an id, or * for all together. width: in pixels, left out the
        frame's own."""
        opened = library.get(id)
        selected = studio.video_objects.mask(opened, None if object == "*" else object, _number(number))
        wanted = _optional(width, "width")
        if wanted is not None and wanted < selected.shape[1]:
            selected = resampled(selected, (wanted, max(round(selected.shape[0] * wanted / selected.shape[1]), 1)))
        return Response(mask_png(selected), 200, PRIVATE, "image/png")

    @router.get("/videos/{id}/objects/{object}/masks", tags=tags, summary="An object's masks in a zip file",
                response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}})  # fmt: skip
    def masks(id: str, object: str) -> Response:
        """NNNN.png for every frame, black where nothing is known."""
        return zip_file(studio.video_objects.archive(library.get(id), object), "masks.zip")

    @router.post("/videos/{id}/objects/{object}/masks", tags=tags, summary="Take an object's masks from files",
                 response_model=video_schemas.ObjectAnswer,
                 openapi_extra=CLIP)  # fmt: skip
    async def put_masks(request: Request, id: str, object: str) -> Response:
        """White, or opaque, where the object is: a clip or pictures, one for each frame, or one picture for all."""
        opened = await run_in_threadpool(library.get, id)
        _object(object)
        await _received(request, lambda part, names: studio.video_objects.take_masks(opened, object, part, names))
        return await run_in_threadpool(lambda: answer(video_answers.tracked_object(opened, object)))

    @router.post("/videos/{id}/track", tags=tags, summary="Follow objects through the clip", response_model=video_schemas.TrackAnswer,
                 responses={202: {"model": video_schemas.VideoTaskAnswer, "description": "Under way, where wait is false"}})  # fmt: skip
    def track(id: str, body: video_schemas.TrackBody | None = None) -> Response:
        """In both directions from each frame in which something was said, up to halfway to the next; what was followed already from there
        stays."""
        opened = library.get(id)
        body = body or video_schemas.TrackBody()

        def work(started: Callable[[Task], object]) -> Response:
            done = studio.video_objects.follow(opened, _objects(body), body.tracker, body.from_, body.to, started)
            doubtful = {object_id: video_answers.stretches(numbers) for object_id, numbers in done.doubtful.items()}
            return answer({
                "tracker": done.tracker, "frames": done.frames, "doubtful": doubtful, "video": video_answers.video(studio, opened)
            })  # fmt: skip

        return _answered(body, work)

    @router.post("/videos/{id}/remove", tags=tags, summary="Remove objects", response_model=video_schemas.VideoResultAnswer,
                 responses={202: {"model": video_schemas.VideoTaskAnswer, "description": "Under way, where wait is false"}})  # fmt: skip
    def remove(id: str, body: video_schemas.RemoveFromVideoBody | None = None) -> Response:
        """Between the marks; the next version. An interruption keeps the frames that are done."""
        opened = library.get(id)
        body = body or video_schemas.RemoveFromVideoBody()

        def work(started: Callable[[Task], object]) -> Response:
            done = studio.video_results.remove(opened, _objects(body), body.eraser, body.grow, body.feather, body.shadow, started)
            return answer({"version": done.version.number, "details": done.details, "video": video_answers.video(studio, opened)})

        return _answered(body, work)

    @router.post("/videos/{id}/fill", tags=tags, summary="Paint something in the place of objects",
                 response_model=video_schemas.VideoResultAnswer,
                 responses={202: {"model": video_schemas.VideoTaskAnswer, "description": "Under way, where wait is false"}})  # fmt: skip
    def fill(id: str, body: video_schemas.FillInVideoBody) -> Response:
        """On the loaded checkpoint, between the marks; what is painted moves with the objects. The next version; an interruption keeps the
        frames that are done."""
        opened = library.get(id)
        options = options_of(body, studio)

        def work(started: Callable[[Task], object]) -> Response:
            done = studio.video_results.fill(opened, options, _objects(body), body.key_frames, body.eraser, started)
            return answer({"version": done.version.number, "details": done.details, "video": video_answers.video(studio, opened)})

        return _answered(body, work)

    @router.post("/videos/{id}/replace", tags=tags, summary="Put something else around objects",
                 response_model=video_schemas.VideoResultAnswer,
                 responses={202: {"model": video_schemas.VideoTaskAnswer, "description": "Under way, where wait is false"}})  # fmt: skip
    def replace(id: str, body: video_schemas.ReplaceInVideoBody) -> Response:
        """Between the marks: a picture, another video, or what a prompt says. The next version; an interruption keeps the frames that are
        done."""
        opened = library.get(id)
        options = options_of(body, studio)
        if sum((body.background is not None, body.background_video is not None, bool(body.prompt))) != 1:
            raise InvalidInput("It is not said what is to be there.", "Give one of background, background_video and prompt.")
        background: np.ndarray | OpenVideo | None = None
        if body.background is not None:
            background = studio.decode(translate.picture_bytes(body.background)).pixels
        elif body.background_video is not None:
            background = library.get(body.background_video)

        def work(started: Callable[[Task], object]) -> Response:
            done = studio.video_results.replace(opened, options, background, _objects(body), body.key_frames, body.eraser, started)
            return answer({"version": done.version.number, "details": done.details, "video": video_answers.video(studio, opened)})

        return _answered(body, work)

    def _answered(body: video_schemas.VideoWorkBody, work: Callable[[Callable[[Task], object]], Response]) -> Response:
        if body.wait:
            return work(lambda _: None)
        (task,) = translate.tasks([video_answers.goes_on(work)], studio)
        return answer({"task": task}, 202)

    async def _received(request: Request, use: Callable[[Path, list[str]], Any]) -> Any:
        """What `use` makes of the files that come with a request; none of it blocks the server's event loop."""
        announced = request.headers.get("content-length", "")
        incoming = library.incoming(int(announced[:20]) if announced.isdecimal() else 0)
        part = await run_in_threadpool(incoming.__enter__)
        try:
            names = await receive(request, part / SOURCE)
            made = await run_in_threadpool(use, part, names)
        except BaseException as error:
            # shielded: also where the client has left, nothing may stay
            await asyncio.shield(run_in_threadpool(incoming.__exit__, type(error), error, error.__traceback__))
            raise
        await run_in_threadpool(incoming.__exit__, None, None, None)
        return made


def _objects(body: video_schemas.VideoWorkBody) -> list[str]:
    return [*body.objects, *([body.object] if body.object is not None and body.object not in body.objects else [])]


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _path(request: Request) -> Path:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > SMALL:
            raise too_large(SMALL)
    body = json_body.parse(data)
    path = body.get("path") if isinstance(body, dict) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidInput("The body has no path.", 'Send {"path": "…"}, or the clip itself as multipart/form-data.')
    return Path(path)


def _number(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise InvalidInput("{text!r} is no number of a frame.", "They go from 0 on.", text=text[:80])
    return int(text)


def _optional(text: str, name: str) -> int | None:
    if text == "":
        return None
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:6]) <= 65536:
        raise InvalidInput("The {name} {text!r} cannot be used.", "Give it in pixels.", name=name, text=text[:80])
    return int(text)


def _version(text: str) -> int | None:
    if text == "":
        return None
    if text == "original":
        return 0
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise NotFound("There is no version {text!r} of this video.", "Give a number, or original.", text=text[:80])
    return int(text)


def _object(text: str) -> str:
    if not 1 <= len(text) <= 32 or not all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in text):
        raise InvalidInput("{text!r} cannot be the id of an object.", "It has up to 32 letters, digits, - and _.", text=text[:80])
    return text
