"""Where files are found, what happens to wrong ones, and how weights are read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import CorruptModel, DownloadFailed, ModelMissing, NotFound
from clickpaint.progress import Progress
from clickpaint.weights import catalog as catalogs
from clickpaint.weights import store as stores
from clickpaint.weights.checksums import checksum
from clickpaint.weights.device import Device
from clickpaint.weights.load_weights import load_state_dict, load_torchscript
from clickpaint.weights.model_files import files
from clickpaint.weights.store import Store


@pytest.fixture
def known(monkeypatch, model, body):
    """A catalog of toys: one file, one of unknown checksum, one model of two files."""
    md5 = hashlib.md5(body).hexdigest()
    files = [
        model("/good", aliases=("other_name.pt",)),
        model(
            name="unconfirmed",
            filename="unconfirmed.pt",
            part_of="unconfirmed",
            urls=(),
            sha256=None,
            size=None,
            note="See the authors' page.",
        ),
        model("/good", name="pair_a", filename="a.pt", part_of="pair"),
        model("/good", name="pair_b", filename="b.pt", part_of="pair", sha256=None, md5=md5, size=None),
    ]
    table = {file.name: file for file in files}
    for module in (catalogs, stores):
        monkeypatch.setattr(module, "catalog", lambda: table)
    return table


@pytest.fixture
def folders(tmp_path):
    both = [tmp_path / "ours", tmp_path / "theirs"]
    both[1].mkdir()
    return both


@pytest.fixture
def store(known, folders):
    return Store(lambda kind: folders)


def test_missing_says_how_to_get_it(store):
    assert store.find("toy") is None
    assert store.state("toy").state == "missing"
    with pytest.raises(ModelMissing, match="Download it"):
        store.require("toy")
    with pytest.raises(ModelMissing, match=r"See the authors' page.*unconfirmed\.pt"):
        store.require("unconfirmed")
    assert store.state("unconfirmed").state == "unavailable"
    with pytest.raises(NotFound):
        store.require("nothing")


def test_found_in_the_hosts_folder_by_either_name_and_nothing_is_written_there(store, folders, body):
    for name in ("other_name.pt", "toy.pt"):
        path = folders[1] / name
        path.write_bytes(body)
        assert store.require("toy") == store.find("toy") == path
        assert store.state("toy").state == "present"
    assert sorted(path.name for path in folders[1].iterdir()) == ["other_name.pt", "toy.pt"]


def test_the_sum_is_computed_once_and_again_when_the_file_changes(store, folders, body, monkeypatch):
    path = folders[1] / "toy.pt"
    path.write_bytes(body)
    store.require("toy")
    reads = []
    monkeypatch.setattr(stores, "checksum", lambda *arguments: reads.append(arguments[0]) or checksum(*arguments))
    store.require("toy")
    Store(lambda kind: folders).require("toy")  # also after a restart
    assert reads == []
    path.write_bytes(bytes(len(body)))
    with pytest.raises(CorruptModel):
        store.require("toy")
    assert reads == [path]


@pytest.mark.parametrize("remembered", ["{broken", "[]", json.dumps({"x": 1}), json.dumps({"x": {"size": "?"}})])
def test_a_broken_memory_of_sums_does_no_harm(folders, known, body, remembered):
    folders[0].mkdir()
    (folders[0] / ".clickpaint-sums.json").write_text(remembered)
    (folders[0] / "toy.pt").write_bytes(body)
    assert Store(lambda kind: folders).require("toy").name == "toy.pt"


@pytest.mark.parametrize("content", [b"short", bytes(600_000)])
def test_a_corrupt_file_of_ours_is_set_aside_and_offered_again(store, folders, content):
    folders[0].mkdir()
    (folders[0] / "toy.pt").write_bytes(content)
    with pytest.raises(CorruptModel, match=r"toy\.pt.*set aside as toy\.pt\.corrupt.*Download it"):
        store.require("toy")
    assert (folders[0] / "toy.pt.corrupt").read_bytes() == content
    state = store.state("toy")
    assert state.state == "missing"
    assert "toy.pt.corrupt" in state.reason


@pytest.mark.parametrize("content", [b"short", bytes(600_000)])
def test_a_corrupt_file_of_the_host_is_reported_and_left_alone(store, folders, content):
    (folders[1] / "toy.pt").write_bytes(content)
    with pytest.raises(CorruptModel, match=r"toy\.pt"):
        store.require("toy")
    assert [path.name for path in folders[1].iterdir()] == ["toy.pt"]
    assert store.state("toy").state == "corrupt"
    assert store.find("toy") is None


def test_a_good_copy_is_used_beside_a_corrupt_one(store, folders, body):
    folders[0].mkdir()
    (folders[0] / "toy.pt").write_bytes(b"broken")
    (folders[1] / "toy.pt").write_bytes(body)
    assert store.require("toy") == folders[1] / "toy.pt"


def test_another_file_by_an_alias_is_passed_over(store, folders):
    folders[0].mkdir()
    (folders[0] / "other_name.pt").write_bytes(b"somebody's own model")
    with pytest.raises(ModelMissing) as caught:
        store.require("toy")
    assert not isinstance(caught.value, CorruptModel)
    assert store.state("toy").state == "missing"
    assert store.verify("toy").state == "missing"
    assert (folders[0] / "other_name.pt").exists()


class Closed:
    """What the operating system answers to a user without permission; root, as whom tests may run, is never refused."""

    def __init__(self, monkeypatch, closed):
        self.closed = closed
        for name in ("stat", "is_file", "is_dir", "open"):
            monkeypatch.setattr(Path, name, self.guarded(getattr(Path, name), below=name != "stat"))
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: not self.refuses(path) and access(path, mode))

    def refuses(self, path):
        return self.closed in (Path(path), *Path(path).parents)

    def guarded(self, method, below):
        def call(path, *arguments, **options):
            if self.closed in path.parents or (method.__name__ == "open" and path == self.closed):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return method(path, *arguments, **options)

        return call


@pytest.mark.parametrize("closed", ["toy.pt", ""])
def test_what_may_not_be_read_is_said_and_left_alone(store, folders, body, monkeypatch, closed):
    folders[0].mkdir()
    (folders[0] / "toy.pt").write_bytes(body)
    Closed(monkeypatch, folders[0] / closed if closed else folders[0])
    state = store.state("toy")
    assert state.state == ("corrupt" if closed else "missing") and state.reason
    assert store.find("toy") is None
    with pytest.raises(ModelMissing, match="may not be read" if closed else "not on this machine"):
        store.require("toy")
    store.verify("toy")
    monkeypatch.undo()
    assert [path.name for path in folders[0].glob("toy*")] == ["toy.pt"]


def test_a_good_copy_is_used_beside_one_that_may_not_be_read(store, folders, body, monkeypatch):
    folders[0].mkdir()
    for folder in folders:
        (folder / "toy.pt").write_bytes(body)
    Closed(monkeypatch, folders[0] / "toy.pt")
    assert store.require("toy") == store.find("toy") == folders[1] / "toy.pt"


def test_a_file_that_fails_while_it_is_read_is_no_fault_of_the_program(store, folders, body, monkeypatch):
    (folders[1] / "toy.pt").write_bytes(body)

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error", "/secret/place")

    monkeypatch.setattr(stores, "checksum", broken)
    with pytest.raises(CorruptModel, match=r"toy\.pt cannot be read: input/output error") as caught:
        store.require("toy")
    assert "secret" not in str(caught.value)


def test_odd_things_in_the_place_of_files(store, folders, tmp_path):
    folders[0].mkdir()
    (folders[0] / "toy.pt").mkdir()
    (folders[1] / "toy.pt").symlink_to("nowhere")
    (folders[1] / "other_name.pt").symlink_to("other_name.pt")
    assert store.state("toy").state == "missing" and store.find("toy") is None
    (folders[0] / "loop").symlink_to(folders[0])
    (folders[0] / "loop" / "a.CKPT").write_bytes(b"x")
    (folders[0] / "gone.ckpt").symlink_to("nowhere")
    assert list(files([folders[0]], (".ckpt",))) == [folders[0] / "a.CKPT"]
    assert list(files([tmp_path / "nowhere"])) == []


def test_without_a_checksum_the_users_file_is_trusted(store, folders):
    folders[0].mkdir()
    (folders[0] / "unconfirmed.pt").write_bytes(b"whatever")
    assert store.require("unconfirmed").read_bytes() == b"whatever"


def test_verify_reads_again_what_looks_unchanged(store, folders, body):
    import os

    path = folders[1] / "toy.pt"
    path.write_bytes(body)
    store.require("toy")
    stat = path.stat()
    path.write_bytes(bytes(len(body)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.state("toy").state == "present"  # nobody looked
    steps = []
    assert store.verify("toy", Progress(steps.append)).state == "corrupt"
    assert steps[-1].unit == "B"
    assert steps[-1].fraction == 1.0


def test_download_puts_it_into_the_first_folder(store, folders, network, body, server):
    assert store.download("toy", network) == folders[0] / "toy.pt"
    assert (folders[0] / "toy.pt").read_bytes() == body
    assert list(folders[1].iterdir()) == []
    store.download("toy", network)
    assert len(server.requests) == 1


def test_an_unfinished_download_shows(store, folders, body):
    folders[0].mkdir()
    (folders[0] / "toy.pt.part").write_bytes(body[:1000])
    state = store.state("toy")
    assert (state.state, state.bytes_done, state.bytes) == ("partial", 1000, len(body))


def test_a_model_of_several_files(store, folders, network, body, server):
    assert store.state("pair").state == "missing"
    steps = []
    store.download("pair_a", network)
    assert store.state("pair").state == "partial"
    store.download("pair", network, Progress(steps.append))
    state = store.state("pair")
    assert (state.state, state.bytes_done) == ("present", 2 * len(body))
    assert len(server.requests) == 2
    fractions = [step.fraction for step in steps if step.fraction is not None]
    assert fractions == sorted(fractions)
    with pytest.raises(ValueError, match="pair_a, pair_b"):
        store.require("pair")


def test_what_cannot_be_downloaded_says_where_it_is(store, network):
    with pytest.raises(ModelMissing, match="authors' page"):
        store.download("unconfirmed", network)


def test_a_failed_download_is_an_error(store, network, server):
    server.body = bytes(len(server.body))
    with pytest.raises(DownloadFailed):
        store.download("toy", network)
    assert store.state("toy").state == "missing"


# reading

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1, 2])}


def same(weights):
    return weights.keys() == WEIGHTS.keys() and all(torch.equal(weights[key], WEIGHTS[key]) for key in WEIGHTS)


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w, "epoch": 3}])
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_pickles_of_tensors(tmp_path, wrap, zipped):
    path = tmp_path / "w.pth"
    torch.save(wrap(WEIGHTS), path, _use_new_zipfile_serialization=zipped)
    assert same(load_state_dict(path))


def test_reads_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(WEIGHTS, path)
    assert same(load_state_dict(path))


class Bomb:
    def __reduce__(self):
        return (exec, ("import builtins; builtins.clickpaint_was_hit = True",))


@pytest.mark.parametrize("zipped", [True, False])
def test_runs_no_code_even_where_torch_load_was_replaced(tmp_path, zipped, monkeypatch):
    import builtins

    path = tmp_path / "w.pth"
    torch.save({"a": Bomb()}, path, _use_new_zipfile_serialization=zipped)
    original = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: original(*a, **{**k, "weights_only": False}))
    with pytest.raises(CorruptModel, match=r"w\.pth.* code") as caught:
        load_state_dict(path)
    assert "weights_only" not in str(caught.value) and "torch.load" not in str(caught.value)
    assert not hasattr(builtins, "clickpaint_was_hit")


def test_reads_where_torch_load_was_replaced_by_a_checker_that_refuses(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    torch.save(WEIGHTS, path)
    monkeypatch.setattr(torch, "load", lambda *a, **k: None)
    assert same(load_state_dict(path))


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut off", pickle.dumps({"a": 1}), pickle.dumps([1, 2])])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_broken_files_are_named(tmp_path, content, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(CorruptModel, match=rf"w\{suffix}") as caught:
        load_state_dict(path)
    assert not re.search("weights_only|torch|magic|HeaderTooLarge", str(caught.value)), "a library's own text"


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(10_000)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CorruptModel):
        load_state_dict(path)


class Doubler(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "double.pt"
    torch.jit.script(Doubler()).save(str(path))
    return path


def test_torchscript_with_the_right_sum_runs(script, model):
    file = model("/good", filename=script.name, sha256=checksum(script), size=None)
    assert torch.equal(load_torchscript(file, script, Device("cpu"))(torch.ones(2)), torch.full((2,), 2.0))


def test_torchscript_that_the_user_placed_runs(script, model):
    file = model(filename=script.name, sha256=None, urls=(), size=None, note="put it there")
    assert load_torchscript(file, script, Device("cpu"))(torch.ones(1)).item() == 2.0


def test_torchscript_with_another_sum_is_not_even_opened(script, model, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(CorruptModel, match=r"double\.pt"):
        load_torchscript(model("/good", filename=script.name), script, Device("cpu"))


def test_broken_torchscript_is_named(tmp_path, model):
    path = tmp_path / "double.pt"
    path.write_bytes(b"no script")
    with pytest.raises(CorruptModel, match=r"double\.pt"):
        load_torchscript(model(filename=path.name, sha256=None, urls=(), size=None, note="x"), path, Device("cpu"))
