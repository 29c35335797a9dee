"""What is installed, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint import __version__
from clickpaint.errors import ClickpaintError

if TYPE_CHECKING:
    from clickpaint.hosts.base import Host
    from clickpaint.studio.model_pool import Listing

_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "cv2": "opencv-contrib-python-headless",
    "scipy": "scipy",
    "segment_anything": "segment-anything",
    "segment_anything_hq": "segment-anything-hq",
    "mobile_sam": "mobilesam-mirror",
    "timm": "timm",
    "transformers": "transformers",
    "diffusers": "diffusers",
    "lama_cleaner": "lama-cleaner",
    "onnxruntime": "onnxruntime",
    "rapidocr": "rapidocr",
    "av": "av",
    "gradio": "gradio",
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
}
"""Import name: what it is called in the registry."""

_NEEDED = ("cv2", "scipy")
"""Without these nothing works; without the others some segmenters, some erasers, or the page."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        state: "ok", "note" (something optional is missing) or "bad".
        what: the sentence.
        remedy: what to do; "" for nothing.
    """

    state: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    sections: tuple[tuple[str, tuple[Finding, ...]], ...]

    @property
    def healthy(self) -> bool:
        return all(finding.state != "bad" for _, findings in self.sections for finding in findings)

    def text(self) -> str:
        marks = {"ok": "ok  ", "note": "--  ", "bad": "BAD "}
        lines = []
        for title, findings in self.sections:
            lines.append(f"{title}:")
            lines += [f"  {marks[finding.state]}{finding.what}" for finding in findings]
        todo = dict.fromkeys(finding.remedy for _, findings in self.sections for finding in findings if finding.remedy)
        lines.append("What to do:" if todo else "Nothing is missing.")
        lines += [f"  - {remedy}" for remedy in todo]
        return "\n".join(lines)


def examine(host: Host) -> Report:
    """Look at everything. Whatever is broken becomes a line of the report and not an error."""
    return Report((
        ("Program", (Finding("ok", f"Clickpaint {__version__}, Python {platform.python_version()}, {platform.platform()}"),)),
        ("Packages", _packages()),
        ("Device", (_torch(host), _torchvision())),
        ("Folders", tuple(_folder(what, folder) for what, folder in _folders(host).items())),
        *_engines(host),
    ))  # fmt: skip


def _packages() -> tuple[Finding, ...]:
    owners = importlib.metadata.packages_distributions()
    findings = []
    for name, package in _PACKAGES.items():
        if importlib.util.find_spec(name) is None:
            state = "bad" if name in _NEEDED else "note"
            findings.append(Finding(state, f"{package} is not installed", "Run `python install.py run`, which installs what is missing."))
        else:
            versions = [importlib.metadata.version(owner) for owner in owners.get(name, ())]
            findings.append(Finding("ok", " ".join([package, *versions[:1]])))
    return tuple(findings)


def _torch(host: Host) -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("note", "without torch only the classic segmenter and erasers work", "Run `python install.py run`.")
    try:
        device = host.device()
        return Finding("ok", f"computing on {device.type} in {device.dtype}")
    except ClickpaintError as error:
        return Finding("bad", error.message, error.remedy)
    except Exception as error:
        return Finding("bad", f"torch cannot be used: {error}", "Reinstall torch and torchvision together, from the same index.")


def _torchvision() -> Finding:
    from clickpaint.compat.torchvision import available

    reason = None if importlib.util.find_spec("torch") is None else available()
    return Finding("ok", "torchvision works") if reason is None else Finding("note", reason)


def _folders(host: Host) -> dict[str, Path]:
    from clickpaint.weights.catalog import catalog

    kinds = dict.fromkeys(file.kind for file in catalog().values())
    return {**{f"{kind} models": host.folders(kind)[0] for kind in kinds}, "results": host.output_folder()}


def _folder(what: str, folder: Path) -> Finding:
    closed = unwritable(folder)
    if closed is not None:
        return Finding("bad", f"{what}: {folder} cannot be written", f"Make {closed} writable, or choose another folder.")
    return Finding("ok", f"{what}: {folder}")


def unwritable(folder: Path) -> Path | None:
    """The folder whose permissions keep this one from being made or written; None where it can be."""
    existing = next((path for path in (folder, *folder.parents) if _is_there(path)), folder)
    return None if os.access(existing, os.W_OK | os.X_OK) else existing


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:  # inside of a closed folder nothing is seen
        return path.parent == path
    return True


def _engines(host: Host) -> list[tuple[str, tuple[Finding, ...]]]:
    from clickpaint.studio.model_pool import ModelPool
    from clickpaint.weights.catalog import files_of
    from clickpaint.weights.recommended import COMMAND, megabytes

    pool = ModelPool(host)
    first = pool.recommended()
    advice = f"`{COMMAND}` brings {' and '.join(files_of(name)[0].title for name in first)}, {megabytes(first)} MB." if first else ""
    return [
        (heading, _listed(listings, first, advice))
        for heading, listings in (
            ("Segmenters", pool.segmenters()), ("Erasers", pool.erasers()), ("Trackers", pool.trackers()),
            ("Video erasers", pool.video_erasers()),
        )
    ]  # fmt: skip


def _listed(listings: list[Listing], first: tuple[str, ...], advice: str) -> tuple[Finding, ...]:
    """One line each; the advice at those that it brings."""
    return tuple(
        Finding("ok", listing.title)
        if listing.available
        else Finding("note", f"{listing.title}: {listing.reason}", advice if listing.model in first else "")
        for listing in listings
    )
