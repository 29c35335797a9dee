"""Data sets as folders that other trainers read."""

from __future__ import annotations

import io
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.errors import InvalidInput, cannot_write
from clickpaint.image import picture_files
from clickpaint.image.picture import from_pixels
from clickpaint.train.dataset.examples import LAYOUTS, DataSet, TrainingExample
from clickpaint.train.dataset.layout_reading import BEFORE_LABEL, MASK_LABEL, NOTES
from clickpaint.train.dataset.picture_reading import mask_of, read_picture

_READ_BY_ALL = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_HOLDS: dict[str, tuple[str, ...]] = {
    "text": (), "onetrainer": ("mask", "before"), "kohya": ("mask",), "kohya-alpha": ("mask",),
    "imagefolder": ("mask", "control map", "before"), "instruct": ("before",), "controlnet": ("control map",),
}  # fmt: skip
"""What of an example a layout has a place for, besides its picture and its words."""


@dataclass
class _Writing:
    """One data set on its way into a folder.

    Attributes:
        data_set: what is written.
        folder: where, nobody else's yet.
        taken: names in use, in lower case: not every file system tells capitals apart.
        repeats, sources: for the notes, by the picture's file.
    """

    data_set: DataSet
    folder: Path
    taken: set[str] = field(default_factory=set)
    repeats: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def name_for(self, example: TrainingExample) -> str:
        """A name without an ending that no other example has."""
        stem = example.picture.stem.removesuffix(MASK_LABEL).removesuffix(BEFORE_LABEL) or "picture"
        name, number = stem, 2
        while name.lower() in self.taken:
            name, number = f"{stem}_{number}", number + 1
        self.taken.add(name.lower())
        return name

    def copy(self, file: Path, stem: str) -> str:
        """A picture, as it is where every trainer reads it; returns its name below the folder."""
        data, ending = readable_copy(file)
        self._make(f"{stem}{ending}").write_bytes(data)
        return f"{stem}{ending}"

    def grey(self, mask: np.ndarray, stem: str) -> str:
        stream = io.BytesIO()
        Image.fromarray(mask).save(stream, "PNG")
        self._make(f"{stem}.png").write_bytes(stream.getvalue())
        return f"{stem}.png"

    def words(self, text: str, stem: str) -> None:
        self._make(f"{stem}.txt").write_text(text + "\n", encoding="utf-8", newline="\n")

    def note(self, example: TrainingExample, file: str, repeats: bool = True) -> None:
        if repeats and example.repeats != 1:
            self.repeats[file] = example.repeats
        if example.source:
            self.sources[file] = example.source

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.folder / name).write_text(lines, encoding="utf-8", newline="\n")

    def notes(self) -> None:
        known = {
            "name": self.data_set.name, "trigger": self.data_set.trigger, "repeats": self.repeats, "sources": self.sources,
        }  # fmt: skip
        known = {key: value for key, value in known.items() if value}
        if known:
            text = json.dumps(known, ensure_ascii=False, indent=1)
            (self.folder / NOTES).write_text(text + "\n", encoding="utf-8", newline="\n")

    def _make(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class SavedDataSet:
    """What was written.

    Attributes:
        folder: where.
        examples: how many.
        without: how many of them (or of the others) had something that the layout has no place for, by what it is: "mask", "control map",
            "before", "example".
    """

    folder: Path
    examples: int
    without: dict[str, int]


def save_data_set(data_set: DataSet, folder: Path, layout: str) -> SavedDataSet:
    """Write a data set into a new or empty folder; all of it or nothing.

    Pictures that every trainer reads are copied as they are, others become PNG. Captions have the trigger word in them.

    Args:
        data_set: what to write.
        folder: is made; may be there if nothing is in it.
        layout: one of `LAYOUTS`.

    Raises:
        InvalidInput: an unknown layout, a folder that has something in it or cannot be written, or nothing that the layout could hold.
    """
    if layout not in LAYOUTS:
        raise InvalidInput("The layout {layout!r} is unknown.", "Choose one of {layouts}.", layout=layout, layouts=", ".join(LAYOUTS))
    chosen, without = _chosen(data_set, layout)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput("There is something in {folder} already.", "Name a new or an empty folder.", folder=folder)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        writing = _Writing(data_set, part)
        _WRITERS[layout](writing, chosen)
        writing.notes()
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return SavedDataSet(folder, len(chosen), without)


def _chosen(data_set: DataSet, layout: str) -> tuple[list[TrainingExample], dict[str, int]]:
    """The examples that a layout can hold, and how many have what it cannot."""
    examples, without = list(data_set.examples), Counter[str]()
    if layout in ("instruct", "controlnet"):
        needed = "before" if layout == "instruct" else "control map"
        fitting = [example for example in examples if _parts(example)[needed]]
        without["example"] = len(examples) - len(fitting)
        if not fitting:
            message = "No example has a picture before its edit." if layout == "instruct" else "No example has a control map."
            raise InvalidInput(message, "Keep an edit or a control map for training, or choose another layout.")
        examples = fitting
    for example in examples:
        without.update(part for part, there in _parts(example).items() if there and part not in _HOLDS[layout])
    if not examples:
        raise InvalidInput("There are no examples in this data set.", "Keep something for training first.")
    return examples, {part: count for part, count in without.items() if count}


def _parts(example: TrainingExample) -> dict[str, bool]:
    return {
        "mask": example.mask is not None, "control map": example.control_map is not None, "before": example.before is not None,
    }  # fmt: skip


def _text(writing: _Writing, examples: list[TrainingExample], labels: bool = False) -> None:
    for example in examples:
        name = writing.name_for(example)
        file = writing.copy(example.picture, name)
        writing.words(writing.data_set.prompt(example), name)
        mask = mask_of(example) if labels else None
        if mask is not None:
            writing.grey(mask, name + MASK_LABEL)
        if labels and example.before is not None:
            _as_png(writing, example.before, name + BEFORE_LABEL)
        writing.note(example, file)


def _as_png(writing: _Writing, file: Path, stem: str) -> None:
    """A picture whose name must end in .png."""
    picture = read_picture(file)
    data = file.read_bytes() if picture.source.format == "PNG" else picture_files.encode(picture, "PNG")
    (writing.folder / f"{stem}.png").write_bytes(data)


def _kohya(writing: _Writing, examples: list[TrainingExample], alpha: bool = False) -> None:
    """Folders and the configuration that sd-scripts take with --dataset_config: a mask folder needs a mask for each of its pictures."""
    data_set = writing.data_set
    concept = safe_name(data_set.trigger or data_set.name) or "object"
    subsets: dict[str, tuple[int, bool]] = {}
    for example in examples:
        mask, name = mask_of(example), writing.name_for(example)
        inner = f"{example.repeats}_{concept}" + ("" if mask is not None or alpha else " whole")
        subsets[inner] = (example.repeats, mask is not None)
        if alpha and mask is not None:
            file = _with_alpha(writing, example.picture, mask, f"img/{inner}/{name}")
        else:
            file = writing.copy(example.picture, f"img/{inner}/{name}")
            if mask is not None:
                writing.grey(mask, f"masks/{inner}/{name}")
        writing.words(data_set.prompt(example), f"img/{inner}/{name}")
        writing.note(example, file, repeats=False)
    lines = ["[general]", 'caption_extension = ".txt"', "enable_bucket = true"]
    for inner, (repeats, masked) in subsets.items():
        lines += ["", "[[datasets]]", "[[datasets.subsets]]", f"image_dir = {json.dumps(f'img/{inner}', ensure_ascii=False)}"]
        if alpha:
            lines.append("alpha_mask = true")
        elif masked:
            lines.append(f"conditioning_data_dir = {json.dumps(f'masks/{inner}', ensure_ascii=False)}")
        lines.append(f"num_repeats = {repeats}")
    (writing.folder / "dataset_config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    if not data_set.trigger:  # the name of the folder would be taken for it
        (writing.folder / NOTES).write_text("{}", encoding="utf-8")


def _with_alpha(writing: _Writing, file: Path, mask: np.ndarray, stem: str) -> str:
    pixels = read_picture(file).pixels
    if mask.shape != pixels.shape[:2]:
        mask = np.asarray(Image.fromarray(mask).resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BILINEAR))
    path = writing.folder / f"{stem}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture_files.encode(from_pixels(pixels, mask), "PNG"))
    return f"{stem}.png"


def safe_name(name: str) -> str:
    """What can be the name of a file or a folder on every system, as like to `name` as may be; "" for nothing."""
    return "".join("_" if letter in '<>:"/\\|?*' or not letter.isprintable() else letter for letter in name).strip(" .")


def readable_copy(file: Path) -> tuple[bytes, str]:
    """A picture's file and its ending, as a PNG unless every trainer reads it as it is. Raises `InvalidInput`."""
    ending = file.suffix.lower()
    if ending in _READ_BY_ALL:
        try:
            return file.read_bytes(), ending
        except OSError as error:
            raise InvalidInput("{file} cannot be read: {reason}.", file=file.name, reason=error.strerror or error) from error
    return picture_files.encode(read_picture(file), "PNG"), ".png"


def imagefolder_row(data_set: DataSet, example: TrainingExample, files: Mapping[str, str]) -> dict[str, Any]:
    """An example's line in metadata.jsonl; files: their names there, by the column."""
    return {**files, "text": data_set.prompt(example), "repeats": example.repeats, "source_picture": example.source}


def _imagefolder(writing: _Writing, examples: list[TrainingExample]) -> None:
    rows = []
    for example in examples:
        name, mask = writing.name_for(example), mask_of(example)
        files = {"file_name": writing.copy(example.picture, f"images/{name}")}
        if mask is not None:
            files["mask_file_name"] = writing.grey(mask, f"masks/{name}")
        for column, file in (("conditioning_image", example.control_map), ("original_image", example.before)):
            if file is not None:
                files[f"{column}_file_name"] = writing.copy(file, f"{column}s/{name}")
        rows.append(imagefolder_row(writing.data_set, example, files))
    writing.table("metadata.jsonl", rows)


def _instruct(writing: _Writing, examples: list[TrainingExample]) -> None:
    rows = []
    for example in examples:
        name = writing.name_for(example)
        assert example.before is not None
        before, file = writing.copy(example.before, f"original_images/{name}"), writing.copy(example.picture, f"edited_images/{name}")
        rows.append({"original_image_file_name": before, "edit_prompt": example.caption, "edited_image_file_name": file})
        writing.note(example, file)
    writing.table("metadata.jsonl", rows)


def _controlnet(writing: _Writing, examples: list[TrainingExample]) -> None:
    rows = []
    for example in examples:
        name = writing.name_for(example)
        assert example.control_map is not None
        file, map = writing.copy(example.picture, f"images/{name}"), writing.copy(example.control_map, f"conditioning_images/{name}")
        rows.append({"image_file_name": file, "conditioning_image_file_name": map, "text": writing.data_set.prompt(example)})
        writing.note(example, file)
    writing.table("metadata.jsonl", rows)


_WRITERS: dict[str, Callable[[_Writing, list[TrainingExample]], None]] = {
    "text": _text,
    "onetrainer": lambda writing, examples: _text(writing, examples, labels=True),
    "kohya": _kohya,
    "kohya-alpha": lambda writing, examples: _kohya(writing, examples, alpha=True),
    "imagefolder": _imagefolder,
    "instruct": _instruct,
    "controlnet": _controlnet,
}
