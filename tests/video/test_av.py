"""Videos in and out: what is kept, to the bit where nothing may be lost."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clickpaint.app.main import main
from clickpaint.errors import InvalidInput, ModelMissing
from clickpaint.video import av_clips, clip_writing, container_headers
from clickpaint.video.clips import open_clip
from tests.video.drawn import Drawn, drawn

av: Any = pytest.importorskip("av")
TIMES = [0, 40, 90, 120, 200, 240]


@pytest.fixture(scope="module")
def clip() -> Drawn:
    return drawn("pan", (64, 48), 6)


@pytest.fixture
def masks(clip, tmp_path) -> Path:
    (tmp_path / "masks").mkdir()
    for number, mask in enumerate(clip.masks):
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "masks" / f"{number:04d}.png")
    return tmp_path / "masks"


def filmed(path: Path, clip: Drawn, encoder: str = "libx264", format: str = "yuv420p", video: bool = True) -> Path:
    """A video with frames at uneven times, a title, a pixel aspect, a colour description, and sound."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Harbour"
        stream = container.add_stream(encoder, rate=25) if video else None
        sound = container.add_stream("aac", rate=44100)
        if stream is not None:
            stream.width, stream.height = clip.size
            stream.pix_fmt = format
            context = stream.codec_context
            context.time_base, context.sample_aspect_ratio = Fraction(1, 1000), Fraction(4, 3)
            context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
            for time, pixels in zip(TIMES, clip.shown, strict=True):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = time, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        for number in range(12):
            wave = (np.sin(np.arange(1024) / 20 + number) * 0.3).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, number * 1024
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def samples(frame: Any) -> np.ndarray:
    """Of all planes, as PyAV gives them; 17, the last for Python 3.10, does not for ten bits."""
    if frame.format.name != "yuv420p10le":
        return frame.to_ndarray()
    rows = (np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes)
    return np.concatenate([plane.reshape(-1, frame.width) for plane in rows])


def seen(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        facts = {
            "title": container.metadata.get("title"),
            "streams": [stream.codec_context.name for stream in container.streams],
            "format": context.pix_fmt,
            "aspect": context.sample_aspect_ratio,
            "colours": (context.color_primaries, context.color_trc, context.colorspace, context.color_range),
            "sound": [bytes(packet) for packet in container.demux(audio=0) if packet.size],
        }
    with av.open(str(path)) as container:
        frames = [(round(float(frame.pts * frame.time_base), 3), samples(frame)) for frame in container.decode(video=0)]
    return facts | {"times": [time for time, _ in frames], "frames": [frame for _, frame in frames]}


def remove(*arguments: object) -> int:
    return main([str(part) for part in ("video", "remove", *arguments, "--eraser", "opencv_telea")])


def outside_is_kept(before: dict[str, Any], after: dict[str, Any], clip: Drawn) -> None:
    for old, new, mask in zip(before["frames"], after["frames"], clip.masks, strict=True):
        assert (old[:48] == new[:48])[~mask].all()
        blocks = mask.reshape(24, 2, 32, 2).any(axis=(1, 3))
        for plane in (0, 1):  # a quarter of the luma's samples each, below it
            colours = [frame[48:].reshape(2, 24, 32)[plane] for frame in (old, new)]
            assert (colours[0] == colours[1])[~blocks].all()
        assert (old[:48] != new[:48])[mask].mean() > 0.5


def test_a_video_keeps_all_but_what_is_removed(clip, masks, tmp_path):
    source = filmed(tmp_path / "in.mp4", clip)
    assert remove(source, "--masks", masks, "--lossless", "-o", tmp_path / "out.mp4") == 0
    before, after = seen(source), seen(tmp_path / "out.mp4")
    outside_is_kept(before, after, clip)
    for what in ("title", "streams", "format", "aspect", "colours", "sound", "times"):
        assert before[what] == after[what], what
    assert after["times"] == [time / 1000 for time in TIMES]


def subtitles(path: Path) -> list[tuple[bytes, int, int]]:
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts, packet.duration) for packet in container.demux(subtitles=0) if packet.size]


