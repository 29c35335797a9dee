"""The routes of the program's settings, for its one user; a web UI has a page of its own for them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from clickpaint.api import settings_schemas as schemas
from clickpaint.api.access import Gate
from clickpaint.api.encode import answer
from clickpaint.errors import AccessDenied, HostUnsupported
from clickpaint.settings import GROUPS, SETTINGS, Setting
from clickpaint.studio.studio import Studio

_AUTO = {"value": "auto", "title": "auto"}


def add_routes(router: APIRouter, studio: Studio, gate: Gate) -> None:
    tags: list[Any] = ["settings"]
    host = studio.host

    @router.get("/settings", tags=tags, summary="What can be set, and how it is set", response_model=schemas.SettingsAnswer)
    def list_settings(request: Request) -> Response:
        return answer(_all(host.settings_file is not None and gate.one_user(request)))

    @router.patch("/settings", tags=tags, summary="Change settings, and keep them", response_model=schemas.SettingsAnswer)
    def change_settings(request: Request, body: schemas.SettingsBody) -> Response:
        if host.settings_file is None:
            raise HostUnsupported("The web UI keeps these settings.", "Change them on its Settings page, under Clickpaint.")
        if not gate.one_user(request):
            raise AccessDenied(
                403, "Settings can be changed only where the program serves one user.", "Open it on its own machine, without a token."
            )
        host.settings_file.change(body.values)
        return answer(_all(True))

    def _all(changeable: bool) -> dict[str, Any]:
        alone = host.settings_file is not None
        keys = [key for group in GROUPS.values() for key in group]
        shown = [SETTINGS[key] for key in keys if (changeable or not SETTINGS[key].private) and (alone or not SETTINGS[key].alone)]
        return {"changeable": changeable, "settings": [_described(setting) for setting in shown]}

    def _described(setting: Setting) -> dict[str, Any]:
        value = host.setting(setting.key)
        choices = _choices(setting)
        if choices is not None and value not in [choice["value"] for choice in choices]:
            choices.append({"value": value, "title": value})  # a name in the file of what is not here (any more)
        return {
            "key": setting.key, "group": next(group for group, keys in GROUPS.items() if setting.key in keys), "label": setting.label,
            "help": setting.help, "kind": type(setting.default).__name__, "value": "" if setting.secret else value,
            "default": setting.default, "choices": choices, "minimum": setting.minimum, "maximum": setting.maximum,
            "fixed": host.settings_file.fixed_by(setting.key) if host.settings_file is not None else "", "meant": _meant(setting.key),
            "secret": setting.secret, "given": bool(value) if setting.secret else False, "restart": setting.restart,
        }  # fmt: skip

    def _meant(key: str) -> str:
        folders = {"output_dir": host.output_folder, "models_dir": lambda: host.folders("sam")[0].parent}
        return str(folders[key]()) if key in folders else ""

    def _choices(setting: Setting) -> list[dict[str, str]] | None:
        """What a list offers; of engines those that could work here, their files once downloaded."""
        if setting.choices is not None:
            return [{"value": choice, "title": choice} for choice in setting.choices]
        if setting.key in ("segmenter", "eraser"):
            engines = studio.pool.segmenters() if setting.key == "segmenter" else studio.pool.erasers()
            usable = [engine for engine in engines if engine.available or not engine.blocked]
            return [_AUTO, *({"value": engine.name, "title": engine.title} for engine in usable)]
        if setting.key == "captioner":
            return [_AUTO, *({"value": captioner.name, "title": captioner.title} for captioner in studio.captioners.listed())]
        if setting.key == "checkpoint":
            return [{"value": name, "title": name} for name in ("", *host.capabilities().checkpoints)]
        return None
