"""What the settings' requests and answers look like."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from clickpaint.api.pydantic_compat import Body


class SettingsBody(Body):
    values: dict[str, Any] = Field(..., description="By the settings' keys; null for the default.")


class SettingChoice(BaseModel):
    value: str
    title: str


class SettingAnswer(BaseModel):
    """`fixed`: "option" or "environment" where that decides; `meant`: what an empty value stands for; `given`: of a secret, whether
    there is one; `restart`: acts at the next start."""

    key: str
    group: str
    label: str
    help: str
    kind: Literal["bool", "int", "float", "str"]
    value: Any
    default: Any
    choices: list[SettingChoice] | None
    minimum: float | None
    maximum: float | None
    fixed: str
    meant: str
    secret: bool
    given: bool
    restart: bool


class SettingsAnswer(BaseModel):
    """`changeable`: whether PATCH would keep what is changed. Paths, addresses and keys are listed only where it would."""

    changeable: bool
    settings: list[SettingAnswer]
