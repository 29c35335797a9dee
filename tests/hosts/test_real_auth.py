"""A real A1111 and a real Forge with passwords for the API and no login for the page: whoever is shown the page may use our tab.

Set CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR to installations to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.hosts.page import HostVisit, png
from tests.hosts.real import FOLDERS, RealHost, picture

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]
BASIC = {"Authorization": "Basic " + base64.b64encode(b"joe:pass").decode()}


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, tmp_path_factory):
    running = RealHost(request.param, tmp_path_factory.mktemp(request.param), "--api", "--api-auth", "joe:pass")
    yield running
    running.stop()


def challenge(host: RealHost, **headers: str) -> tuple[int, str | None]:
    """Status and WWW-Authenticate of a request to our API."""
    try:
        with urllib.request.urlopen(urllib.request.Request(host.address + "/clickpaint/v1/models", headers=headers), timeout=60) as answer:
            return answer.status, answer.headers.get("WWW-Authenticate")
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate")


def test_api_clients_are_asked_and_the_page_is_not(host):
    status, asked = challenge(host)
    assert status == 401 and asked is not None and asked.startswith("Basic")
    assert challenge(host, **BASIC) == (200, None)
    assert challenge(host, **{"X-Clickpaint-Page": "page"}) == (401, None)


def test_the_tab_works_for_whoever_is_shown_the_page(host, browser):
    visit = HostVisit(host, browser)
    refused: list[str] = []
    visit.page.on("response", lambda answer: refused.append(answer.url) if answer.status == 401 else None)
    try:
        assert visit.early == []
        visit.turn_to("Clickpaint")
        visit.page.wait_for_function(
            "() => [...document.querySelectorAll('.cp-sample img')].length && [...document.querySelectorAll('.cp-sample img')].every("
            "(image) => image.naturalWidth > 0)"
        )
        visit.open(png(picture(128)))
        visit.click(48, 48)
        assert visit.area > 0
        visit.page.locator("#clickpaint_remove").click()
        assert visit.version(1)[40:56, 40:56, 0].mean() < 190
        with visit.page.expect_download() as download:
            visit.page.locator("#clickpaint_save").click()
        assert download.value.suggested_filename.endswith(".png")
        assert refused == []
    finally:
        visit.close()


def test_a_touch_up_that_does_not_exist_is_told_before_anything_is_generated(host):
    body = {"steps": 1, "width": 64, "height": 64, "alwayson_scripts": {"Clickpaint": {"args": [{"task": "erase"}]}}}
    for address in ("txt2img", "img2img"):
        status, content = host.request("POST", f"/sdapi/v1/{address}", body, **BASIC)
        assert status == 422 and "remove, fill, replace" in content["detail"], content
        assert host.request("POST", f"/sdapi/v1/{address}", body)[0] == 401
    body["alwayson_scripts"]["Clickpaint"]["args"] = [{"task": "remove", "eraser": "opencv_telea", "box": "8,8,24,24"}]
    status, content = host.request("POST", "/sdapi/v1/txt2img", body, **BASIC)
    assert status == 200 and np.size(content["images"]) == 1
