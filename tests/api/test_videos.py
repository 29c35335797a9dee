"""Videos over HTTP: opened, looked at, selected in, followed, removed from; and what is left after a restart."""

from __future__ import annotations

import base64
import errno
import io
import json
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.api import schemas, video_schemas
from clickpaint.api.access import PublicGate
from clickpaint.caption.finding import PhraseMatch
from tests.api.test_history import started as started
from tests.api.test_workspaces import checked_answer
from tests.toys.studio import BLUE, GREEN, RED

SIZE, COUNT = (64, 48), 10


def frames(count=COUNT, size=SIZE):
    """A red square that goes to the right over green with blue lines."""
    shown = []
    for number in range(count):
        pixels = np.full((size[1], size[0], 3), GREEN, np.uint8)
        pixels[:, ::8] = BLUE
        pixels[16:28, 4 + 4 * number : 16 + 4 * number] = RED
        shown.append(pixels)
    return shown


def square(number):
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[16:28, 4 + 4 * number : 16 + 4 * number] = True
    return mask


def animation(shown=None, durations=100, format="GIF"):
    stream = io.BytesIO()
    first, *rest = [Image.fromarray(pixels) for pixels in shown or frames()]
    options = {"lossless": True} if format == "WEBP" else {}
    first.save(stream, format, save_all=True, append_images=rest, duration=durations, loop=0, **options)
    return stream.getvalue()


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def seen(data):
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


CLIP = animation(format="WEBP")


def opened(client, data=CLIP, name="walk.webp"):
    return checked_answer(video_schemas.VideoAnswer, client.post("videos", files={"file": (name, data)}), 201)


def clicked(client, url, number=2, **more):
    """The square of one frame, as the object "1"."""
    at = {"x": 10 + 4 * number, "y": 22}
    body = {"frames": {str(number): {"points": [at]}}, **more}
    return checked_answer(video_schemas.ObjectAnswer, client.put(f"{url}/objects/1", json=body))


@pytest.fixture
def url(client):
    return f"videos/{opened(client)['id']}"


def test_a_clip_is_opened_and_told_of(client):
    video = opened(client)
    assert (video["name"], video["width"], video["height"], video["frames"], video["container"]) == ("walk.webp", 64, 48, 10, "webp")
    assert video["duration_s"] == pytest.approx(1.0) and video["fps"] == pytest.approx(10)
    assert not video["variable_frame_rate"] and not video["has_audio"] and video["timestamps"] is None
    assert (video["version"], video["in_mark"], video["out_mark"], video["objects"]) == (0, 0, 9, [])
    assert checked_answer(video_schemas.VideoAnswer, client.get(f"videos/{video['id']}")) == video
    uneven = opened(client, animation(durations=[40, 40, 200] + [40] * 7), "C:\\film.mp4")  # known by its content
    assert (uneven["container"], uneven["variable_frame_rate"], uneven["name"]) == ("gif", True, "film.mp4")
    assert uneven["timestamps"][:4] == pytest.approx([0, 0.04, 0.08, 0.28])
    listed = client.get("videos").json()
    assert [one["id"] for one in listed] == [uneven["id"], video["id"]] and listed[0]["bytes"] > 1000
    assert [one["id"] for one in client.get("videos", params={"ids": video["id"]}).json()] == [video["id"]]
    assert client.delete(f"videos/{video['id']}").status_code == 204
    assert client.get(f"videos/{video['id']}").status_code == 404 and len(client.get("videos").json()) == 1