def test_subtitles_are_copied(clip, masks, tmp_path):
    (tmp_path / "in.srt").write_text("1\n00:00:00,040 --> 00:00:00,120\nA harbour\n\n2\n00:00:00,150 --> 00:00:00,230\nStill there\n")
    source, film = tmp_path / "in.mkv", filmed(tmp_path / "film.mp4", clip)
    with av.open(str(source), "w") as made, av.open(str(film)) as pictures, av.open(str(tmp_path / "in.srt")) as text:
        streams = {other: made.add_stream_from_template(other) for other in (*pictures.streams, *text.streams)}
        for container in (text, pictures):
            for packet in container.demux():
                if packet.size:
                    packet.stream = streams[packet.stream]
                    made.mux(packet)
    assert len(subtitles(source)) == 2
    assert remove(source, "--masks", masks, "--lossless", "-o", tmp_path / "out.mkv") == 0
    assert subtitles(tmp_path / "out.mkv") == subtitles(source)
    assert seen(tmp_path / "out.mkv")["times"] == seen(source)["times"]


def test_the_timecode_is_kept(clip, masks, tmp_path):
    def timecodes(path: Path) -> list[tuple[str, str | None, list[bytes]]]:
        with av.open(str(path)) as film:
            packets = [(packet.stream.index, bytes(packet)) for packet in film.demux() if packet.size and packet.stream.type == "data"]
            return [
                (stream.type, stream.metadata.get("timecode"), [data for index, data in packets if index == stream.index])
                for stream in film.streams
            ]

    source = tmp_path / "in.mov"
    with av.open(str(source), "w") as made:
        stream = made.add_stream("libx264", rate=25)
        (stream.width, stream.height), stream.pix_fmt, stream.metadata["timecode"] = clip.size, "yuv420p", "01:02:03:04"
        for pixels in clip.shown:
            made.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        made.mux(stream.encode(None))
    assert remove(source, "--masks", masks, "-o", tmp_path / "out.mov") == 0
    assert timecodes(tmp_path / "out.mov") == timecodes(source)
    assert [kind for kind, code, _ in timecodes(source) if code == "01:02:03:04"] == ["video", "data"]


def test_a_video_without_its_first_picture_is_told_in_our_words(clip, tmp_path, capsys):
    """FFmpeg refuses to look for a picture there: "Operation not permitted"."""
    with av.open(str(tmp_path / "cut.mkv"), "w") as made, av.open(str(filmed(tmp_path / "film.mp4", clip))) as film:
        stream = made.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.size and not packet.is_keyframe:
                packet.stream = stream
                made.mux(packet)
    assert remove(tmp_path / "cut.mkv", "--box", "5,5,20,20", "-o", tmp_path / "out.mkv") == 2
    assert "damaged or cut off" in capsys.readouterr().err


def test_ten_bits_stay_ten_bits(clip, masks, tmp_path):
    source = filmed(tmp_path / "in.mkv", clip, format="yuv420p10le")
    assert remove(source, "--masks", masks, "--lossless", "-o", tmp_path / "out.mkv") == 0
    before, after = seen(source), seen(tmp_path / "out.mkv")
    assert after["format"] == "yuv420p10le" and before["sound"] == after["sound"]
    outside_is_kept(before, after, clip)


def test_any_frame_can_be_read_in_any_order(clip, tmp_path):
    video = open_clip(filmed(tmp_path / "in.mp4", clip))
    in_order = [video.frame(number) for number in range(len(video))]
    assert len(in_order) == 6
    for number in (5, 0, 3, 2, 4, 1, 5):
        assert (video.frame(number) == in_order[number]).all()
    assert np.abs(in_order[2].astype(int) - clip.shown[2]).mean() < 12
    video.close()


