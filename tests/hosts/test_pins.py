"""What `install.py` brings into a web UI is what the stand-alone program is tested with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clickpaint.hosts.webui.setup import PACKAGES

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
OTHERS = {"diffusers": "A1111's transformers goes with none newer"}
"""Packages whose version in a web UI differs, and why."""


def pinned() -> set[str]:
    return {pin.replace("_", "-").lower() for pin in re.findall(r'"([A-Za-z0-9_.-]+==[^";]+)', PROJECT.read_text("utf-8"))}


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_of_the_web_ui_has_the_projects_pin(name):
    requirement = PACKAGES[name].replace("_", "-").lower()
    assert requirement.startswith(f"{name}==")
    assert (requirement in pinned()) != (name in OTHERS)
    assert any(pin.startswith(f"{name}==") for pin in pinned())
