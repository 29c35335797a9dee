"""The page's table of the server's sentences in Chinese, against the sentences that the package can say."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickpaint import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "extension" / "clickpaint"
TABLE = ROOT / "javascript" / "clickpaint" / "language" / "server_sentences_zh_CN.mjs"
TABLES = TABLE.with_name("server_zh_CN")
"""A file for each room; "program" for the ground floor and the entry points."""

GROUND_FLOOR = "program"

NOT_ON_THE_PAGE = {"cli", "app", "api/stateless.py", "api/translate.py", "compat"}
"""Rooms and files whose sentences only those read who write requests or commands by hand."""


@functools.cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(file, ast.parse(file.read_text("utf-8"))) for file in sorted(PACKAGE.rglob("*.py"))]


@functools.cache
def nodes_of(tree: ast.AST) -> tuple[ast.AST, ...]:
    """The tree and all below it: the package has half a million."""
    return tuple(ast.walk(tree))


@functools.cache
def error_classes() -> set[str]:
    """The names of all classes of the package that are `ClickpaintError`s, and `Sentence`."""
    bases: dict[str, set[str]] = {}
    for _, tree in trees():
        for node in nodes_of(tree):
            if isinstance(node, ast.ClassDef):
                names = {base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases}
                bases.setdefault(node.name, set()).update(names)
    known = {"ClickpaintError"}
    while True:
        more = {name for name, parents in bases.items() if parents & known} - known
        if not more:
            return known | {"Sentence"}
        known |= more


def literals(node: ast.expr, constants: dict[str, ast.expr]) -> list[str]:
    """The templates that an argument can be: a literal, a constant of the module, or either of two."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) and node.value else []
    if isinstance(node, ast.Name) and node.id in constants:
        return literals(constants[node.id], {})
    if isinstance(node, ast.IfExp):
        return literals(node.body, constants) + literals(node.orelse, constants)
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in literals(value, constants)]
    return []


def calls(tree: ast.AST, classes: set[str]) -> Iterator[tuple[ast.Call, list[ast.expr]]]:
    """The errors and sentences that a module makes, with their messages and remedies."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in classes:
            first, count = (1, 2) if name == "AccessDenied" else (0, 1) if name == "Sentence" else (0, 2)
            keyed = [keyword.value for keyword in node.keywords if keyword.arg in ("message", "remedy")]
            yield node, [*node.args[first : first + count], *keyed]


def constants_of(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def templates_of(tree: ast.Module, classes: set[str]) -> set[str]:
    """The templates of the messages and remedies of all errors that a module makes."""
    constants = constants_of(tree)
    return {text for _, arguments in calls(tree, classes) for argument in arguments for text in literals(argument, constants)}


@pytest.fixture(scope="module")
def templates() -> dict[str, set[str]]:
    """From every template of the package to the files that say it, seen from the package."""
    classes, files = error_classes(), {}
    for file, tree in trees():
        for template in templates_of(tree, classes):
            files.setdefault(template, set()).add(file.relative_to(PACKAGE).as_posix())
    return files


def pairs_of(file: Path) -> list[tuple[str, str]]:
    """The lines of a file of the table, those that stand there twice, too."""
    text = file.read_text("utf-8")
    return json.loads(re.sub(r",\s*}", "}", text[text.index("{") : text.rindex("}") + 1]), object_pairs_hook=list)


@pytest.fixture(scope="module")
def tables() -> dict[str, list[tuple[str, str]]]:
    """By room."""
    return {file.name.removesuffix("_zh_CN.mjs"): pairs_of(file) for file in sorted(TABLES.iterdir())}


@pytest.fixture(scope="module")
def table(tables) -> dict[str, str]:
    return {template: own for pairs in tables.values() for template, own in pairs}


def on_the_page(files: set[str]) -> bool:
    return any(file not in NOT_ON_THE_PAGE and file.split("/")[0] not in NOT_ON_THE_PAGE for file in files)


def test_templates_are_read_from_code():
    code = """