def test_a_folder_becomes_a_webm(clip, masks, tmp_path):
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate(clip.shown):
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number:04d}.png")
    assert remove(tmp_path / "in", "--masks", masks, "-o", tmp_path / "out.webm") == 0
    video = open_clip(tmp_path / "out.webm")
    assert (len(video), video.size) == (6, (64, 48))
    video.close()


def test_bad_videos_are_told(clip, tmp_path, monkeypatch):
    with pytest.raises(InvalidInput, match="holds no moving pictures"):
        open_clip(filmed(tmp_path / "sound.mp4", clip, video=False))
    whole = filmed(tmp_path / "in.mp4", clip).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match=r"cut.mp4 cannot be read. It is damaged, cut off, protected, or no video"):
        open_clip(tmp_path / "cut.mp4")
    monkeypatch.setattr(av_clips, "installed", lambda name: False)
    with pytest.raises(ModelMissing, match="The package av, which reads and writes videos, is not installed"):
        open_clip(tmp_path / "in.mp4")


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out"])
def test_nothing_half_written_is_left_where_the_disk_is_full(clip, tmp_path, name):
    def frames():
        yield clip.shown[0]
        raise OSError(28, "No space left on device")

    source = open_clip(filmed(tmp_path / "in.mp4", clip))
    with pytest.raises(InvalidInput, match=r"cannot be written: No space left on device. Make room there"):
        clip_writing.write_clip(tmp_path / name, frames(), source)
    source.close()
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    ("source", "encoder", "format", "ending"),
    [
        (".mp4", "libx264", "yuv420p", ".mp4"),
        (".mov", "prores_ks", "yuv422p10le", ".mov"),
        (".mkv", "ffv1", "yuv444p", ".mkv"),
        (".webm", "libvpx-vp9", "yuv420p", ".webm"),
        (".webm", "libvpx-vp9", "yuv420p", ".mp4"),
        (".mp4", "libx264", "yuv420p", ".avi"),
    ],
)
def test_how_a_video_is_turned_and_the_shape_of_its_pixels_stay(clip, tmp_path, source, encoder, format, ending):
    """Also where the coding cannot say it, but the container can; a container that cannot has upright pictures."""
    path, target = tmp_path / f"phone{source}", tmp_path / f"out{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25)
        (stream.width, stream.height), stream.pix_fmt = clip.size, format
        stream.codec_context.sample_aspect_ratio = Fraction(5, 4)
        for number, pixels in enumerate(clip.shown):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    container_headers.set_shape(path, source, 3, Fraction(5, 4))
    phone = open_clip(path)
    assert isinstance(phone, av_clips.AvClip)
    assert (phone.size, phone.turns, phone.pixel_aspect) == ((48, 64), 3, Fraction(4, 5))
    clip_writing.write_clip(target, [phone.frame(number) for number in range(len(phone))], phone, lossless=ending not in (".mov", ".avi"))
    result = open_clip(target)
    assert isinstance(result, av_clips.AvClip) and len(result) == len(phone)
    assert (result.size, result.pixel_aspect) == ((48, 64), Fraction(4, 5))
    assert result.turns == (0 if ending == ".avi" else 3)
    if ending not in (".mov", ".avi"):
        assert all((result.frame(number) == phone.frame(number)).all() for number in range(len(phone)))
    phone.close()
    result.close()


def test_a_video_without_an_index_has_each_frame_at_its_number(clip, tmp_path):
    """FFmpeg looks for a time in a transport stream by guessing, and may come out behind it."""
    shown = clip.shown * 4
    path = tmp_path / "stream.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "4", "qp": "0"})
        (stream.width, stream.height), stream.pix_fmt = clip.size, "yuv444p"
        for number, pixels in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    in_order = open_clip(path)
    frames = [in_order.frame(number) for number in range(len(shown))]
    assert all(np.abs(a.astype(int) - b).mean() < 3 for a, b in zip(frames, shown, strict=True))
    anywhere = open_clip(path)
    for number in (23, 9, 21, 2, 14, 0, 12, 11, 10):
        assert (anywhere.frame(number) == frames[number]).all(), number
    in_order.close()
    anywhere.close()
