"""The report as a reader sees it, in a real browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from echosyn.pipeline.evaluate.media import mp4
from echosyn.pipeline.report import Media, render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from echosyn.metrics.plots import roc_curves, scatter

    frames = np.random.default_rng(0).integers(0, 255, (16, 48, 48)).astype(np.uint8).repeat(4, axis=0)
    film = mp4(frames, 32)
    shown = [Media(f"video {i}", "EF 50 %", film, "real" if i < 3 else "synthetic") for i in range(6)]
    table = {
        "title": "A wide table",
        "explanation": "Words.",
        "columns": ["", *(f"Column number {i}" for i in range(9))],
        "rows": [[f"row {i}", *({"value": 0.5, "low": 0.4, "high": 0.6} for _ in range(9))] for i in range(3)],
        "plots": [(scatter([1, 2, 3], [1, 2, 4]), "points"), (roc_curves({"a": ([0, 1], [0, 1])}), "a curve")],
    }
    report: dict[str, Any] = {
        "title": "Evaluation of a dataset",
        "verdict": {"status": "warn", "headline": "Not to be shared", "text": "Words."},
        "cards": [{"label": "R2", "value": 0.9}],
        "mosaic": {"mp4": film, "columns": ["low", "high"], "rows": ["synthetic", "real"], "alt": "all"},
        "pairs": [(shown[3], shown[0], 0.8)],
        "sections": [table],
        "provenance": {"seed": 0, "hash": "0" * 64},
    }
    out = tmp_path_factory.mktemp("page") / "index.html"
    render(report, shown, out)
    return out


def opened(browser: "Browser", file: Path, width: int) -> tuple["Page", list[str], list[str]]:
    """The page with what it complained about and what it asked for."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return page, said, asked


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_no_complaint_no_request_and_nothing_sticks_out(browser: "Browser", page_file: Path, width: int) -> None:
    page, said, asked = opened(browser, page_file, width)
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.readyState >= 2)")
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", page_file.as_uri()))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    page.close()


def test_videos_play_and_one_button_stops_them(browser: "Browser", page_file: Path) -> None:
    page, _, _ = opened(browser, page_file, 1280)
    videos = "[...document.querySelectorAll('video')]"
    page.wait_for_function(f"{videos}.length === 9 && {videos}.every(v => v.currentTime > 0 && !v.paused)")
    page.get_by_role("button", name="Pause all").click()
    page.wait_for_function(f"{videos}.every(v => v.paused)")
    page.get_by_role("button", name="Play all").click()
    page.wait_for_function(f"{videos}.every(v => !v.paused)")
    page.close()


def test_it_prints_on_white_paper_without_buttons(browser: "Browser", page_file: Path) -> None:
    page, _, _ = opened(browser, page_file, 1280)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.get_by_role("button").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
