"""What the extension costs inside a real web UI: weights in memory, time beside the web UI's own inpainting, and its start.

`python -m tests.benchmarks.webui` with CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR naming installations; see `tests/hosts/real.py`.
All on a toy checkpoint on the CPU: the ratios count, not the times.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.hosts.real import FOLDERS, RealHost, file_of, picture

SIZE, STEPS, ROUNDS, STARTS = 192, 20, 7, 4
STAGES = ("load scripts", "create ui", "add APIs", "app_started_callback", "other imports")


def main() -> None:
    flavors = [flavor for flavor, variable in FOLDERS.items() if variable in os.environ]
    if not flavors:
        print(f"Nothing to measure: none of {', '.join(FOLDERS.values())} names a web UI.")
    for flavor in flavors:
        with tempfile.TemporaryDirectory() as plain, tempfile.TemporaryDirectory() as ours:
            without, start_without = _without(flavor, Path(plain))
            _with(flavor, Path(ours), without, start_without)


def _without(flavor: str, data: Path) -> tuple[int, float]:
    host = RealHost(flavor, data, "--api", extension=False)
    try:
        host.generate()
        weights = host.request("GET", "/test-helper/weights")[1]["bytes"]
    finally:
        host.stop()
    return weights, _start_seconds(flavor, data, extension=False)


def _with(flavor: str, data: Path, without: int, start_without: float) -> None:
    host = RealHost(flavor, data, "--api")
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
        print(f"{flavor}: weights in the process {weights:,} bytes, without the extension {without:,}: {weights - without:+,} bytes")

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
    start = _start_seconds(flavor, data, extension=True)
    print(f"{flavor}: start {start * 1000:.0f} ms in {', '.join(STAGES)}; {(start - start_without) * 1000:+.0f} ms by the extension")


def _start_seconds(flavor: str, data: Path, *, extension: bool) -> float:
    """What the web UI's own profile gives for what extensions can slow down: the shortest of each stage, added up."""
    found: dict[str, float] = {}
    for _ in range(STARTS):
        host = RealHost(flavor, data, "--api", extension=extension)
        profile = host.request("GET", "/internal/profile-startup")[1]["records"]
        host.stop()
        for stage in STAGES:
            found[stage] = min(found.get(stage, float("inf")), profile.get(stage, 0.0))
    return sum(found.values())


if __name__ == "__main__":
    main()
