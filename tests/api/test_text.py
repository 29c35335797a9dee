"""Text in a picture, over HTTP: all of it, one line of it, none."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from clickpaint.api import caption_schemas as schemas
from clickpaint.caption import ocr
from tests.toys.studio import array_of, file_of
from tests.toys.text import LEVEL, sign

pytest.importorskip("rapidocr")


def mask_of(data_url: str) -> np.ndarray:
    return array_of(base64.b64decode(data_url.partition(",")[2])) > 0


def test_all_text_is_selected_then_one_line(client: Any) -> None:
    opened = client.post("workspaces", files={"file": ("sign.png", file_of(sign()), "image/png")}).json()
    answer = client.post(f"workspaces/{opened['id']}/text").json()
    schemas.TextAnswer(**answer)
    assert [line["text"] for line in answer["lines"]] == ["KEEP OUT 7", "slanted"] and answer["label"] == "Text"
    written = (np.abs(sign().astype(int) - sign()[0, 0]).max(axis=2) > 60).sum()
    assert answer["selection"]["area"] > written
    picked = client.post(f"workspaces/{opened['id']}/mask", json={"operations": [{"op": "region", "index": 0, "mode": "replace"}]}).json()
    assert picked["selection"]["box"] == answer["lines"][0]["box"]
    left, top, right, bottom = picked["selection"]["box"]
    assert left <= LEVEL[0] and top <= LEVEL[1] and right >= LEVEL[2] and bottom >= LEVEL[3] and bottom < 120, "the other line is not in it"
    assert client.post(f"workspaces/{opened['id']}/undo").json()["selection"]["area"] == answer["selection"]["area"]


def test_a_picture_alone_and_one_without_text(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(pixels: np.ndarray) -> Any:
        return client.post("text", json={"image": base64.b64encode(file_of(pixels)).decode()})

    answer = ask(sign()).json()
    schemas.TextMaskAnswer(**answer)
    dark = sign().max(axis=2) < 60
    assert dark.sum() > 500
    assert mask_of(answer["mask"])[dark].all(), "every stroke of the black line is in the mask"
    assert mask_of(answer["mask"]).mean() < 0.35
    none = ask(np.full((40, 60, 3), 128, np.uint8))
    assert (none.status_code, none.json()["message"]) == (400, "No text was found in this picture.")
    monkeypatch.setattr(ocr, "installed", lambda package: package not in ("pyclipper", "easyocr"))
    missing = ask(sign()).json()
    assert "pyclipper is not installed" in missing["message"] and "installs what is missing" in missing["remedy"]
