"""Every setting, declared once and typed; hosts store the values, everybody reads them through `Host.setting(key)`."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

from clickpaint.errors import InvalidInput

log = logging.getLogger(__name__)

MEGAPIXEL = 1_000_000
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Setting:
    """One setting: its type is its default's.

    Attributes:
        key: its name in files, the environment (CLICKPAINT_KEY) and code.
        default: its value where nothing else is set.
        label: for people.
        help: what else they should know.
        choices: allowed values, if only some are.
        minimum, maximum: inclusive, for numbers.
        private: for paths, addresses and keys, which no API of a web UI may read or set, and ours only for the one user of this machine.
        secret: is never told to anybody, only whether there is one.
        alone: means nothing in a web UI, which has something of its own in its place.
        restart: acts when the program is started again.
    """

    key: str
    default: bool | int | float | str
    label: str
    help: str = ""
    choices: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    private: bool = False
    secret: bool = False
    alone: bool = False
    restart: bool = False

    def parsed(self, value: Any) -> Any:
        """`value` as this setting's type, or `InvalidInput` that names the setting and what it takes."""
        kind = type(self.default)
        try:
            if kind is bool:
                if not isinstance(value, (bool, int)) and str(value).lower() not in ("true", "false", "0", "1"):
                    raise ValueError(value)
                parsed: Any = str(value).lower() in ("true", "1")
            elif not isinstance(value, (str, int, float)) or (kind is not str and isinstance(value, bool)):
                raise ValueError(value)  # JSON's null, lists and objects, which str() would make text of
            else:
                parsed = kind(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(
                "The setting {key} cannot be {value!r}.", "It takes a value of type {kind}.", key=self.key, value=value, kind=kind.__name__
            ) from error
        if self.choices is not None and parsed not in self.choices:
            raise InvalidInput(
                "The setting {key} cannot be {value!r}.",
                "Choose one of {choices}.",
                key=self.key,
                value=value,
                choices=", ".join(self.choices),
            )
        lowest = -math.inf if self.minimum is None else self.minimum
        highest = math.inf if self.maximum is None else self.maximum
        if not isinstance(parsed, str) and (parsed < lowest or parsed > highest):
            raise InvalidInput(
                "The setting {key} cannot be {value!r}.",
                "It goes from {minimum:g} to {maximum:g}.",
                key=self.key,
                value=value,
                minimum=self.minimum,
                maximum=self.maximum,
            )
        return parsed


_ALL = (
    Setting("segmenter", "auto", "Segmenter", "auto: the best one whose file is here, otherwise the one that needs no file."),
    Setting("eraser", "auto", "Eraser", "auto: LaMa if its file is here, otherwise one that needs no file."),
    Setting("erase_grow", -1, "Grow before erasing (px)", "Takes the object's edge along. -1: what fits the picture, 8 for a megapixel.",
            minimum=-1, maximum=256),
    Setting("erase_feather", -1, "Feather (px)", "Width of the band in which the result fades into the picture. -1: what fits it.",
            minimum=-1, maximum=128),
    Setting("erase_grain", 1.0, "Grain of what is filled", "Of erasers that copy patches: 0 leaves the structure alone, 1 is as much grain "
            "as around it.", minimum=0, maximum=1),
    Setting("max_megapixels", 64, "Largest picture (megapixels)", minimum=1, maximum=1000),
    Setting("max_upload_mb", 256, "Largest file (MB)", minimum=1, maximum=4096),
    Setting("device", "auto", "Device", "auto, cpu, cuda, cuda:1, mps, xpu …; auto takes what the host uses, or the fastest found.",
            restart=True),
    Setting("precision", "auto", "Precision", "auto: half where the device is faster with it and the result stays right.",
            choices=("auto", "full", "half"), restart=True),
    Setting("models_budget_mb", 0, "Memory for loaded models (MB)", "0: half of the device's free memory.", minimum=0, maximum=1 << 20),
    Setting("embeddings_budget_mb", 512, "Memory for encoded pictures (MB)", minimum=0, maximum=1 << 20),
    Setting("video_budget_mb", 512, "Memory for a clip under way (MB)", "Whatever its length: frames and motions beyond it are read again.",
            minimum=64, maximum=1 << 20),
    Setting("max_video_mb", 4096, "Largest clip (MB)", minimum=1, maximum=1 << 20),
    Setting("max_video_frames", 36_000, "Longest clip (frames)", minimum=1, maximum=10_000_000),
    Setting("keep_videos_days", 14, "Keep opened clips and their results on the disk for (days)", "Counted from the last change. 0: only "
            "until they are unused for as long as pictures may be, or the program ends.", minimum=0, maximum=3650),
    Setting("keep_videos_mb", 16_384, "Disk for opened clips and their results (MB)", "The oldest go first.", minimum=16, maximum=1 << 24),
    Setting("max_workspaces", 32, "Open pictures at most", "Over all users; the one unused longest is closed.", minimum=1, maximum=4096),
    Setting("workspaces_budget_mb", 4096, "Memory for open pictures (MB)", minimum=64, maximum=1 << 20),
    Setting("workspace_minutes", 240, "Close unused pictures after (minutes)", "Those that are kept on the disk open again by themselves.",
            minimum=1, maximum=100_000),
    Setting("keep_workspaces_days", 14, "Keep opened pictures and their results on the disk for (days)", "So that a restart or a crash "
            "loses nothing; counted from the last change. 0: keep none.", minimum=0, maximum=3650),
    Setting("keep_workspaces_mb", 4096, "Disk for opened pictures and their results (MB)", "The oldest go first. 0: keep none.",
            minimum=0, maximum=1 << 22),
    Setting("download_mirror", "", "Download mirror", "Put before every address of the catalog.", private=True),
    Setting("offline", False, "Never download"),
    Setting("models_dir", "", "Folder for downloaded models", "Empty: the usual ones.", private=True),
    Setting("output_dir", "", "Folder for saved pictures and painted results", "Empty: the usual one.", private=True),
    Setting("checkpoint", "", "Checkpoint", "Name or path. Empty: the first one found.", private=True, alone=True),
    Setting("vae", "", "VAE", "Path of a VAE for every checkpoint. Empty: each one's own.", private=True, alone=True),
    Setting("captioner", "auto", "Captioner", "auto: the best one whose files are here."),
    Setting("text_model_url", "", "Address of a text model", "Speaks OpenAI's chat protocol (Ollama, LM Studio, llama.cpp, vLLM …), for "
            "example http://127.0.0.1:11434/v1. Empty: none; captions, questions and, if it sees, regions go to this address only.",
            private=True),
    Setting("text_model_key", "", "Its key", "Empty where it needs none.", private=True, secret=True),
    Setting("text_model_name", "", "Its name there", "For example qwen3:4b.", private=True),
    Setting("text_model_sees", False, "It takes pictures", "Questions about a region then go there with the region.", private=True),
    Setting("text_model_seconds", 60, "Give it up after (seconds of silence)", minimum=1, maximum=3600, private=True),
    Setting("language", "auto", "Language", choices=("auto", "en", "zh_CN")),
    Setting("theme", "auto", "Theme", "auto: as the system has it.", choices=("auto", "light", "dark"), alone=True),
)  # fmt: skip

SETTINGS: dict[str, Setting] = {setting.key: setting for setting in _ALL}


GROUPS: dict[str, tuple[str, ...]] = {
    "Appearance": ("language", "theme"),
    "Folders": ("models_dir", "output_dir"),
    "Selecting and removing": ("segmenter", "eraser", "erase_grow", "erase_feather", "erase_grain"),
    "Painting": ("checkpoint", "vae"),
    "Describing": ("captioner", "text_model_url", "text_model_key", "text_model_name", "text_model_sees", "text_model_seconds"),
    "Downloads": ("offline", "download_mirror"),
    "Memory and disk": (
        "max_workspaces", "workspaces_budget_mb", "workspace_minutes", "keep_workspaces_days", "keep_workspaces_mb", "models_budget_mb",
        "embeddings_budget_mb", "video_budget_mb", "keep_videos_days", "keep_videos_mb",
    ),
    "Limits": ("max_megapixels", "max_upload_mb", "max_video_mb", "max_video_frames"),
    "Computing": ("device", "precision"),
}  # fmt: skip
"""Every setting's place where people change them, in this order."""


def usable(key: str, stored: Any) -> Any:
    """The stored value if it can be used, otherwise the default (and a line in the log): a bad file must not stop the program."""
    setting = SETTINGS[key]
    if stored is None:
        return setting.default
    try:
        return setting.parsed(stored)
    except InvalidInput as error:
        log.warning("%s Using %r.", error, setting.default)
        return setting.default
