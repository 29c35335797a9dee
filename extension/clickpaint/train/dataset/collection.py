"""The data sets that the program keeps: each in a folder of its own, in the layout "imagefolder", so that any trainer can read it there."""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput, NotFound, cannot_write
from clickpaint.image import mask as masks
from clickpaint.image import png
from clickpaint.image.picture_files import ENDINGS
from clickpaint.image.whole_file import write_whole
from clickpaint.train.dataset.examples import DataSet, TrainingExample
from clickpaint.train.dataset.layout_reading import NOTES, one_line, open_data_set
from clickpaint.train.dataset.layout_writing import imagefolder_row, readable_copy, safe_name
from clickpaint.train.dataset.picture_reading import mask_of

_TABLE = "metadata.jsonl"
_LONGEST_NAME, _LONGEST_CAPTION, _MOST_REPEATS = 80, 4000, 1000
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
"""Names that Windows gives to devices."""


@dataclass(frozen=True, eq=False)
class NewExample:
    """What is to be kept.

    Attributes:
        name: of the file that it was taken from, for the name of its own.
        picture: a PNG's bytes, or a file.
        caption: without the trigger word; of an edit, the instruction.
        mask: bool or uint8 [H, W]; None for none.
        control_map: as `picture`; None for none.
        before: as `picture`; None for none.
        repeats: at least 1.
        source: see `TrainingExample.source`.
    """

    name: str
    picture: bytes | Path
    caption: str = ""
    mask: np.ndarray | None = None
    control_map: bytes | Path | None = None
    before: bytes | Path | None = None
    repeats: int = 1
    source: str = ""


@dataclass(frozen=True)
class ExampleChange:
    """What is to be different; None for what stays.

    Attributes:
        caption: without the trigger word.
        repeats: at least 1.
    """

    caption: str | None = None
    repeats: int | None = None


def example_id(example: TrainingExample) -> str:
    """What an example of the collection is asked for by: its picture's name, which no other of its set has."""
    return example.picture.stem