def test_a_body_without_a_form_and_pictures_in_a_form_are_clips_too(client, tmp_path):
    raw = client.post("videos", params={"name": "raw.webp"}, content=CLIP, headers={"content-type": "image/webp"})
    assert checked_answer(video_schemas.VideoAnswer, raw, 201)["name"] == "raw.webp"
    pictures = [("file", (f"{number}.png", png(pixels))) for number, pixels in enumerate(frames())]
    video = checked_answer(video_schemas.VideoAnswer, client.post("videos", files=pictures[::-1]), 201)
    assert (video["container"], video["frames"], video["codec"]) == ("folder", 10, "png")
    assert (seen(client.get(f"videos/{video['id']}/frames/7?format=png").content) == frames()[7]).all()
    (tmp_path / "mine.gif").write_bytes(animation())
    there = client.post("videos", json={"path": str(tmp_path / "mine.gif")})
    url = f"videos/{checked_answer(video_schemas.VideoAnswer, there, 201)['id']}"
    assert client.get(f"{url}/frames/0").status_code == 200
    (tmp_path / "mine.gif").write_bytes(CLIP)
    assert "was changed or moved" in client.get(f"{url}/strip").json()["message"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "The file is empty."),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "This file is no video"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(100), "cannot be read"),
        (CLIP[:60], "cannot be read"),
    ],
)
def test_what_is_no_clip_is_refused_and_leaves_nothing(client, studio, data, says):
    answer = client.post("videos", files={"file": ("walk.webp", data)})
    assert answer.status_code == 400 and says in answer.json()["message"], answer.text
    assert answer.json()["remedy"]
    assert [*studio.video_library.storage.folder.iterdir()] == []


def test_pictures_of_several_sizes_too_many_frames_and_too_large_files_are_refused(client, studio):
    mixed = [("file", (f"{number}.png", png(np.zeros((48, 64 - number, 3), np.uint8)))) for number in range(3)]
    answer = client.post("videos", files=mixed)
    assert answer.status_code == 400 and "Frame 1 is 63 × 48, the first one 64 × 48" in answer.json()["message"]
    studio.host.settings["max_video_frames"] = 9
    assert client.post("videos", files={"file": ("a.webp", CLIP)}).json()["error"] == "TooLarge"
    studio.host.settings["max_video_mb"] = 1
    assert client.post("videos", content=bytes(3 << 20), headers={"content-type": "video/mp4"}).status_code == 413
    studio.host.settings |= {"max_video_mb": 64, "keep_videos_mb": 16}
    assert "all clips together" in client.post("videos", content=bytes(17 << 20)).json()["message"]
    assert [*studio.video_library.storage.folder.iterdir()] == []


def test_frames_and_strips(client, url):
    frame = client.get(f"{url}/frames/3", params={"format": "png", "version": 0})
    assert (seen(frame.content) == frames()[3]).all() and "immutable" in frame.headers["cache-control"]
    small = client.get(f"{url}/frames/3?width=32")
    assert small.headers["content-type"] == "image/jpeg" and seen(small.content).shape == (24, 32, 3)
    assert client.get(f"{url}/frames/10").json()["message"] == "There is no frame 10."
    assert client.get(f"{url}/frames/3?version=7").status_code == 404
    strip = client.get(f"{url}/strip?count=5&height=24")
    assert seen(strip.content).shape == (24, 5 * 32, 3) and json.loads(strip.headers["x-frames"]) == [1, 3, 5, 7, 9]
    assert checked_answer(video_schemas.StripAnswer, client.get(f"{url}/strip?count=50&format=json"))["frames"] == [*range(10)]


