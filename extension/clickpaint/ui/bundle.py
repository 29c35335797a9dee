"""The page's modules as one script, so that a browser asks for one file instead of for eighty.

The modules stay what they are: each becomes a function that is called once, in the order of the imports, and hands out what it exports.
Nothing is renamed, only comments are left out, and the source map leads back to each line. Only what the modules use is understood (named
imports and exports of what never changes, no circles); all else is an error, upon which the modules are served as they are.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_IMPORT = re.compile(r"""^import\s*(?:\{([^}]*)\}\s*from\s*)?(["'])(\.{1,2}/[^"']+)\2;?""", re.MULTILINE)
_EXPORT = re.compile(
    r"^export (?=(?:async function|function|class|const)\b)(?:async )?(?:function\*?|class|const) +([A-Za-z_$][\w$]*)", re.MULTILINE
)
_LIST = re.compile(r"^export\s*\{([^}]*)\};?(?!\s*from)", re.MULTILINE)
_UNKNOWN = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
_DYNAMIC = re.compile(r"(?:=>|[=(,;]|\breturn|\bawait)\s*import\(")
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)
_LINES = re.compile(r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*$", re.DOTALL | re.MULTILINE)
"""Comments that fill their lines."""
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class BundleError(Exception):
    """A module holds what cannot be joined; the message names it, for developers."""


@dataclass(frozen=True)
class Bundle:
    """A script that does what its entry modules do.

    Attributes:
        code: JavaScript, to be loaded as a module.
        map: its source map (revision 3) with the modules' text, JSON.
        digest: of the code, hexadecimal.
        modules: the paths of what is in it, in the order in which they run.
    """

    code: str
    map: str
    digest: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class _Module:
    """One module, ready to be put into a function: `body` has the lines of `text`, and `exports` are "name" or "outer: inner"."""

    path: str
    text: str
    body: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]


def bundle(folder: Path, entries: Sequence[str]) -> Bundle:
    """Join modules with all that they import.

    Args:
        folder: of all modules.
        entries: paths in it, with slashes; they run in this order.

    Raises:
        BundleError: a module is missing, or is written in a way that is not known here.
    """
    modules: dict[str, _Module] = {}
    for entry in entries:
        _collect(folder, entry, modules, ())
    lines: list[str] = []
    origins: list[tuple[int, int] | None] = []
    for number, module in enumerate(modules.values()):
        body = module.body.split("\n")
        name = f"const {_variable(module.path)} = " if module.exports else ""
        lines += [f"{name}(() => {{ // {module.path}", *body, f"return {{{', '.join(module.exports)}}};", "})();"]
        origins += [None, *((number, line) for line in range(len(body))), None, None]
    code = "\n".join(lines) + "\n"
    sources = [module.path for module in modules.values()]
    map = {
        "version": 3, "sources": sources, "sourcesContent": [module.text for module in modules.values()], "names": [],
        "mappings": _mappings(origins),
    }  # fmt: skip
    return Bundle(code, json.dumps(map, ensure_ascii=False), hashlib.sha256(code.encode()).hexdigest()[:16], tuple(modules))


def _collect(folder: Path, path: str, modules: dict[str, _Module], way: tuple[str, ...]) -> None:
    """Put a module behind all that it imports."""
    if path in modules:
        return
    if path in way:
        raise BundleError(f"modules import each other in a circle: {' → '.join([*way[way.index(path) :], path])}")
    try:
        text = (folder / path).read_text("utf-8")
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    module = _parse(path, text.replace("\r\n", "\n"))
    for imported in module.imports:
        _collect(folder, imported, modules, (*way, path))
    modules[path] = module


def _parse(path: str, text: str) -> _Module:
    imports: list[str] = []
    exports: list[str] = []

    def take(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[3]))
        imports.append(target)
        names = match[1]
        return "\n" * match[0].count("\n") if names is None else f"const {{{_pairs(names)}}} = {_variable(target)};"

    def give(match: re.Match[str]) -> str:
        exports.append(match[1])
        return match[0].removeprefix("export ")

    def give_list(match: re.Match[str]) -> str:
        exports.extend(re.sub(r"(\S+)\s+as\s+(\S+)", r"\2: \1", name.strip()) for name in match[1].split(",") if name.strip())
        return "\n" * match[0].count("\n")

    body = _LIST.sub(give_list, _EXPORT.sub(give, _IMPORT.sub(take, text)))
    unknown = _UNKNOWN.search(_COMMENT.sub("", body)) or _DYNAMIC.search(_COMMENT.sub("", body))
    if unknown:
        raise BundleError(f"{path}: the bundle does not know {unknown[0]!r}; see ui/bundle.py for what it does")
    return _Module(path, text, _uncommented(body), tuple(dict.fromkeys(imports)), tuple(exports))


def _uncommented(body: str) -> str:
    """Without the comments that fill their lines, which stay as empty ones. What stands in a text of several lines is none."""

    def empty(found: re.Match[str]) -> str:
        return found[0] if body.count("`", 0, found.start()) % 2 else "\n" * found[0].count("\n")

    return _LINES.sub(empty, body)


def _pairs(names: str) -> str:
    """What an import takes, as a pattern of names: `a as b` becomes `a: b`."""
    return re.sub(r"\b([\w$]+)\s+as\s+([\w$]+)", r"\1: \2", names)


def _variable(path: str) -> str:
    return "$" + re.sub(r"\W", "_", path.removesuffix(".mjs"))


def _mappings(origins: Sequence[tuple[int, int] | None]) -> str:
    """Where each line comes from, (source, line) or None, as a source map has it: differences in base 64 with a sign."""
    encoded, before = [], (0, 0)
    for origin in origins:
        if origin is None:
            encoded.append("")
            continue
        encoded.append("A" + _base64(origin[0] - before[0]) + _base64(origin[1] - before[1]) + "A")
        before = origin
    return ";".join(encoded)


def _base64(number: int) -> str:
    left, digits = (abs(number) << 1) | (number < 0), ""
    while True:
        left, digit = left >> 5, left & 31
        digits += _DIGITS[digit | (32 if left else 0)]
        if not left:
            return digits
