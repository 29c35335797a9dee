from __future__ import annotations

from contextlib import ExitStack

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from clickpaint.api.access import COOKIE, AccessMiddleware, LocalGate, PublicGate
from tests.toys.studio import file_of, pixels

CAPABILITIES = "/clickpaint/v1/capabilities"
TOKEN = "s3cret-tökén"


@pytest.fixture(scope="module")
def site(routes):
    """The routes, a page and a socket behind the access control; who is let in, `gate.set` says."""
    routed, _, gate = routes
    app = FastAPI()
    app.router.routes.extend(routed.routes)

    @app.get("/")
    def page():
        return "page"

    @app.websocket("/ws")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    app.add_middleware(AccessMiddleware, gate=gate)
    return app


@pytest.fixture
def client_of(studio, routes, site):
    """`client_of(gate)`: a browser in front of it; the last gate serves."""
    _, current_studio, current_gate = routes
    with ExitStack() as stack:
        stack.enter_context(current_studio.set(studio))

        def client_of(gate, base_url="http://localhost:7870"):
            stack.enter_context(current_gate.set(gate))
            return TestClient(site, base_url=base_url, follow_redirects=False)

        yield client_of


@pytest.mark.parametrize(
    ("base_url", "headers", "status"),
    [
        ("http://localhost:7870", {}, 200),
        ("http://127.0.0.1:7870", {}, 200),
        ("http://localhost:7870", {"host": "[::1]:7870"}, 200),
        ("http://LOCALHOST", {}, 200),
        ("http://mine.example:7870", {}, 200),
        ("http://evil.example:7870", {}, 403),
        ("http://localhost.evil.example", {}, 403),
        ("http://localhost:7870", {"origin": "http://localhost:7870"}, 200),
        ("http://localhost:7870", {"origin": "http://localhost:8080"}, 403),
        ("http://localhost:7870", {"origin": "https://evil.example"}, 403),
        ("http://localhost:7870", {"origin": "null"}, 403),
        ("http://localhost:7870", {"origin": "http://["}, 403),
        ("http://localhost:7870", {"host": ""}, 403),
        ("http://localhost:7870", {"host": "[::1"}, 403),
    ],
)
def test_only_the_programs_own_page_on_this_machine(client_of, base_url, headers, status):
    client = client_of(LocalGate(names=frozenset({"Mine.example"})), base_url)
    for path in (CAPABILITIES, "/"):
        response = client.get(path, headers=headers)
        assert response.status_code == status
        if status != 200:
            assert response.json()["error"] == "AccessDenied" and response.json()["message"]


def test_open_to_the_network_any_name_will_do(client_of):
    client = client_of(LocalGate(loopback=False), "http://192.168.1.5:7870")
    assert client.get(CAPABILITIES).status_code == 200
    assert client.get(CAPABILITIES, headers={"origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN])
def test_a_token_is_asked_for(client_of, given):
    client = client_of(LocalGate(TOKEN))
    headers = {} if given is None else {"authorization": given.encode()}
    for path in (CAPABILITIES, "/"):
        response = client.get(path, headers=headers)
        assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
        assert "?token=" in response.json()["remedy"] and TOKEN not in response.text
    assert client.get("/", headers={**headers, "accept": "text/html"}).headers["content-type"].startswith("text/plain")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers=headers):
        pass


def test_a_bearer_needs_nothing_else(client_of):
    client = client_of(LocalGate("plain"), "http://somewhere.example")
    headers = {"authorization": "bearer plain", "origin": "https://elsewhere.example"}
    assert client.get(CAPABILITIES, headers=headers).status_code == 200
    with client.websocket_connect("/ws", headers=headers) as socket:
        assert socket.receive_text() == "hello"


def test_a_visit_with_the_token_leaves_a_cookie(client_of):
    client = client_of(LocalGate("plain"))
    assert client.get("/?token=wrong").status_code == 401
    response = client.get("/some/page?a=1&token=plain&b=%26")
    assert (response.status_code, response.headers["location"]) == (303, "./page?a=1&b=%26")
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=plain;") and "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert client.get("/").json() == "page" and client.get(CAPABILITIES).status_code == 200
    assert client.get("/?token=plain").headers["location"] == "./"
    assert "secure" in client_of(LocalGate("plain"), "https://localhost").get("/?token=plain").headers["set-cookie"].lower()


def test_nothing_of_the_body_is_read_before(client_of, routes):
    client = client_of(LocalGate("plain"))
    read = []

    def chunks():
        read.append(1)
        yield b"x" * 100

    response = TestClient(routes[0]).post("/clickpaint/v1/segment", content=chunks(), headers={"content-type": "application/json"})
    assert response.status_code == 401
    assert client.post("/clickpaint/v1/segment").status_code == 401


def test_strangers_reach_their_own_pictures_and_nothing_else(client_of):
    client = client_of(PublicGate(), "https://anybody.example")
    opened = client.post("/clickpaint/v1/workspaces", files={"file": ("yard.png", file_of(pixels()), "image/png")})
    assert opened.status_code == 201 and client.get("/").json() == "page"
    own = f"/clickpaint/v1/workspaces/{opened.json()['id']}"
    assert client.post(f"{own}/select", json={"points": [{"x": 5, "y": 5, "label": 1}]}).status_code == 200
    assert client.get("/clickpaint/v1/workspaces").json() == []  # others' pictures are not listed
    for path in (f"{own}/save", "/clickpaint/v1/checkpoint", "/clickpaint/v1/models/lama/download", "/clickpaint/v1/segment"):
        answer = client.post(path, json={})
        assert (answer.status_code, answer.json()["error"]) == (403, "AccessDenied"), path
    assert client.delete("/clickpaint/v1/models/lama").status_code == 403
    assert client.delete(own).status_code == 204