class Collection:
    """The data sets in a folder. Everything here may be called from any thread; files are written whole, or not at all.

    Args:
        folder: of all sets; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """Of all sets, the one changed last first."""
        if not self.folder.is_dir():
            return []
        folders = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return [path.name for path in sorted(folders, key=lambda path: (-_changed(path), path.name))]

    def folder_of(self, name: str) -> Path:
        """Raises `NotFound`, and `InvalidInput` for what cannot be a name."""
        folder = self.folder / checked_name(name)
        if not folder.is_dir():
            raise NotFound("There is no data set {name!r}.", "Choose one of those that there are, or make it.", name=name)
        return folder

    def get(self, name: str) -> DataSet:
        """A data set; it may be empty. Raises `NotFound`, and `InvalidInput` for a damaged one."""
        folder = self.folder_of(name)
        table = folder / _TABLE
        if not table.stat().st_size if table.is_file() else not any(path.suffix.lower() in ENDINGS for path in folder.rglob("*")):
            return DataSet((), str(_notes(folder).get("trigger", "")), name)
        data_set = replace(open_data_set(folder), name=name)
        if len({example_id(example).casefold() for example in data_set.examples}) < len(data_set.examples):
            raise InvalidInput(
                "Several pictures in {folder} have the same name.", "Import it instead: clickpaint dataset import FOLDER.", folder=folder
            )
        return data_set

    def create(self, name: str, trigger: str = "") -> DataSet:
        """A new, empty data set. Raises `InvalidInput`: the name cannot be, or there is one of it."""
        name, trigger = checked_name(name), checked_trigger(trigger)
        with self._writing(name) as folder:
            if any(other.casefold() == name.casefold() for other in self.names()):
                raise InvalidInput("There is a data set {name!r} already.", "Give this one another name.", name=name)
            folder.mkdir(parents=True)
            write_whole(folder / NOTES, _json_line({"name": name, "trigger": trigger}))
        return DataSet((), trigger, name)

    def delete(self, name: str) -> None:
        """Delete a data set with all of its pictures. Raises `NotFound`, `InvalidInput`."""
        with self._writing(name):
            folder = self.folder_of(name)
            gone = self.folder / f".{uuid.uuid4().hex[:12]}.part"
            folder.rename(gone)  # at once gone from the list, whatever the deleting of many files takes
            shutil.rmtree(gone)

    def add(self, name: str, new: Iterable[NewExample]) -> list[str]:
        """Add examples, which are asked for one after another, to a data set; returns their ids. Raises `NotFound`, `InvalidInput`."""
        with self._writing(name) as folder:
            data_set = self.get(name)
            taken = {example_id(example).casefold() for example in data_set.examples}
            made: list[TrainingExample] = []
            try:
                for example in new:
                    _check(example.caption, example.repeats)
                    made.append(_stored(folder, example, taken, made))
                self._save(replace(data_set, examples=(*data_set.examples, *made)))
            except BaseException:
                _remove_files(made)
                raise
            return [example_id(example) for example in made]

    def change(self, name: str, changes: Mapping[str, ExampleChange], trigger: str | None = None) -> DataSet:
        """Change captions and repeats of examples by their ids, and the trigger word. Raises `NotFound`, `InvalidInput`."""
        for change in changes.values():
            _check(change.caption or "", 1 if change.repeats is None else change.repeats)

        def changed(example: TrainingExample) -> TrainingExample:
            change = changes.get(example_id(example), ExampleChange())
            caption = example.caption if change.caption is None else one_line(change.caption)
            return replace(example, caption=caption, repeats=example.repeats if change.repeats is None else change.repeats)

        with self._writing(name):
            data_set = self.get(name)
            _check_there(data_set, changes)
            word = data_set.trigger if trigger is None else checked_trigger(trigger)
            return self._save(replace(data_set, examples=tuple(map(changed, data_set.examples)), trigger=word))

    def set_mask(self, name: str, id: str, mask: np.ndarray | None) -> DataSet:
        """Give an example another mask, bool or uint8 [H, W], or none. Raises `NotFound`."""
        with self._writing(name) as folder:
            data_set = self.get(name)
            _check_there(data_set, [id])
            # a new name: whoever trains with the file that is there goes on with it
            stem, written = f"masks/{id}", None
            if mask is not None:
                written = folder / f"{stem}_{uuid.uuid4().hex[:6]}.png"
                write_whole(written, _mask_file(mask))
            old = next(example for example in data_set.examples if example_id(example) == id)
            examples = tuple(replace(example, mask=written) if example is old else example for example in data_set.examples)
            saved = self._save(replace(data_set, examples=examples))
            _remove_files([TrainingExample(old.picture, mask=old.mask)], saved.examples)
            return saved

    def discard(self, name: str, ids: Sequence[str]) -> DataSet:
        """Delete examples with their files. Raises `NotFound`."""
        with self._writing(name):
            data_set = self.get(name)
            _check_there(data_set, ids)
            gone = [example for example in data_set.examples if example_id(example) in set(ids)]
            saved = self._save(replace(data_set, examples=tuple(example for example in data_set.examples if example not in gone)))
            _remove_files(gone, saved.examples)
            return saved

    def take(self, name: str, data_set: DataSet) -> int:
        """Copy the examples of another data set into one of the collection, which is made where it is not there; returns how many."""
        with self._lock:
            known = any(other == checked_name(name) for other in self.names())
            if not known:
                self.create(name, data_set.trigger)
            try:
                new = (
                    NewExample(
                        example.picture.name, example.picture, example.caption, mask_of(example), example.control_map, example.before,
                        example.repeats, example.source,
                    )
                    for example in data_set.examples
                )  # fmt: skip
                return len(self.add(name, new))
            except BaseException:
                if not known:
                    self.delete(name)
                raise

    def _save(self, data_set: DataSet) -> DataSet:
        folder = self.folder / data_set.name
        rows = [imagefolder_row(data_set, example, _columns(example, folder)) for example in data_set.examples]
        write_whole(folder / _TABLE, b"".join(_json_line(row) + b"\n" for row in rows))
        if _notes(folder).get("trigger", "") != data_set.trigger:
            write_whole(folder / NOTES, _json_line({"name": data_set.name, "trigger": data_set.trigger}))
        return data_set

    @contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        """The set's folder, for one writer at a time; what the system refuses is said as a sentence."""
        folder = self.folder / checked_name(name)
        with self._lock:
            try:
                yield folder
            except OSError as error:
                raise cannot_write(error.filename or folder, error) from error


