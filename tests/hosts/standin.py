"""A web UI's `modules` for tests without one: every call is bound against the signatures recorded in contracts/, names that are not
there raise AttributeError, and `process_images` paints something that can be foretold."""

from __future__ import annotations

import functools
import importlib.machinery
import inspect
import json
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FLAVORS = ("a1111", "forge")
FORKS = ("neo", "ersatz")
"""Web UIs whose contracts are recorded, without a stand-in."""
GONE = object()


@functools.cache
def contract(name: str) -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "contracts" / f"{name}.json").read_text(encoding="utf-8"))


@functools.cache
def signature(parameters: str) -> inspect.Signature:
    """That of a function whose parameters are written like this."""
    return inspect.signature(eval(f"lambda {parameters}: None"))


def bound(parameters: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, with a TypeError for arguments that the recorded function would not take."""

    def call(*args: Any, **kwargs: Any) -> Any:
        signature(parameters).bind(*args, **kwargs)
        return work(*args, **kwargs)

    return call


def strict(name: str, described: dict[str, Any], methods: dict[str, Callable[..., Any]], bases: tuple[type, ...] = ()) -> type:
    """A class with just the members of a contract: `methods` (they get self), those without as ones that must not be called."""
    members = {**dict.fromkeys(described.get("fields", ())), **described["members"]}
    space: dict[str, Any] = {"_members": frozenset(members)}
    for member, parameters in members.items():
        if parameters is not None:
            call = bound(parameters, methods.get(member, functools.partial(_unexpected, name, member)))
            space[member] = classmethod(call) if parameters.partition(",")[0] == "cls" else call
    unknown = set(methods) - set(members) - {"__init__", "__post_init__", "__getattr__"}
    assert not unknown, f"{name} has no {unknown}"
    for special in ("__init__", "__getattr__"):
        if special in methods:
            space[special] = methods[special]
    return type(name, (*bases, _Strict), space)


class _Strict:
    _members: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if not any(name in getattr(kind, "_members", ()) for kind in type(self).__mro__):
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        object.__setattr__(self, name, value)


def _unexpected(kind: str, member: str, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(f"the stand-in of {kind} does not know what {member} does")


class WebUI:
    """What a test sees of the stand-in, and sets up.

    reported: texts given to `errors.report`. callbacks: (kind, function) registered. runs, closed: every processing object that was
    painted, and closed. seen: the options during the last painting. wrote_history: whether it wrote params.txt. on_step: called with
    the processing object at every sampling step. failure: raised by the next one. frozen: options cannot be changed.
    """

    def __init__(self, flavor: str) -> None:
        self.flavor = flavor
        self.contract = contract(flavor)
        self.reported: list[str] = []
        self.callbacks: list[tuple[str, Callable[..., Any]]] = []
        self.runs: list[Any] = []
        self.closed: list[Any] = []
        self.seen: dict[str, Any] = {}
        self.wrote_history = False
        self.frozen = False
        self.saved: list[dict[str, Any]] = []
        self.installed: list[str] = []
        self.on_step: Callable[[Any], None] = lambda p: None
        self.failure: Exception | None = None
        self.merged: list[float] = []
        self.circular: list[Any] = []
        self.modules = {name: self._module(name, described) for name, described in self.contract.items()}
        self._fill()

    def __getattr__(self, name: str) -> Any:
        """`web.shared` is the module `modules.shared`."""
        try:
            return self.__dict__["modules"][f"modules.{name}"]
        except KeyError:
            raise AttributeError(name) from None

    def add(self, script_class: type, values: list[Any], *, img2img: bool = True) -> Any:
        """Put an instance of an always-on script into the page's runner, its inputs starting with these values."""
        runner = self.scripts.scripts_img2img if img2img else self.scripts.scripts_txt2img
        script = script_class()
        script.alwayson, script.is_img2img, script.is_txt2img = True, img2img, not img2img
        script.args_from, script.args_to = len(runner.inputs), len(runner.inputs) + len(values)
        runner.inputs += [types.SimpleNamespace(value=value) for value in values]
        runner.scripts.append(script)
        runner.alwayson_scripts.append(script)
        return script

    def generate(self, values: list[Any], **parameters: Any) -> Any:
        """A generation as the page would make it, with the values of all scripts' inputs."""
        shared, processing, runner = self.shared, self.processing, self.scripts.scripts_img2img
        p = processing.StableDiffusionProcessingImg2Img(sd_model=shared.sd_model, **parameters)
        p.scripts, p.script_args = runner, (0, *values)
        shared.state.begin(job="task(test)")
        processed = processing.process_images(p)
        p.close()
        return processed

    # the modules

    def _module(self, name: str, described: dict[str, Any]) -> types.ModuleType:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        for member, what in described.items():
            if what["kind"] == "function":
                setattr(module, member, bound(what["parameters"], functools.partial(_unexpected, name, member)))
            elif what["kind"] == "value":
                setattr(module, member, {"dict": dict, "list": list, "tuple": tuple}.get(what["type"], lambda: None)())
            else:
                setattr(module, member, strict(member, what, {"__init__": takes(what["parameters"])}))
        return module

    def _set(self, dotted: str, value: Any) -> None:
        """Give a name its behaviour; functions are bound to the recorded signature."""
        module, _, name = dotted.rpartition(".")
        described = self.contract[module][name]  # a KeyError tells that the web UI has no such thing
        setattr(self.modules[module], name, bound(described["parameters"], value) if described["kind"] == "function" else value)

    def _instance(self, dotted: str, methods: dict[str, Callable[..., Any]] | None = None, **values: Any) -> Any:
        module, _, name = dotted.rpartition(".")
        described = self.contract[module][name]
        instance = strict(described["type"], described, methods or {})()
        for member, value in values.items():
            setattr(instance, member, value)
        self._set(dotted, instance)
        return instance

    def _fill(self) -> None:
        from tests.hosts import standin_behaviour as behaviour

        behaviour.fill(self)


def takes(parameters: str) -> Callable[..., None]:
    """An `__init__` that keeps its arguments as attributes, as far as the class has them."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        taken = signature(parameters).bind(*args, **kwargs)
        taken.apply_defaults()
        for name, value in taken.arguments.items():
            if name in self._members:
                setattr(self, name, value)

    return init


@contextmanager
def web_ui(flavor: str) -> Iterator[WebUI]:
    """The stand-in in `sys.modules`, as long as the block lasts."""
    from clickpaint.hosts.webui import probe

    web = WebUI(flavor)
    placed: dict[str, types.ModuleType] = {**web.modules}
    for name in {name.partition(".")[0] for name in web.modules if "." in name}:
        package = placed[name] = types.ModuleType(name)
        package.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        package.__path__ = []
    for name, module in web.modules.items():
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(placed[parent], last, module)
    before = {name: sys.modules.get(name, GONE) for name in placed}
    sys.modules.update(placed)
    probe.flavor.cache_clear()
    try:
        yield web
    finally:
        for name, module in before.items():
            if module is GONE:
                del sys.modules[name]
            else:
                sys.modules[name] = module  # type: ignore[assignment]
        probe.flavor.cache_clear()


class FifoLock:
    """Not re-entrant, like the web UI's: whoever takes it twice in one thread fails at once instead of hanging."""

    def __init__(self) -> None:
        self._lock, self._owner = threading.Lock(), 0

    def __enter__(self) -> None:
        assert self._owner != threading.get_ident(), "the queue lock was taken twice by one thread"
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *args: object) -> None:
        self._owner = 0
        self._lock.release()


def painted(p: Any, seed: int) -> Image.Image:
    """What the stand-in paints: over the masked pixels of the picture at hand a colour that the seed tells, mixed with what
    `inpainting_fill` puts there, by the denoising strength; all the rest comes from the picture."""
    pixels = np.asarray(p.init_images[0].convert("RGB")).astype(np.float32)
    mask = np.asarray(p.image_mask.convert("L")) > 127 if p.image_mask is not None else np.ones(pixels.shape[:2], bool)
    start = pixels.copy()
    rest = pixels[~mask]
    start[mask] = {
        0: rest.mean(axis=0) if rest.size else np.float32(128),
        1: pixels[mask],
        2: np.random.default_rng(seed).integers(0, 256, (int(mask.sum()), 3)),
        3: np.float32(0),
    }[p.inpainting_fill]
    out = pixels.copy()
    out[mask] = (1 - p.denoising_strength) * start[mask] + p.denoising_strength * colour(seed)
    return Image.fromarray(out.round().astype(np.uint8))


def colour(seed: int) -> np.ndarray:
    return np.array([seed * 7 % 256, seed * 13 % 256, seed * 29 % 256], np.float32)
