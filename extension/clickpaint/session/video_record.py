"""What is known of one opened video, in a database beside its files: nothing of it is in memory, and a crash loses no more than what was
just being written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.image.packed import PackedMask
from clickpaint.video.database import connected
from clickpaint.video.mask_bits import compressed, uncompressed
from clickpaint.video.tracking import DOUBTFUL

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value NOT NULL);
CREATE TABLE IF NOT EXISTS object (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS given (object TEXT, frame INTEGER, revision INTEGER, prompts TEXT, bounds TEXT, bits BLOB,
    PRIMARY KEY (object, frame));
CREATE TABLE IF NOT EXISTS tracked (object TEXT, frame INTEGER, source INTEGER, revision INTEGER, tracker TEXT, confidence REAL,
    bounds TEXT, bits BLOB, PRIMARY KEY (object, frame));
CREATE TABLE IF NOT EXISTS version (number INTEGER PRIMARY KEY, facts TEXT NOT NULL);
"""


@dataclass(frozen=True)
class VideoFacts:
    """What does not change.

    Attributes:
        id: of the video; nobody guesses it.
        name: of the file that was opened.
        file: where it is: a name within the video's folder, or the path of a file or folder elsewhere.
        stamp: (bytes, nanoseconds of its last change) of a file elsewhere, to notice that it is another one now; None for ours.
        container, codec, fps, variable, sound, pixel_aspect, duration: as in `video.describing.ClipFacts`.
        size: (width, height) of the frames in pixels.
        frames: how many there are.
        opened: when, in seconds since 1970.
    """

    id: str
    name: str
    file: str
    stamp: tuple[int, int] | None
    container: str
    codec: str
    size: tuple[int, int]
    frames: int
    fps: float
    duration: float
    variable: bool
    sound: bool
    pixel_aspect: float
    opened: float


@dataclass(frozen=True)
class VideoVersion:
    """A result.

    Attributes:
        number: no other version of the video ever has it; 0 is what was opened.
        label: the step, for people.
        kind: of the task that made it.
        first, last: the frames that were worked on, both included; where it was interrupted, those that it came to.
        whole: whether it was not.
        made: when, in seconds since 1970.
        details: what made it, by name.
    """

    number: int
    label: str
    kind: str
    first: int
    last: int
    whole: bool
    made: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GivenFrame:
    """What the user said about an object in one frame.

    Attributes:
        frame: its number.
        revision: another one after every change.
        prompts: as they came, to be shown again: {"points": [[x, y, label] …], "box": […] or None}; empty for a mask.
    """

    frame: int
    revision: int
    prompts: dict[str, Any]


@dataclass(frozen=True)
class TrackedMark:
    """How an object's mask in one frame came about.

    Attributes:
        frame: its number.
        source: the given frame that it was followed from.
        revision: of that.
        tracker: its name.
        confidence: 0 to 1.
    """

    frame: int
    source: int
    revision: int
    tracker: str
    confidence: float


