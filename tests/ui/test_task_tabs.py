"""The side column on a host that paints, and on one that does not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.studio.studio import Studio
from tests.toys.studio import ToyHost, toy_studio

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("gradio")


class RichHost(ToyHost):
    """Offers all that the page can show."""

    def capabilities(self) -> Any:
        offered = {"samplers": ("Euler",), "schedulers": ("Automatic", "Karras"), "styles": ("Photo",), "controlnet": True}
        return replace(super().capabilities(), **offered)


@pytest.fixture
def rich(tmp_path: Path) -> Studio:
    host = RichHost(tmp_path)
    host.can_paint = True
    return Studio(host)


def build(studio: Studio, **options: Any) -> dict[str, Any]:
    """The configuration of every element of the page by its id."""
    from clickpaint.ui import tab

    page: Any = tab.build(studio, **options)
    configs = {block.elem_id: block.get_config() for block in page.blocks.values() if block.elem_id}
    return {**configs, "": page.config}


SENT = re.compile(r"\(\.\.\.values\) => window\.clickpaint \? window\.clickpaint\.send\((\{.*\}), values\) : \[.*\]")
"""The code that sends a message, always the same but for its data."""


def messages(page: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What is sent to the canvas: (the message, the handler that sends it)."""
    handlers = [(SENT.fullmatch(str(handler["js"])), handler) for handler in page[""]["dependencies"]]
    return [(json.loads(match[1]), handler) for match, handler in handlers if match]


