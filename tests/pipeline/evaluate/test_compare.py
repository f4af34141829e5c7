import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from echosyn.errors import DataError
from echosyn.pipeline.evaluate.compare import APART, TOGETHER, as_text, compare

REPORT: dict[str, Any] = {
    "utility": {"train on real": {"r2": {"value": 0.9, "low": 0.8, "high": 0.95}, "n": 28}},
    "provenance": {"value": 3},
    "fidelity": {
        "protocol": {"id": "p-v1", "sha256": "a" * 64},
        "seed": 0,
        "sets": {"real": {"sha256": "r"}, "synthetic": {"sha256": "s"}},
        "spaces": {"motion": {"sha256": "m"}, "radiomics": {"sha256": "n"}},
        "numbers": {
            f"frechet/{space}/x": {
                "name": "F",
                "number": "frechet",
                "space": space,
                "sampling": "x",
                "n": 9,
                "value": 10.0,
                "low": 8.0,
                "high": 12.0,
                "real_against_real": {"value": 9.0},
            }
            for space in ("motion", "radiomics")
        },
    },
}


@pytest.fixture
def write(tmp_path):
    def to(name: str, change: Any = None) -> Path:
        report = deepcopy(REPORT)
        if change is not None:
            change(report)
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(report))
        return tmp_path / name

    return to


def test_equal_reports_show_no_difference_and_a_shift_beyond_both_intervals_does(write):
    same = compare(write("a"), write("b"))
    assert {row.verdict for row in same.rows} == {TOGETHER}
    assert same.warnings == []

    def shift(report: dict[str, Any]) -> None:
        motion, radiomics = report["fidelity"]["numbers"].values()
        motion |= {"value": 13.0, "low": 11.0, "high": 15.0}
        radiomics |= {"value": 12.5, "low": 10.5, "high": 14.5}

    found = {row.name: row.verdict for row in compare(write("c"), write("d", shift)).rows}
    assert found["F, motion (x)"] == APART  # 3 > (2^2 + 2^2)^1/2
    assert found["F, radiomics (x)"] == TOGETHER
    assert "utility: train on real: r2" in found


def test_other_protocols_are_refused_or_warned_of(write):
    other = write("b", lambda r: r["fidelity"]["protocol"].update(id="p-v2", sha256="b" * 64))
    with pytest.raises(DataError, match=r"different protocols, p-v1 \(aaaaaaaa\) and p-v2 \(bbbbbbbb\)"):
        compare(write("a"), other)
    assert "different protocols" in compare(write("c"), other, anyway=True).warnings[0]


def test_other_weights_other_n_and_other_real_sets(write):
    def change(report: dict[str, Any]) -> None:
        fidelity = report["fidelity"]
        fidelity["spaces"]["motion"]["sha256"] = "else"
        fidelity["sets"]["real"]["sha256"] = "else"
        fidelity["numbers"]["frechet/radiomics/x"]["n"] = 8

    found = compare(write("a"), write("b", change))
    verdicts = {row.name: row.verdict for row in found.rows}
    assert verdicts["F, motion (x)"] == "not comparable"
    assert verdicts["F, radiomics (x)"] == "not comparable: n is 9 and 8"
    assert found.warnings == [
        "the real sets are not the same",
        "other weights behind motion: their numbers do not compare",
    ]


def test_numbers_of_one_report_only_and_missing_ones_are_said(write):
    def change(report: dict[str, Any]) -> None:
        del report["utility"]
        report["fidelity"]["numbers"]["frechet/motion/x"] = {"value": None, "reason": "r"}

    found = compare(write("a"), write("b", change))
    assert "1 number(s) are in one report only" in found.warnings
    assert "missing" in as_text(found)
    assert as_text(found).splitlines()[2].split() == ["F,", "radiomics", "(x)", "10", "[8,", "12]", "10", "[8,", "12]", "no",
                                                      "difference", "shown"]  # fmt: skip


def test_what_is_no_report_is_refused(write, tmp_path):
    (tmp_path / "x.json").write_text("[]")
    for path in (tmp_path / "x.json", tmp_path / "nothing"):
        with pytest.raises(DataError, match="expected the report"):
            compare(write(f"a{path.name}"), path)
