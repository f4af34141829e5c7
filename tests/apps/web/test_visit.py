"""A visit with a browser, from the first heart to the last report; nothing asks another host, nothing complains.

`test_accessibility` runs axe-core if it is there: ``npm install --prefix build axe-core``, or ``AXE`` names its ``axe.min.js``.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from echosyn import weights
from echosyn.data import filelist
from echosyn.pipeline.demo.replay import replay

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1360, 900), (390, 844)
AXE = Path(os.environ.get("AXE", Path(__file__).parents[3] / "build" / "node_modules" / "axe-core" / "axe.min.js"))
SECONDS = 1000


@dataclass
class Visitor:
    """A page in a browser, and all that went wrong or out."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def listen(self) -> None:
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda r: r.url.startswith(("http", "ws")) and self.hosts.add(r.url.split("/")[2]))

    def open(self, tab: str = "") -> None:
        self.page.goto(f"{self.url}/{tab}")
        self.page.wait_for_selector("#status.ready", timeout=60 * SECONDS)
        self.page.wait_for_selector("#invent:not([disabled])", state="attached")

    def invent(self, seed: int) -> None:
        self.page.fill("#seed", str(seed))
        self.page.click("#invent")
        self.page.wait_for_selector(f'[data-verdict] img[alt$="seed {seed}"]')

    def plays(self, where: str) -> bool:
        """Whether the videos move on by themselves."""
        moves = "v => v.readyState >= 2 && v.loop && v.currentTime > 0"
        script = f"() => [...document.querySelectorAll('{where} video')].every({moves})"
        self.page.wait_for_function(script, timeout=20 * SECONDS)
        return True


@pytest.fixture
def visitor(browser: Any, page: Any) -> Iterator[Visitor]:
    context = browser.new_context(viewport=dict(zip(("width", "height"), DESKTOP, strict=True)), accept_downloads=True)
    context.set_default_timeout(60 * SECONDS)
    made = Visitor(context.new_page(), page.url)
    made.listen()
    yield made
    context.close()
    assert not made.complaints
    assert made.hosts <= {page.url.removeprefix("http://")}


def test_a_heart_is_invented_judged_and_beats(visitor, tmp_path):
    visitor.open()
    visitor.invent(7)
    assert visitor.page.get_attribute("[data-verdict]", "data-verdict") == "kept"
    told = visitor.page.inner_text("#heart")
    assert all(word in told for word in ("Similarity", "Threshold", "750", "Kept: no close match"))
    visitor.page.fill("#ef", "40")
    visitor.page.click("#beat")
    visitor.page.wait_for_selector("[data-made]")
    assert visitor.plays("[data-made]")
    assert visitor.page.locator("[data-made] svg.plot path.line").count() == 1
    assert "40 %" in visitor.page.inner_text("[data-made] .facts")
    paths = {}
    for kind in ("AVI", "MP4", "GIF", "JSON"):
        with visitor.page.expect_download() as download:
            visitor.page.click(f"[data-made] >> text=Save {kind}")
        paths[kind] = tmp_path / f"heart.{kind.lower()}"
        download.value.save_as(paths[kind])
    replay(paths["JSON"], tmp_path / "again", models=weights.shipped(), device="cpu")
    assert (tmp_path / "again" / "Videos" / "synthetic_000000.avi").read_bytes() == paths["AVI"].read_bytes()
    assert "--ef 40 --frames 64" in visitor.page.inner_text("[data-made] .command code")
    visitor.page.click("#three")
    visitor.page.wait_for_selector("[data-three]")
    assert visitor.plays("[data-three]")
    assert visitor.page.locator("[data-three] video").count() == 3
    assert visitor.page.locator("#history-list li").count() == 4
    visitor.page.click("#history-list li:last-child button")
    visitor.page.wait_for_selector("[data-made]")


