"""Data sets as they are published in Parquet files, with the pictures inside: unpacked into a folder of pictures with a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clickpaint.errors import InvalidInput, ModelMissing, cannot_write
from clickpaint.image.readers import format_of
from clickpaint.train.dataset.layout_reading import COLUMNS

_ROWS = 16
"""Of which at once are in memory."""


def parquet_files(folder: Path) -> list[Path]:
    """Of the training split where there are several; none for a data set that lies otherwise."""
    files = sorted(folder.rglob("*.parquet"))
    return [file for file in files if file.name.startswith("train")] or files


def unpack(files: list[Path], folder: Path) -> None:
    """Write the rows of Parquet files as pictures and metadata.jsonl.

    Args:
        files: with a column of pictures ({"bytes", "path"}, as the library datasets writes them) or several, and one of words.
        folder: a new or empty one.

    Raises:
        ModelMissing: the package that reads them is not installed.
        InvalidInput: they cannot be read, or hold no pictures.
    """
    try:
        from pyarrow import parquet  # pyrefly: ignore[missing-import]  (nobody needs it for anything else)
    except ImportError as error:
        raise ModelMissing(
            "Parquet files cannot be read: pyarrow is not installed.", "Run: python -m pip install pyarrow, then import it again."
        ) from error
    known = {name for names in COLUMNS.values() for name in names}
    number = 0
    try:
        with (folder / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as table:
            for file in files:
                source = parquet.ParquetFile(file)
                columns = [name for name in source.schema_arrow.names if name in known]
                for batch in source.iter_batches(batch_size=_ROWS, columns=columns):
                    for row in batch.to_pylist():
                        number += 1
                        line = {name: _written(value, folder, f"{name}/{number:07d}") for name, value in row.items()}
                        table.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as error:
        if error.errno is not None:
            raise cannot_write(folder, error) from error
        raise _unreadable(files[0]) from error
    except Exception as error:  # pyarrow's own are ValueErrors, KeyErrors and others
        raise _unreadable(files[0]) from error


def _written(value: Any, folder: Path, stem: str) -> Any:
    """A cell: the name of the file that its picture is written to, or the value itself."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        return value if isinstance(value, (str, int, float)) else None
    ending = {"JPEG": ".jpg", "WEBP": ".webp"}.get(format_of(data) or "", ".png")
    file = folder / f"{stem}{ending}"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return f"{stem}{ending}"


def _unreadable(file: Path) -> InvalidInput:
    return InvalidInput("{file} is no Parquet file that can be read.", "Copy or download it again.", file=file.name)
