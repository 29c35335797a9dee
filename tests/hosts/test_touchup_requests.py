"""Wrong arguments of the touch-up are told to API clients before anything is generated."""

from __future__ import annotations

from typing import Any

import pytest

from clickpaint.app import webui


@pytest.fixture
def ask(web):
    """ask(scripts, address) → (status, text): of a web UI's route as its API makes it; `ask.generated` has what got through."""
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.security import HTTPBasic, HTTPBasicCredentials
    from fastapi.testclient import TestClient
    from pydantic import BaseModel

    class Request(BaseModel):
        prompt: str = ""
        alwayson_scripts: dict = {}

    app, generated = FastAPI(), []

    def login(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008
        if credentials.password != "pass":
            raise HTTPException(401)

    def text2imgapi(txt2imgreq: Request) -> dict:
        generated.append(txt2imgreq)
        return {"images": []}

    text2imgapi.__annotations__["txt2imgreq"] = Request  # a class of this function's own
    for name in ("txt2img", "img2img", "extra-single-image"):
        app.add_api_route(f"/sdapi/v1/{name}", text2imgapi, methods=["POST"], dependencies=[Depends(login)])
    webui._started(None, app)
    webui._started(None, app)  # once more is no harm
    client = TestClient(app)

    def ask(scripts: Any, name: str = "txt2img", password: str = "pass") -> tuple[int, str]:
        answer = client.post(f"/sdapi/v1/{name}", json={"alwayson_scripts": scripts}, auth=("u", password))
        return answer.status_code, answer.text

    ask.generated = generated  # type: ignore[attr-defined]
    return ask


@pytest.mark.parametrize("name", ["Clickpaint", "clickpaint"])
@pytest.mark.parametrize("address", ["txt2img", "img2img"])
@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([{"task": "erase"}], "remove, fill, replace"),
        ([True, "erase"], "remove, fill, replace"),
        ([{"tusk": "fill"}], "task"),
        ([{"task": "fill", "denoising_strength": "much"}], "denoising_strength"),
        ([{"task": "fill", "denoising_strength": 3}], "denoising"),
        ([{"task": "remove", "points": "here"}], "point"),
        ([{"task": "remove", "eraser": "rubber"}], "lama"),
        ({"task": "remove"}, "list"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_names(ask, name, address, args, named):
    status, text = ask({name: {"args": args}}, address)
    assert status == 422 and named in text and ask.generated == []


@pytest.mark.parametrize(
    "scripts",
    [
        {}, {"Other": {"args": [{"task": "erase"}]}}, {"Clickpaint": {}}, {"Clickpaint": {"args": []}},
        {"Clickpaint": {"args": [{"task": "fill", "points": "0.5,0.5"}]}}, {"Clickpaint": {"args": [False, "erase"]}},
        {"Clickpaint": {"args": [True, "Remove", "", "1,2,3,4", "", "", 0.75, "auto", -1, -1]}},
    ],
)  # fmt: skip
def test_all_else_goes_its_way(ask, scripts):
    assert ask(scripts)[0] == 200 and len(ask.generated) == 1


def test_other_addresses_and_the_passwords_are_the_web_uis(ask):
    assert ask({"Clickpaint": {"args": [{"task": "erase"}]}}, "extra-single-image")[0] == 200
    assert ask({"Clickpaint": {"args": [{"task": "erase"}]}}, password="wrong")[0] == 401
