"""Which segmenters there are, and what is said of those that cannot run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clickpaint.errors import ModelMissing, NotFound
from clickpaint.segment import registry
from clickpaint.segment.base import Segmenter
from clickpaint.weights.catalog import catalog
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store
from tests.segment import toys

ROOT = Path(__file__).resolve().parents[2]


def test_every_segmenter_of_the_catalog_is_registered_and_the_other_way_round() -> None:
    files = {name: file for name, file in catalog().items() if file.role == "segmenter"}
    registered = {info.name: info for info in registry.SEGMENTERS.values() if info.model is not None}
    assert set(registered) == set(files)
    for name, info in registered.items():
        assert info.model == name
        assert info.family == files[name].family
    assert registry.SEGMENTERS["classic"].model is None


def test_auto_ends_with_the_one_that_needs_no_file() -> None:
    assert set(registry.order) == set(registry.SEGMENTERS)
    assert registry.order[-1] == "classic"


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        registry._registered(("sam_vit_b", "A", "sam"), ("sam_vit_b", "B", "sam"))


@pytest.mark.parametrize("name", list(registry.SEGMENTERS))
def test_each_is_made_without_a_file(name: str) -> None:
    reason = registry.unavailable(name)
    if reason is not None:
        pytest.skip(reason)
    cache = toys.cache()
    segmenter: Segmenter = registry.create(name, Store(lambda kind: [ROOT / "nowhere"]), Device(), cache)
    assert segmenter.name == name
    assert cache.contents() == []
    if registry.SEGMENTERS[name].model is not None:
        with pytest.raises(ModelMissing) as caught:
            segmenter.encode(toys.photo(8, 8))
        assert caught.value.data["model"] == name
        assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "absent", "word"),
    [
        ("sam_vit_b", "segment_anything", "segment-anything is not installed"),
        ("mobile_sam", "timm", "timm is not installed"),
        ("sam_hq_vit_tiny", "segment_anything_hq", "segment-anything-hq is not installed"),
        ("sam2.1_hiera_tiny", "transformers", "transformers is not installed"),
        ("sam_vit_h", "torch", "torch is not installed"),
        ("classic", "cv2", "opencv-contrib-python-headless is not installed"),
    ],
)
def test_what_is_missing_is_named(name: str, absent: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def without(module: str, package: str | None = None) -> Any:
        return None if module == absent else find_spec(module, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert word in str(registry.unavailable(name))
    with pytest.raises(ModelMissing, match=word):
        registry.create(name, Store(lambda kind: [ROOT / "nowhere"]), Device(), toys.cache())


def test_an_old_transformers_has_no_sam2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "transformers" / "models" / "sam").mkdir(parents=True)
    (tmp_path / "transformers" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    assert "too old" in str(registry.unavailable("sam2.1_hiera_tiny"))


def test_an_unknown_name() -> None:
    with pytest.raises(NotFound, match="sam_vit_x"):
        registry.create("sam_vit_x", Store(lambda kind: [ROOT]), Device(), toys.cache())


def test_listing_imports_nothing_heavy() -> None:
    code = """
import sys
from clickpaint.segment import registry, neural_segmenter, sam, sam2, everything
[registry.unavailable(name) for name in registry.SEGMENTERS]
heavy = {"torch", "torchvision", "transformers", "segment_anything", "segment_anything_hq", "mobile_sam", "timm", "cv2"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "extension", capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