def test_an_object_is_selected_followed_removed_and_brought_back(client, url, studio):
    of_the_video = []
    studio.segmenter.before_predicting = lambda progress: of_the_video.extend(task.kind for task in studio.tasks.visible(url[7:]))
    answer = clicked(client, url, name="Square")
    assert of_the_video == ["select"], "so that it is seen, and stopped, as the video's own"
    assert answer["frames"] == {"2": {"points": [[18, 22, 1]], "box": None, "phrase": ""}} and answer["known"] == [[2, 2]]
    (mask,) = answer["masks"]
    assert mask["box"] == [12, 16, 24, 28] and mask["area"] == 144
    track = checked_answer(video_schemas.TrackAnswer, client.post(f"{url}/track", json={"tracker": "classic"}))
    assert track["tracker"] == "classic" and track["frames"] == 9 and track["video"]["objects"][0]["known"] == [[0, 9]]
    for number in (0, 5, 9):
        found = seen(client.get(f"{url}/objects/1/masks/{number}").content)[..., 0] > 0
        assert (found & square(number)).sum() / (found | square(number)).sum() > 0.6
    assert client.post(f"{url}/track", json={"tracker": "classic"}).json()["frames"] == 0, "nothing is new"
    sure = client.get(f"{url}/objects/1?confidence=1").json()["confidence"]
    assert sure[2] == 1 and all(0 <= one <= 1 for one in sure)
    client.patch(url, json={"in_mark": 1, "out_mark": 8})
    result = checked_answer(video_schemas.VideoResultAnswer, client.post(f"{url}/remove", json={"eraser": "opencv_telea", "grow": 2}))
    assert result["version"] == 1 and result["video"]["versions"][0] | {"made": 0, "details": {}} == {
        "number": 1, "label": "Remove", "kind": "erase", "first": 1, "last": 8, "whole": True, "made": 0, "details": {}
    }  # fmt: skip
    after = [seen(client.get(f"{url}/frames/{number}?format=png").content) for number in range(10)]
    for number in range(10):
        changed = (after[number] != frames()[number]).any(axis=2)
        if number in (0, 9):
            assert not changed.any()
        else:
            assert changed[square(number)].mean() > 0.7 and not changed[:, :2].any() and not changed[:12].any()
    assert checked_answer(video_schemas.VideoAnswer, client.post(f"{url}/undo"))["version"] == 0
    assert (seen(client.get(f"{url}/frames/5?format=png").content) == frames()[5]).all()
    assert client.post(f"{url}/undo").json()["message"] == "There is nothing to undo."
    assert client.post(f"{url}/redo").json()["version"] == 1
    client.post(f"{url}/undo")
    again = client.post(f"{url}/remove", json={"eraser": "opencv_telea"}).json()
    assert again["version"] == 2 and [version["number"] for version in again["video"]["versions"]] == [2]
    assert client.get(f"{url}/frames/5?version=1").status_code == 404
    assert client.delete(f"{url}/objects/1").status_code == 204 and client.get(url).json()["objects"] == []


def test_a_correction_follows_anew_only_what_is_nearer_to_it(client, url, monkeypatch):
    from clickpaint.video.tracker_classic import ClassicTracker

    legs = []
    follow = ClassicTracker.follow

    def noted(self, frames, start, mask, stop, progress):
        legs.append((start, stop))
        return follow(self, frames, start, mask, stop, progress)

    monkeypatch.setattr(ClassicTracker, "follow", noted)
    clicked(client, url, 0)
    clicked(client, url, 9)
    client.post(f"{url}/track", json={"tracker": "classic"})
    assert legs == [(0, 5), (9, 4)]
    legs.clear()
    clicked(client, url, 6)
    client.post(f"{url}/track", json={"tracker": "classic"})
    assert legs == [(6, 8), (6, 3)]
    legs.clear()
    client.put(f"{url}/objects/1", json={"frames": {"6": None}})
    client.post(f"{url}/track", json={"tracker": "classic"})
    assert legs == [(0, 5), (9, 4)], "what was followed from there is not known any more"
    legs.clear()
    client.post(f"{url}/track", json={"object": "1", "tracker": "classic", "from": 0, "to": 3})
    assert legs == []


