"""The side column on a host that paints, and on one that does not."""

from __future__ import annotations

import json
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
    found = {block.elem_id: block.get_config() for block in page.blocks.values() if block.elem_id}
    return {**found, "": page.config}


def scripts(page: dict[str, Any]) -> list[str]:
    return [str(one["js"]) for one in page[""]["dependencies"] if one["js"]]


def test_without_a_checkpoint_there_is_only_remove(tmp_path: Path) -> None:
    page = build(toy_studio(tmp_path))
    assert not [
        name for name in page if name.startswith(("clickpaint_fill", "clickpaint_tab", "clickpaint_sampling", "clickpaint_control"))
    ]
    assert "Stable Diffusion" not in json.dumps(page["clickpaint_eraser"]["choices"])
    assert len([one for one in scripts(page) if "window.clickpaint?.remove" in one]) == 1


def test_a_host_that_paints_has_a_tab_for_each_task(rich: Studio) -> None:
    page = build(rich)
    for task in ("remove", "fill", "replace", "expand", "instruct"):
        assert f"clickpaint_tab_{task}" in page and page[f"clickpaint_{task}"]["variant"] == "primary"
        assert [one for one in scripts(page) if f'window.clickpaint?.task("{task}")' in one]
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
    from clickpaint.api.schemas import PaintBody

    known = set(getattr(PaintBody, "model_fields", None) or PaintBody.__fields__) | {"second_pass", "left", "top", "right", "bottom"}
    page = build(rich)
    for call in ('window.clickpaint?.paint("fill"', 'window.clickpaint?.paint("expand"', "window.clickpaint?.remove("):
        dependency = next(one for one in page[""]["dependencies"] if call in str(one["js"]))
        names = json.loads("{" + str(dependency["js"]).rpartition("window.clickpaint?.values({")[2].partition("}")[0] + "}")
        own = 3 if "remove" in call else 0
        assert all(elem_id in page for elem_id in names.values()), "the page is read by these ids"
        assert len(dependency["inputs"]) == len(names) + own
        assert set(names) <= known, set(names) - known
        assert {"steps", "sampler", "seed", "masked_content"} <= set(names)


def test_every_label_is_translated(rich: Studio) -> None:
    page = build(rich)
    table = json.loads((ROOT / "localizations" / "zh_CN.json").read_text("utf-8"))
    hidden = {"clickpaint_workspace", "clickpaint_version", "clickpaint_result", "clickpaint_parameters", "clickpaint_pasted_task"}
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
    assert any('window.clickpaint?.receive("img2img")' in str(one["js"]) for one in page.config["dependencies"])
