"""The catalog that is shipped, and what a catalog may not say."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from clickpaint.errors import NotFound
from clickpaint.weights.catalog import CATALOG, catalog, files_of, models, parse

PROMISED = (
    "sam_vit_b", "sam_vit_l", "sam_vit_h", "mobile_sam", "sam_hq_vit_b", "sam_hq_vit_l", "sam_hq_vit_h", "sam_hq_vit_tiny",
    "sam2.1_hiera_tiny", "sam2.1_hiera_small", "sam2.1_hiera_base_plus", "sam2.1_hiera_large",
    "lama", "anime_lama", "migan", "mat", "fcf", "zits", "ldm", "manga",
)  # fmt: skip


def entry(**changes):
    file = {
        "name": "toy", "title": "Toy", "role": "eraser", "family": "lama", "kind": "lama", "filename": "toy.pt", "licence": "MIT",
        "source": "https://example.org", "urls": ["https://example.org/toy.pt"], "sha256": "0" * 64,
    }  # fmt: skip
    return {**file, **changes}


def test_everything_promised_is_there():
    assert {file.part_of for file in catalog().values() if file.role in ("segmenter", "eraser")} == set(PROMISED)
    assert {"sd15", "sd15_inpainting", "sdxl"} <= set(models())


def test_models_of_several_files():
    assert [len(files_of(name)) for name in ("zits", "ldm", "manga", "lama")] == [4, 3, 2, 1]
    assert files_of("zits_inpaint")[0].part_of == "zits"
    assert files_of("lama")[0].part_of == "lama"


def test_every_entry_is_complete():
    for file in catalog().values():
        assert file.role in ("segmenter", "eraser", "checkpoint", "preprocessor", "captioner", "tracker", "adapter", "system"), file.name
        assert re.fullmatch(r"[A-Za-z][A-Za-z_-]*", file.kind), file.name
        assert file.licence, file.name
        assert file.source.startswith("https://"), file.name
        assert file.checksum is not None or not file.urls, file.name


def test_the_checksums_agree_with_what_is_known(shared):
    """The facts beside the checkout were confirmed on their own."""
    facts = (shared("facts") / "weights.md").read_text()
    compared = 0
    for file in catalog().values():
        row = next((line for line in facts.splitlines() if line.startswith(f"| {file.filename} |")), None)
        if row is not None:
            _, _, size, sha256, *_ = (cell.strip() for cell in row.split("|"))
            assert file.sha256 == sha256
            assert not size or file.bytes == int(size)
            compared += 1
        if file.md5 is not None and file.filename in facts:
            assert file.md5 in facts or file.sha256 in facts
    assert compared >= 6


def test_the_catalog_keeps_to_confirmed_names_and_no_two_files_collide():
    seen = [(file.kind, name.lower()) for file in catalog().values() for name in file.filenames]
    assert len(seen) == len(set(seen))
    assert CATALOG.name == "catalog.json"


def test_an_unknown_model_is_named_with_the_known_ones():
    with pytest.raises(NotFound, match=r"sam3.*mobile_sam"):
        files_of("sam3")


def test_duplicate_names_are_refused():
    with pytest.raises(ValueError, match="twice"):
        parse({"files": [entry(), entry(filename="other.pt")]})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filename": "../toy.pt"}, "plain file name"),
        ({"filename": "a/toy.pt"}, "plain file name"),
        ({"aliases": [".hidden"]}, "plain file name"),
        ({"urls": ["http://example.org/toy.pt"]}, "https"),
        ({"sha256": "123"}, "not a sha256"),
        ({"sha256": "A" * 64}, "not a sha256"),
        ({"sha256": None}, "no checksum"),
        ({"urls": [], "sha256": None}, "where it comes from"),
    ],
)
def test_what_a_catalog_may_not_say(changes, said):
    with pytest.raises(ValueError, match=said):
        parse({"files": [entry(**changes)]})


def test_sha256_before_md5():
    both = parse({"files": [entry(md5="1" * 32)]})["toy"]
    assert both.checksum == ("sha256", "0" * 64)
    one = parse({"files": [entry(md5="1" * 32, sha256=None)]})["toy"]
    assert one.checksum == ("md5", "1" * 32)
    assert asdict(one)["urls"] == ("https://example.org/toy.pt",)
