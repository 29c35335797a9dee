"""The stand-alone host: where its settings come from, and where it looks for models."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from clickpaint.errors import InvalidInput
from clickpaint.hosts.base import NAMED_BY_USERS, Host
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.settings import SETTINGS


def host(folder: Path, settings: object = None, **more) -> EmbeddedHost:
    if settings is not None:
        (folder / "settings.json").write_text(settings if isinstance(settings, str) else json.dumps(settings), encoding="utf-8")
    return EmbeddedHost(folder, **{"environment": {}, **more})


def test_without_a_file_every_setting_has_its_default(tmp_path):
    made: Host = host(tmp_path)
    assert {key: made.setting(key) for key in SETTINGS} == {key: setting.default for key, setting in SETTINGS.items()}
    assert list(tmp_path.iterdir()) == []  # looking at settings makes no files and folders


def test_options_come_before_the_environment_before_the_file(tmp_path):
    stored = {"erase_grow": 1, "erase_feather": 1, "offline": True}
    made = host(
        tmp_path, stored, environment={"CLICKPAINT_ERASE_GROW": "2", "CLICKPAINT_ERASE_FEATHER": "2"}, overrides={"erase_grow": "3"}
    )
    assert [made.setting(key) for key in ("erase_grow", "erase_feather", "offline")] == [3, 2, True]


def test_a_bad_stored_value_is_logged_and_defaulted(tmp_path, caplog):
    made = host(tmp_path, {"erase_grow": -5, "precision": "quarter", "colour": "red", "offline": True})
    assert made.setting("erase_grow") == -1
    assert made.setting("precision") == "auto"
    assert made.setting("offline") is True
    assert all(word in caplog.text for word in ("erase_grow", "precision", "colour"))


@pytest.mark.parametrize("content", ["{", "[1]", '"text"', ""])
def test_a_broken_settings_file_is_logged_and_ignored(tmp_path, caplog, content):
    made = host(tmp_path, content)
    assert made.setting("erase_grow") == -1
    assert "settings.json is not used" in caplog.text


def test_a_bad_option_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidInput, match="erase_grow"):
        host(tmp_path, overrides={"erase_grow": "much"})


def test_downloads_go_to_the_projects_models_folder(tmp_path):
    assert host(tmp_path).folders("lama")[0] == tmp_path / "models" / "lama"


def test_the_first_models_folder_takes_downloads_and_all_are_searched(tmp_path):
    first, second = tmp_path / "a", tmp_path / "webui" / "models"
    folders = host(tmp_path, {"models_dir": "own"}, models_dirs=(first, second)).folders("sam")
    assert folders[0] == first / "sam"
    for expected in (second / "sam", second, tmp_path / "own" / "sam", tmp_path / "models" / "sam"):
        assert expected in folders
    assert tmp_path / "webui" / "extensions" / "sd-webui-segment-anything" / "models" / "sam" in folders
    assert len(folders) == len(set(folders))


def test_files_that_users_name_are_looked_for_in_the_folders_of_their_kind_alone(tmp_path):
    base = tmp_path / "models"
    for folder in ("Stable-diffusion", "Lora", "LyCORIS", "embeddings", "ControlNet", "VAE", "ESRGAN", "sam"):
        (base / folder).mkdir(parents=True)
    made = host(tmp_path)
    assert made.folders("Lora") == [base / "Lora", base / "LyCORIS"]
    assert made.folders("embeddings") == [base / "embeddings", tmp_path / "embeddings"]  # A1111's lie beside its models
    assert made.folders("ControlNet") == [base / "ControlNet", tmp_path / "extensions" / "sd-webui-controlnet" / "models"]
    assert made.folders("VAE") == [base / "VAE"]
    assert made.folders("Stable-diffusion") == [base / "Stable-diffusion"]
    assert not any(base in made.folders(kind) for kind in NAMED_BY_USERS)


@pytest.mark.parametrize("given", ["models", "."])
def test_a_web_uis_root_will_do_as_well_as_its_models(tmp_path, given):
    root = tmp_path / "stable-diffusion-webui"
    for folder in ("models/Stable-diffusion", "models/Lora", "embeddings", "extensions"):
        (root / folder).mkdir(parents=True)
    made = host(tmp_path / "data", models_dirs=(root / given,))
    assert made.folders("Lora")[0] == root / "models" / "Lora"
    assert root / "embeddings" in made.folders("embeddings")
    assert root / "models" / "sam" == made.folders("sam")[0]  # where downloads go


_FOLDERS = "checkpoints", "vae", "LORAS", "hypernetwork", "embeddings", "controlnet", "text_encoders", "tokenizer"


def test_other_programs_folders_and_capitals_are_known(tmp_path):
    base = tmp_path / "ComfyUI" / "models"
    for folder in _FOLDERS:
        (base / folder).mkdir(parents=True)
    made = host(tmp_path / "data", models_dirs=(base,))
    for kind, folder in zip(NAMED_BY_USERS, _FOLDERS, strict=True):
        assert base / folder in made.folders(kind)


def test_a_vae_is_meant_by_its_path_or_by_its_name(tmp_path):
    file = tmp_path / "models" / "VAE" / "kl-f8.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    for chosen in (str(file), "models/VAE/kl-f8.safetensors", "kl-f8", "KL-F8.safetensors"):
        assert host(tmp_path, overrides={"vae": chosen}).checkpoints.vae == file


def test_what_lama_cleaner_downloaded_is_found(tmp_path):
    assert tmp_path / "t" / "hub" / "checkpoints" in host(tmp_path, environment={"TORCH_HOME": str(tmp_path / "t")}).folders("lama")


def test_the_output_folder_is_in_the_data_folder_unless_chosen(tmp_path):
    assert host(tmp_path).output_folder() == tmp_path / "outputs"
    assert host(tmp_path, overrides={"output_dir": str(tmp_path / "elsewhere")}).output_folder() == tmp_path / "elsewhere"


def test_the_device_is_the_chosen_one(tmp_path):
    made = host(tmp_path, overrides={"device": "cpu", "precision": "full"})
    assert (made.device().type, made.device().dtype) == ("cpu", "float32")


def test_only_one_works_at_a_time(tmp_path):
    made, order = host(tmp_path), []

    def second():
        with made.exclusive():
            order.append("second")

    with made.exclusive():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_in_whichever_unicode_an_editor_wrote(tmp_path, encoding):
    (tmp_path / "settings.json").write_bytes(json.dumps({"erase_grow": 3, "checkpoint": "mödel"}, ensure_ascii=False).encode(encoding))
    made = EmbeddedHost(tmp_path, environment={})
    assert (made.setting("erase_grow"), made.setting("checkpoint")) == (3, "mödel")


@pytest.mark.parametrize(
    "content", [b"\xff", b"\xff\xfe{", b"[" * 100_000, b'{"erase_grow": [1], "device": {}, "offline": []}', b'{"erase_grow": 1e999}']
)
def test_no_settings_file_stops_the_start(tmp_path, caplog, content):
    (tmp_path / "settings.json").write_bytes(content)
    made = EmbeddedHost(tmp_path, environment={})
    assert {key: made.setting(key) for key in SETTINGS} == {key: setting.default for key, setting in SETTINGS.items()}
    assert caplog.text


def test_a_settings_file_that_is_a_folder_or_may_not_be_read(tmp_path, caplog, monkeypatch):
    (tmp_path / "settings.json").mkdir()
    assert EmbeddedHost(tmp_path, environment={}).setting("erase_grow") == -1
    assert "settings.json cannot be read" in caplog.text


def test_the_control_nets_are_named_as_in_a_web_ui(tmp_path):
    for place in ("control_canny.safetensors", "a/diffusion_pytorch_model.safetensors", "b/diffusion_pytorch_model.safetensors"):
        file = tmp_path / "models" / "ControlNet" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(place.encode() * 100_000)
    (tmp_path / "models" / "Lora").mkdir()
    (tmp_path / "models" / "Lora" / "shine.safetensors").write_bytes(b"x")
    preprocessors, models = host(tmp_path).control_names()
    assert preprocessors == [] and len(models) == len(set(models)) == 3
    data = b"control_canny.safetensors" * 100_000
    assert f"control_canny [{hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]}]" in models
    assert {name.partition(" [")[0] for name in models} == {"control_canny", "a/diffusion_pytorch_model", "b/diffusion_pytorch_model"}


@pytest.mark.parametrize("closed", ["models", "models/Stable-diffusion", "models/Stable-diffusion/a.safetensors"])
def test_a_closed_folder_of_models_stops_no_start(tmp_path, monkeypatch, closed):
    """As the operating system answers a user without permission; root, as whom tests may run, is never refused."""
    file = tmp_path / "models" / "Stable-diffusion" / "a.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")

    looks_inside, hidden = ("open", "scandir", "listdir"), tmp_path / closed

    def guarded(method):
        def call(path, *arguments, **options):
            if hidden in Path(path).parents or (method.__name__ in looks_inside and Path(path) == hidden):
                raise PermissionError(13, "Permission denied", str(path))
            return method(path, *arguments, **options)

        return call

    for name in ("stat", "is_file", "is_dir", "exists", "open", "iterdir"):
        monkeypatch.setattr(Path, name, guarded(getattr(Path, name)))
    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    made = host(tmp_path)
    assert made.capabilities().reason and not made.capabilities().paint
    assert made.folders("sam") and made.control_names() == ([], [])
