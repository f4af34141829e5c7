"""``evaluate --only fidelity`` and ``compare``, as their users start them."""

import json

import pytest

QUICK = ["--only", "fidelity", "--protocol", "echosyn-quick-v3"]


@pytest.fixture(scope="module")
def synthetic(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fidelity") / "synthetic"
    program.good("phantom", folder, "--num", 8, "--seed", 4, "--frames", 64)
    return folder


@pytest.fixture(scope="module")
def real(program, synthetic):
    """Eight held-out phantoms."""
    folder = synthetic.with_name("real")
    program.good("phantom", folder, "--num", 8, "--seed", 5, "--frames", 64)
    table = folder / "FileList.csv"
    table.write_text(table.read_text().replace("TRAIN", "TEST"))
    return folder


def test_twice_is_equal_even_after_a_kill(program, synthetic, real, tmp_path):
    once = program.good("evaluate", synthetic, real, tmp_path / "once", *QUICK, "--json").json
    features = tmp_path / "killed.partial" / "features" / "real"
    running = program.start("evaluate", synthetic, real, tmp_path / "killed", *QUICK)
    running.kill_when(lambda: any(features.glob("*.safetensors")))
    assert not (tmp_path / "killed").exists()
    again = program.good("evaluate", synthetic, real, tmp_path / "killed", *QUICK, "--json").json
    assert {k: v for k, v in once.items() if k not in ("report", "page")} == {
        k: v for k, v in again.items() if k not in ("report", "page")
    }
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("once", "killed")]
    assert reports[0]["fidelity"] == reports[1]["fidelity"]
    shown = program.good("compare", tmp_path / "once", tmp_path / "killed")
    assert "no difference shown" in shown.stdout
    assert "differ\n" not in shown.stdout
    assert shown.stderr == ""
    page = (tmp_path / "once" / "index.html").read_text()
    assert "echosyn-quick-v3" in page


def test_numbers_that_too_few_videos_cannot_give_are_named(program, synthetic, tmp_path):
    program.good("phantom", tmp_path / "real", "--num", 2, "--seed", 6, "--frames", 64)
    table = tmp_path / "real" / "FileList.csv"
    table.write_text(table.read_text().replace("TRAIN", "TEST"))
    result = program.good("evaluate", synthetic, tmp_path / "real", tmp_path / "out", *QUICK, "--quiet")
    named = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())["fidelity"]["numbers"]
    missing = [n for n in numbers.values() if n["value"] is None]
    assert missing
    for number in missing:
        assert any(number["name"] in line and number["reason"] in line for line in named)
    assert all(f" of {len(numbers)} numbers are missing: " in line for line in named)


def test_mistakes_are_one_line(program, synthetic, real, tmp_path):
    for arguments, said in (
        (["--protocol", "echosyn-quick-v4", "--only", "fidelity"], "did you mean 'echosyn-quick-v3'"),
        (["--only", "utility"], "--only utility: expected fidelity"),
        (["--protocol", "echonet-synthetic-v1"], "give --weights FOLDER"),
    ):
        result = program("evaluate", synthetic, real, tmp_path / "out", *arguments)
        assert result.code == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
        assert not list(tmp_path.iterdir())
