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

from tests.hosts.real import FOLDERS, RealHost, file_of, picture

SIZE, STEPS, ROUNDS, STARTS = 192, 20, 7, 4
_SCRIPT, _STARTED = "load scripts/clickpaint.py", "app_started_callback/hooks.py"


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
    """In turns, so that a machine that grows slower is unfair to neither. The web UI's profile tells our own script apart from the
    others; what the page costs shows only in the difference, which is as uncertain as the stage differs from start to start."""
    rounds = [(_profile(flavor, plain, extension=False), _profile(flavor, with_it, extension=True)) for _ in range(STARTS)]
    script = min(ours[_SCRIPT] for _, ours in rounds)
    pages = [[one[which]["create ui"] for one in rounds] for which in (0, 1)]
    page = min(pages[1]) - min(pages[0])
    started = min(ours.get(_STARTED, 0.0) for _, ours in rounds)
    apart = max(max(one) - min(one) for one in pages)
    total = (script + page + started) * 1e3
    print(f"{flavor}: start {total:+.0f} ms by the extension: its script {script * 1e3:.0f}, the page {page * 1e3:+.0f}", end="")
    print(f" (of {min(pages[0]) * 1e3:.0f}, and up to {apart * 1e3:.0f} more from start to start), its routes {started * 1e3:.1f}")


def _profile(flavor: str, data: Path, *, extension: bool) -> dict[str, float]:
    host = RealHost(flavor, data, "--api", extension=extension)
    try:
        return host.request("GET", "/internal/profile-startup")[1]["records"]
    finally:
        host.stop()


if __name__ == "__main__":
    main()
