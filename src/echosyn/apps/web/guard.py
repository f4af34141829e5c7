"""Everything that reaches the server passes here first: only known paths, only this host, only small bodies, only who may."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost", "[::1]")
UPLOAD = "/upload"
OPEN = re.compile(r"/|/login/?|/page/(login\.js|base\.css|logo\.svg)|/favicon\.ico|/gradio_api/startup-events")
"""What answers without a login."""
GETS = re.compile(
    r"/|/page/[\w.-]+|/favicon\.ico|/about|/made/[\w-]+\.\w+|/video/\d+|/report/\d+/\d+|/logout"
    r"|/config/?|/gradio_api/(info/?|startup-events|login_check/?|app_id/?|queue/data|call/[\w/-]+|heartbeat/[\w-]+)"
)
POSTS = re.compile(r"/upload|/stop/[\w-]+|/login/?|/gradio_api/(queue/join|call/[\w/-]+|cancel|reset/?)")
MAX_BODY = 65_536
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
"""Content security policy of the page: what it shows and runs is its own."""
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src data: blob:; frame-ancestors 'self'"
)
"""Of a report: it may run its own script, but has no origin and can load and send nothing."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Refusal:
    """A request that is not answered."""

    status: int
    reason: str


class Guard:
    """ASGI middleware.

    Args:
        app: what answers.
        max_upload: bytes of an upload.
        allowed: whether a request's cookies are of somebody who logged in; None if nobody needs to.
    """

    def __init__(self, app: App, max_upload: int, allowed: Callable[[Mapping[str, str]], bool] | None = None) -> None:
        self.app, self.max_upload, self.allowed = app, max_upload, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope.get("headers", ())}
        refusal = Refusal(403, "no such protocol") if scope["type"] != "http" else self.refusal(scope, headers)
        if refusal is not None:
            await _answer(send, refusal)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = HEADERS | {"content-security-policy": POLICY}
                more = [(k.encode(), v.encode()) for k, v in extra.items() if k.encode() not in given]
                message = message | {"headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def refusal(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request is not answered; None if it is."""
        method, path = scope["method"], scope["path"]
        known = GETS if method in ("GET", "HEAD") else POSTS if method == "POST" else None
        if known is None or not known.fullmatch(path):
            return Refusal(404 if known else 405, "there is nothing here")
        host = headers.get("host", "")
        if re.sub(r":\d+$", "", host) not in HOSTS:
            return Refusal(403, "this server accepts connections from this computer only")
        if not _same_origin(method, path, host, headers):
            return Refusal(403, "cross-origin requests are refused")
        if self.allowed is not None and not OPEN.fullmatch(path) and not self.allowed(_cookies(headers)):
            return Refusal(401, "log in first")
        return self._too_large(path, headers) if method == "POST" else None

    def _too_large(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        length = headers.get("content-length", "")
        if path.startswith("/stop/") and not length:
            return None
        if not length.isdecimal():
            return Refusal(411, "say how long the body is (Content-Length)")
        most = self.max_upload if path == UPLOAD else MAX_BODY
        if int(length) > most:
            return Refusal(413, f"the body has {int(length):,} bytes, expected {most:,} at most")
        return None


def _same_origin(method: str, path: str, host: str, headers: Mapping[str, str]) -> bool:
    """Browsers say where a request comes from; what is no browser says nothing."""
    if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
        return method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
    origin = headers.get("origin")
    return origin is None or origin in (f"http://{host}", f"https://{host}")


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs}


async def _answer(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"detail": refusal.reason}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"} | HEADERS
    encoded = [(k.encode(), v.encode()) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
