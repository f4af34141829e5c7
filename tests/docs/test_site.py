"""The docs site: built strictly, searched and looked at in a browser, without the network."""

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="needs mkdocs-material: pip install 'echosyn[docs]'")
    pytest.importorskip("mkdocstrings", reason="needs mkdocstrings: pip install 'echosyn[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_search_finds_a_page_and_asks_nobody_else(address: str, browser: "Browser") -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/index.html")
    page.fill("input[name=query]", "calibrated")
    found = page.locator(".md-search-result__link").first
    found.wait_for()
    with page.expect_navigation():
        found.click()
    assert "calibrat" in page.inner_text("article").lower()
    assert asked
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)


@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}], ids=["desk", "phone"])
def test_the_videos_of_the_gallery_play(size: dict[str, int], site: Path, browser: "Browser") -> None:
    page = browser.new_page(viewport=size)  # type: ignore[arg-type]
    page.goto((site / "gallery.html").as_uri())
    videos = page.locator("video")
    assert videos.count() == 4
    for i in range(4):
        videos.nth(i).evaluate("v => v.play()")
        page.wait_for_function("i => document.querySelectorAll('video')[i].currentTime > 0.1", arg=i)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_reference_has_signatures(site: Path) -> None:
    text = (site / "api.html").read_text()
    for name in ("load_pipeline", "load_dataset", "evaluate"):
        assert "echosyn.api" in text
        assert name in text
