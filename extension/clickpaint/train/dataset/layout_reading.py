"""Folders that others made, as data sets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.image.picture_files import ENDINGS
from clickpaint.train.dataset.examples import DataSet, TrainingExample, without_trigger

NOTES = "dataset.json"
"""Beside the examples: what a layout has no place for: {"name", "trigger", "repeats": {file: times}, "sources": {file: source}}."""

MASK_LABEL, BEFORE_LABEL = "-masklabel", "-condlabel"
"""What OneTrainer puts behind a name."""

MASK_FOLDERS = ("masks", "mask", "conditioning", "conditioning_data")
_REMEDY = "Correct the file, or remove the line."
_CAPTIONS = (".txt", ".caption")
_KOHYA = re.compile(r"(\d+)_(.*)")
_TABLES = ("metadata.jsonl", "metadata.csv", "train.jsonl", "data.jsonl", "prompt.json")
COLUMNS: dict[str, tuple[str, ...]] = {
    "picture": ("edited_image", "file_name", "image", "target"),
    "caption": ("edit_prompt", "text", "caption", "prompt", "additional_feature"),
    "mask": ("mask",),
    "control_map": ("conditioning_image", "source"),
    "before": ("original_image", "input_image"),
}
"""What others call the columns of a table; a picture's may end in _file_name, as Hugging Face's imagefolder wants it."""

Notes = Mapping[str, Any]


def open_data_set(folder: Path) -> DataSet:
    """The data set in a folder, in whichever of the usual layouts it lies.

    Read are: pictures with NAME.txt or NAME.caption beside them, OneTrainer's NAME-masklabel.png and NAME-condlabel.png, kohya's folders
    N_concept with masks in a folder "masks" or in alpha channels, Hugging Face's imagefolder (metadata.jsonl or metadata.csv), tables of
    `image`, `conditioning_image`, `text` and of `original_image`, `edit_prompt`, `edited_image`, and what the authors of ControlNet
    (prompt.json, source, target) and of InstructPix2Pix (a folder for each prompt.json) published.

    Raises:
        NotFound: there is no such folder.
        InvalidInput: there is no data set in it, or one that names files that are not there.
    """
    if not folder.is_dir():
        raise NotFound("There is no folder {folder}.", "Name the folder of a data set.", folder=folder)
    try:
        return _read(folder)
    except OSError as error:
        raise InvalidInput("{file} cannot be read: {reason}.", file=error.filename or folder, reason=error.strerror or error) from error


def _read(folder: Path) -> DataSet:
    notes = _notes(folder)
    for place in (folder, folder / "train"):
        table = next((place / name for name in _TABLES if (place / name).is_file()), None)
        if table is not None:
            return _data_set([_of_row(table, number, row) for number, row in _rows(table)], notes, folder)
    published = sorted(folder.glob("*/prompt.json"))
    if published:
        return _data_set([example for file in published for example in _of_prompt(file)], notes, folder)
    kohya, trigger = _kohya(folder)
    if kohya:
        return _data_set(kohya, notes if (folder / NOTES).is_file() else {"trigger": trigger}, folder)
    plain = _beside_captions(folder, folder)
    if not plain and any(folder.rglob("*.parquet")):
        raise InvalidInput(
            "The data set lies in Parquet files.",
            "Import it: clickpaint dataset import FOLDER.",
        )
    return _data_set(plain, notes, folder)


def _data_set(examples: list[TrainingExample], notes: Notes, folder: Path) -> DataSet:
    if not examples:
        raise InvalidInput("There is no data set in {folder}.", "Name a folder with pictures in one of the usual layouts.", folder=folder)
    trigger = str(notes.get("trigger", ""))
    repeats, sources = notes.get("repeats") or {}, notes.get("sources") or {}
    finished = []
    for example in examples:
        name = _relative(example.picture, folder)
        caption = example.caption if example.before is not None else without_trigger(example.caption, trigger)
        finished.append(
            replace(
                example, caption=caption, repeats=_repeats(repeats.get(name, example.repeats), name),
                source=str(sources.get(name, example.source)),
            )
        )  # fmt: skip
    return DataSet(tuple(finished), trigger, str(notes.get("name", "")))


def _notes(folder: Path) -> dict[str, Any]:
    file = folder / NOTES
    if not file.is_file():
        return {}
    notes = _json(file.read_text(encoding="utf-8-sig"), file, 1)
    return notes if isinstance(notes, dict) else {}


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _repeats(value: Any, name: str) -> int:
    try:
        times = int(value)
    except (TypeError, ValueError):
        times = 0
    if not 1 <= times <= 100_000:
        raise InvalidInput("{file} cannot be repeated {value} times.", "Give a whole number from 1 on.", file=name, value=value)
    return times


# Pictures with their words beside them: text files, OneTrainer, kohya.


def _beside_captions(folder: Path, root: Path, masks: Mapping[str, Path] | None = None) -> list[TrainingExample]:
    """Every picture of a folder and the folders in it, with what lies beside it."""
    examples = []
    for picture in _pictures(folder):
        if picture.stem.endswith((MASK_LABEL, BEFORE_LABEL)):
            continue
        mask = picture.with_name(f"{picture.stem}{MASK_LABEL}.png")
        before = picture.with_name(f"{picture.stem}{BEFORE_LABEL}.png")
        named = (masks or {}).get(picture.stem)
        mask_file = mask if mask.is_file() else named if named is not None else picture if _has_alpha(picture) else None
        examples.append(TrainingExample(picture, _caption(picture), mask_file, before=before if before.is_file() else None))
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if inner.name.lower() in MASK_FOLDERS:
            continue
        examples += _beside_captions(inner, root, _masks_in(inner, root))
    return examples


def _kohya(folder: Path) -> tuple[list[TrainingExample], str]:
    """What lies in folders N_concept, and the concept if it is the same everywhere."""
    root = folder / "img" if (folder / "img").is_dir() else folder
    examples, concepts = [], set()
    inners = [(inner, _KOHYA.fullmatch(inner.name)) for inner in sorted(root.iterdir()) if inner.is_dir()]
    own = _KOHYA.fullmatch(root.name)
    if not any(match for _, match in inners) and own is not None:
        inners = [(root, own)]
    for inner, match in inners:
        if match is None:
            continue
        times, concept = _repeats(match[1], inner.name), match[2].strip()
        concepts.add(concept)
        for example in _beside_captions(inner, folder, _masks_in(inner, folder)):
            examples.append(replace(example, repeats=times))
    return examples, concepts.pop() if len(concepts) == 1 else ""


def _masks_in(inner: Path, root: Path) -> dict[str, Path]:
    """Masks that lie in a folder of their own, by the names of their pictures."""
    masks: dict[str, Path] = {}
    for place in (root, inner.parent, inner):
        for name in MASK_FOLDERS:
            for folder in (place / name, place / name / inner.name):
                if folder.is_dir():
                    masks.update({path.stem: path for path in _pictures(folder)})
    return masks


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file())


def _caption(picture: Path) -> str:
    file = next((file for file in map(picture.with_suffix, _CAPTIONS) if file.is_file()), None)
    return "" if file is None else one_line(_text(file))


def _text(file: Path) -> str:
    """A text file as editors write it, UTF-8 or UTF-16."""
    data = file.read_bytes()
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")


def one_line(text: str) -> str:
    """A caption: trainers take a line's end for the beginning of another one."""
    return " ".join(text.split())


