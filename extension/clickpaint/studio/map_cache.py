"""What preprocessors make of pictures, made once."""

from __future__ import annotations

import hashlib

import numpy as np

from clickpaint.control import clip_vision, registry
from clickpaint.control.base import ControlMap, Request, Tools
from clickpaint.hosts.base import Host
from clickpaint.image.picture import Picture
from clickpaint.progress import SILENT, Progress
from clickpaint.settings import MEGABYTE
from clickpaint.studio.model_pool import ModelPool
from clickpaint.weights.cache import EmbeddingCache

_BYTES = 256 * MEGABYTE


class MapCache:
    """Maps by picture, preprocessor and parameters; the panel's and those that our own sampler follows while it paints."""

    def __init__(self, host: Host, pool: ModelPool) -> None:
        self._host, self._pool = host, pool
        self._cache = EmbeddingCache(lambda: _BYTES)

    def detect(self, name: str, picture: Picture, request: Request, progress: Progress = SILENT) -> ControlMap:
        """The map of a picture without transparency. To be called in the lane that computes.

        Args:
            name: of the preprocessor, or one of its aliases.
            request: checked (`registry.request`).

        Raises:
            InvalidInput: there is no such preprocessor.
            ModelMissing: it cannot run here.
        """
        name = registry.info(name).name
        tools = Tools(self._pool.store, self._host.device(), self._pool.models, progress)
        return self._cache.get((name, _key(picture, request)), lambda: registry.detect(name, picture.pixels, request, tools), progress)

    def look(self, pixels: np.ndarray, width: int, states: bool) -> np.ndarray:
        """What CLIP sees, as `control.clip_vision.look`."""
        return clip_vision.look(pixels, width, states, Tools(self._pool.store, self._host.device(), self._pool.models, SILENT))


def _key(picture: Picture, request: Request) -> str:
    """What a map depends on beside its preprocessor."""
    values = sorted(request.values.items())
    mask = b"" if request.mask is None else np.packbits(request.mask).tobytes()
    parameters = f"{picture.digest} {request.resolution} {values} {request.seed}".encode()
    return hashlib.sha256(parameters + mask).hexdigest()
