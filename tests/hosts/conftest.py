"""A web UI for every test here that asks for one."""

from __future__ import annotations

import pytest

from tests.hosts.standin import FLAVORS, web_ui


@pytest.fixture(params=FLAVORS)
def web(request):
    """The stand-in of each web UI in turn."""
    with web_ui(request.param) as standin:
        yield standin