def test_ones_own_clip_is_cropped_and_reproduced_and_a_bad_file_is_refused(visitor, clip, tmp_path):
    visitor.open("#own")
    bad = tmp_path / "<img src=x onerror=alert(1)>.avi"
    bad.write_text("no video")
    visitor.page.set_input_files("#file", bad)
    visitor.page.wait_for_selector(".toast")
    assert "expected a PNG" in visitor.page.inner_text(".toast")
    assert visitor.page.locator(".toast img").count() == 0
    visitor.page.set_input_files("#file", clip)
    visitor.page.wait_for_selector("#crop:not([hidden])")
    assert "224 x 224" in visitor.page.inner_text("#own-facts")
    visitor.page.click("#reproduce")
    visitor.page.wait_for_selector("[data-pair]")
    assert visitor.plays("[data-pair]")
    assert "Not de-identified" in visitor.page.inner_text("[data-pair]")
    visitor.page.fill("#crop-side", "200")
    visitor.page.click("#animate")
    visitor.page.wait_for_selector("#own-result [data-made]")
    assert visitor.plays("#own-result [data-made]")


def test_datasets_play_side_by_side_and_names_are_no_html(visitor, house):
    visitor.open("#datasets")
    visitor.page.click("#filters .first")
    visitor.page.wait_for_selector(".side")
    assert visitor.page.locator(".side").count() == 2
    hostile = filelist.read(house / "synthetic")[0].name
    assert hostile in visitor.page.inner_text(".side.right")
    assert visitor.page.locator(".side figcaption img").count() == 0
    visitor.page.wait_for_function("() => document.querySelector('.side video').currentTime > 0")
    assert visitor.page.locator("#histogram svg rect").count() > 0
    visitor.page.fill("#low", "99")
    visitor.page.click("#filters .first")
    visitor.page.wait_for_function("() => document.querySelector('.side p').textContent.startsWith('0 of')")
    # the video behind a link is refused, and the browser says so
    visitor.complaints = [text for text in visitor.complaints if "404" not in text]


def test_a_report_is_read_and_has_no_way_out(visitor):
    visitor.open("#reports")
    visitor.page.select_option("#report", index=1)
    frame = visitor.page.frame_locator("iframe.reading")
    assert frame.locator("h1").inner_text() == "Audit"
    assert visitor.page.locator("#report option").count() == 2
    visitor.page.wait_for_timeout(300)
    # its script tried to ask the page's server
    assert any("Content Security Policy" in text for text in visitor.complaints)
    visitor.complaints = [text for text in visitor.complaints if "Content Security Policy" not in text]


def test_the_keyboard_is_enough(visitor):
    visitor.open()
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.className") == "skip"
    visitor.page.focus("#tab-generate")
    visitor.page.keyboard.press("ArrowRight")
    assert visitor.page.is_visible("#panel-own")
    assert not visitor.page.is_visible("#panel-generate")
    visitor.page.keyboard.press("Home")
    visitor.page.focus("#seed")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector("[data-verdict]")
    visitor.page.focus("#pause")
    visitor.page.keyboard.press("Space")
    assert visitor.page.get_attribute("#pause", "aria-pressed") == "true"


@pytest.mark.parametrize("tab", ["", "#own", "#datasets", "#reports", "#api"])
def test_a_phone_is_wide_enough(visitor, tab):
    visitor.page.set_viewport_size(dict(zip(("width", "height"), PHONE, strict=True)))
    visitor.open(tab)
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(visitor, scheme, clip):
    if not AXE.is_file():
        pytest.skip(f"no axe-core: npm install --prefix build axe-core ({AXE})")
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.open()
    visitor.invent(7)
    visitor.page.click("#beat")
    visitor.page.wait_for_selector("[data-made]")
    found = {"generate": _axe(visitor.page)}
    visitor.page.click("#three")
    visitor.page.wait_for_selector("[data-three]")
    found["three"] = _axe(visitor.page)
    visitor.page.click("#tab-own")
    visitor.page.set_input_files("#file", clip)
    visitor.page.wait_for_selector("#crop:not([hidden])")
    found["own"] = _axe(visitor.page)
    visitor.page.click("#tab-datasets")
    visitor.page.select_option("#right", "")
    visitor.page.click("#filters .first")
    visitor.page.wait_for_selector(".side")
    found["datasets"] = _axe(visitor.page)
    for tab in ("reports", "api"):
        visitor.page.click(f"#tab-{tab}")
        found[tab] = _axe(visitor.page)
    assert not any(found.values()), json.dumps(found, indent=1)


def _axe(page: Any) -> list[Any]:
    """What axe-core finds serious or critical."""
    page.wait_for_timeout(400)
    page.evaluate(AXE.read_text())
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    return [
        (v["id"], v["impact"], [node["target"] for node in v["nodes"]][:4])
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]
