"""Solvers, windows and numbers of steps from the command line."""

import csv
import json

import pytest


def animate(workshop, out, *more):
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")]
    return ["animate", workshop.kept, out, *models, "--num", 2, "--frames", 24, "--quiet", *more]


def test_solver_steps_and_windows_are_in_the_provenance(program, workshop, tmp_path):
    asked = ["--scheduler", "unipc", "--steps", 3, "--hop", 12, "--blend", "cosine"]
    program.good(*animate(workshop, tmp_path / "out", *asked))
    settings = json.loads((tmp_path / "out" / "provenance.json").read_text())["call"]["settings"]
    found = {name: settings[name] for name in ("scheduler", "steps", "hop", "blend")}
    assert found == {"scheduler": "unipc", "steps": 3, "hop": 12, "blend": "cosine"}
    plain = json.loads((workshop.animated / "provenance.json").read_text())["call"]["settings"]
    assert (plain["scheduler"], plain["hop"], plain["blend"]) == (None, None, "cut")


def test_hearts_and_whole_datasets_take_a_solver_too(program, workshop, tmp_path):
    lidm = ["--lidm", workshop.model("lidm"), "--num", 2]
    program.good("sample", tmp_path / "stills", *lidm, "--scheduler", "heun", "--steps", 2, "--quiet")
    assert json.loads((tmp_path / "stills" / "provenance.json").read_text())["call"]["settings"]["scheduler"] == "heun"
    asked = ["--models", workshop.models, "--num", 1, "--frames", 24, "--scheduler", "dpm++", "--blend", "alternate"]
    program.good("generate", tmp_path / "set", *asked, "--quiet")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--scheduler", "ddpm"], "--scheduler ddpm: this model was trained as a flow; expected one of dpm++, unipc"),
        (["--scheduler", "hein"], "did you mean 'heun'?"),
        (["--steps", "1001"], "--steps 1001: expected 1 to 1000"),
        (["--steps", "0"], "expected at least 1"),
        (["--hop", "17"], "--hop 17: expected 1 to 16"),
        (["--blend", "smooth"], "--blend smooth: expected one of cut, linear, cosine, alternate"),
        (["--blend", "alternate", "--hop", "8"], "--hop 8 has no effect with --blend alternate"),
    ],
)
def test_what_cannot_be_solved_is_refused_in_one_line(program, workshop, tmp_path, asked, message):
    result = program(*animate(workshop, tmp_path / "out", *asked))
    assert result.code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_steps_against_quality(program, workshop, dataset, tmp_path):
    out = tmp_path / "steps"
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae"), "--regressor", workshop.model("ef")]
    asked = ["--steps", "2,1", "--num", 3, "--frames", 24, *models]
    result = program.good("evaluate", workshop.kept, dataset, out, *asked, "--quiet")
    assert result.stdout.split()[:2] == ["steps", "s/video"]
    assert [line.split()[0] for line in result.stdout.splitlines()[1:3]] == ["1", "2"]
    report = json.loads((out / "report.json").read_text(), parse_constant=pytest.fail)
    assert [row["steps"] for row in report["rows"]] == [1, 2]
    assert report["rows"][1]["difference"] == 0 <= report["rows"][0]["difference"]
    assert all(row["seam"] > 0 and row["seconds"]["cpu"] > 0 for row in report["rows"])
    assert report["rows"][0]["by_regressor"]["n"] == 3
    with (out / "steps.csv").open() as file:
        assert [row["steps"] for row in csv.DictReader(file)] == ["1", "2"]
    assert (out / "steps.png").read_bytes().startswith(b"\x89PNG")
    one, two = ((out / f"steps-000{n}" / "FileList.csv").read_text() for n in (1, 2))
    assert one == two


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--steps", "1,two"], "--steps 1,two: expected whole numbers from 1 on"),
        (["--steps", "1,2"], "give --lvdm and --vae"),
        (["--hop", "8"], "--hop has no effect without --steps"),
    ],
)
def test_a_comparison_that_lacks_something_is_refused(program, workshop, dataset, tmp_path, asked, message):
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")] if "two" in asked[-1] else []
    result = program("evaluate", workshop.kept, dataset, tmp_path / "out", *asked, *models, "--quiet")
    assert result.code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
