"""Starts a real web UI on a toy checkpoint, with this extension, in a data folder of its own: the installation itself is not touched.

CLICKPAINT_A1111_DIR, CLICKPAINT_FORGE_DIR, CLICKPAINT_NEO_DIR (Forge Neo) and CLICKPAINT_ERSATZ_DIR (ersatzForge) name the installations;
`venv` in them is used if it is there.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.hosts import control_toy
from tests.toys import checkpoint
from tests.toys.tokenizer import write_tokenizer

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "a1111": "CLICKPAINT_A1111_DIR", "forge": "CLICKPAINT_FORGE_DIR", "neo": "CLICKPAINT_NEO_DIR", "ersatz": "CLICKPAINT_ERSATZ_DIR",
}  # fmt: skip
FORGES = ("forge", "neo", "ersatz")
NO_CKPT = ("neo", "ersatz")
"""Those that take `--ckpt` for `--ckpt-dirs`: the checkpoint of the settings is theirs."""
CONTROLNET = "sd-webui-controlnet"
"""The extension that brings ControlNet to A1111, if the installation has it; Forge has its own."""
_START_SECONDS = 240


class RealHost:
    """A running web UI. `log` is what it printed; `address` where it answers.

    Args:
        checkpoint: a file of full size in the data folder, instead of the toy.
    """

    def __init__(
        self, flavor: str, data: Path, *arguments: str, extension: bool = True, environment: dict[str, str] | None = None,
        checkpoint: str = "",
    ) -> None:  # fmt: skip
        self.flavor = flavor
        self.folder = Path(os.environ[FOLDERS[flavor]])
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = data / f"log-{self.port}.txt"
        prepare(data, self.folder, extension)
        if flavor in FORGES:
            start = ["launch.py" if checkpoint else str(ROOT / "tests/hosts/forge_toy.py"), "--always-cpu"]
        else:
            start = ["launch.py", "--use-cpu", "all", "--no-half"]
        weights = data / "models/Stable-diffusion" / (checkpoint or "tiny.safetensors")
        common = [
            "--skip-prepare-environment",
            "--skip-install",
            "--skip-torch-cuda-test",
            "--data-dir",
            str(data),
            "--port",
            str(self.port),
        ]
        if flavor in NO_CKPT:
            choose(data, sd_model_checkpoint=weights.name)
        else:
            common += ["--no-half-vae", "--no-download-sd-model", "--ckpt", str(weights)]
        if flavor == "ersatz":
            common.append("--skip-google-blockly")
        if flavor in FORGES:
            # with a data folder of its own, Forge's page may not load the scripts of Forge's own folder otherwise
            common += ["--gradio-allowed-path", str(self.folder)]
        # as users start it: compiled files are kept, so that they are made once and not at every start
        mine = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python_of(self.folder), *start, *common, *arguments],
                cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                # one thread, so that sums are added in one order and a seed gives the same picture to the bit
                env={**mine, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", **(environment or {})},
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:  # an interrupt as well: a web UI that is left behind holds gigabytes
            self.stop()
            raise

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _wait(self) -> None:
        # Not by asking over HTTP: a request between the page's launch and the host's own set-up of middleware can end A1111.
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            log = self.log
            if "Startup time" in log and (self.flavor in FORGES or "Model loaded" in log):
                time.sleep(1)
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.3)
        raise RuntimeError(f"{self.flavor} did not start:\n{self.log[-4000:]}")

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """(status, JSON or bytes)"""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json", **headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, _content(answer.headers.get_content_type(), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _content(error.headers.get_content_type(), error.read())

    def clickpaint(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What one of our routes answers; fails on anything but success."""
        status, content = self.request(method, f"/clickpaint/v1{path}", body, **headers)
        assert status < 300, (path, status, content)
        return content

    def generate(self, **wishes: Any) -> np.ndarray:
        """An ordinary generation of the web UI's own, with a fixed seed: txt2img, or img2img where `init_images` are among the wishes."""
        body = {"prompt": "a house", "steps": 4, "width": 128, "height": 128, "seed": 7, "sampler_name": "Euler a", **wishes}
        status, content = self.request("POST", f"/sdapi/v1/{'img2img' if 'init_images' in wishes else 'txt2img'}", body)
        assert status == 200, content
        return pixels_of(base64.b64decode(content["images"][0]))


