"""Files are found by the names that prompts and units write, and only inside of the host's folders."""

from __future__ import annotations

import pytest

from clickpaint.errors import NotFound
from clickpaint.paint.adapters.adapter_files import files, find


def test_files_are_found_by_name_in_the_folders_and_below(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second" / "styles"
    second.mkdir(parents=True)
    first.mkdir()
    for file in (first / "Ink.safetensors", second / "ink.safetensors", second / "wash v2.pt", second / "notes.txt"):
        file.write_bytes(b"")
    (first / "folder.pt").mkdir()
    folders = [first, second.parent, second, tmp_path / "missing"]
    assert list(files(folders)) == [first / "Ink.safetensors", second / "ink.safetensors", second / "wash v2.pt"]
    assert find("ink", folders, "LoRA") == second / "ink.safetensors"
    assert find("INK", folders, "LoRA") == first / "Ink.safetensors"
    assert find("wash v2 [0a1b2c3d]", folders, "LoRA") == second / "wash v2.pt"
    with pytest.raises(NotFound, match=r"There is no LoRA 'inc'\. Similar: "):
        find("inc", folders, "LoRA")
    with pytest.raises(NotFound, match="Put its file into the folder of LoRAs"):
        find("../second/styles/ink", folders[:1], "LoRA")
    with pytest.raises(NotFound):
        find("../second/styles/ink", folders, "LoRA")
