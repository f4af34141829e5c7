"""The docs site: built strictly, searched and looked at in a browser, opened without a server."""

import subprocess
import sys
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


def test_the_site_is_found_through_search(site: Path, browser: "Browser") -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.fill("input[name=query]", "calibrated")
    page.wait_for_selector(".md-search-result__link")
    found = page.locator(".md-search-result__link").first
    page.wait_for_function("() => document.querySelectorAll('.md-search-result__link').length > 3")
    with page.expect_navigation():
        found.click()
    assert page.url.startswith(site.as_uri())
    assert "calibrated" in page.inner_text("article").lower()


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
