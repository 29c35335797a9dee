"""What differs between pydantic 1 and 2, as far as the schemas need it, and the bounds that are checked before either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Union

import pydantic
from pydantic import BaseModel, confloat, conint

from clickpaint.api.error_responses import Unprocessable
from clickpaint.errors import InvalidInput

ONE = pydantic.VERSION.startswith("1.")

MOST_ITEMS = 1000
"""Of a list or an object for which its field says nothing else."""

MOST_LETTERS = 100_000
"""Of a text for which its field says nothing else."""

_LARGEST = 2**31

if TYPE_CHECKING:
    Number = float
    Integer = int
    WholeNumber = int
    Pixels = Union[int, Literal["auto"]]  # noqa: UP007
else:
    # JSON's numbers as they are: no text, no true and false, no NaN (which is not within any bounds), nothing astronomical
    Integer = conint(strict=True, ge=-_LARGEST, le=_LARGEST)
    WholeNumber = conint(strict=True, ge=-(2**53), le=2**53)
    Pixels = Union[Integer, Literal["auto"]]  # noqa: UP007
    Number = Union[Integer, confloat(strict=True, ge=-float(_LARGEST), le=float(_LARGEST))]  # noqa: UP007 - no types, to pydantic 1


def documented(**schema: Any) -> dict[str, Any]:
    """Arguments for `Field` that put these keys of JSON Schema into the documentation, where `Bounded` reads them as well."""
    return schema if ONE else {"json_schema_extra": schema}


def at_most(items: int) -> dict[str, Any]:
    """Arguments for the `Field` of a list: how many items it may have."""
    return documented(maxItems=items)


def points_at_most(points: int, nesting: int = 1) -> dict[str, Any]:
    """Arguments for the `Field` of a list of points, [x, y] each in pixels.

    Args:
        points: how many there may be, in all lists together.
        nesting: 2 for a list of lists of points.
    """
    return documented(**{"maxItems": points if nesting == 1 else MOST_ITEMS, "x-points": {"most": points, "nesting": nesting}})


def picture_file() -> dict[str, Any]:
    """Arguments for the `Field` of a file in base64, or of a list of them; the body of its route may have the size of an upload."""
    return documented(format="byte")


def fields_of(model: type[BaseModel]) -> Mapping[str, Any]:
    """The fields of a schema by their names in JSON, each as the installed pydantic describes it."""
    return {field.alias or name: field for name, field in getattr(model, "__fields__" if ONE else "model_fields").items()}


def schema_of(field: Any) -> dict[str, Any]:
    """What `documented` put into a field."""
    extra = field.field_info.extra if ONE else field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def type_of(field: Any) -> Any:
    """What a field is declared as."""
    return field.outer_type_ if ONE else field.annotation


class Bounded(BaseModel):
    """A request whose lists, objects and texts are counted before they are looked at.

    Pydantic describes each wrong entry of a list in an object of its own, so that a body of two megabytes made gigabytes of them.
    """

    if ONE:

        @pydantic.root_validator(pre=True)
        def _count_first(cls, values: Any) -> Any:
            _check(cls, values)  # type: ignore[arg-type]
            return values
    else:

        @pydantic.model_validator(mode="before")
        @classmethod
        def _count(cls, values: Any) -> Any:
            _check(cls, values)
            return values


class Body(Bounded):
    """A request: fields that are not known are refused, since they are most likely misspelt."""

    if ONE:

        class Config:
            extra = "forbid"
    else:
        model_config = {"extra": "forbid"}


def _check(model: type[BaseModel], values: Any) -> None:
    """Raises at the first fault, so that thousands of them cost no more than one.

    Raises:
        InvalidInput: there is too much of something.
        Unprocessable: a field is unknown, is missing, or is no list of points.
    """
    if not isinstance(values, Mapping):
        return
    fields = fields_of(model)
    for name, value in values.items():
        field = fields.get(name)
        if field is None and issubclass(model, Body):
            raise Unprocessable(
                "{name}: there is no such field.",
                "Known are {known}.",
                fields=[_shown(name)],
                name=_shown(name),
                known=", ".join(fields),
            )
        if isinstance(value, (str, list, tuple, dict)):
            _check_size(str(name), value, {} if field is None else schema_of(field))
    for name, field in fields.items():
        if name not in values and (field.required if ONE else field.is_required()):
            raise Unprocessable(
                "{name}: this field is required.", "See the API's documentation for what this address takes.", fields=[name], name=name
            )


def _check_size(name: str, value: Any, schema: dict[str, Any]) -> None:
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", MOST_LETTERS) and schema.get("format") != "byte":
            raise _too_many("There are {count} letters in {name}.", _shown(name), len(value), schema.get("maxLength", MOST_LETTERS))
        return
    most = schema.get("maxItems", MOST_ITEMS)
    if len(value) > most:
        raise _too_many("There are {count} entries in {name}.", _shown(name), len(value), most)
    if "x-points" in schema and isinstance(value, (list, tuple)):
        _check_points(name, value, **schema["x-points"])


def _check_points(name: str, value: Any, most: int, nesting: int) -> None:
    count = 0
    for number, entry in enumerate(value):
        if nesting > 1 and isinstance(entry, (list, tuple)):
            count += len(entry)
            if count > most:
                raise _too_many("There are {count} points in {name}.", name, count, most)
            _check_points(f"{name}.{number}", entry, most, nesting - 1)
        elif nesting > 1 or not _is_point(entry):
            raise Unprocessable(
                "{name}: this is not [x, y] in pixels." if nesting == 1 else "{name}: this is not a list of [x, y] in pixels.",
                "Both are numbers.",
                fields=[f"{name}.{number}"],
                name=f"{name}.{number}",
            )


def _is_point(entry: Any) -> bool:
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        return False
    return all(type(number) in (int, float) and -_LARGEST <= number <= _LARGEST for number in entry)


def _too_many(message: str, name: str, count: int, most: int) -> InvalidInput:
    return InvalidInput(message, "Give at most {limit}.", name=name, count=count, limit=most)


def _shown(name: Any) -> str:
    return str(name)[:80]
