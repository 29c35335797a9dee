"""The user's own model files, piece by piece from the browser into their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from clickpaint.errors import CorruptModel, HostUnsupported, InvalidInput
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.studio.studio import Studio
from tests.toys.studio import toy_studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(EmbeddedHost(tmp_path, environment={}, overrides={"device": "cpu"}))


def test_a_checkpoint_comes_in_pieces_and_paints(studio: Studio, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from safetensors.torch import save

    from tests.toys import checkpoint as toy

    data = save(toy.state_dict(4, vocabulary=64))
    middle = len(data) // 2
    first = studio.own_files.receive("Stable-diffusion", "mine.safetensors", 0, len(data), data[:middle])
    assert (first.bytes, first.complete) == (middle, False) and not studio.host.capabilities().checkpoints
    with pytest.raises(InvalidInput, match=f"{middle} bytes") as raised:
        studio.own_files.receive("Stable-diffusion", "mine.safetensors", 5, len(data), data[5:])
    assert raised.value.data["received"] == middle, "from where to go on"
    last = studio.own_files.receive("Stable-diffusion", "mine.safetensors", middle, len(data), data[middle:])
    assert (last.bytes, last.complete) == (len(data), True)
    assert (tmp_path / "models" / "Stable-diffusion" / "mine.safetensors").read_bytes() == data
    assert studio.host.capabilities().checkpoint == "mine.safetensors"
    with pytest.raises(InvalidInput, match="there already"):
        studio.own_files.receive("Stable-diffusion", "mine.safetensors", 0, 3, b"new")


def test_what_is_no_file_of_weights_does_not_stay(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(CorruptModel):
        studio.own_files.receive("VAE", "page.safetensors", 0, 6, b"<html>")
    assert list((tmp_path / "models" / "VAE").iterdir()) == []


@pytest.mark.parametrize("name", ["../a.pt", "a/b.pt", "..\\a.pt", ".hidden.pt", "a.exe", "", "x" * 200 + ".pt", "a\n.pt"])
def test_no_name_leads_out_of_the_folder(studio: Studio, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name"):
        studio.own_files.receive("VAE", name, 0, 3, b"abc")
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_no_other_kind_no_room_and_no_web_ui(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no kind"):
        studio.own_files.receive("sam", "a.pt", 0, 3, b"abc")
    with pytest.raises(InvalidInput, match="no room"):
        studio.own_files.receive("VAE", "a.pt", 0, 1 << 60, b"abc")
    with pytest.raises(HostUnsupported, match="web UI"):
        toy_studio(tmp_path).own_files.receive("VAE", "a.pt", 0, 3, b"abc")
