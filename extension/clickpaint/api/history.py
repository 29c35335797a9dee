"""The routes of what was opened and made before, as far as it is on the disk."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from clickpaint.api import schemas, translate
from clickpaint.api.access import Gate
from clickpaint.api.encode import PRIVATE, answer
from clickpaint.errors import NotFound
from clickpaint.studio.studio import Studio


def add_routes(router: APIRouter, studio: Studio, gate: Gate) -> None:
    tags: list[Any] = ["workspace"]

    @router.get("/workspaces", tags=tags, summary="What was opened and made", response_model=list[schemas.StoredWorkspaceAnswer])
    def history(request: Request, ids: str = "") -> Response:
        """The one changed last first. ids: separated by commas, only these; an id is known to nobody but those who opened the picture.
        Left out, all there are where the program serves one user (stand-alone, on this machine, without a token), otherwise none."""
        named = translate.ids_of(ids)
        if not named and not gate.one_user(request):
            return answer([])
        return answer(
            [
                {
                    "id": entry.id, "name": entry.name, "width": entry.size[0], "height": entry.size[1], "versions": list(entry.versions),
                    "steps": list(entry.steps), "opened": entry.opened, "changed": entry.changed, "bytes": entry.nbytes,
                    "thumbnail": f"workspaces/{quote(entry.id)}/thumbnail",
                }
                for entry in studio.workspaces.history(named or None)
            ]
        )  # fmt: skip

    @router.get(
        "/workspaces/{id}/thumbnail",
        tags=tags,
        summary="A small picture of what it shows",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    def thumbnail(id: str) -> Response:
        data = studio.workspaces.thumbnail(id)
        if data is None:
            raise NotFound("There is no such workspace (any more).", "Open the picture again.")
        return Response(data, 200, PRIVATE, "image/jpeg")
