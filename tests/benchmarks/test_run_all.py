"""`make bench`: every script is in the table with arguments that it understands, and a failure is told."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import imported

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
run_all = imported(BENCHMARKS / "run_all.py")
SCRIPTS = {path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text()} - {"run_all"}


class Understood(Exception):  # noqa: N818
    """The arguments were parsed."""


def test_every_script_is_in_the_table() -> None:
    assert set(run_all.TABLE) == SCRIPTS | {"rivals"}
    assert all(run_all.script(name).is_file() for name in run_all.TABLE)


@pytest.mark.parametrize("name", [name for name, each in run_all.TABLE.items() if not each.outside])
def test_a_script_understands_its_arguments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    try:
        script = imported(run_all.script(name))
    except ImportError as error:
        pytest.skip(str(error))
    honest = argparse.ArgumentParser.parse_args

    def parsed(self: argparse.ArgumentParser, *given: Any) -> None:
        honest(self, *given)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    for size in ("small", "full"):
        if run_all.TABLE[name].full is None and size == "full":
            continue
        places = {"WORK": "w", "FILE": "f.json", "SHIPPED": "s"}
        line = run_all.called(run_all.TABLE[name], size)
        monkeypatch.setattr(sys, "argv", [name, *run_all.words(line, places)])
        with pytest.raises(Understood):
            script.main()


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of small scripts of our own."""
    (tmp_path / "prints.py").write_text("print('{\"step\": 1}'); print('{\"found\": 2}')")
    (tmp_path / "writes.py").write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('{\"found\": 3}')")
    (tmp_path / "breaks.py").write_text("raise SystemExit(1)")
    table = {
        "breaks": run_all.Benchmark(),
        "prints": run_all.Benchmark(section="inner"),
        "outside": run_all.Benchmark(outside="recordings"),
        "writes": run_all.Benchmark("FILE", None),
    }
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setattr(run_all, "TABLE", table)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "build" / "bench"


def test_a_failure_is_told_and_the_others_run(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few.mkdir(parents=True)
    (few / "prints.json").write_text('{"other": 1}')
    with pytest.raises(SystemExit, match="failed: breaks"):
        run_all.main(["--anew"])
    said = capsys.readouterr().out
    assert "outside: left out, needs recordings" in said
    prints, writes = (json.loads((few / f"{name}.json").read_text()) for name in ("prints", "writes"))
    assert prints["other"] == 1
    assert prints["inner"]["found"] == 2
    assert writes["found"] == 3
    assert writes["command"].endswith("writes.py FILE")
    assert writes["date"]
    assert writes["machine"]


def test_what_is_there_is_not_run_again_and_a_wrong_name_is_refused(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_all.main(["writes"])
    run_all.main(["writes"])
    assert "writes: there already" in capsys.readouterr().out
    run_all.main(["writes", "--size", "full"])
    assert "writes: left out" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_all.main(["no-such"])
    assert "no such benchmark: no-such; there are breaks," in capsys.readouterr().err
