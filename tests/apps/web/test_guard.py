"""What the guard lets through, without a server."""

import asyncio
import json
from typing import Any

import pytest

from echosyn.apps.web.guard import MAX_BODY, Guard

HOME = {"host": "127.0.0.1:7860"}
JSON = {"content-length": "2"}


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"let through"})


def ask(method: str, path: str, headers: dict[str, str], **guarded: Any) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    encoded = [(k.encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": encoded}
    asyncio.run(Guard(_app, **({"max_upload": 1000} | guarded))(scope, None, send))  # type: ignore[arg-type]
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/about", "/made/abc.avi", "/config", "/gradio_api/info"])
def test_the_page_is_let_through_under_a_strict_policy(path):
    status, headers, body = ask("GET", path, HOME)
    assert (status, body) == (200, b"let through")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/proxy=http://10.0.0.1/",
        "/gradio_api/upload_progress",
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/made/../x.avi",
        "/made/x/y.avi",
        "/report/0/0/..",
        "/video/x",
        "/monitoring",
        "/static/x",
        "/gradio_api/vibe-code",
        "//evil",
        "/about/",
        "/docs",
    ],
)
def test_nothing_else_is(path):
    assert ask("GET", path, HOME)[0] == 404


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/process_recording", "/gradio_api/run/invent", "/"])
def test_nothing_else_can_be_posted_to(path):
    assert ask("POST", path, HOME | JSON)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(method):
    assert ask(method, "/", HOME)[0] == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "", "127.0.0.1.evil.example", "localhost.evil:1"]
)
def test_other_hosts_are_refused(host):
    assert ask("GET", "/", {"host": host})[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_posts_of_other_pages_are_refused(headers):
    assert ask("POST", "/gradio_api/queue/join", HOME | JSON | headers)[0] == 403


def test_posts_of_the_page_are_not():
    for headers in ({"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}, {}):
        assert ask("POST", "/gradio_api/queue/join", HOME | JSON | headers)[0] == 200


def test_other_pages_may_link_to_the_page_and_embed_nothing():
    cross = HOME | {"sec-fetch-site": "cross-site"}
    assert ask("GET", "/", cross | {"sec-fetch-mode": "navigate"})[0] == 200
    assert ask("GET", "/", cross | {"sec-fetch-mode": "no-cors"})[0] == 403
    assert ask("GET", "/video/0", cross | {"sec-fetch-mode": "navigate"})[0] == 403


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/upload", {"content-length": "1000"}, 200),
        ("/upload", {"content-length": "1001"}, 413),
        ("/upload", {"content-length": str(10**9)}, 413),
        ("/upload", {}, 411),
        ("/upload", {"content-length": "-1"}, 411),
        ("/upload", {"transfer-encoding": "chunked"}, 411),
        ("/gradio_api/queue/join", {"content-length": str(MAX_BODY + 1)}, 413),
        ("/stop/abc", {}, 200),
    ],
)
def test_bodies_are_bounded_before_they_are_read(path, headers, status):
    assert ask("POST", path, HOME | headers)[0] == status


def test_with_a_login_only_the_door_is_open():
    def known(cookies: Any) -> bool:
        return cookies.get("access") == "right"

    for path in ("/about", "/config", "/made/abc.avi", "/page/main.js", "/gradio_api/info", "/report/0/0", "/video/0"):
        status, _, body = ask("GET", path, HOME, allowed=known)
        assert (status, json.loads(body)) == (401, {"detail": "log in first"})
        assert ask("GET", path, HOME | {"cookie": "access=wrong"}, allowed=known)[0] == 401
        assert ask("GET", path, HOME | {"cookie": "other=1; access=right"}, allowed=known)[0] == 200
    for path in ("/", "/page/base.css", "/page/login.js"):
        assert ask("GET", path, HOME, allowed=known)[0] == 200
    assert ask("POST", "/upload", HOME | {"content-length": "1"}, allowed=known)[0] == 401