def test_masks_strokes_words_and_files_say_what_an_object_is(client, url, studio, monkeypatch):
    given = {"mask": base64.b64encode(png(square(4).astype(np.uint8) * 255)).decode()}
    strokes = {"operations": [{"op": "strokes", "strokes": [{"points": [[40, 40]], "radius": 3}]}]}
    answer = checked_answer(video_schemas.ObjectAnswer, client.put(f"{url}/objects/cat", json={"frames": {"4": given}}))
    assert answer["masks"][0]["area"] == 144 and answer["frames"]["4"]["points"] == []
    answer = client.put(f"{url}/objects/cat", json={"frames": {"4": strokes, "5": strokes}}).json()
    assert answer["masks"][0]["area"] > 144 > answer["masks"][1]["area"] > 20
    masks = [("file", (f"{number:03d}.png", png(square(number).astype(np.uint8) * 255))) for number in range(COUNT)]
    checked_answer(video_schemas.ObjectAnswer, client.post(f"{url}/objects/2/masks", files=masks))
    film = animation([np.repeat(square(number)[..., None], 3, 2).astype(np.uint8) * 255 for number in range(COUNT)])
    assert client.post(f"{url}/objects/3/masks", files={"file": ("m.gif", film)}).json()["known"] == [[0, 9]]
    for object_id in "23":
        assert ((seen(client.get(f"{url}/objects/{object_id}/masks/7").content)[..., 0] > 0) == square(7)).all()
    with zipfile.ZipFile(io.BytesIO(client.get(f"{url}/objects/2/masks").content)) as archive:
        assert archive.namelist()[7] == "0007.png" and ((seen(archive.read("0007.png"))[..., 0] > 0) == square(7)).all()
    assert seen(client.get(f"{url}/objects/*/masks/4?width=32").content).shape == (24, 32, 3)
    few = client.post(f"{url}/objects/2/masks", files=masks[:3])
    assert few.status_code == 400 and "3 masks and 10 frames" in few.json()["message"]
    found = PhraseMatch(square(6), 0.9, "toy")
    monkeypatch.setattr(studio.word_masks, "find_in", lambda picture, phrase, segmenter, owner: {url[7:]: found}[owner.id])
    by_name = client.put(f"{url}/objects/4", json={"frames": {"6": {"phrase": "square"}}}).json()
    assert by_name["masks"][0]["area"] == 144 and by_name["frames"]["6"]["phrase"] == "square"
    twice = client.put(f"{url}/objects/4", json={"frames": {"6": {"phrase": "square", "box": [0, 0, 9, 9]}}})
    assert twice.status_code == 400
    assert client.get(f"{url}/objects/9/masks/0").status_code == 404
    assert client.put(f"{url}/objects/a b", json={}).status_code == 400
    assert client.put(f"{url}/objects/1", json={"frames": {"11": given}}).json()["message"] == "There is no frame 11."
    assert client.post(f"{url}/remove", json={"object": "nobody"}).status_code == 404
    assert "Nothing is selected" in client.post(f"videos/{opened(client)['id']}/track", json={"wait": False}).json()["message"]


def test_what_is_interrupted_keeps_what_is_done(client, url, studio, monkeypatch):
    """Each frame of the removal waits to be let through; after the second somebody stops it."""
    from clickpaint.video.propagating_eraser import PropagatingEraser

    clicked(client, url)
    masks = [("file", (f"{number:03d}.png", png(square(number).astype(np.uint8) * 255))) for number in range(COUNT)]
    client.post(f"{url}/objects/1/masks", files=masks)
    reached, go_on = threading.Event(), threading.Event()

    def erase(self, clip, masks, options, progress):
        for number in range(len(clip)):
            if number == 2:
                reached.set()
                go_on.wait(60)
            progress.part(0.2, 1.0).report(0.5, "Matching patches", done=3, total=9, unit="patch")
            yield np.where(masks.mask(number)[..., None], 7, clip.frame(number)).astype(np.uint8)

    monkeypatch.setattr(PropagatingEraser, "erase", erase)
    task = checked_answer(video_schemas.VideoTaskAnswer, client.post(f"{url}/remove", json={"wait": False}), 202)["task"]
    id = url.partition("/")[2]
    assert (task["kind"], task["workspace"]) == ("erase", id) and reached.wait(60)
    tasks = checked_answer(schemas.TasksAnswer, client.get("progress", params={"workspace": id}))["tasks"]
    (running,) = [one for one in tasks if one["id"] == task["id"]]
    assert running["state"] == "running" and running["unit"] == "frame" and running["total"] == COUNT
    assert client.post("interrupt", json={"workspace": id}).json() == {"interrupted": 1}
    go_on.set()
    with studio.video_library.get(id).turn():
        pass
    (version,) = checked_answer(video_schemas.VideoAnswer, client.get(url))["versions"]
    assert (version["first"], version["last"], version["whole"]) == (0, 1, False)
    after = [seen(client.get(f"{url}/frames/{number}?format=png").content) for number in (0, 1, 2)]
    assert (after[1][square(1)] == 7).all() and (after[1] == frames()[1])[~square(1)].all() and (after[2] == frames()[2]).all()


def test_after_a_restart_everything_goes_on(started):
    first = started()
    url = f"videos/{opened(first.client)['id']}"
    clicked(first.client, url)
    first.client.post(f"{url}/track", json={"tracker": "classic"})
    first.client.post(f"{url}/remove", json={"eraser": "opencv_telea"})
    before, shown = first.client.get(url).json(), first.client.get(f"{url}/frames/6?format=png").content
    first.stop()
    second = started(keep_videos_days=14)
    after = checked_answer(video_schemas.VideoAnswer, second.client.get(url))
    assert after | {"tasks": [], "bytes": 0} == before | {"tasks": [], "bytes": 0} and after["version"] == 1
    assert second.client.get(f"{url}/frames/6?format=png").content == shown
    assert second.client.post(f"{url}/undo").json()["version"] == 0
    assert second.client.post(f"{url}/track", json={"tracker": "classic"}).json()["frames"] == 0
    second.stop()
    third = started(keep_videos_days=0)
    assert third.client.get(url).status_code == 404, "nothing is to be kept"


