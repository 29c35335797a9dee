"""Forge Neo's script "ImageStitch", which shows an edit model further pictures beside the one of img2img."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostFailed, HostUnsupported
from clickpaint.hosts.webui.img2img_scripts import defaults_of, image_to_image, script_titled

if TYPE_CHECKING:
    import numpy as np

_TITLE = "imagestitch integrated"
_CACHE = "cached_parameters"
"""Where newer versions keep what they encoded last, to use it again."""


def found() -> bool:
    """Whether the web UI has the script (False until its page is made, too)."""
    source = image_to_image()
    return _places(source, script_titled(source, _TITLE)) is not None


def showing(source: Any, pictures: Sequence[np.ndarray]) -> tuple[Any, list[Any]]:
    """(a copy of the script, its arguments) that shows these pictures, uint8 [h, w, 3] each.

    Args:
        source: the web UI's runner of img2img.

    Raises:
        HostUnsupported: the web UI has no such script.
    """
    from PIL import Image

    script = script_titled(source, _TITLE)
    places = _places(source, script)
    if script is None or places is None:
        raise HostUnsupported(
            "This web UI shows its models no reference pictures.", "Leave the reference pictures out, or update the web UI."
        )
    switch, gallery = places
    values = defaults_of(source, script)
    values[switch], values[gallery] = True, [(Image.fromarray(picture), None) for picture in pictures]
    mine = object.__new__(_later(type(script)))
    vars(mine).update(vars(script))
    return mine, values


@contextmanager
def checked(runner: Any) -> Iterator[None]:
    """The script of `showing`, if it is among the runner's, encodes its pictures within this block, whatever the web UI used it for before,
    and what it has kept of that is there afterwards. Raises `HostFailed` where it failed, which the web UI only logs."""
    mine = next((script for script in runner.alwayson_scripts if hasattr(script, "clickpaint_failures")), None)
    if mine is None:
        yield
        return
    owner = next((kind for kind in type(mine).__mro__ if _CACHE in vars(kind)), None)
    before = None if owner is None else getattr(owner, _CACHE)
    try:
        if owner is not None:
            setattr(owner, _CACHE, None)
        yield
    finally:
        if owner is not None:
            setattr(owner, _CACHE, before)
    if mine.clickpaint_failures:
        from clickpaint.hosts.webui import failures

        raise HostFailed(
            "The web UI could not show the reference pictures to its model: {reason}",
            "Leave the reference pictures out; the log of the web UI says what is wrong.",
            reason=failures.reason(mine.clickpaint_failures[0]),
        )


def _places(source: Any, script: Any | None) -> tuple[int, int] | None:
    """Which of the script's arguments switches it on, and which are its pictures; by the kind of widget, as their order may change."""
    if script is None:
        return None
    kinds = [{kind.__name__ for kind in type(component).__mro__} for component in source.inputs[script.args_from : script.args_to]]
    switches = [place for place, names in enumerate(kinds) if "Checkbox" in names]  # which the web UI's accordions are, too
    galleries = [place for place, names in enumerate(kinds) if "Gallery" in names]
    return (switches[0], galleries[0]) if switches and galleries else None


@functools.cache
def _later(kind: type[Any]) -> type[Any]:
    """The script, at work only after the picture that is edited has been encoded: it is the first of them then, and lies over what is
    painted, as these models were trained."""

    class Later(kind):
        def __init__(self) -> None:
            raise TypeError("made from a script of the web UI's")

        @property
        def clickpaint_failures(self) -> list[Exception]:
            return self.__dict__.setdefault("_clickpaint_failures", [])

        def process(self, p: Any, *arguments: Any) -> None:
            pass

        def before_process_batch(self, p: Any, *arguments: Any, batch_number: int = 0, **more: Any) -> None:
            if batch_number:
                return
            try:
                kind.process(self, p, *arguments)
            except Exception as error:
                self.clickpaint_failures.append(error)
                raise

    return Later
