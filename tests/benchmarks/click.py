"""What a click costs: `python -m tests.benchmarks.click [--segmenter mobile_sam] [--picture FILE] [--clicks 40] [--reference] [--load]`.

A network of the real size with random weights, the studio and the API on a real server, over loopback. The click asks for its mask as the
page does, in the size in which a window of 1280 pixels shows it ("whole": with all three masks in the picture's size, as other programs
ask). It is to cost at most 1.15 times the decoder alone plus 5 ms, at 1 and at 16 megapixels; with --load, beside 4 processes that are
always busy, at most twice what it costs without them, and what the decoder alone costs beside them is printed, too.

First comes what a click costs beside the decoder: with one that has its answer ready, and in which threads that goes. --overhead measures
nothing else, and needs no packages of networks. Exits with 1 if anything costs more.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.compat import torchvision
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.image.picture import from_pixels
from clickpaint.progress import SILENT, Progress
from clickpaint.segment import registry
from clickpaint.segment.base import Embedding, Point, Prompts
from clickpaint.segment.neural_segmenter import NeuralSegmenter
from clickpaint.studio.studio import Studio
from clickpaint.weights.store import ModelState, Store
from tests.benchmarks.overhead import SERVER, overhead, ready_decoder, report

BUILDERS = {"sam_vit_b": ("segment_anything", "vit_b"), "mobile_sam": ("mobile_sam", "vit_t")}
FACTOR, CONSTANT = 1.15, 5.0  # ms
SHOWN = 1280
SIZES = (1200, 800), (4896, 3264)
BUSY, LOADED = 4, 2.0


class RandomWeights(Store):
    """Has one model, made up."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(lambda kind: [path.parent])
        self.name, self.path = name, path

    def require(self, name: str, progress: Progress = SILENT) -> Path:
        return self.path if name == self.name else super().require(name, progress)

    def state(self, name: str) -> ModelState:
        return ModelState(name, "present", self.path) if name == self.name else super().state(name)


def random_network(name: str) -> Any:
    """The package's own model with random weights; see `smooth`."""
    import torch

    torchvision.ensure()
    torch.manual_seed(0)
    package, size = BUILDERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smooth(__import__(package).sam_model_registry[size]().eval())


def smooth(module: Any) -> Any:
    """The network, whose answers are smoothed in place: a trained network's masks are areas and not noise."""
    import torch

    with torch.no_grad():
        last, upscaling = module.image_encoder.neck[2].weight, module.mask_decoder.output_upscaling
        last.copy_(last.mean(dim=(2, 3), keepdim=True).expand_as(last) * 3)
        for layer in (upscaling[0].weight, upscaling[3].weight):
            layer.copy_(layer.mean(dim=(2, 3), keepdim=True).expand_as(layer))
    return module


def with_weights(studio: Studio, name: str, path: Path) -> None:
    """Let the studio find the weights of a segmenter in this file."""
    studio.pool.store = RandomWeights(name, path)


def picture(file: Path | None, size: tuple[int, int]) -> np.ndarray:
    """The file's pixels in this size, or soft shapes, uint8 [H, W, 3]."""
    if file is not None:
        return np.array(Image.open(file).convert("RGB").resize(size, Image.Resampling.LANCZOS))
    y, x = np.mgrid[: size[1], : size[0]] / max(size)
    shapes = np.stack([np.sin(9 * x + 5 * y), np.cos(7 * y - 3 * x), np.sin(20 * np.hypot(x - 0.5, y - 0.3))], axis=-1)
    return (127.5 + 120 * shapes).astype(np.uint8)


def milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


@contextmanager
def served(studio: Studio) -> Iterator[int]:
    """The API alone, on a free port of the loopback address."""
    import uvicorn
    from fastapi import FastAPI

    from clickpaint.api.access import LocalGate
    from clickpaint.api.router import create_router
    from clickpaint.app.serving import listen

    app = FastAPI()
    app.include_router(create_router(studio, LocalGate()))
    with listen("127.0.0.1", 0) as listener:  # as the program listens: any other socket holds small answers back for 40 ms
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True, name=SERVER)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


