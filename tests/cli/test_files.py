"""What the command line does with names, folders and files that others made."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.app.main import main
from clickpaint.cli import files
from clickpaint.cli.files import Outputs, Place, place_for, write
from clickpaint.errors import InvalidInput
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import ENDINGS, decode, encode
from clickpaint.studio.studio import Studio

POSIX = pytest.mark.skipif(os.name == "nt", reason="links and names as Unix has them")
BOX = ["--box", "10,8,30,24", "--segmenter", "classic"]
ERASE = [*BOX, "--eraser", "opencv_telea"]


def drawing(seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 30, (32, 40, 3), np.uint8)
    pixels[10:22, 12:28] = (220, 40, 30)
    return pixels


def save(path: Path, seed: int = 0, **options) -> bytes:
    Image.fromarray(drawing(seed)).save(path, **options)
    return path.read_bytes()


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def format_of(path: Path) -> str | None:
    with Image.open(path) as picture:
        return picture.format


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


# what is found


def test_every_ending_that_opens_is_found_in_a_folder_and_what_has_none_by_its_beginning(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, ending in enumerate(ENDINGS):
        save(folder / f"{number}{ending.upper() if number % 2 else ending}", format="PNG")
    save(folder / "bare", format="JPEG")
    save(folder / "odd.dat", format="PNG")
    (folder / "notes.txt").write_text("no picture")
    (folder / "._0.png").write_bytes(b"\0\5\x16\7 what macOS notes about a file")
    assert {path.name for path in files.pictures_in(folder)} == {path.name for path in folder.iterdir()} - {"notes.txt", "._0.png"}


def test_results_of_earlier_commands_are_left_out_and_named(tmp_path, capsys):
    for name in ("a.png", "a_filled.png", "a_filled_2.png", "a_removed.png", "b_removed.png"):
        save(tmp_path / name)
    assert run("remove", tmp_path, *ERASE, "-o", tmp_path / "out") == 0
    assert set(contents(tmp_path / "out")) == {"a.png", "b_removed.png"}
    assert "a_filled.png, a_filled_2.png, a_removed.png" in capsys.readouterr().out


def test_masks_of_a_folder_belong_to_pictures_by_their_stems(tmp_path):
    picture = from_pixels(drawing())
    for number, (name, mask) in enumerate((("a.jpg", "A.PNG"), ("b.png", "b_mask.webp"), ("c.png", "c.png.png"), ("é.png", "e\u0301.png"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        Image.fromarray(np.where(np.arange(40) < 9, 255, 0).astype(np.uint8)[None].repeat(32, 0)).save(folder / mask, lossless=True)
        assert files.mask_for(folder, Path(name), picture)[:, :9].all()
    with pytest.raises(InvalidInput, match="no mask for z"):
        files.mask_for(tmp_path / "0", Path("z.png"), picture)


# what stops nothing


@POSIX
def test_one_bad_picture_stops_no_other_and_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / ("L" * 251 + ".png"))
    save(folder / "line\nbreak.png")
    save(folder / "z.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "gone.png").symlink_to("nowhere")
    undecodable = os.fsencode(folder) + b"/\xff\xfe.png"
    try:
        Path(os.fsdecode(undecodable)).write_bytes(save(tmp_path / "whole.png"))
    except OSError:  # a file system that takes only Unicode
        undecodable = b""
    monkeypatch.setattr(files, "_reason", lambda error, real=files._reason: real(error))
    assert run("remove", folder, *ERASE, "-o", tmp_path / "out") == 2
    done = contents(tmp_path / "out")
    assert len(done) == 3 + bool(undecodable) and "z.png" in done and not [name for name in done if name.endswith(".part")]
    out = capsys.readouterr().out
    assert "gone.png: No such file" in out and "line\\nbreak.png" in out and f"{len(done)} of {len(done) + 2} pictures are done" in out


@POSIX
def test_while_one_picture_is_computed_others_are_read_and_written_in_order_and_few_are_in_memory(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8):
        save(folder / f"{number}.png", seed=number)
    (folder / "4.png").write_bytes(b"no picture")
    assert run("remove", folder, *ERASE, "-o", tmp_path / "alone") == 2
    alone = capsys.readouterr().out
    together, inside, lock = threading.Barrier(3), [], threading.Lock()
    most = 0

    def decoded(self: Studio, data: bytes):
        nonlocal most
        with lock:
            inside.append(data)
            most = max(most, len(inside))
            meeting = len(seen) < 3
            seen.append(data)
        if meeting:
            together.wait(60)  # they meet only if the second and third are read before the first is done
        return original(self, data)

    def encoded(self: Studio, picture, format=None):
        with lock:
            inside.pop()
        return packed(self, picture, format)

    seen: list[bytes] = []
    original, packed = Studio.decode, Studio.encode
    monkeypatch.setattr(Studio, "decode", decoded)
    monkeypatch.setattr(Studio, "encode", encoded)
    assert run("remove", folder, *ERASE, "-o", tmp_path / "out") == 2
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    said = capsys.readouterr().out
    assert said.replace("out", "") == alone.replace("alone", "")
    assert [line[0] for line in said.splitlines()[:8]] == list("01234567"), "they are told in the order of their names"
    assert 3 <= most <= 4, "no more are in memory, but the one that could not be read and was never packed"


def test_a_name_that_no_encoding_can_say_is_printed_all_the_same(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(save(tmp_path / "whole.png"))
    except OSError:
        pytest.skip("this file system takes only Unicode")
    save(folder / "猫.png")
    command = [sys.executable, "-m", "clickpaint", "remove", str(folder), *ERASE, "-o", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "extension"), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert b"2 of 2" in done.stdout and len(contents(tmp_path / "out")) == 2


def test_a_full_disk_is_a_sentence_and_leaves_no_part(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.png")
    save(folder / "b.png")
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    assert run("remove", folder, *ERASE, "-o", tmp_path / "out") == 2
    assert len(contents(tmp_path / "out")) == 1, "whichever of them found the disk full"
    assert "cannot be written: No space left on device. Make room" in capsys.readouterr().out


def test_what_nobody_foresaw_stops_one_picture_and_is_no_traceback(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    first = save(folder / "a.png")
    save(folder / "b.png", seed=1)
    real = Studio.decode

    def decode(self, data):
        if data == first:
            raise KeyError("nothing a user could read")
        return real(self, data)

    monkeypatch.setattr(Studio, "decode", decode)
    assert run("remove", folder, *ERASE, "-o", tmp_path / "out") == 2
    out = capsys.readouterr()
    assert list(contents(tmp_path / "out")) == ["b.png"] and "KeyError" in out.out and "nothing a user" not in out.out + out.err


# what is never overwritten


def test_numbered_results_spare_what_came_in_what_is_there_and_each_other(tmp_path):
    (tmp_path / "in").mkdir()
    shot, other = tmp_path / "shot_2.png", tmp_path / "shot_4.png"
    save(shot)
    save(other)
    outputs = Outputs([shot])
    place = Place(outputs.claim_named(tmp_path / "shot.png"), True, outputs, shot)
    before = shot.read_bytes(), other.read_bytes()
    assert [path.name for path in place.write([b"1", b"2", b"3"])] == ["shot.png", "shot_3.png", "shot_5.png"]
    assert (shot.read_bytes(), other.read_bytes()) == before


def test_two_pictures_never_share_a_result_also_where_case_does_not_count(tmp_path):
    outputs = Outputs([])
    names = [
        outputs.claim(tmp_path, [stem, name], ".png").name for stem, name in (("a", "a.png"), ("A", "A.PNG"), ("é", ""), ("e\u0301", ""))
    ]
    assert names[:3] == ["a.png", "A.PNG.png", "é.png"] and len({files._alike(name) for name in names}) == 4


@POSIX
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_link_to_what_came_in_is_what_came_in(tmp_path, capsys, link):
    photo = tmp_path / "photo.png"
    before = save(photo)
    getattr(tmp_path / "link.png", link)(photo)
    assert run("remove", photo, *ERASE, "-o", tmp_path / "link.png") == 2
    assert "would be overwritten" in capsys.readouterr().err and photo.read_bytes() == before
    assert run("remove", tmp_path / "link.png", *ERASE, "-o", photo) == 2


def test_masks_are_not_overwritten_by_results(tmp_path):
    pictures, masks = tmp_path / "in", tmp_path / "masks"
    pictures.mkdir()
    masks.mkdir()
    save(pictures / "a.png")
    mask = np.zeros((32, 40), np.uint8)
    mask[8:24, 10:30] = 255
    Image.fromarray(mask).save(masks / "a.png")
    before = (masks / "a.png").read_bytes()
    assert run("remove", pictures, "--mask", masks, "--eraser", "opencv_telea", "-o", masks) == 0
    assert contents(masks).pop("a.png") == before and set(contents(masks)) == {"a.png", "a.png.png"}


@POSIX
def test_writing_to_a_link_writes_what_it_points_to(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "there" / "real.png")
    write(tmp_path / "link.png", b"1")
    assert (tmp_path / "link.png").is_symlink() and contents(tmp_path / "there") == {"real.png": b"1"}


# what -o says


@pytest.mark.parametrize(("ending", "format"), [(".JPG", "JPEG"), (".jfif", "JPEG"), (".webp", "WEBP"), (".png", "PNG"), (".tiff", "TIFF")])
def test_an_ending_that_was_asked_for_decides_the_format(tmp_path, ending, format):
    misnamed = tmp_path / f"photo{ending}"
    save(misnamed, format="BMP")
    assert run("remove", misnamed, *ERASE, "-o", tmp_path / f"out{ending}") == 0
    assert format_of(tmp_path / f"out{ending}") == format
    assert run("remove", misnamed, *ERASE) == 0
    assert format_of(tmp_path / f"photo_removed{ending}") == "BMP", "unasked it stays what it was"


def test_a_folder_where_a_file_is_meant_gets_a_file_in_it(tmp_path, capsys):
    save(tmp_path / "photo.png")
    (tmp_path / "there").mkdir()
    assert run("remove", tmp_path / "photo.png", *ERASE, "-o", tmp_path / "there") == 0
    assert run("segment", tmp_path / "photo.png", *BOX, "-o", f"{tmp_path / 'new'}/") == 0
    assert list(contents(tmp_path / "there")) == ["photo_removed.png"] and list(contents(tmp_path / "new")) == ["photo_mask.png"]
    assert place_for(str(tmp_path / "there"), "generated", ".png", Outputs(()), None).path == tmp_path / "there" / "generated.png"
    assert run("remove", tmp_path, *ERASE, "-o", tmp_path / "out.png") == 2
    assert "Name a folder" in capsys.readouterr().err


@POSIX
def test_a_result_of_the_longest_name_has_a_name(tmp_path):
    save(tmp_path / ("猫" * 83 + ".png"))
    assert run("remove", tmp_path / ("猫" * 83 + ".png"), *ERASE) == 0
    names = set(contents(tmp_path)) - {"猫" * 83 + ".png"}
    assert len(names) == 1 and names.pop().endswith("猫_removed.png")


# what is said


def test_of_an_animation_it_is_said_that_the_first_frame_is_kept(tmp_path, capsys):
    frames = [Image.fromarray(drawing(seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert run("remove", tmp_path / "a.gif", *ERASE) == 0
    assert "Of its 3 frames only the first is edited and kept" in capsys.readouterr().out


def test_what_is_transparent_is_selected_and_filled(tmp_path, capsys):
    alpha = np.full((32, 40), 255, np.uint8)
    alpha[8:20, 10:30] = 0
    (tmp_path / "sprite.png").write_bytes(encode(from_pixels(drawing(), alpha)))
    assert run("segment", tmp_path / "sprite.png", "--transparent") == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sprite_mask.png")) == 255, alpha == 0)
    assert run("remove", tmp_path / "sprite.png", "--transparent", "--eraser", "opencv_telea", "--grow", 2, "--feather", 0) == 0
    closed = decode((tmp_path / "sprite_removed.png").read_bytes())
    assert closed.alpha is not None and closed.alpha.min() == 255
    save(tmp_path / "opaque.png")
    assert run("segment", tmp_path / "opaque.png", "--transparent") == 2
    assert run("segment", tmp_path / "sprite.png", "--transparent", *BOX) == 2
    error = capsys.readouterr().err
    assert "Nothing in this picture is transparent" in error and "--transparent alone" in error


# words


@pytest.fixture
def words(tmp_path, monkeypatch):
    """A folder with two pictures, one of which has words already; and a captioner that says the same of all."""
    from clickpaint.cli import caption

    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.png")
    save(folder / "b.png")
    asked: list[str] = []

    def said(studio, options, style, file: Path) -> str:
        asked.append(file.name)
        return f"of {file.name}"

    monkeypatch.setattr(caption, "_caption", said)
    return folder, asked


@pytest.mark.parametrize(
    ("choice", "expected", "pictures"),
    [
        ((), b"by hand\n", ["b.png"]),
        (("--existing", "skip"), b"by hand\n", ["b.png"]),
        (("--existing", "append"), b"by hand\nof a.png\n", ["a.png", "b.png"]),
        (("--existing", "append", "--tags"), b"by hand, of a.png\n", ["a.png", "b.png"]),
        (("--existing", "overwrite"), b"of a.png\n", ["a.png", "b.png"]),
    ],
)
def test_words_that_are_there_are_kept_unless_asked(words, capsys, choice, expected, pictures):
    folder, asked = words
    (folder / "a.txt").write_bytes(b"by hand\n")
    assert run("caption", folder, *choice) == 0
    assert (folder / "a.txt").read_bytes() == expected and (folder / "b.txt").read_bytes() == b"of b.png\n"
    assert sorted(asked) == pictures  # several are under way at a time
    assert ("is kept" in capsys.readouterr().out) == (len(pictures) == 1)


def test_words_in_another_encoding_are_appended_to_in_it(words):
    folder, _ = words
    (folder / "a.txt").write_bytes("von Hand\r\n".encode("utf-16"))
    assert run("caption", folder, "--existing", "append") == 0
    assert (folder / "a.txt").read_bytes().decode("utf-16") == "von Hand\nof a.png\n"


def test_a_file_that_o_names_is_overwritten(words, tmp_path):
    folder, _ = words
    (tmp_path / "out.txt").write_text("old")
    assert run("caption", folder / "a.png", "-o", tmp_path / "out.txt") == 0
    assert (tmp_path / "out.txt").read_text() == "of a.png\n"


# settings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_in_the_encodings_of_editors(tmp_path, encoding):
    (tmp_path / "settings.json").write_bytes(json.dumps({"erase_grow": 3}).encode(encoding))
    assert EmbeddedHost(tmp_path, environment={}).setting("erase_grow") == 3


def test_a_data_folder_that_may_not_be_entered_is_a_sentence(tmp_path, capsys, monkeypatch):
    save(tmp_path / "photo.png")

    def refused(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert run("remove", tmp_path, *ERASE, "--data-dir", tmp_path / "closed") == 2
    error = capsys.readouterr().err
    assert error.startswith("clickpaint: ") and "Permission denied" in error and "Traceback" not in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_never_replaced_by_one(tmp_path):
    pipe, link = tmp_path / "pipe.png", tmp_path / "link.png"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(InvalidInput, match="is no file"):
            place_for(str(path), "in", ".png", Outputs([]), None)
        with pytest.raises(InvalidInput, match="is no file"):
            write(path, b"1")
    assert pipe.is_fifo() and link.is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_what_each_task_writes_is_known_as_a_result():
    """So that a folder's results are not taken for pictures when the command runs again."""
    from clickpaint.cli.files import _RESULTS
    from clickpaint.cli.painting import _DONE

    assert {f"_{word}" for word in _DONE.values()} <= set(_RESULTS)
