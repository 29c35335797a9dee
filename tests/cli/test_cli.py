"""The command line, on real pictures that these tests draw."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from clickpaint.app import serving
from clickpaint.app.main import main
from clickpaint.errors import InvalidInput
from clickpaint.weights.recommended import COMMAND, megabytes
from tests.toys import shadow_scenes
from tests.toys.text import GROUND, sign

ROOT = Path(__file__).resolve().parents[2]


def drawing(seed: int = 0) -> Image.Image:
    """A red disc around (60, 50) on a noisy green ground."""
    noise = np.random.default_rng(seed).integers(0, 24, (100, 120, 3), np.uint8)
    noise[..., 1] += 120
    image = Image.fromarray(noise)
    ImageDraw.Draw(image).ellipse((40, 30, 80, 70), fill=(220, 30, 20))
    return image


DISC = ["--segmenter", "classic", "--box", "36,26,85,75"]


@pytest.fixture
def photo(tmp_path) -> Path:
    drawing().save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def format_of(path: Path) -> str | None:
    with Image.open(path) as picture:
        return picture.format


def test_segment_writes_a_mask_of_what_is_in_the_box(photo, capsys):
    assert run("segment", photo, *DISC) == 0
    mask = np.asarray(Image.open(photo.with_name("photo_mask.png")))
    y, x = np.mgrid[:100, :120]
    disc = (x - 60) ** 2 + (y - 50) ** 2 <= 20**2
    assert mask.shape == (100, 120) and set(np.unique(mask)) == {0, 255}
    assert (disc & (mask > 0)).sum() / (disc | (mask > 0)).sum() > 0.8
    assert "classic selected" in capsys.readouterr().out


def test_remove_changes_nothing_outside_of_the_mask_and_keeps_what_came_in(tmp_path):
    image = drawing()
    alpha = Image.fromarray(np.tile(np.arange(120, dtype=np.uint8) + 100, (100, 1)))
    image.putalpha(alpha)
    image.save(tmp_path / "photo.png", dpi=(300, 300))
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse((38, 28, 82, 72), fill=255)
    mask.save(tmp_path / "mask.png")
    source = (tmp_path / "photo.png").read_bytes()

    assert run("remove", tmp_path / "photo.png", "--mask", tmp_path / "mask.png", "--eraser", "classic", "--grow", 0, "--feather", 0) == 0

    assert (tmp_path / "photo.png").read_bytes() == source
    with Image.open(tmp_path / "photo_removed.png") as result:
        assert result.mode == "RGBA" and result.format == "PNG"
        assert [round(value) for value in result.info["dpi"]] == [300, 300]
        before, after, selected = np.asarray(image), np.asarray(result), np.asarray(mask) > 0
    assert np.array_equal(before[~selected], after[~selected])
    assert np.array_equal(before[..., 3], after[..., 3])
    assert not ((after[..., 0] > 150) & (after[..., 1] < 90)).any(), "the red disc is still there"


def test_remove_takes_the_shadow_along_only_when_asked(tmp_path):
    scene = shadow_scenes.scene(shadow_scenes.ground("sand"), shadow_scenes.thrown(110, 34, 2.0))
    Image.fromarray(scene).save(tmp_path / "scene.png")
    Image.fromarray(shadow_scenes.OBJECT).save(tmp_path / "mask.png")
    shade = (shadow_scenes.thrown(110, 34, 2.0) > 0.6) & ~shadow_scenes.OBJECT & (shadow_scenes.X > 250)
    for options, most, least in (((), 0.0, 0.0), (("--shadow",), 1.0, 0.9)):
        arguments = ("--mask", tmp_path / "mask.png", "--eraser", "opencv_ns", "-o", tmp_path / f"out{len(options)}.png")
        assert run("remove", tmp_path / "scene.png", *arguments, *options) == 0
        changed = (np.asarray(Image.open(tmp_path / f"out{len(options)}.png")) != scene).any(axis=2)
        assert least <= changed[shade].mean() <= most


def test_remove_leaves_the_grain_out_and_says_whose_eraser_cannot(photo, tmp_path, capsys):
    inside = {}
    for grain in (0, 1):
        assert run("remove", photo, *DISC, "--eraser", "classic", "--grain", grain, "-o", tmp_path / f"{grain}.png") == 0
        inside[grain] = np.asarray(Image.open(tmp_path / f"{grain}.png").convert("RGB"))[40:60, 50:70, 1].astype(float)
    assert inside[0].std() < 0.6 * inside[1].std()
    assert run("remove", photo, *DISC, "--eraser", "opencv_ns", "--grain", 1, "-o", tmp_path / "no.png") != 0
    assert "puts no grain" in capsys.readouterr().err and not (tmp_path / "no.png").exists()


def test_remove_takes_the_format_from_the_name_of_the_output_and_says_how_far_it_went(photo, tmp_path, capsys):
    assert run("remove", photo, *DISC, "--eraser", "opencv_telea", "-o", tmp_path / "out.webp", "--grow", "auto") == 0
    assert "grown by 1 px" in capsys.readouterr().out
    assert format_of(tmp_path / "out.webp") == "WEBP"


def test_a_folder_is_worked_through_and_what_fails_does_not_stop_the_rest(tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    drawing(1).save(folder / "a.png")
    drawing(2).save(folder / "a.bmp")
    drawing(3).save(folder / "c.tif")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not a picture at all")

    assert run("remove", folder, *DISC, "--eraser", "opencv_ns") == 2

    results = tmp_path / "pictures_removed"
    formats = {path.name: format_of(path) for path in results.iterdir()}
    assert formats == {"a.png.png": "PNG", "a.bmp.bmp": "BMP", "c.tif": "TIFF"}
    assert "3 of 4 pictures are done" in capsys.readouterr().out


def test_a_folder_of_masks_belongs_to_a_folder_of_pictures(tmp_path):
    folder, masks = tmp_path / "pictures", tmp_path / "masks"
    folder.mkdir()
    masks.mkdir()
    for name, left in (("a", 10), ("b", 70)):
        drawing().save(folder / f"{name}.png")
        mask = np.zeros((100, 120), np.uint8)
        mask[10:20, left : left + 10] = 255
        Image.fromarray(mask).save(masks / f"{name}_mask.png")
    assert run("remove", folder, "--mask", masks, "--eraser", "opencv_ns", "--grow", 0, "--feather", 0, "-o", tmp_path / "out") == 0
    for name, left in (("a", 10), ("b", 70)):
        changed = (np.asarray(drawing()) != np.asarray(Image.open(tmp_path / "out" / f"{name}.png"))).any(axis=2)
        assert changed[10:20, left : left + 10].any()
        changed[10:20, left : left + 10] = False
        assert not changed.any()


def test_masks_that_were_made_beside_the_pictures_are_not_pictures_to_work_on(photo, tmp_path):
    assert run("segment", photo, *DISC) == 0
    assert run("segment", tmp_path, *DISC, "-o", tmp_path / "masks") == 0
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["photo.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["segment", "PHOTO"], "Nothing was pointed at"),
        (["segment", "PHOTO", "--point", "500,5"], "outside the picture"),
        (["segment", "PHOTO", "--point", "5,5", "--segmenter", "nonsense"], "no segmenter 'nonsense'"),
        (["segment", "PHOTO", "--point", "5,5", "-o", "mask.jpg"], "Masks are PNG"),
        (["segment", "missing.png", "--point", "5,5"], "There is no file missing.png"),
        (["segment", "BROKEN", "--point", "5,5"], "picture"),
        (["remove", "PHOTO", *DISC, "-o", "PHOTO"], "would be overwritten"),
        (["remove", "PHOTO", *DISC, "-o", "out.xyz"], "no format"),
        (["remove", "PHOTO", *DISC, "--eraser", "nonsense"], "no eraser 'nonsense'"),
        (["remove", "PHOTO", *DISC, "--mask", "PHOTO"], "a mask and points"),
        (["remove", "PHOTO", "--mask", "missing.png"], "There is no file missing.png"),
        (["models", "download", "nonsense"], "nonsense"),
        (["models", "download", "mobile_sam", "--offline"], "switched off"),
        (["segment", "PHOTO", "--point", "5,5", "--device", "toaster"], "toaster"),
        (["serve", "--port", "70000"], "no port 70000"),
        (["serve", "--host", "no.such.host.invalid"], "unknown"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_status_2(photo, tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    before = sorted(tmp_path.iterdir())
    places = {"PHOTO": str(photo), "BROKEN": str(tmp_path / "broken.png")}
    assert run(*[places.get(argument, argument) for argument in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and error.startswith("clickpaint: ") and "\n" not in error
    assert sorted(tmp_path.iterdir()) == before, "a failed command leaves nothing behind"


@pytest.mark.parametrize("bad", [["--point", "1"], ["--point", "a,b"], ["--point", "1,2,3"], ["--box", "1,2,3"]])
def test_badly_written_coordinates_are_refused_at_once(bad, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("segment", "photo.png", *bad)
    assert stopped.value.code == 2
    assert bad[1] in capsys.readouterr().err


def test_the_models_are_listed_with_their_state(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "models" / "sam").mkdir(parents=True)
    (tmp_path / "models" / "sam" / "mobile_sam.pt").write_bytes(b"too short")
    assert run("models", "list", "--data-dir", tmp_path) == 0
    states = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:] if line[:1] != " "}
    assert states["mobile_sam"] == "corrupt"
    assert states["lama"] == "missing"


def test_verify_names_and_sets_aside_a_file_that_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "models" / "sam" / "mobile_sam.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"too short")
    assert run("models", "verify", "--data-dir", tmp_path) == 2
    assert "mobile_sam" in capsys.readouterr().out
    assert not file.exists() and file.with_name("mobile_sam.pt.corrupt").read_bytes() == b"too short"


def test_the_doctor_tells_what_works_and_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert run("doctor", "--data-dir", tmp_path, "--device", "cpu") == 0
    printed = capsys.readouterr().out
    assert "computing on cpu" in printed
    assert "ok  Classic (no model)" in printed
    assert f"`{COMMAND}` brings MobileSAM and MI-GAN, 69 MB." in printed.partition("What to do:")[2]


def test_models_are_removed_and_the_recommended_ones_are_marked(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "models" / "lama" / "migan_pipeline_v2.onnx"
    file.parent.mkdir(parents=True)
    with file.open("wb") as sparse:
        sparse.truncate(28_079_181)
    elsewhere = tmp_path / "hub" / "checkpoints" / "big-lama.pt"
    elsewhere.parent.mkdir(parents=True)
    with elsewhere.open("wb") as sparse:
        sparse.truncate(205_669_692)
    assert run("models", "list", "--data-dir", tmp_path) == 0
    recommended = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith("(recommended)")]
    assert recommended == ["mobile_sam"], "an eraser is here"
    assert run("models", "remove", "migan", "--data-dir", tmp_path) == 0
    assert "28 MB freed" in capsys.readouterr().out and not file.exists()
    assert run("models", "remove", "lama", "--data-dir", tmp_path) == 2
    assert "another program" in capsys.readouterr().err and elsewhere.exists()
    assert run("models", "download", "--data-dir", tmp_path) == 2
    assert "--recommended" in capsys.readouterr().err


def test_text_is_removed(tmp_path, capsys):
    pytest.importorskip("rapidocr")
    Image.fromarray(sign()).save(tmp_path / "sign.png")
    out = tmp_path / "out.png"
    assert run("remove", tmp_path / "sign.png", "--text", "--eraser", "opencv_telea", "-o", out, "--data-dir", tmp_path) == 0
    assert "the text “KEEP OUT 7 / slanted”" in capsys.readouterr().out
    assert np.abs(np.asarray(Image.open(out)).astype(int) - GROUND).max() <= 12, "nothing is left of it"
    assert run("segment", tmp_path / "sign.png", "--text", "--transparent", "--data-dir", tmp_path) == 2
    assert "--text alone" in capsys.readouterr().err


def test_the_page_is_served_also_where_its_models_cannot_be_had(tmp_path, capsys, monkeypatch):
    served = []
    monkeypatch.setattr(serving, "serve", lambda host, *_arguments, **_options: served.append(host) or 0)
    assert run("serve", "--with-models", "--offline", "--data-dir", tmp_path, "--device", "cpu") == 0
    assert "switched off" in capsys.readouterr().err and len(served) == 1


def test_the_readme_recommends_what_the_program_does():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"**MobileSAM and MI-GAN ({megabytes()} MB)**" in readme and "--with-models" in readme and COMMAND in readme


def test_the_doctor_survives_what_is_broken(tmp_path, capsys):
    assert run("doctor", "--data-dir", tmp_path, "--device", "toaster") == 2
    assert "BAD" in capsys.readouterr().out


def test_without_a_port_the_next_free_one_is_taken_and_a_taken_one_is_named():
    with serving.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"The port {port} cannot be used"):
            serving.listen("127.0.0.1", port)
    with serving.listen("127.0.0.1", None) as one, serving.listen("127.0.0.1", None) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
        assert ports[0] != ports[1] and all(serving.PORT <= port < serving.PORT + 20 for port in ports)


@pytest.mark.parametrize(
    ("bound", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1/"),
        ("0.0.0.0", "http://127.0.0.1:1/"),
        ("::", "http://[::1]:1/"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:1/"),
    ],
)
def test_the_page_has_an_address_that_a_browser_here_can_open(bound, url):
    assert serving.page_address(bound, 1, None) == url
    assert serving.page_address(bound, 1, "abc") == url + "?token=abc"


def status(url: str) -> int:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()).open(
            url, timeout=30
        ) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_serve_answers_until_ctrl_c_and_asks_others_for_a_token(tmp_path):
    command = [sys.executable, "-m", "clickpaint", "serve", "--host", "0.0.0.0", "--port", "0", "--no-browser", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "extension"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        try:
            assert server.stdout is not None
            shown = next(line.split()[3] for line in server.stdout if " is at " in line)
            url, _, token = shown.partition("?token=")
            assert token and status(shown) == 200
            assert status(url) == status(url + "clickpaint/v1/capabilities") == 401
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
        finally:
            server.kill()


def test_serve_asks_nobody_on_this_machine_for_a_token(tmp_path, monkeypatch, capsys):
    uvicorn = pytest.importorskip("uvicorn")
    seen = []

    def pressed(server, sockets):
        """Two questions while it listens, then Ctrl-C."""

        async def answer():
            serving_task = asyncio.create_task(server.serve(sockets))
            url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
            seen.extend([await asyncio.to_thread(status, url + path) for path in ("", "clickpaint/v1/capabilities")])
            server.should_exit = True
            await serving_task

        asyncio.run(answer())
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", pressed)
    assert run("serve", "--host", "127.0.0.1", "--port", 0, "--no-browser", "--data-dir", tmp_path) == 0
    assert seen == [200, 200]
    assert "Stopped." in capsys.readouterr().out


def test_ctrl_c_stops_a_folder_at_once(tmp_path, monkeypatch, capsys):
    from clickpaint.cli import files

    def pressed(*_arguments, **_options):
        raise KeyboardInterrupt

    drawing().save(tmp_path / "a.png")
    drawing().save(tmp_path / "b.png")
    monkeypatch.setattr(files, "wait", pressed)
    assert run("remove", tmp_path, *DISC, "-o", tmp_path / "out") == 130
    assert "Stopped." in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.part"))


def test_torchs_workers_sleep_while_they_wait_unless_told_otherwise(monkeypatch, capsys):
    """Beside busy programs, workers that spin take the processor from the one that they wait for."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert main(["models", "list"]) == 0 and os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert main(["models", "list"]) == 0 and os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
