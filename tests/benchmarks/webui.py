"""What the extension costs inside a real web UI: weights in memory, time beside the web UI's own inpainting, and its start.

`python -m tests.benchmarks.webui [--only start|painting]` with CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR naming installations; see
`tests/hosts/real.py`. All on a toy checkpoint on the CPU: the ratios count, not the times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.hosts.real import FOLDERS, RealHost, file_of, picture, prepare

SIZE, STEPS, ROUNDS, STARTS = 192, 20, 7, 6
_SCRIPT = "load scripts/clickpaint.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["start", "painting"], help="a part of it")
    only = parser.parse_args().only
    flavors = [flavor for flavor, variable in FOLDERS.items() if variable in os.environ]
    if not flavors:
        print(f"Nothing to measure: none of {', '.join(FOLDERS.values())} names a web UI.")
    for flavor in flavors:
        with tempfile.TemporaryDirectory() as plain, tempfile.TemporaryDirectory() as ours:
            if only != "start":
                _painting(flavor, Path(plain), Path(ours))
            if only != "painting":
                _start(flavor, Path(plain), Path(ours))


def _painting(flavor: str, plain: Path, with_it: Path) -> None:
    without = RealHost(flavor, plain, "--api", extension=False)
    try:
        without.generate()
        before = without.request("GET", "/test-helper/weights")[1]["bytes"]
    finally:
        without.stop()
    host = RealHost(flavor, with_it, "--api")
    try:
        host.generate()
        id = host.clickpaint("POST", "/workspaces", {"image": file_of(picture(SIZE))})["id"]
        body = {
            "steps": STEPS,
            "sampler": "Euler",
            "seed": 1,
            "prompt": "a tree",
            "resolution": SIZE,
            "refine": False,
            "grow": 0,
            "feather": 0,
        }

        def select(op: dict) -> None:
            host.clickpaint("POST", f"/workspaces/{id}/mask", {"operations": [op]})

        select({"op": "box", "box": [48, 48, 96, 96]})
        for task in ("fill", "replace"):
            host.clickpaint("POST", f"/workspaces/{id}/paint", {**body, "task": task})
        weights = host.request("GET", "/test-helper/weights")[1]["bytes"]
        print(f"{flavor}: weights in the process {weights:,} bytes, without the extension {before:,}: {weights - before:+,} bytes")

        select({"op": "all"})
        own = {
            "init_images": [file_of(picture(SIZE))], "mask": file_of(picture(SIZE) * 0 + 255), "prompt": "a tree", "steps": STEPS,
            "width": SIZE, "height": SIZE, "seed": 1, "sampler_name": "Euler", "denoising_strength": 0.75, "inpainting_fill": 0,
            "inpaint_full_res": False, "mask_blur": 0,
        }  # fmt: skip
        times: dict[str, list[float]] = {"ours": [], "its own": []}
        for _ in range(ROUNDS):  # taken in turns, so that a busy machine is unfair to neither
            began = time.perf_counter()
            host.clickpaint("POST", f"/workspaces/{id}/paint", {**body, "task": "fill"})
            times["ours"].append(time.perf_counter() - began)
            began = time.perf_counter()
            assert host.request("POST", "/sdapi/v1/img2img", own)[0] == 200
            times["its own"].append(time.perf_counter() - began)
        ours, its_own = (statistics.median(times[name]) for name in ("ours", "its own"))
        print(f"{flavor}: fill of a whole picture {ours:.3f} s, the web UI's own inpainting {its_own:.3f} s: ratio {ours / its_own:.3f}")
    finally:
        host.stop()


def _start(flavor: str, plain: Path, with_it: Path) -> None:
    """In turns, so that a machine that grows slower is unfair to neither.

    What the page costs shows in the web UI's profile only as a difference, which is as uncertain as starts differ from each other.
    So the extension's own part in it is timed, too: the processor time of everything of ours that the web UI calls, and what it
    takes to describe our components to the browser, as often as the web UI does so.
    """
    for data in (plain, with_it):
        prepare(data, Path(os.environ[FOLDERS[flavor]]), data is with_it)
        timer = data / "extensions/a-timer/scripts/a_timer.py"  # scripts are loaded in the order of their folders
        timer.parent.mkdir(parents=True)
        timer.write_text(_TIMER, encoding="utf-8")
    rounds = [(_profile(flavor, plain, extension=False), _profile(flavor, with_it, extension=True)) for _ in range(1 + STARTS)]
    del rounds[0]  # Python compiles what is new at the first start
    pages = [sorted(one[which][0]["create ui"] for one in rounds) for which in (0, 1)]
    apart = max(one[-1] - one[0] for one in pages)
    script, page = min(ours[_SCRIPT] for _, (ours, _) in rounds), pages[1][0] - pages[0][0]
    print(f"{flavor}: by its profile the script takes {script * 1e3:.0f} ms, and the page {page * 1e3:+.0f} ms ", end="")
    print(f"of {pages[0][0] * 1e3:.0f} (two starts of the same differ by up to {apart * 1e3:.0f})")

    parts = {name: min(times["parts"][name] for _, (_, times) in rounds) for name in rounds[0][1][1]["parts"]}
    ours, of_all = (rounds[0][1][1][name] for name in ("components", "of all"))
    listed = ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in parts.items())
    print(f"{flavor}: of the start, {sum(parts.values()) * 1e3:.0f} ms are the extension's ({ours} of {of_all} components): {listed}")


def _profile(flavor: str, data: Path, *, extension: bool) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds by the names of the web UI's start-up profile, and what the timer below tells."""
    host = RealHost(flavor, data, extension=extension)  # with --api, it would make the scripts' panels four times more
    try:
        return host.request("GET", "/internal/profile-startup")[1]["records"], host.request("GET", "/a-timer")[1]
    finally:
        host.stop()


