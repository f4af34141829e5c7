"""The installed script: quick help, results on stdout, progress on stderr."""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("echosyn")
VERBS = ["phantom", "import", "check", "train", "encode", "sample", "filter", "animate"]
VERBS += ["generate", "evaluate", "predict-ef", "run", "quickstart", "doctor"]
VERBS += ["weights", "publish", "verify", "frames", "reference", "update-split", "demo", "decode", "reproduce"]


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(a) for a in (SCRIPT, *arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_help_takes_less_than_a_second():
    took = []
    for _ in range(3):
        before = time.perf_counter()
        result = start("--help")
        took.append(time.perf_counter() - before)
        assert result.returncode == 0
    assert min(took) < 1.0
    for verb in VERBS:
        assert f"\n  {verb} " in result.stdout


def test_help_does_not_import_torch():
    code = "import sys, echosyn.apps.cli.verbs; print([m for m in ('torch', 'diffusers', 'av') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(program, verb):
    result = program.good(verb, "--help")
    assert result.stdout.startswith(f"Usage: echosyn {verb}")
    assert result.stderr == ""


def test_version():
    assert start("--version").stdout == f"{version('echosyn')}\n"


def test_the_script_makes_a_dataset_and_checks_it(tmp_path):
    made = start("phantom", tmp_path / "d", "--num", 2, "--frames", 64, "--json")
    assert made.returncode == 0
    assert json.loads(made.stdout) == {"dataset": str(tmp_path / "d"), "videos": 2}
    assert "phantom: 2/2\n" in made.stderr
    wrong = start("phantom", tmp_path / "d", "--num", 2, "--json")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: ")


@pytest.mark.slow
def test_the_script_trains(dataset, tiny, tmp_path):
    result = start("train", "vae", dataset, tmp_path / "vae", *tiny("vae"), "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["steps"] == 3


def test_progress_goes_to_stderr_and_only_the_result_to_stdout(program, workshop, tmp_path):
    arguments = ["sample", tmp_path / "a", "--lidm", workshop.model("lidm"), "--num", 2]
    result = program.good(*arguments)
    assert "sample: 2/2" in result.stderr
    assert result.stdout == f"candidates  {tmp_path / 'a'}\nstills      2\n"


def test_quiet_silences(program, workshop, dataset, tiny, tmp_path):
    vae = workshop.model("vae")
    assert program.good("encode", dataset, tmp_path / "l", "--vae", vae, "--quiet").stderr == ""
    assert program.good("train", "vae", dataset, tmp_path / "vae", *tiny("vae"), "--quiet").stderr == ""
    assert program.good("check", dataset, "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["phantom", "out", "--nmu", "3"], "--nmu"),
        (["phantom", "out", "--num", "three"], "--num"),
        (["phantom", "out", "--view", "A2C"], "A2C"),
        (["phantmo", "out"], "phantmo"),
        (["train", "vea", "data", "out"], "vea"),
        (["encode", "data", "out"], "--vae"),
        (["encode", "data"], "out"),
    ],
)
def test_a_wrong_usage_is_short_and_names_the_fault(program, arguments, named):
    result = program(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) <= 4
    assert named in result.stderr.splitlines()[-1]


def test_doctor(program):
    result = program.good("doctor", "--json").json
    assert result["ok"]
    assert result["echosyn"] == version("echosyn")
