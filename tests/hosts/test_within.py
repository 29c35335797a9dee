"""What is changed in the web UI for a while."""

from __future__ import annotations

import threading

from clickpaint.hosts.webui import within


def test_blocks_that_are_not_served_get_no_app_and_others_do_meanwhile():
    import gradio as gr
    from gradio.routes import App

    before, describe = App.__dict__["create_app"], gr.Blocks.get_config_file
    with gr.Blocks() as page:
        pass
    served, described = [], []
    with within.unserved():
        with gr.Blocks() as part:
            button = gr.Button()
        other = threading.Thread(target=lambda: (served.append(App.create_app(page)), described.append(page.get_config_file())))
        other.start()
        other.join()
        unserved = App.create_app(page)
    assert isinstance(served[0], App) and unserved is None and button in part.blocks.values()
    assert not isinstance(getattr(part, "app", None), App)
    assert described[0]["components"] == [] and not getattr(part, "config", None) and gr.Blocks.get_config_file is describe
    assert [one["id"] for one in part.get_config_file()["components"]] == [button._id]
    assert App.__dict__["create_app"] is before and isinstance(App.create_app(page), App)