def prepare(data: Path, host: Path, extension: bool) -> None:
    """The data folder: toy models, and the extension as users have it, as a folder among the extensions."""
    models = data / "models/Stable-diffusion"
    if models.exists():
        return
    models.mkdir(parents=True)
    clip = data / "clip"
    clip.mkdir()
    write_tokenizer(clip, host)
    checkpoint.write(models / "tiny.safetensors", clip)
    checkpoint.write(models / "other.safetensors", clip, seed=1)
    checkpoint.write(models / "tiny-inpaint.safetensors", clip, in_channels=9)
    (data / "models/ControlNet").mkdir()
    control_toy.write(data / "models/ControlNet/brighter.safetensors")
    (data / "extensions").mkdir()
    control = host / "extensions" / CONTROLNET
    if control.is_dir():
        (data / "extensions" / CONTROLNET).symlink_to(control, target_is_directory=True)
    if extension:
        (data / "extensions/sd-webui-clickpaint").symlink_to(ROOT, target_is_directory=True)
    helper = data / "extensions/test-helper/scripts/test_helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text(_HELPER.replace("MODEL_CHANNELS", str(checkpoint.MODEL_CHANNELS)))
    (data / "tmp").mkdir()  # Neo's galleries fail without
    # live previews of some models, and "Approx NN", would download a network
    quiet = {"live_previews_enable": False, "show_progress_type": "Approx cheap", "forge_preset": "sd"}
    (data / "config.json").write_text(json.dumps({"samples_save": False, "grid_save": False, **quiet}))


def choose(data: Path, **options: Any) -> None:
    """Set options of the web UI before it starts."""
    config = data / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **options}))


_HELPER = '''"""For tests: makes the next generation fail in the middle, and tells of weights, routes and scripts in the process."""
import gc
import sys

import modules.processing
import modules.script_callbacks
import modules.scripts
import modules.shared


def started(page, app):
    guess = sys.modules.get("scripts.controlnet_model_guess")  # of sd-webui-controlnet, which knows only the real width
    if guess is not None:
        guess.controlnet_default_config["model_channels"] = MODEL_CHANNELS

    @app.get("/test-helper/weights")
    def weights():
        import torch

        parameters = [thing for thing in gc.get_objects() if isinstance(thing, torch.nn.Module)]
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for module in parameters
            for tensor in module.parameters(recurse=False)
            if not tensor.is_meta
        }
        return {"bytes": sum(storages.values()), "storages": len(storages)}

    @app.get("/test-helper/routes")
    def routes():
        kinds = [type(route).__name__ for route in app.router.routes]
        return {"LazyRoutes": kinds.count("LazyRoutes")}

    @app.get("/test-helper/reload")
    def reload():
        modules.shared.state.request_restart()  # what the button "Reload UI" does
        return {}

    @app.get("/test-helper/scripts")
    def scripts():
        told = []
        for runner in (modules.scripts.scripts_txt2img, modules.scripts.scripts_img2img):
            told.append([repr(getattr(component, "value", None)) for component in runner.inputs])
            told.append([(type(one).__name__, id(one), one.args_from, one.args_to) for one in runner.scripts])
            told.append([id(one) for one in runner.alwayson_scripts])
        return told

    @app.get("/test-helper/break")
    def break_next():
        decode = modules.processing.decode_latent_batch

        def broken(*args, **kwargs):
            modules.processing.decode_latent_batch = decode
            raise RuntimeError("broken on purpose")

        modules.processing.decode_latent_batch = broken
        return {}


modules.script_callbacks.on_app_started(started)
'''


def picture(size: int = 128) -> np.ndarray:
    """Something to click on: a red square on a grey-blue ramp, in blocks of 8 pixels, which the toy VAE keeps exactly."""
    ramp = np.repeat(np.linspace(60, 180, size // 8), 8).astype(np.uint8)
    image = np.stack([np.broadcast_to(ramp, (size, size)), np.broadcast_to(ramp[:, None], (size, size)), np.full((size, size), 140)], -1)
    image = image.astype(np.uint8)
    image[size // 4 : size // 2, size // 4 : size // 2] = (210, 40, 40)
    return image


def file_of(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def pixels_of(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def python_of(folder: Path) -> str:
    """The Python that a web UI runs with."""
    own = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(own) if own.exists() else sys.executable


def free_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _content(kind: str, data: bytes) -> Any:
    return json.loads(data) if kind == "application/json" and data else data