_TIMER = '''"""Times what the web UI calls of the extension while it starts."""
import collections
import functools
import time

from gradio.blocks import Blocks
from gradio.context import Context
from modules import script_callbacks, script_loading, scripts

PARTS, MADE, DESCRIBED = collections.Counter(), set(), collections.Counter()
OURS = "clickpaint"


def timed(part, work):
    @functools.wraps(work)
    def run(*args, **kwargs):
        began, first = time.thread_time(), Context.id
        try:
            return work(*args, **kwargs)
        finally:
            PARTS[part] += time.thread_time() - began
            MADE.update(range(first, Context.id))

    return run


load = script_loading.load_module
script_loading.load_module = lambda path: (timed("script", load) if OURS in str(path) else load)(path)


def before_page():
    seen = set()
    for category, callbacks in script_callbacks.callback_map.items():
        for callback in callbacks:
            if callback.callback.__module__.partition(".")[0] != OURS:
                continue
            if category.endswith("after_component"):  # called so often that timing each call would be most of what is timed
                after = callback.callback
            else:
                callback.callback = timed(category.removeprefix("callbacks_").replace("_", " "), callback.callback)
    for one in scripts.scripts_data:
        if OURS in one.path and one.script_class not in seen and "ui" in vars(one.script_class):
            seen.add(one.script_class)
            one.script_class.ui = timed("panels", one.script_class.ui)
    if seen:
        began = time.thread_time()
        for _ in range(1000):
            after(None, elem_id="another", label="Another", value=0)
        PARTS["after 1000 components"] = time.thread_time() - began


def started(page, app):
    of_all = len(page.blocks)
    PARTS["after each component"] = PARTS.pop("after 1000 components", 0) * of_all / 1000
    for one, times in DESCRIBED.items():
        block = page.blocks.get(one)
        if block is not None:
            began = time.thread_time()
            block.get_config()
            if not getattr(block, "skip_api", True):
                block.api_info()
            PARTS["describing our components"] += (time.thread_time() - began) * times

    @app.get("/a-timer")
    def times():
        return {"parts": PARTS, "components": len(MADE & page.blocks.keys()), "of all": of_all}


describe = Blocks.get_config_file


def described(blocks, *args, **kwargs):
    DESCRIBED.update(MADE & blocks.blocks.keys())
    return describe(blocks, *args, **kwargs)


Blocks.get_config_file = described
script_callbacks.on_before_ui(before_page)
script_callbacks.on_app_started(started)
'''


if __name__ == "__main__":
    main()
