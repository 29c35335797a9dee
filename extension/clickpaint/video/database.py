"""Small databases (SQLite) that hold what grows with a clip's length: found by its frame, whole or not at all, and not in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_PATIENCE = 60.0
"""Seconds that a reader waits for a writer, who holds the file for milliseconds."""


@contextmanager
def connected(path: Path, schema: str = "") -> Iterator[sqlite3.Connection]:
    """The database at `path`; what the block did is there once it ends, and nothing of it where it raises.

    Args:
        schema: statements that make its tables, for a database that is new.

    Raises:
        OSError: the disk is full, or the file cannot be used.
        ValueError: it is no such database.
    """
    import sqlite3

    if not schema and not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE)
        connection.execute("PRAGMA synchronous=NORMAL")
        if schema:
            connection.executescript(schema)
        with connection:
            yield connection
    except sqlite3.OperationalError as error:
        full = "full" in str(error)
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number) if full else str(error), str(path)) from error
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    finally:
        if connection is not None:
            connection.close()
