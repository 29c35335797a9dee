"""The use-cases of several pictures at once: the selection of one in another, and the files of many in one."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Literal

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.mask import bounds
from clickpaint.segment.base import Prompts
from clickpaint.studio.zipping import zipped

if TYPE_CHECKING:
    from clickpaint.image.geometry import Box
    from clickpaint.image.picture import Picture
    from clickpaint.session.steps import State
    from clickpaint.session.workspace import Workspace
    from clickpaint.studio.request import Requests
    from clickpaint.studio.selecting import Selecting

MOST_PICTURES = 500
_AROUND = 0.08
"""By this share of its sides a box is wider on each side."""


class SeveralPictures:
    """Part of the studio.

    Args:
        workspace: finds one by its id, or raises `NotFound`.
        encode: a picture's file, from the picture, the format (None: its own) and the quality.
        file_name: a picture's name for saving, from that of its file and the format.
    """

    def __init__(
        self,
        requests: Requests,
        selecting: Selecting,
        workspace: Callable[[str], Workspace],
        encode: Callable[[Picture, str | None, int | None], bytes],
        file_name: Callable[[str, str], str],
    ) -> None:
        self._requests, self._selecting, self._workspace = requests, selecting, workspace
        self._encode, self._file_name = encode, file_name

    def select_as_in(
        self,
        workspace: Workspace,
        source: Workspace,
        version: int | None = None,
        how: Literal["place", "box"] = "place",
        segmenter: str | None = None,
    ) -> State:
        """Select in one picture what is selected in another, or was when that was changed.

        Args:
            version: of the other picture, for what was selected when it was made; None for what is selected now.
            how: "place", the same part of the picture, whatever its size; "box", what the segmenter finds in the same part.
            segmenter: its name for "box"; None for the setting's.

        Raises:
            InvalidInput: nothing is or was selected there, or nothing was found here.
        """
        mask = selection_behind(source, version)
        if mask is None:
            raise InvalidInput("Nothing is selected in {name}.", "Select something there first.", name=source.name or "the other picture")
        if how == "box":
            found = bounds(mask)
            assert found is not None, "a selection is never empty"
            box = _wider(found, mask.shape[::-1], workspace.size)
            return self._selecting.select(workspace, Prompts(box=box), segmenter).state
        with self._requests.run("mask", workspace) as request, request.turn():
            return workspace.select("Same place", scaled(mask, workspace.size), "replace")

    def archive(self, pictures: Sequence[tuple[str, int | None]], format: str | None = None, quality: int | None = None) -> IO[bytes]:
        """One zip file of many pictures, to be read from its begin and closed by who asked; they are not compressed once more.

        Args:
            pictures: each by its workspace's id, with its version (None: what it shows). One after another is looked up, so that no more
                are open than may be.
            format: of the files, None for the one each came in.
            quality: 1 to 100, for JPEG and WebP; None for the source's own or a high one.

        Raises:
            InvalidInput: there are none, or too many; a format that cannot be written.
            NotFound: there is no such workspace, or no such version.
        """
        if not 1 <= len(pictures) <= MOST_PICTURES:
            raise InvalidInput("One file can hold 1 to {limit} pictures.", "Ask for fewer at once.", limit=MOST_PICTURES)
        taken: set[str] = set()

        def fill(archive: zipfile.ZipFile) -> None:
            for id, version in pictures:
                workspace = self._workspace(id)
                name = free_name(self._file_name(workspace.name, format or workspace.original.source.format), taken)
                archive.writestr(name, self._encode(workspace.picture(version), format, quality))

        return zipped(fill)


def selection_behind(workspace: Workspace, version: int | None) -> np.ndarray | None:
    """What was selected when a version was made, bool [H, W]; None (as a version): what is selected now, or else was last."""
    contents = workspace.contents()
    states = contents.states[: contents.index + 1]
    if version:
        made = next((i for i, state in enumerate(contents.states) if state.version == version), 0)
        states = contents.states[made - 1 : made] if made else ()
    packed = next((state.selection for state in reversed(states) if state.selection is not None), None)
    return None if packed is None else packed.mask


def scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The same part of a picture of another size (width, height): bool [H, W], with smooth edges where it grows."""
    import cv2

    grey = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR if mask.size < size[0] * size[1] else cv2.INTER_AREA)
    larger: np.ndarray = grey >= 0.5
    if not larger.any():  # a speck in a much smaller picture
        larger = grey >= grey.max()
    return larger


def _wider(box: Box, size: tuple[int, int], other: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of a picture of `size`, in one of another size, and a little wider: things do not stand in quite the same place."""
    x, y = other[0] / size[0], other[1] / size[1]
    across, down = _AROUND * (box.right - box.left) * x, _AROUND * (box.bottom - box.top) * y
    left, top = max(box.left * x - across, 0), max(box.top * y - down, 0)
    return left, top, min(box.right * x + across, other[0]), min(box.bottom * y + down, other[1])


def free_name(name: str, taken: set[str]) -> str:
    """The name, with a number before its ending where it is `taken`, whatever the capitals; it is taken then."""
    path, number, free = PurePath(name), 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{path.stem} ({number}){path.suffix}"
    taken.add(free.casefold())
    return free