def test_strangers_may_use_videos_within_limits_and_nothing_of_theirs_stays(started, tmp_path):
    server = started(PublicGate(), keep_videos_days=0, keep_videos_mb=16, max_video_mb=1)
    url = f"videos/{opened(server.client)['id']}"
    clicked(server.client, url)
    assert server.client.get("videos").json() == []
    (tmp_path / "mine.gif").write_bytes(CLIP)
    assert server.client.post("videos", json={"path": str(tmp_path / "mine.gif")}).status_code == 403
    assert server.client.post("videos", content=bytes(3 << 20), headers={"content-type": "video/mp4"}).status_code == 413
    assert server.client.patch(url, json={"in_mark": 1}).status_code == 200
    server.stop()
    assert [*(tmp_path / "videos").iterdir()] == []


def test_the_oldest_goes_where_there_is_no_room(client, studio):
    first = opened(client)
    studio.host.settings["keep_videos_mb"] = 16
    big = animation([np.random.default_rng(number).integers(0, 256, (480, 640, 3), np.uint8) for number in range(10)], format="WEBP")
    assert len(big) > 8 << 20
    second = opened(client, big)
    third = opened(client, big)
    assert [one["id"] for one in client.get("videos").json()] == [third["id"]], (first, second)


av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A video with sound at uneven times, as MKV, that no browser plays."""
    from tests.video.drawn import Drawn
    from tests.video.test_av import filmed

    shown = frames(6)
    return filmed(tmp_path_factory.mktemp("film") / "harbour.mkv", Drawn(shown, [], shown)).read_bytes()


def test_a_video_is_played_in_parts_and_its_result_has_all_that_it_had(client, film, tmp_path):
    video = opened(client, film, "harbour.mkv")
    assert (video["container"], video["codec"], video["has_audio"], video["variable_frame_rate"]) == ("mkv", "h264", True, True)
    assert video["timestamps"] == pytest.approx([0, 0.04, 0.09, 0.12, 0.2, 0.24]) and video["pixel_aspect"] == pytest.approx(4 / 3)
    url = f"videos/{video['id']}"
    whole = client.get(f"{url}/file?version=0")
    assert whole.headers["content-type"] == "video/mp4" and whole.headers["accept-ranges"] == "bytes"
    assert whole.content[4:8] == b"ftyp" and whole.content.find(b"moov") < whole.content.find(b"mdat"), "its index comes first"
    with av.open(io.BytesIO(whole.content)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        played = [round(float(frame.pts * frame.time_base), 3) for frame in container.decode(video=0)]
    assert played == [0, 0.04, 0.09, 0.12, 0.2, 0.24]
    size = len(whole.content)
    part = client.get(f"{url}/file?version=0", headers={"range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{size}" and part.headers["content-length"] == "10"
    assert client.get(f"{url}/file", headers={"range": "bytes=-7"}).content == whole.content[-7:]
    assert client.get(f"{url}/file", headers={"range": f"bytes={size - 3}-"}).content == whole.content[-3:]
    assert client.get(f"{url}/file", headers={"range": f"bytes={size}-"}).status_code == 416
    assert client.get(f"{url}/file", headers={"range": "lines=1-2"}).status_code == 200
    assert client.get(f"{url}/file", headers={"range": "bytes=0-1", "if-range": '"old"'}).status_code == 200
    assert client.get(f"{url}/file", headers={"if-none-match": whole.headers["etag"]}).status_code == 304
    assert client.get(f"{url}/file?original=1").content == film
    clicked(client, url)
    client.post(f"{url}/remove", json={"eraser": "opencv_telea"})
    saved = client.get(f"{url}/file?original=1&download=1")
    assert "harbour-1.mkv" in saved.headers["content-disposition"]
    with av.open(io.BytesIO(saved.content)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        assert container.streams.video[0].sample_aspect_ratio * 3 == 4
    lossless = client.get(f"{url}/file?original=1&container=frames")
    with zipfile.ZipFile(io.BytesIO(lossless.content)) as archive:
        assert archive.namelist() == [f"{number:04d}.png" for number in range(6)]
        exact = seen(archive.read("0002.png"))
    assert (exact == seen(client.get(f"{url}/frames/2?format=png").content)).all()
    before = seen(client.get(f"{url}/frames/2?format=png&version=0").content)
    assert (exact != before).any(axis=2)[square(2)].mean() > 0.4 and (exact == before)[:, 40:].all()
    assert client.get(f"{url}/file?original=1&container=doc").status_code == 400


def test_sound_alone_and_a_cut_off_video_are_refused(client, film, tmp_path):
    from tests.video.drawn import Drawn
    from tests.video.test_av import filmed

    shown = frames(6)
    sound = filmed(tmp_path / "song.mp4", Drawn(shown, [], shown), video=False).read_bytes()
    assert "holds no moving pictures" in client.post("videos", files={"file": ("song.mp4", sound)}).json()["message"]
    whole = filmed(tmp_path / "film.mp4", Drawn(shown, [], shown)).read_bytes()
    cut = client.post("videos", files={"file": ("film.mp4", whole[: len(whole) // 2])})
    assert cut.status_code == 400 and "film.mp4 cannot be read." in cut.json()["message"]
    assert Path(tmp_path / "videos").is_dir() and [*(tmp_path / "videos").iterdir()] == []


def test_a_result_that_takes_too_much_is_stopped_and_one_that_is_closed_ends(client, url, studio, monkeypatch):
    from clickpaint.video.propagating_eraser import PropagatingEraser

    clicked(client, url)
    id = url.partition("/")[2]

    def erase(self, clip, masks, options, progress):
        monkeypatch.setattr("clickpaint.studio.video_results._LOOKS", 1)
        (studio.video_library.get(id).folder / "version-99.db").write_bytes(bytes(17 << 20))
        yield np.full_like(clip.frame(0), 7)
        raise AssertionError("it went on")

    monkeypatch.setattr(PropagatingEraser, "erase", erase)
    studio.host.settings["keep_videos_mb"] = 16
    answer = client.post(f"{url}/remove")
    assert answer.status_code == 413 and "with all that was made of it" in answer.json()["message"]
    assert [version["last"] for version in client.get(url).json()["versions"]] == [0], "what was done until then is kept"
    reached, go_on = threading.Event(), threading.Event()

    def waits(self, clip, masks, options, progress):
        yield np.full_like(clip.frame(0), 9)
        reached.set()
        go_on.wait(60)
        progress.check()

    monkeypatch.setattr(PropagatingEraser, "erase", waits)
    (studio.video_library.get(id).folder / "version-99.db").unlink()
    task = client.post(f"{url}/remove", json={"wait": False}).json()["task"]
    assert reached.wait(60) and client.delete(url).status_code == 204
    video_tasks = studio.tasks.visible(task["workspace"])
    go_on.set()
    assert all(one.wake.wait(60) for one in video_tasks)
    assert client.get(url).status_code == 404 and [*studio.video_library.storage.folder.iterdir()] == []


def test_another_background_comes_from_a_picture_or_another_video(client, url):
    clicked(client, url)
    client.post(f"{url}/track", json={"tracker": "classic"})
    blue = png(np.full((30, 30, 3), BLUE, np.uint8))
    picture = "data:image/png;base64," + base64.b64encode(blue).decode()
    result = checked_answer(video_schemas.VideoResultAnswer, client.post(f"{url}/replace", json={"background": picture, "feather": 1}))
    assert result["details"] == {"objects": ["1"], "background": "picture", "grow": 0, "feather": 1}
    after = seen(client.get(f"{url}/frames/5?format=png").content)
    assert (after[0, 0] == BLUE).all() and (after[22, 30] == RED).all()
    shades = animation([np.full((20, 20, 3), 60 * number, np.uint8) for number in range(4)], 200, "WEBP")
    other = opened(client, shades, "shades.webp")["id"]
    client.post(f"{url}/undo")
    client.post(f"{url}/replace", json={"background_video": other})
    corners = [int(seen(client.get(f"{url}/frames/{number}?format=png").content)[0, 0, 0]) for number in range(10)]
    assert corners == [0, 0, 60, 60, 120, 120, 180, 180, 0, 0]  # at half the speed, and again from its start
    for body in ({}, {"prompt": "x", "background": picture}):
        assert "what is to be there" in client.post(f"{url}/replace", json=body).json()["message"]
    assert client.post(f"{url}/replace", json={"background_video": "nobody"}).status_code == 404


def test_filling_without_a_checkpoint_says_so_and_changes_nothing(client, url):
    clicked(client, url)
    refused = client.post(f"{url}/fill", json={"prompt": "a fox"})
    assert refused.status_code in (409, 501) and "toy host" in refused.json()["message"]
    assert "Every 0 frames" in client.post(f"{url}/fill", json={"prompt": "a fox", "key_frames": 0}).json()["message"]
    assert client.get(url).json()["version"] == 0


def test_a_disk_that_is_full_half_way_is_told_and_nothing_stays(client, studio, monkeypatch):
    def full(self, data, start, end):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("clickpaint.api.receiving._Files._data", full)
    answer = client.post("videos", files={"file": ("walk.webp", CLIP)})
    assert answer.status_code == 413 and answer.json()["message"] == "The disk is full."
    assert [*studio.video_library.storage.folder.iterdir()] == []


def test_playing_begins_at_any_part_and_parts_join_without_a_gap(client, studio, tmp_path, monkeypatch):
    """Of five parts of two frames the fourth is asked for alone; all of them together are the clip, and its sound goes through."""
    from clickpaint.video import playing_parts
    from tests.browser.film import filmed

    monkeypatch.setattr(playing_parts, "SECONDS", 0.04)
    path = tmp_path / "ball.mp4"
    filmed(path, (64, 48), 9)
    video = opened(client, path.read_bytes(), "ball.mp4")
    url, begins = f"videos/{video['id']}", [*video["timestamps"], video["duration_s"]]
    told = checked_answer(video_schemas.PartsAnswer, client.get(f"{url}/parts"))
    assert told == {"frames_each": 2, "count": 5, "media_type": 'video/mp4; codecs="avc1.640028, mp4a.40.2"'}
    fourth = client.get(f"{url}/parts/3?version=0")
    assert (fourth.headers["content-type"], "immutable" in fourth.headers["cache-control"]) == (told["media_type"], True)
    made = studio.video_library.get(video["id"]).folder / "made"
    assert [file.name for file in made.iterdir()] == ["part-v0-3.mp4"], "nothing else was made"
    pictures, sound, heard = [], [], av.CodecContext.create("aac", "r")
    for number in range(5):
        with av.open(io.BytesIO(client.get(f"{url}/parts/{number}").content)) as container:
            assert [stream.type for stream in container.streams] == ["video", "audio"]
            heard.extradata = container.streams.audio[0].codec_context.extradata
            packets = [packet for packet in container.demux() if packet.size]
            assert packets[0].is_keyframe and all(packet.dts == packet.pts for packet in packets)
            pictures += [(packet.pts / 90_000, packet.duration / 90_000) for packet in packets if packet.stream.type == "video"]
            sound += [packet for packet in packets if packet.stream.type == "audio"]
    assert [time for time, _ in pictures] == pytest.approx(begins[:-1], abs=1e-4)
    assert [lasting for _, lasting in pictures] == pytest.approx(np.diff(begins), abs=1e-4)
    assert [packet.pts for packet in sound] == [*range(0, 1024 * len(sound), 1024)] and len(sound) * 1024 / 44100 >= begins[-1]
    wave = np.concatenate([frame.to_ndarray()[0] for packet in sound for frame in heard.decode(packet)])[
        3000 : int(begins[-1] * 44100) - 3000
    ]
    frequencies = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    tone = int(frequencies.argmax())
    assert abs(tone * 44100 / len(wave) - 330) < 5
    frequencies[tone - 3 : tone + 4] = 0
    assert frequencies.max() < 0.02 * np.abs(wave).max() * len(wave) / 4, "no click where parts join"
    assert client.get(f"{url}/parts/5").json()["message"] == "There is no part 5."
    assert client.get(f"{url}/parts/0?version=1").status_code == 404
