"""The use-case of the user's own model files: they come piece by piece from the browser into the folder of their kind."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.base import NAMED_BY_USERS, Host
from clickpaint.studio.model_pool import ModelPool
from clickpaint.weights.folders import is_file, of_error
from clickpaint.weights.model_files import WEIGHTS
from clickpaint.weights.weights_file import weights_format

_LONGEST = 180
"""Bytes of a name: file systems take 255."""


@dataclass(frozen=True)
class Received:
    """What of a file is here.

    Attributes:
        bytes: so many.
        complete: whether that is all of it, and the file can be used now.
    """

    bytes: int
    complete: bool


class OwnFiles:
    """Part of the studio."""

    def __init__(self, host: Host, pool: ModelPool) -> None:
        self._host, self._pool = host, pool
        self._lock = threading.Lock()

    def receive(self, kind: str, name: str, offset: int, total: int, data: bytes) -> Received:
        """Take the next piece of a file; after the last one it lies in the folder of its kind, and a checkpoint is what paints.

        Args:
            kind: one of `hosts.base.NAMED_BY_USERS`.
            name: of the file, with its ending.
            offset: where the piece begins; 0 begins anew.
            total: bytes of the whole file.
            data: the piece.

        Raises:
            HostUnsupported: a web UI has its own ways.
            InvalidInput: a name or kind that cannot be, a file of that name is there, no room for it, or the piece does not go on
                where the last one ended. CorruptModel: it is no file of weights.
        """
        if self._host.capabilities().own_sampler:
            raise HostUnsupported("A web UI takes no model files here.", "Put the file into its folder of models.")
        target = self._target(kind, name)
        part = target.with_name(f".{target.name}.upload")
        with self._lock:
            try:
                return self._append(target, part, kind, offset, total, data)
            except OSError as error:
                raise InvalidInput(of_error(target, error), "Make room, or put the file there yourself.", filename=name) from error

    def _target(self, kind: str, name: str) -> Path:
        if kind not in NAMED_BY_USERS:
            raise InvalidInput(
                "There is no kind {kind!r} of model files.", "Choose one of {kinds}.", kind=kind, kinds=", ".join(NAMED_BY_USERS)
            )
        plain = name == Path(name).name and "\\" not in name and not name.startswith(".") and name.isprintable()
        if not plain or not name.lower().endswith(WEIGHTS) or len(name.encode("utf-8", "replace")) > _LONGEST:
            raise InvalidInput(
                "{filename!r} cannot be the name of a model file.",
                "It ends in one of {endings}.",
                filename=name,
                endings=", ".join(WEIGHTS),
            )
        target = self._host.folders(kind)[0] / name
        if is_file(target):
            raise InvalidInput("{filename} is there already.", "Choose it, or give the file another name.", filename=name)
        return target

    def _append(self, target: Path, part: Path, kind: str, offset: int, total: int, data: bytes) -> Received:
        target.parent.mkdir(parents=True, exist_ok=True)
        here = part.stat().st_size if offset and is_file(part) else 0
        if offset != here or not 0 < here + len(data) <= total:
            raise InvalidInput("{received} bytes of this file are here.", "Go on from there.", received=here)
        if shutil.disk_usage(target.parent).free < total - here:
            raise InvalidInput("There is no room for {filename} on the disk.", "Make room, then try again.", filename=target.name)
        with part.open("ab" if offset else "wb") as stream:
            stream.write(data)
        if here + len(data) < total:
            return Received(here + len(data), False)
        part.replace(target)
        try:
            weights_format(target)
            if kind == "Stable-diffusion":
                self._host.choose_checkpoint(target.name)
        except Exception:
            target.unlink(missing_ok=True)
            raise
        self._pool.changed()
        return Received(total, True)
