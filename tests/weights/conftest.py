"""A server of files that breaks off on purpose."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

Serve = Callable[[type[BaseHTTPRequestHandler]], str]


@dataclass
class Mirror:
    """A served folder and what was asked of it."""

    root: Path
    url: str = ""
    ranges: bool = True
    drop_after: list[int] = field(default_factory=list)
    """For each response: bytes after which the connection is cut."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""


@pytest.fixture
def mirror(serve: Serve, tmp_path: Path) -> Mirror:
    served = Mirror(tmp_path / "mirror")
    served.root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range") if served.ranges else None
            served.asked.append((self.path, asked))
            path = served.root / self.path.lstrip("/").partition("?")[0]
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if asked and first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.send_header("ETag", '"1"')
            self.end_headers()
            part = content[first:]
            if served.drop_after:
                part = part[: served.drop_after.pop(0)]
                self.close_connection = True
            self.wfile.write(part)

        def log_message(self, *arguments: object) -> None:
            pass

    served.url = serve(Handler)
    return served
