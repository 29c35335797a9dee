"""The settings of the stand-alone program: where each comes from, and the file that keeps those that were changed."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.settings import SETTINGS, usable
from clickpaint.weights.folders import of_error

log = logging.getLogger(__name__)


class SettingsFile:
    """Every setting's value, from options, the environment, the file and the defaults, in this order; thread-safe.

    Args:
        file: JSON, one object from names to values; it need not be there.
        overrides: what comes before all others (command-line options). One that cannot be used raises `InvalidInput`.
        environment: where `CLICKPAINT_DEVICE` and the like are looked up.
        check: is asked about values that `change` shall keep, and raises `InvalidInput` for what this machine does not have.
        changed: is told the keys of those that `change` changed.
    """

    def __init__(
        self,
        file: Path,
        overrides: Mapping[str, Any],
        environment: Mapping[str, str],
        check: Callable[[Mapping[str, Any]], object] = len,
        changed: Callable[[Set[str]], object] = len,
    ) -> None:
        self.file, self._check, self._changed = file, check, changed
        self._lock = threading.Lock()
        self._fixed = dict.fromkeys(overrides, "option")
        stored = _stored(file)
        for key in stored.keys() - SETTINGS.keys():
            log.warning("%s: there is no setting %r.", file, key)
        given = {key: environment[name] for key in SETTINGS if (name := f"CLICKPAINT_{key.upper()}") in environment}
        self._fixed |= {key: "environment" for key in given if key not in overrides}
        values = {key: usable(key, given.get(key, stored.get(key))) for key in SETTINGS}
        self._values = {**values, **{key: SETTINGS[key].parsed(value) for key, value in overrides.items()}}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def fixed_by(self, key: str) -> str:
        """What keeps the file from deciding: "option", "environment", or "" for nothing."""
        return self._fixed.get(key, "")

    def change(self, values: Mapping[str, Any]) -> None:
        """Keep values in the file, and use them from now on. All are checked first: of a mistake nothing is kept.

        Args:
            values: by the settings' keys; None for the default, which leaves the file.

        Raises:
            NotFound: there is no such setting.
            InvalidInput: a value that it cannot take, one that is fixed, or a file that cannot be written.
        """
        parsed: dict[str, Any] = {}
        for key, value in values.items():
            if key not in SETTINGS:
                raise NotFound("There is no setting {key!r}.", "GET /settings lists them.", key=key)
            if self.fixed_by(key):
                raise InvalidInput(
                    "The setting {key} was given when the program was started.", "Start it without that option or variable.", key=key
                )
            parsed[key] = SETTINGS[key].default if value is None else SETTINGS[key].parsed(value)
        self._check(parsed)
        with self._lock:
            stored = {**_stored(self.file), **parsed}
            for key, value in values.items():
                if value is None:
                    stored.pop(key, None)
            self._write(stored)
            self._values = {**self._values, **parsed}
        self._changed(parsed.keys())

    def _write(self, stored: Mapping[str, Any]) -> None:
        """Whole or not at all; nobody else reads it, since it may hold a key."""
        part = self.file.with_name(f"{self.file.name}.part")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
                json.dump(stored, stream, indent=4, ensure_ascii=False)
            part.replace(self.file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise InvalidInput(
                "The settings cannot be kept in {file}: {reason}.",
                "See to it that the file may be written.",
                file=self.file.name,
                reason=error.strerror or str(error),
            ) from error


def _stored(file: Path) -> dict[str, Any]:
    """What the settings file says, in whichever Unicode an editor wrote it; one that cannot be read must not stop the program."""
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        log.warning("%s is not used: %s", file, of_error(file, error))
        return {}
    try:
        # Notepad writes a mark before UTF-8, older ones UTF-16, of which json knows all but the mark
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        stored = json.loads(text)
        if not isinstance(stored, dict):
            raise InvalidInput("It has to hold one object, from names of settings to their values.")
    except (ValueError, RecursionError, InvalidInput) as error:
        log.warning("%s is not used: %s", file, error)
        return {}
    return stored