def checked_name(name: str) -> str:
    """Raises `InvalidInput` for what cannot be the name of a folder on every system."""
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or name != safe_name(name) or name.startswith(".") or name.split(".")[0].lower() in _RESERVED:
        raise InvalidInput(
            "A data set cannot be called {name!r}.", "Give up to {limit} letters, none of them of < > : \" / \\ | ? *.", name=name[:100],
            limit=_LONGEST_NAME,
        )  # fmt: skip
    return name


def checked_trigger(trigger: str) -> str:
    """Raises `InvalidInput` for what cannot be a trigger word."""
    trigger = one_line(trigger)
    if len(trigger) > _LONGEST_NAME or "," in trigger:
        raise InvalidInput("This cannot be a trigger word.", "Give up to {limit} letters without a comma.", limit=_LONGEST_NAME)
    return trigger


def _check(caption: str, repeats: int) -> None:
    if len(caption) > _LONGEST_CAPTION:
        raise InvalidInput("The caption is too long.", "Give up to {limit} letters.", limit=_LONGEST_CAPTION)
    if not 1 <= repeats <= _MOST_REPEATS:
        raise InvalidInput("An example cannot come {repeats} times.", "Give 1 to {limit}.", repeats=repeats, limit=_MOST_REPEATS)


def _check_there(data_set: DataSet, ids: Sequence[str] | Mapping[str, object]) -> None:
    there = {example_id(example) for example in data_set.examples}
    missing = next((id for id in ids if id not in there), None)
    if missing is not None:
        raise NotFound("There is no example {id!r} in {name}.", "It may have been deleted.", id=missing, name=data_set.name)


def _changed(folder: Path) -> float:
    try:
        return max((file.stat().st_mtime for file in (folder / _TABLE, folder / NOTES) if file.exists()), default=0.0)
    except OSError:
        return 0.0


def _notes(folder: Path) -> dict[str, Any]:
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _columns(example: TrainingExample, folder: Path) -> dict[str, str]:
    """An example's files as the table names them."""
    files = {
        "file_name": example.picture, "mask_file_name": example.mask, "conditioning_image_file_name": example.control_map,
        "original_image_file_name": example.before,
    }  # fmt: skip
    return {column: file.relative_to(folder).as_posix() for column, file in files.items() if file is not None}


def _stored(folder: Path, example: NewExample, taken: set[str], before: Sequence[TrainingExample]) -> TrainingExample:
    """An example with its files written; `taken` are ids in use in lower case, and the new one then."""
    stem = safe_name(Path(example.name).stem)[:_LONGEST_NAME] or "picture"
    id, number = stem, 2
    while id.casefold() in taken:
        id, number = f"{stem}_{number}", number + 1
    taken.add(id.casefold())
    written: list[Path] = []

    def place(content: bytes | Path | None, inner: str) -> Path | None:
        if content is None:
            return None
        data, ending = (content, ".png") if isinstance(content, bytes) else readable_copy(content)
        target = folder / inner / f"{id}{ending}"
        same = next((other.picture for other in before if inner == "images" and example.source and other.source == example.source), None)
        if same is None or not _linked(same, target, data):
            write_whole(target, data)
        written.append(target)
        return target

    try:
        picture = place(example.picture, "images")
        assert picture is not None
        mask = None if example.mask is None else place(_mask_file(example.mask), "masks")
        control_map, earlier = place(example.control_map, "conditioning_images"), place(example.before, "original_images")
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return TrainingExample(picture, one_line(example.caption), mask, example.repeats, control_map, earlier, example.source)


def _mask_file(mask: np.ndarray) -> bytes:
    return masks.to_png(mask) if mask.dtype == bool else png.grey(mask, mask.shape[1], depth=8)


def _linked(same: Path, target: Path, data: bytes) -> bool:
    """Whether the picture that several objects were taken from could be one file under several names, which takes its room once."""
    try:
        if same.suffix != target.suffix or same.stat().st_size != len(data) or same.read_bytes() != data:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(same, target)
    except OSError:
        return False
    return True


def _files_of(examples: Sequence[TrainingExample]) -> set[Path]:
    files = (file for example in examples for file in (example.picture, example.mask, example.control_map, example.before))
    return {file for file in files if file is not None}


def _remove_files(examples: Sequence[TrainingExample], left: Sequence[TrainingExample] = ()) -> None:
    """Delete the files of examples, but for those that the ones that are left have too."""
    for file in _files_of(examples) - _files_of(left):
        file.unlink(missing_ok=True)


def _json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
