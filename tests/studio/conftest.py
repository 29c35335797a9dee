"""The studio that most tests of this room work on; some bring their own."""

from __future__ import annotations

import pytest

from tests.toys.studio import toy_studio


@pytest.fixture
def studio(tmp_path):
    studio = toy_studio(tmp_path)
    yield studio
    studio.shut_down()