_REMEDY = "Do {this}."
raise NotFound("There is no {name}.", _REMEDY if x else "Or that.", name=1)
raise errors.Busy(message or "Too much.")
AccessDenied(401, "Who?", "Log in.")
print("not said")
"""
    known = {"NotFound", "Busy", "AccessDenied"}
    assert templates_of(ast.parse(code), known) == {"There is no {name}.", "Do {this}.", "Or that.", "Too much.", "Who?", "Log in."}


def test_what_a_user_of_the_page_can_meet_is_said_in_chinese(templates, table):
    missing = sorted(template for template, files in templates.items() if on_the_page(files) and template not in table)
    assert not missing, f"{len(missing)} of {len(templates)} templates are not in {TABLES.name}/ROOM_zh_CN.mjs:\n" + "\n".join(missing)


def test_every_translation_stands_with_a_room_that_says_it(tables):
    rooms: dict[str, set[str]] = {}
    for file, tree in trees():
        room = file.relative_to(PACKAGE).parts[0]
        room = GROUND_FLOOR if room in {"cli", "app"} or room.endswith(".py") else room
        for node in nodes_of(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                rooms.setdefault(node.value, set()).add(room)
    elsewhere = {
        template: (room, sorted(rooms.get(template, "nobody says it")))
        for room, pairs in tables.items()
        for template, _ in pairs
        if room not in rooms.get(template, ())
    }
    assert elsewhere == {}


def test_the_tables_are_sorted_have_each_template_once_and_are_all_on_the_page(tables):
    """Sorted, so that those who add lines at the same time do not all add them in the same place."""
    for room, pairs in tables.items():
        assert [template for template, _ in pairs] == sorted({template for template, _ in pairs}), room
    templates = [template for pairs in tables.values() for template, _ in pairs]
    assert len(templates) == len({*templates})
    joined = TABLE.read_text("utf-8")
    for room in tables:
        assert f'import {{zh_CN as {room}}} from "./{TABLES.name}/{room}_zh_CN.mjs";' in joined and re.search(rf"\.\.\.{room}\b", joined)


def is_finished(node: ast.expr) -> bool:
    """Whether a text is put together before an error gets it."""
    return any(isinstance(part, (ast.JoinedStr, ast.BinOp)) for part in ast.walk(node)) and not isinstance(node, ast.Call)


def finished_texts(tree: ast.Module, classes: set[str]) -> list[int]:
    """The lines of the messages and remedies that are f-strings, or variables of the same function that hold one."""
    lines = set()
    for scope in nodes_of(tree):
        if isinstance(scope, (ast.Module, ast.FunctionDef)) and (made := [*calls(scope, classes)]):
            variables = {
                target.id
                for node in nodes_of(scope)
                if isinstance(node, ast.Assign) and isinstance(scope, ast.FunctionDef) and is_finished(node.value)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for _, arguments in made:
                lines |= {a.lineno for a in arguments if is_finished(a) or (isinstance(a, ast.Name) and a.id in variables)}
    return sorted(lines)


def test_f_strings_are_seen():
    code = """
def f(x):
    remedy = f"Not {x}." if x else "Or."
    raise Busy("Too much.", remedy)
raise Busy(f"{1} is too much.")
raise Busy("Too much.", "Wait.")
"""
    assert finished_texts(ast.parse(code), {"Busy"}) == [4, 5]


def test_no_error_is_made_of_an_f_string():
    """Whose values no translation could put in."""
    classes = error_classes()
    assert [f"{file.relative_to(PACKAGE)}:{line}" for file, tree in trees() for line in finished_texts(tree, classes)] == []


def test_every_template_is_given_its_values():
    classes = error_classes()
    lacking = []
    for file, tree in trees():
        constants = constants_of(tree)
        for node, arguments in calls(tree, classes):
            given = {keyword.arg for keyword in node.keywords}
            names = set().union(*(errors._names(text) for argument in arguments for text in literals(argument, constants)))
            if None not in given and names - given:  # None: **data
                lacking.append(f"{file.relative_to(PACKAGE)}:{node.lineno}: {sorted(names - given)}")
    assert lacking == []


def test_a_translation_has_the_values_of_its_template(table):
    names = errors._names
    assert {template: own for template, own in table.items() if names(own) != names(template)} == {}


def test_an_error_finds_its_translation_by_its_code(table):
    error = errors.NotFound("There is no such workspace (any more).", "Open the picture again.", id="x")
    assert error.describe()["code"] in table and error.describe()["remedy_code"] in table
