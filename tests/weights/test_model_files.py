"""Files are known by the names that people, prompts and units write, each by another one, and only inside of the host's folders."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from clickpaint.errors import NotFound
from clickpaint.weights.model_files import by_path, files, find, shown


def made(*paths: Path) -> list[Path]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return list(paths)


def test_files_are_found_by_name_in_the_folders_and_below(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    made(first / "Ink.safetensors", second / "styles" / "ink.safetensors", second / "styles" / "wash v2.pt", second / "notes.txt")
    (first / "folder.pt").mkdir()
    folders = [first, second, second / "styles", tmp_path / "missing"]
    assert list(files(folders)) == [first / "Ink.safetensors", second / "styles" / "ink.safetensors", second / "styles" / "wash v2.pt"]
    assert find("ink", folders, "LoRA") == second / "styles" / "ink.safetensors"
    assert find("INK", folders, "LoRA") == first / "Ink.safetensors"
    assert find("ink.safetensors", folders, "LoRA") == second / "styles" / "ink.safetensors"
    assert find("wash v2 [0a1b2c3d]", folders, "LoRA") == second / "styles" / "wash v2.pt"
    with pytest.raises(NotFound, match=r"There is no LoRA 'inc'\. Similar: "):
        find("inc", folders, "LoRA")


def test_no_name_points_out_of_the_folders(tmp_path):
    made(tmp_path / "first" / "other.pt", tmp_path / "second" / "ink.pt")
    for name in ("../second/ink", "..\\second\\ink", "first/../second/ink"):
        with pytest.raises(NotFound, match="Put its file into the folder of LoRAs"):
            find(name, [tmp_path / "first"], "LoRA")


def test_endings_count_in_capitals_too_and_the_short_one_of_safetensors(tmp_path):
    made(*(tmp_path / name for name in ("a.SAFETENSORS", "b.Pt", "c.sft", "d.safetensors.part", "e.png")))
    assert [file.name for file in files([tmp_path])] == ["a.SAFETENSORS", "b.Pt", "c.sft"]
    assert find("A", [tmp_path], "LoRA").name == "a.SAFETENSORS"


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_accents_are_one_however_they_are_written(tmp_path, written, stored):
    (file,) = made(tmp_path / "stîles" / (unicodedata.normalize(stored, "caféstyle") + ".safetensors"))
    for name in ("caféstyle", "CAFÉstyle", "stîles/caféstyle"):
        assert find(unicodedata.normalize(written, name), [tmp_path], "LoRA") == file
    assert list(shown([file])) == ["caféstyle"]


def test_a_name_with_its_folder_means_the_one_in_it(tmp_path):
    a, b = made(tmp_path / "a" / "sample.safetensors", tmp_path / "b" / "sample.safetensors")
    for name, file in (("a/sample", a), ("b/sample", b), ("b\\sample", b), ("B/sample.safetensors", b), ("sample", a)):
        assert find(name, [tmp_path], "LoRA") == file
    with pytest.raises(NotFound):
        find("c/sample", [tmp_path], "LoRA")


def test_every_file_has_a_name_of_its_own_that_finds_it_again(tmp_path):
    everything = made(
        tmp_path / "one" / "Lora" / "a" / "sample.safetensors", tmp_path / "one" / "Lora" / "b" / "sample.safetensors",
        tmp_path / "one" / "Lora" / "sample.pt", tmp_path / "one" / "Lora" / "sample.safetensors", tmp_path / "two" / "Lora" / "sample.pt",
        tmp_path / "one" / "ControlNet" / "canny" / "diffusion_pytorch_model.safetensors",
        tmp_path / "one" / "ControlNet" / "depth" / "diffusion_pytorch_model.safetensors",
        tmp_path / "one" / "ControlNet" / "depth" / "diffusion_pytorch_model.fp16.safetensors", tmp_path / "one" / "lone" / "model.bin",
        tmp_path / "one" / "alone.pt",
    )  # fmt: skip
    names = shown(everything)
    assert list(names.values()) == everything
    assert {"a/sample", "b/sample", "canny/diffusion_pytorch_model", "depth/diffusion_pytorch_model", "lone/model", "alone"} <= names.keys()
    for name, file in names.items():
        assert find(name, [tmp_path], "model") == file


def test_paths_below_folders_are_told_apart_across_folders(tmp_path):
    first, second = made(tmp_path / "mine" / "sd" / "a.ckpt", tmp_path / "theirs" / "sd" / "a.ckpt")
    assert by_path([tmp_path / "mine", tmp_path / "theirs"]) == {"sd/a.ckpt": first, "theirs/sd/a.ckpt": second}


def test_links_are_followed_once_and_what_is_hidden_is_passed_over(tmp_path):
    (real,) = made(tmp_path / "disk" / "sdxl" / "style.safetensors")
    made(tmp_path / "Lora" / ".cache" / "style.safetensors", tmp_path / "Lora" / "._style.safetensors")
    try:
        (tmp_path / "Lora" / "linked").symlink_to(tmp_path / "disk" / "sdxl", target_is_directory=True)
        (tmp_path / "disk" / "sdxl" / "circle").symlink_to(tmp_path / "disk", target_is_directory=True)
        (tmp_path / "Lora" / "gone.pt").symlink_to(tmp_path / "nothing")
    except OSError:
        pytest.skip("this system makes no links")
    listed = list(files([tmp_path / "Lora"]))
    assert [file.resolve() for file in listed] == [real]
    assert find("linked/style", [tmp_path / "Lora"], "LoRA").resolve() == real


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="only for users whom a folder can keep out")
def test_a_folder_that_may_not_be_read_hides_only_itself(tmp_path):
    locked, (file,) = tmp_path / "locked", made(tmp_path / "open" / "a.pt")
    made(locked / "b.pt")
    locked.chmod(0)
    try:
        assert list(files([tmp_path])) == [file]
    finally:
        locked.chmod(0o700)
