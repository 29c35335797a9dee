"""What differs between pydantic 1 and 2, as far as the schemas need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

import pydantic
from pydantic import BaseModel, confloat, conint

if TYPE_CHECKING:
    Number = float
    Integer = int
    WholeNumber = int
else:
    # JSON's numbers as they are: no text, no true and false, no NaN (which is not within any bounds), nothing astronomical
    Integer = conint(strict=True, ge=-(2**31), le=2**31)
    WholeNumber = conint(strict=True, ge=-(2**53), le=2**53)
    Number = Union[Integer, confloat(strict=True, ge=-(2.0**31), le=2.0**31)]  # noqa: UP007 - no types, to pydantic 1


class Body(BaseModel):
    """A request: fields that are not known are refused, since they are most likely misspelt."""

    if pydantic.VERSION.startswith("1."):

        class Config:
            extra = "forbid"
    else:
        model_config = {"extra": "forbid"}


__all__ = ["Body", "Integer", "Number", "WholeNumber"]