def begun(page: dict[str, Any], task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The message that begins a task, and its handler."""
    return next((message, handler) for message, handler in messages(page) if message["do"] == "begin" and message["task"] == task)


def test_without_a_checkpoint_there_is_only_remove(tmp_path: Path) -> None:
    page = build(toy_studio(tmp_path))
    assert not [
        name for name in page if name.startswith(("clickpaint_fill", "clickpaint_tab", "clickpaint_sampling", "clickpaint_control"))
    ]
    assert "Stable Diffusion" not in json.dumps(page["clickpaint_eraser"]["choices"])
    assert [message["task"] for message, _ in messages(page) if message["do"] == "begin"] == ["remove"]


def test_a_host_that_paints_has_a_tab_for_each_task(rich: Studio) -> None:
    page = build(rich)
    for task in ("remove", "fill", "replace", "expand", "instruct", "edit"):
        assert f"clickpaint_tab_{task}" in page and page[f"clickpaint_{task}"]["variant"] == "primary"
        assert {"do": "tab", "task": task} in [message for message, _ in messages(page)]
    assert "Stable Diffusion" in json.dumps(page["clickpaint_eraser"]["choices"])
    schedulers = [choice[0] for choice in page["clickpaint_scheduler"]["choices"]]
    assert schedulers == ["Automatic", "Karras"], "the web UI's own Automatic stands there once"
    assert "Photo" in json.dumps(page["clickpaint_styles"]["choices"])
    assert "clickpaint_controlnet" in page


def test_what_the_host_lacks_is_not_shown(tmp_path: Path) -> None:
    studio = toy_studio(tmp_path)
    studio.toy.can_paint = True
    page = build(studio)
    assert "clickpaint_sampler" in page
    assert not {"clickpaint_scheduler", "clickpaint_styles"} & set(page)
    assert "Web UI" in json.dumps(page["clickpaint_engine"]["choices"])
    assert "clickpaint-checkpoint" not in json.dumps(page[""], default=str)


def test_without_a_web_ui_the_checkpoint_is_chosen_in_the_page_even_before_there_is_one(tmp_path: Path) -> None:
    page = build(Studio(EmbeddedHost(tmp_path, environment={})))
    assert "clickpaint_tab_fill" in page
    assert "<clickpaint-checkpoint>" in json.dumps(page[""], default=str)
    assert "Web UI" not in json.dumps(page["clickpaint_engine"]["choices"])


def test_every_value_goes_to_the_canvas_under_the_name_that_the_api_has(rich: Studio) -> None:
    from clickpaint.api.painting_schemas import PaintBody

    known = set(getattr(PaintBody, "model_fields", None) or PaintBody.__fields__) | {"second_pass", "left", "top", "right", "bottom"}
    page = build(rich)
    for task in ("fill", "replace", "expand", "instruct", "remove"):
        message, handler = begun(page, task)
        ids = [*message.get("options", {}).values(), *message["widgets"].values()]
        assert all(id in page for id in ids), "the page is read by these ids"
        assert len(handler["inputs"]) == len(ids)
        assert set(message["widgets"]) <= known, set(message["widgets"]) - known
        assert {"steps", "sampler", "seed", "masked_content"} <= set(message["widgets"])


def test_what_was_added_to_a_picture_is_given_back_as_nothing(rich: Studio) -> None:
    page = build(rich)
    message, handler = begun(page, "expand")
    assert message["used"] == ["left", "top", "right", "bottom"] and len(handler["outputs"]) == 4
    assert begun(page, "fill")[0]["used"] == [] and begun(page, "fill")[1]["outputs"] == []


def test_the_engines_of_the_lists_go_to_the_canvas_by_their_names(rich: Studio) -> None:
    message, _ = begun(build(rich), "remove")
    assert list(message["options"]) == ["eraser", "auto_edge", "grow", "feather", "grain"]
    assert message["names"]["eraser"]["Automatic"] == "auto" and message["names"]["eraser"]["Stable Diffusion"] == "diffusion"


def test_every_message_has_a_handler_in_the_page(rich: Studio) -> None:
    code = (ROOT / "javascript" / "clickpaint" / "host" / "messages.mjs").read_text("utf-8")
    handlers = set(re.findall(r"^    (?:async )?(\w+)\(.*\) \{$", code, re.MULTILINE))
    sent = {message["do"] for message, _ in messages(build(rich))}
    assert handlers - {"receive"} == sent


def test_every_label_is_translated(rich: Studio) -> None:
    page = build(rich)
    table = json.loads((ROOT / "localizations" / "zh_CN.json").read_text("utf-8"))
    hidden = {"clickpaint_parameters", "clickpaint_pasted_task"}
    hidden |= {f"clickpaint_read_{name}" for name in ("workspace", "version", "result")}
    shown: set[str] = set()
    for name, config in page.items():
        if name in hidden or not name:
            continue
        shown |= {config[key] for key in ("label", "placeholder") if isinstance(config.get(key), str)}
        if name in ("clickpaint_masked_content", "clickpaint_second_pass"):
            shown |= {choice[0] for choice in config["choices"]}
    assert {"Prompt", "Masked content", "Latent nothing", "Soft inpainting", "What to paint around the picture"} <= shown
    assert {one for one in shown if one} <= set(table), shown - set(table)


def test_a_host_puts_its_own_below_the_canvas(rich: Studio) -> None:
    import gradio as gr

    page = build(rich, below=lambda: gr.Button("Hello", elem_id="hello"))
    assert page["hello"]["value"] == "Hello"


def test_the_button_beside_a_web_uis_results() -> None:
    import gradio as gr

    from clickpaint.ui import panels

    with gr.Blocks() as blocks:
        panels.send_here("img2img", gr.Button)
    page: Any = blocks
    assert [block.elem_id for block in page.blocks.values() if block.elem_id] == ["img2img_send_to_clickpaint"]
    assert [message for message, _ in messages({"": page.config})] == [{"do": "receive", "source": "img2img"}]


def test_the_sliders_of_repaint_wait_for_it(rich: Studio) -> None:
    page = build(rich)
    ((message, _),) = [sent for sent in messages(page) if sent[0]["do"] == "engine"]
    assert message["only"] == {"clickpaint_repaint": "RePaint"}
    assert "RePaint" in str(page["clickpaint_engine"]["choices"])
    assert "cp-hidden" in page["clickpaint_repaint"]["elem_classes"]


def test_the_token_of_the_page_is_in_the_canvas_and_nowhere_without_one(rich: Studio) -> None:
    assert 'data-token="a&quot;b"' in build(rich, token='a"b')["clickpaint_canvas"]["value"]
    assert "data-token" not in build(rich)["clickpaint_canvas"]["value"]


def test_what_lacks_a_package_is_not_among_the_choices(rich: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from clickpaint.studio import model_pool

    def listed() -> tuple[str, dict[str, Any]]:
        return str(build(rich)["clickpaint_segmenter"]["choices"]), {listing.name: listing for listing in rich.pool.segmenters()}

    monkeypatch.setattr(model_pool, "installed", lambda package: True)
    choices, listings = listed()
    assert "MobileSAM" in choices and not listings["mobile_sam"].blocked and not listings["mobile_sam"].available
    monkeypatch.setattr(model_pool, "installed", lambda package: package != "mobile_sam")
    choices, listings = listed()
    assert "MobileSAM" not in choices, "its file would not help"
    assert listings["mobile_sam"].blocked and "not installed" in listings["mobile_sam"].reason
    assert not listings["classic"].blocked and listings["classic"].available