class VideoRecord:
    """The database of one video. Every call reads or writes the file; any thread may call.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, facts: VideoFacts, starts: np.ndarray, times: np.ndarray | None, keys: np.ndarray | None) -> None:
        """Begin. starts, times, keys: as in `video.describing.ClipFacts`."""
        with connected(self.path, _SCHEMA) as database:
            rows: dict[str, Any] = {
                "format": FORMAT, "facts": json.dumps(asdict(facts)), "starts": zlib.compress(starts.astype("<f8").tobytes(), 1),
                "times": b"" if times is None else zlib.compress(times.astype("<i8").tobytes(), 1),
                "keys": b"" if keys is None else zlib.compress(keys.astype("<i8").tobytes(), 1), "in_mark": 0,
                "out_mark": facts.frames - 1, "shown": 0, "last_version": 0, "revision": 0,
            }  # fmt: skip
            database.executemany("INSERT INTO fact VALUES (?, ?)", rows.items())

    def facts(self) -> VideoFacts:
        """Raises `OSError` where there is none, `ValueError` where it cannot be used."""
        with connected(self.path) as database:
            known = dict(database.execute("SELECT name, value FROM fact WHERE name IN ('format', 'facts')"))
        if known.get("format") != FORMAT:
            raise ValueError("it is of another program's form")
        try:
            values: dict[str, Any] = json.loads(known["facts"])
            stamp = values["stamp"] and (int(values["stamp"][0]), int(values["stamp"][1]))
            values |= {"size": (int(values["size"][0]), int(values["size"][1])), "stamp": stamp}
            return VideoFacts(**values)
        except (TypeError, KeyError, IndexError) as error:
            raise ValueError(f"it is damaged: {error}") from error

    def starts(self) -> np.ndarray:
        """When each frame is shown first, float64 [frames], seconds."""
        return np.frombuffer(zlib.decompress(self.value("starts")), "<f8")

    def index(self) -> tuple[list[int], list[int]] | None:
        """The times and the keys of a `FrameIndex`; None for what is no video."""
        if not self.value("times"):
            return None
        times, keys = (np.frombuffer(zlib.decompress(self.value(name)), "<i8").tolist() for name in ("times", "keys"))
        return times, keys

    def value(self, name: str) -> Any:
        """One of "in_mark", "out_mark", "shown", "last_version" …"""
        with connected(self.path) as database:
            return database.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()[0]

    def put(self, **values: int) -> None:
        """Change values."""
        with connected(self.path) as database:
            database.executemany("UPDATE fact SET value = ? WHERE name = ?", [(value, name) for name, value in values.items()])

    # Objects, and what the user said about them.

    def objects(self) -> dict[str, str]:
        """Their names by their ids, in the order in which they were made."""
        with connected(self.path) as database:
            return dict(database.execute("SELECT id, name FROM object ORDER BY rowid"))

    def put_object(self, object_id: str, name: str | None) -> None:
        """Make an object, or give it another name. name: None leaves it."""
        with connected(self.path) as database:
            database.execute("INSERT OR IGNORE INTO object VALUES (?, ?)", (object_id, name or ""))
            if name is not None:
                database.execute("UPDATE object SET name = ? WHERE id = ?", (name, object_id))

    def remove_object(self, object_id: str) -> bool:
        """Forget an object and its masks. Whether there was one."""
        with connected(self.path) as database:
            for table in ("given", "tracked"):
                database.execute(f"DELETE FROM {table} WHERE object = ?", (object_id,))
            return database.execute("DELETE FROM object WHERE id = ?", (object_id,)).rowcount > 0

    def give(self, object_id: str, masks: Iterable[tuple[int, np.ndarray, dict[str, Any]]]) -> None:
        """Keep what the user said: (frame, bool [H, W], prompts) each; see `GivenFrame`."""
        with connected(self.path) as database:
            (revision,) = database.execute("SELECT value FROM fact WHERE name = 'revision'").fetchone()
            for frame, mask, prompts in masks:
                revision += 1
                bounds, bits = compressed(mask)
                row = object_id, frame, revision, json.dumps(prompts), bounds, bits
                database.execute("INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?, ?, ?)", row)
            database.execute("UPDATE fact SET value = ? WHERE name = 'revision'", (revision,))

    def take_back(self, object_id: str, frames: Iterable[int]) -> None:
        """Forget what the user said about these frames."""
        with connected(self.path) as database:
            database.executemany("DELETE FROM given WHERE object = ? AND frame = ?", [(object_id, frame) for frame in frames])

    def given(self, object_id: str, most: int | None = None) -> list[GivenFrame]:
        """What the user said, by frame. most: how many at most."""
        with connected(self.path) as database:
            rows = database.execute(
                "SELECT frame, revision, prompts FROM given WHERE object = ? ORDER BY frame LIMIT ?",
                (object_id, -1 if most is None else most),
            ).fetchall()
        return [GivenFrame(frame, revision, json.loads(prompts)) for frame, revision, prompts in rows]

    def count_given(self, object_id: str) -> int:
        """In how many frames the user said something."""
        with connected(self.path) as database:
            return int(database.execute("SELECT COUNT(*) FROM given WHERE object = ?", (object_id,)).fetchone()[0])

    # Masks.

    def mask(self, object_id: str, frame: int, size: tuple[int, int]) -> PackedMask | None:
        """An object's mask in a frame of this (width, height); None where it is not known, or selects nothing."""
        with connected(self.path) as database:
            for table in ("given", "tracked"):
                row = database.execute(f"SELECT bounds, bits FROM {table} WHERE object = ? AND frame = ?", (object_id, frame)).fetchone()
                if row is not None:
                    return uncompressed(row[0], row[1], size)
        return None

    def marks(self, object_id: str) -> list[TrackedMark]:
        """How each mask that a tracker made came about, by frame."""
        with connected(self.path) as database:
            rows = database.execute(
                "SELECT frame, source, revision, tracker, confidence FROM tracked WHERE object = ? ORDER BY frame", (object_id,)
            ).fetchall()
        return [TrackedMark(*row) for row in rows]

    def put_tracked(self, object_id: str, masks: Sequence[tuple[TrackedMark, np.ndarray]]) -> None:
        """Keep what a tracker found: (how, bool [H, W]) each. Where the user says something himself, that goes before it."""
        with connected(self.path) as database:
            for mark, mask in masks:
                bounds, bits = compressed(mask)
                row = object_id, mark.frame, mark.source, mark.revision, mark.tracker, mark.confidence, bounds, bits
                database.execute("INSERT OR REPLACE INTO tracked VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def known(self, object_id: str) -> tuple[list[int], list[int]]:
        """The frames in which an object's mask is known, and those of them in which the tracker is unsure."""
        with connected(self.path) as database:
            given = {frame for (frame,) in database.execute("SELECT frame FROM given WHERE object = ?", (object_id,))}
            tracked = dict(database.execute("SELECT frame, confidence FROM tracked WHERE object = ?", (object_id,)).fetchall())
        doubtful = sorted(frame for frame, confidence in tracked.items() if confidence < DOUBTFUL and frame not in given)
        return sorted(given | tracked.keys()), doubtful

    # Results.

    def versions(self) -> list[VideoVersion]:
        """The results that can be shown, in the order in which they were made, without what was opened."""
        with connected(self.path) as database:
            rows = database.execute("SELECT number, facts FROM version ORDER BY number").fetchall()
        return [VideoVersion(number=number, **json.loads(facts)) for number, facts in rows]

    def add_version(self, version: VideoVersion) -> None:
        """Keep a result and show it."""
        facts = asdict(version)
        number = facts.pop("number")
        with connected(self.path) as database:
            database.execute("INSERT INTO version VALUES (?, ?)", (number, json.dumps(facts)))
            database.execute("UPDATE fact SET value = ? WHERE name = 'shown'", (number,))

    def next_number(self) -> int:
        """A number for a result, which is given once only."""
        with connected(self.path) as database:
            database.execute("UPDATE fact SET value = value + 1 WHERE name = 'last_version'")
            (number,) = database.execute("SELECT value FROM fact WHERE name = 'last_version'").fetchone()
        return int(number)

    def drop_versions_after(self, number: int) -> list[int]:
        """Forget the results that were made after one; their numbers."""
        with connected(self.path) as database:
            dropped = [number for (number,) in database.execute("SELECT number FROM version WHERE number > ?", (number,))]
            database.execute("DELETE FROM version WHERE number > ?", (number,))
        return dropped
