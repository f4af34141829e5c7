"""The page of benchmarks says what the result files say, and nothing where there is none."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GPU = {"video": {"seconds": 1.2345, "memory_mb": 1.0}, "training step": {"seconds": 0.5, "memory_mb": 1.0}}


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    import comparison

    yield comparison
    sys.modules.pop("comparison")


def cells(page: str, title: str) -> list[str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {title}")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def changed(comparison: Any, name: str, value: Any) -> str:
    return str(comparison.page(lambda asked: value if asked == name else comparison.result(asked)))


def test_a_changed_result_changes_the_page(comparison: Any) -> None:
    found = comparison.result("sampling") | {"fast_s": 7.0, "date": "2031-01-02"}
    page = changed(comparison, "sampling", found)
    assert cells(page, "speed: seconds a video of 192 frames, 2 CPU")[2] == "7 (a)"
    assert "| 2031-01-02 |" in page
    assert page != comparison.DOCS_PAGE.read_text()


def test_what_was_not_run_says_so_and_what_was_has_a_letter(comparison: Any) -> None:
    page = changed(comparison, "gpu", None)
    assert set(cells(page, "speed: seconds a training step")) == {"not run"}
    family = {"fp32": GPU, "bf16": GPU}
    gpu = {
        "command": "python benchmarks/gpu.py",
        "date": "2031-01-02",
        "machine": "G",
        "published": family,
        "fast": family,
    }
    page = changed(comparison, "gpu", gpu)
    assert cells(page, "speed: seconds a video of 192 frames, float32")[:3] == ["1.23 (f)", "not run", "1.23 (f)"]
    assert "| f | `python benchmarks/gpu.py` | 2031-01-02 | G |" in page


def test_every_figure_has_a_run_with_command_and_date(comparison: Any) -> None:
    page = comparison.page()
    table, _, below = page.partition("## Runs")
    used = {
        cell.split()[-1].strip("()")
        for line in table.splitlines()
        if line.startswith("| ")
        for cell in line.split("|")[2:-1]
        if cell.strip().endswith(")")
    }
    runs = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in below.splitlines() if line.startswith("| ")}
    assert used <= runs.keys()
    assert all(cell.strip() for letter in used for cell in runs[letter])


def test_a_page_that_no_longer_states_a_figure_is_named(comparison: Any) -> None:
    with pytest.raises(SystemExit, match=r"docs/models.md: states 0 times"):
        comparison.stated("models.md", r"no such (sentence)")


def test_membership_is_told_of_videos_and_weights_apart(comparison: Any) -> None:
    attacks = comparison.result("privacy")["own"]["attacks"]
    for side in ("videos", "weights"):
        ours = cells(comparison.page(), f"privacy: AUC of the best membership attack on the {side}")[2]
        best = max(attack["auc"]["value"] for attack in attacks if attack["needs"] == side)
        assert ours.startswith(f"{best:.2f} [")
        assert ours.endswith("(d)")


def test_results_of_another_folder_make_a_page_of_their_own(comparison: Any, tmp_path: Path) -> None:
    for path in comparison.RESULTS.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text().replace("2026-", "2031-"))
    command = [sys.executable, str(DOCS / "comparison.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("| 2031-") > 3
    assert "| 2026-11-22 |" not in done.stdout