def _has_alpha(file: Path) -> bool:
    from PIL import Image

    if file.suffix.lower() not in (".png", ".webp", ".tif", ".tiff"):
        return False
    try:
        with Image.open(file) as image:
            return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    except (OSError, ValueError, SyntaxError):  # said where it is read
        return False


# Tables.


def _rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _text(table)
    if table.suffix == ".csv":
        yield from enumerate(csv.DictReader(io.StringIO(text)), 2)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            row = _json(line, table, number)
            if not isinstance(row, dict):
                raise _no_object(table, number)
            yield number, row


def _of_row(table: Path, number: int, row: Mapping[str, Any]) -> TrainingExample:
    value = partial(_value, row)
    picture = value("picture")
    if picture is None:
        raise InvalidInput("Line {number} of {file} names no picture.", _REMEDY, number=number, file=table.name)
    files = {name: _named(table, number, value(name)) for name in ("mask", "control_map", "before")}
    return TrainingExample(
        _there(table, number, picture), one_line(str(value("caption") or "")), files["mask"], _repeats(row.get("repeats") or 1, table.name),
        files["control_map"], files["before"], str(row.get("source_picture") or ""),
    )  # fmt: skip


def _value(row: Mapping[str, Any], name: str) -> Any:
    for column in COLUMNS[name]:
        for key in (f"{column}_file_name", column) if name != "caption" else (column,):
            if row.get(key) not in (None, ""):
                return row[key]
    return None


def _named(table: Path, number: int, name: Any) -> Path | None:
    return None if name is None else _there(table, number, name)


def _there(table: Path, number: int, name: Any) -> Path:
    """The file that a table names, which must lie in the table's folder: a table from elsewhere may name anything."""
    if isinstance(name, Mapping):  # as the library datasets writes a picture
        name = name.get("path") or name.get("file_name")
    parts = PurePosixPath(str(name).replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or re.match(r"[A-Za-z]:", str(parts)):
        raise InvalidInput(
            "Line {number} of {file} names {name}, which is outside of its folder.", _REMEDY, number=number, file=table.name, name=name
        )
    file = table.parent / parts
    if not file.is_file():
        raise InvalidInput("Line {number} of {file} names {name}, which is not there.", _REMEDY, number=number, file=table.name, name=name)
    return file


def _of_prompt(file: Path) -> Iterator[TrainingExample]:
    """Pairs as the authors of InstructPix2Pix published them: SEED_0.jpg, SEED_1.jpg and prompt.json in a folder of their own."""
    prompt = _json(_text(file), file, 1)
    words = one_line(str(prompt.get("edit", ""))) if isinstance(prompt, dict) else ""
    for before in sorted(file.parent.glob("*_0.jpg")):
        after = before.with_name(before.name.replace("_0.jpg", "_1.jpg"))
        if after.is_file():
            yield TrainingExample(after, words, before=before)


def _json(text: str, file: Path, number: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _no_object(file, number) from error


def _no_object(file: Path, number: int) -> InvalidInput:
    return InvalidInput("Line {number} of {file} is no JSON object.", _REMEDY, number=number, file=file.name)
