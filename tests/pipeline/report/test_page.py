import base64
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from echosyn.pipeline.report import Media, render
from echosyn.pipeline.report.page import Cell, cell, flattened, number

HOSTILE = '<script>alert("x")</script>"><img src=x onerror=alert(1)>\'&.avi'
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Elements of a page in order, and a check that tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def full(name: str = "a dataset") -> dict:
    return {
        "title": f"Report on {name}",
        "subtitle": name,
        "verdict": {"status": "warn", "headline": name, "text": name},
        "cards": [
            {"label": name, "value": {"value": 0.81, "low": 0.79, "high": 0.83}, "detail": name, "status": "pass"}
        ],
        "warnings": [name],
        "sections": [
            {
                "title": name,
                "explanation": name,
                "columns": ["Figure", name],
                "rows": [[name, 3.14159], ["missing", None]],
                "plot": b"png",
                "plot_alt": name,
            },
            {"title": "Empty", "columns": ["Figure"], "rows": []},
        ],
        "provenance": {name: {name: [name, 1]}, "seed": 0},
    }


def videos(name: str = "0XABC") -> list[Media]:
    return [Media(name, f"EF 43 % {name}", b"real mp4", "real"), Media(name, "EF 60 %", b"synthetic mp4", "synthetic")]


def page(tmp_path: Path, report: dict, media: list[Media] = ()) -> Page:
    render(report, media, tmp_path / "report.html")
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_a_hostile_file_name_stays_text(tmp_path):
    hostile = page(tmp_path, full(HOSTILE), videos(HOSTILE))
    harmless = page(tmp_path, full(), videos())
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(attributes) for _, attributes in hostile.elements] == [sorted(a) for _, a in harmless.elements]
    assert hostile.text.count(HOSTILE) >= 10


def test_nothing_is_loaded_from_anywhere(tmp_path):
    shown = page(tmp_path, full(), videos())
    for _, attributes in shown.elements:
        for name in ("src", "href", "poster", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    html = (tmp_path / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(", html)
    policy = next(a["content"] for a in shown.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)


def test_videos_play_muted_in_a_loop_real_beside_synthetic(tmp_path):
    shown = page(tmp_path, full(), videos())
    real, synthetic = shown.all("video")
    assert {"muted", "autoplay", "loop", "playsinline"} <= set(real)
    assert base64.b64decode(str(real["src"]).removeprefix("data:video/mp4;base64,")) == b"real mp4"
    assert base64.b64decode(str(synthetic["src"]).removeprefix("data:video/mp4;base64,")) == b"synthetic mp4"
    assert real["aria-label"] == "Real video 0XABC, EF 43 % 0XABC"
    assert any(attributes.get("id") == "play" for attributes in shown.all("button"))


def test_real_videos_make_the_page_private(tmp_path):
    assert "1 video of real patients" in page(tmp_path, full(), videos()).text
    assert "of real patients" not in page(tmp_path, full(), videos()[1:]).text


def test_phantoms_are_not_called_patients(tmp_path):
    shown = page(tmp_path, full() | {"of_phantoms": True}, videos()).text
    assert "of real patients" not in shown
    assert "No patient is behind this page" in shown


def test_it_is_accessible(tmp_path):
    shown = page(tmp_path, full(), videos())
    assert shown.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in shown.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(shown.all("caption")) == len(shown.all("table")) == 2
    assert all(attributes.get("scope") in ("col", "row") for attributes in shown.all("th"))
    assert all(attributes.get("alt") for attributes in shown.all("img"))
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in shown.elements if "aria-labelledby" in a} <= set(ids)


def test_order_warnings_first_provenance_last(tmp_path):
    text = page(tmp_path, full() | {"warnings": ["mind this"]}, videos()).text
    places = [text.index(words) for words in ("mind this", "Summary", "Videos", "Empty", "Provenance")]
    assert places == sorted(places)


def test_a_title_is_enough_and_the_same_report_gives_the_same_bytes(tmp_path):
    assert "Only this" in page(tmp_path, {"title": "Only this"}).text
    page(tmp_path, full(), videos())
    first = (tmp_path / "report.html").read_bytes()
    page(tmp_path, full(), videos())
    assert (tmp_path / "report.html").read_bytes() == first


def test_mistakes_of_the_caller_are_refused(tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(ValueError, match="titel"):
        render({"titel": "x"}, [], out)
    with pytest.raises(ValueError, match="missing key"):
        render({"title": "x", "sections": [{"title": "y"}]}, [], out)
    with pytest.raises(ValueError, match="a row has 1 cells, expected 2"):
        render({"title": "x", "sections": [{"title": "y", "columns": ["a", "b"], "rows": [[1]]}]}, [], out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8149, "0.815"), (3.914, "3.91"), (18.72, "18.7"), (1234.5, "1,234"), (0.0, "0"), (7465, "7,465"),
        (-0.42, "\N{MINUS SIGN}0.420"), (0.00012, "1.2e\N{MINUS SIGN}04"), (float("inf"), "∞"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_cells():
    assert cell(None) == cell(float("nan")) == Cell("\N{EN DASH}")
    assert cell(True) == Cell("yes")
    assert cell({"value": 0.5, "low": 0.4, "high": 0.6}) == Cell("0.500", "0.400 to 0.600", is_number=True)
    assert cell({"value": None, "reason": "n = 2"}) == Cell("\N{EN DASH}", "n = 2")
    assert cell("kept") == Cell("kept")


def test_nested_provenance_is_shown_flat():
    nested = {"call": {"seed": 0, "inputs": {"real": "b3:1"}}, "files": ["a", "b"], "note": None}
    assert list(flattened(nested)) == [
        ("call.seed", "0"), ("call.inputs.real", "b3:1"), ("files", "a, b"), ("note", "\N{EN DASH}"),
    ]  # fmt: skip
