"""Networks with seeded weights, put into the cache where a preprocessor looks for them, or into files as a user would place them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from clickpaint.control import controlnet_aux_modules
from clickpaint.control.base import Tools
from clickpaint.control.network import Network
from clickpaint.weights import catalog
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store


class Toys:
    """tools: with a store of one folder. `put`, `save`: a network where `tools` find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = Tools(Store(lambda kind: [folder]), Device(), ModelCache(lambda: 8 << 30))

    def put(self, network: Network, module: Any) -> Any:
        """Under the cache's key of `network`, as if it had been loaded."""
        return self.tools.models.get(("control", network.model, "cpu"), lambda: (module, 1))

    def save(self, network: Network, state: dict[str, Any]) -> Path:
        path = self.folder / catalog.files_of(network.model)[0].filename
        torch.save(state, path)
        return path


def detector(module: str, name: str) -> Any:
    """A detector class of controlnet_aux, from a package that has been run; what `controlnet_aux_modules.module` gives has not."""
    alias = controlnet_aux_modules.ALIAS
    controlnet_aux_modules.ALIAS = "controlnet_aux_for_tests"
    try:
        return getattr(controlnet_aux_modules.module(module), name)
    finally:
        controlnet_aux_modules.ALIAS = alias


def seeded(network: Network, scale: float = 1.0, seed: int = 0) -> Any:
    """The real class with random weights, ready to run."""
    assert network.build is not None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = network.build()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(scale)
    return module.requires_grad_(False).eval()


def catalog_without_checksums(folder: Path) -> Path:
    """A copy of the catalog in which the user has placed every file."""
    document = json.loads(catalog.CATALOG.read_text(encoding="utf-8"))
    for entry in document["files"]:
        for key in ("bytes", "sha256", "md5", "urls"):
            entry.pop(key, None)
        entry["note"] = "A toy."
    path = folder / "catalog.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
