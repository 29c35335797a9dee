"""What goes along with a picture that is sent to another tab of the web UI."""

from __future__ import annotations

from clickpaint.hosts.webui.sending import of_size


def test_the_infotext_tells_the_size_of_the_whole_picture() -> None:
    text = "a cat\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 512x768, Hires Size: 9x9, Model: tiny"
    assert of_size(text, 1024, 640) == text.replace("512x768", "1024x640")
    assert of_size("", 10, 20) == ""
    assert of_size("Oversize: 1x1", 10, 20) == "Oversize: 1x1"