class Client:
    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: Any, kind: str = "application/json") -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request("POST", f"/clickpaint/v1{path}", data, {"Content-Type": kind})
        response = self.connection.getresponse()
        answered = response.read()
        if response.status >= 400:
            raise SystemExit(f"{path}: {response.status} {answered[:500]!r}")
        return json.loads(answered)

    def get(self, path: str) -> bytes:
        self.connection.request("GET", f"/clickpaint/v1{path}")
        response = self.connection.getresponse()
        answered = response.read()
        if response.status >= 400:
            raise SystemExit(f"{path}: {response.status} {answered[:500]!r}")
        return answered

    def open(self, pixels: np.ndarray) -> str:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
        return self.open_file(stream.getvalue(), "a.png")

    def open_file(self, data: bytes, name: str) -> str:
        """The id of the workspace that this file is opened in."""
        boundary = "clickpaint"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        return self.post("/workspaces", body, f"multipart/form-data; boundary={boundary}")["id"]


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Beside processes that never rest."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def measure(studio: Studio, client: Client, pixels: np.ndarray, clicks: int) -> tuple[float, float, float, float, float]:
    """Medians in ms of the decoder alone, our `predict`, the click through HTTP and the same with whole masks, taken in turn; and the
    seconds of encoding.

    Everything is computed on the studio's own thread, as torch keeps a pool of workers for every thread that calls it.
    """
    import torch

    segmenter = studio.pool.segmenter(studio.pool.segmenter_name())
    assert isinstance(segmenter, NeuralSegmenter)
    height, width = pixels.shape[:2]
    rng = np.random.default_rng(0)

    def computed(work: Callable[[Progress], Any]) -> Any:
        with studio.tasks.under_way("select") as task:
            return studio.compute.run(task, work, 0)

    began = time.perf_counter()
    id = client.open(pixels)
    client.post(f"/workspaces/{id}/select", {"points": [{"x": 1, "y": 1, "label": 1}], "preview": True})
    encoding = time.perf_counter() - began
    embedding: Embedding = computed(lambda progress: studio.pool.encoded(segmenter, from_pixels(pixels), progress))

    decoder, predict, click, whole = [], [], [], []
    for _ in range(clicks + 3):
        x, y = float(rng.integers(width)), float(rng.integers(height))
        prompts = Prompts((Point(x, y),))
        given = segmenter._given(embedding, prompts)

        def decode(given: Any = given) -> None:
            with torch.no_grad():
                segmenter._decode(segmenter._network(), embedding.data, given)

        decoder.append(computed(lambda _, decode=decode: milliseconds(decode)))
        predict.append(computed(lambda _, prompts=prompts: milliseconds(lambda: segmenter.predict(embedding, prompts))))
        body = {"points": [{"x": x, "y": y, "label": 1}]}
        click.append(milliseconds(lambda body=body: client.post(f"/workspaces/{id}/select?mask_side={SHOWN}", body)))
        whole.append(milliseconds(lambda body=body: client.post(f"/workspaces/{id}/select", body)))
    medians = [statistics.median(times[3:]) for times in (decoder, predict, click, whole)]
    return medians[0], medians[1], medians[2], medians[3], encoding


def beside_the_decoder(studio: Studio, port: int, clicks: int) -> bool:
    """Print what a click costs without what its decoder costs; whether that is little enough, by the quickest of them."""
    good = True
    with ready_decoder(studio):
        for size in SIZES:
            client = Client(port)
            id = client.open(picture(None, size))
            url = f"/workspaces/{id}/select?mask_side={SHOWN}"

            def click(x: float, y: float, client: Client = client, url: str = url) -> None:
                client.post(url, {"points": [{"x": x, "y": y, "label": 1}]})

            measured = overhead(click, size, clicks)
            client.connection.close()
            print(f"{size[0]} x {size[1]}: overhead beside the decoder {measured.least:.1f} ms at least (allowed {CONSTANT:g}), ", end="")
            print(f"{measured.median:.1f} in the middle, {measured.processor:.1f} ms of processor time")
            print(*report(measured), sep="\n")
            good &= measured.least <= CONSTANT
    return good


def reference(name: str, module: Any, pixels: np.ndarray, clicks: int) -> None:
    predictor = __import__(BUILDERS[name][0]).SamPredictor(module)
    print(f"  the package's own SamPredictor: set_image {milliseconds(lambda: predictor.set_image(pixels)) / 1000:.2f} s, ", end="")
    point, label = np.array([[10.0, 10.0]]), np.array([1])
    times = [milliseconds(lambda: predictor.predict(point, label)) for _ in range(clicks)]
    print(f"predict {statistics.median(times):.1f} ms")


def main(arguments: Sequence[str] | None = None) -> int:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `clickpaint.app.main` does
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segmenter", choices=sorted(BUILDERS), default="sam_vit_b")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--load", action="store_true", help=f"measure once more beside {BUSY} busy processes")
    parser.add_argument("--overhead", action="store_true", help="only what a click costs beside the decoder")
    parser.add_argument("--reference", action="store_true", help="measure the package's own predictor, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(EmbeddedHost(Path(folder), overrides={"segmenter": "sam_vit_b"}))
        with served(studio) as port:
            good = beside_the_decoder(studio, port, 5 * options.clicks)
        studio.shut_down()
    if options.overhead:
        return 0 if good else 1
    reason = registry.unavailable(options.segmenter)
    if reason is not None:
        raise SystemExit(reason)

    with tempfile.TemporaryDirectory() as folder:
        module = random_network(options.segmenter)
        path = Path(folder) / f"{options.segmenter}.pth"
        torch.save(module.state_dict(), path)
        host = EmbeddedHost(Path(folder), overrides={"segmenter": options.segmenter})
        studio = Studio(host)
        with_weights(studio, options.segmenter, path)
        device = host.device()
        print(f"{options.segmenter} with random weights on {device.type}, encoder in {device.dtype}, {torch.get_num_threads()} threads")
        with served(studio) as port:
            for size in SIZES:
                client = Client(port)  # the server closes one that was idle
                pixels = picture(options.picture, size)
                decoder, predict, click, whole, encoding = measure(studio, client, pixels, options.clicks)
                allowed = FACTOR * decoder + CONSTANT
                print(
                    f"{size[0]} x {size[1]}: open and encode {encoding:.2f} s, decoder {decoder:.1f} ms, predict {predict:.1f} ms, ", end=""
                )
                print(f"click through HTTP {click:.1f} ms (allowed {allowed:.1f}), with whole masks {whole:.1f} ms")
                good &= click <= allowed
                if options.load:
                    with busy(BUSY):
                        alone, _, loaded, _, _ = measure(studio, client, pixels, options.clicks)
                    print(f"  beside {BUSY} busy processes {loaded:.1f} ms: {loaded / click:.2f} x (allowed {LOADED:g} x); ", end="")
                    print(f"the decoder alone {alone:.1f} ms, {alone / decoder:.2f} x: ours over it {loaded / alone:.2f} x")
                    good &= loaded <= LOADED * click
                if options.reference:
                    reference(options.segmenter, module, pixels, options.clicks)
        studio.shut_down()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
