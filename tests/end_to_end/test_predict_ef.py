"""`predict-ef` as users call it, and tests that are refused because a model has seen the videos."""

import json
import shutil
from pathlib import Path

import pytest

from echosyn import weights
from echosyn.data import filelist


def test_a_line_a_file_and_the_same_numbers_as_json(program, workshop, dataset):
    model = ["--model", workshop.model("ef"), "--quiet"]
    lines = program.good("predict-ef", dataset / "Videos", *model).stdout.splitlines()
    said = program.good("predict-ef", dataset / "Videos", *model, "--json").json
    assert said["problems"] == 0
    assert len(lines) == len(said["videos"]) == 8
    assert [line.split() for line in lines] == [[f"{v['ef']:.1f}", v["file"]] for v in said["videos"]]
    everything = program.good("predict-ef", dataset / "Videos", *model, "--clips", "all", "--json").json
    shown = {r.name: int(r.num_frames * 16 / r.fps + 1e-6) for r in filelist.read(dataset)}  # at 16 a second
    for video in everything["videos"]:
        assert video["clips"] == max(1, shown[Path(video["file"]).stem] - 16 + 1)


def test_bad_files_are_named_and_the_others_are_still_read(program, workshop, dataset, tmp_path):
    shutil.copy(dataset / "Videos" / "phantom_a4c_3_00000.avi", tmp_path / "good.avi")
    (tmp_path / "notes.avi").write_text("no video")
    result = program("predict-ef", tmp_path, tmp_path / "none.avi", "--model", workshop.model("ef"), "--quiet")
    assert result.code == 2
    assert [line.split()[1] for line in result.stdout.splitlines()] == [str(tmp_path / "good.avi")]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"error: {tmp_path / 'notes.avi'}: unreadable")
    assert second.startswith(f"error: {tmp_path / 'none.avi'}: missing file")


def test_where_nothing_was_read_nothing_is_said_of_the_model(program, tmp_path):
    result = program("predict-ef", tmp_path / "none.avi")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {tmp_path / 'none.avi'}: missing file")
    assert "warning" not in result.stderr
    assert "read EF: 0/1" in result.stderr or "read EF" not in result.stderr


def test_without_a_model_the_one_that_ships_reads_phantoms_and_says_so(program, tmp_path):
    program.good(
        "phantom", tmp_path / "data", "--num", "4", "--view", "both", "--frames", "80", "--fps", "32", "--quiet"
    )
    plain = program("predict-ef", tmp_path / "data" / "Videos", "--json", "--quiet")
    assert plain.code == 0
    (warning,) = plain.stderr.splitlines()
    assert warning.startswith("warning: no --model given: the bundled EF regressor was trained on phantoms only")
    known = {r.name: r.ef for r in filelist.read(tmp_path / "data")}
    for video in json.loads(plain.stdout)["videos"]:
        assert abs(video["ef"] - known[Path(video["file"]).stem]) < 15
    named = program(
        "predict-ef", tmp_path / "data" / "Videos", "--json", "--quiet", "--model", weights.shipped() / "ef"
    )
    assert (named.stdout, named.stderr) == (plain.stdout, "")


@pytest.mark.parametrize(("fps", "warned"), [("32", False), ("34", False), ("40", True)])
def test_a_video_shorter_than_the_clips_of_the_network_is_named(program, tmp_path, fps, warned):
    program.good("phantom", tmp_path / "data", "--num", "1", "--frames", "64", "--fps", fps, "--quiet")
    result = program("predict-ef", tmp_path / "data" / "Videos")
    assert result.code == 0
    assert ("1.6 s, and the regressor looks at 2 s: do not trust this EF" in result.stderr) == warned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "VAE"], "expected a ef model"),
        (["--model", "none"], "none: no such folder"),
        (["--model", "EF", "--clips", "few"], "--clips few: expected a whole number of at least 1, or all"),
        (["--model", "EF", "--clips", "0"], "--clips 0: expected"),
        (["--dataset", "dynamic"], "--dataset dynamic chooses among several models: give --model"),
    ],
)
def test_a_mistake_is_one_line(program, workshop, dataset, arguments, said):
    named = {"VAE": workshop.model("vae"), "EF": workshop.model("ef")}
    result = program("predict-ef", dataset / "Videos", *(named.get(a, a) for a in arguments))
    assert (result.code, result.stdout) == (2, "")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_of_several_regressors_one_is_chosen(program, workshop, dataset, tmp_path):
    models = tmp_path / "models"
    for name in ("regression_dynamic", "regression_ped_a4c"):
        shutil.copytree(workshop.model("ef"), models / name)
    refused = program("predict-ef", dataset / "Videos", "--model", models)
    assert refused.code == 2
    assert "choose with --dataset" in refused.stderr
    assert program("predict-ef", dataset / "Videos", "--model", models, "--dataset", "ped_a4c").code == 0


def test_a_test_on_videos_that_a_model_has_seen_is_refused(program, workshop, dataset, tiny, tmp_path):
    swapped = tmp_path / "swapped"
    shutil.copytree(dataset, swapped)
    listed = swapped / "FileList.csv"
    turned = {"TRAIN": "TEST", "VAL": "TRAIN", "TEST": "TRAIN"}
    rows = [line.split(",") for line in listed.read_text().splitlines()]
    column = rows[0].index("Split")
    for row in rows[1:]:
        row[column] = turned[row[column]]
    listed.write_text("".join(",".join(row) + "\n" for row in rows))
    for option in ("--vae", "--made-by"):
        model = workshop.model("vae" if option == "--vae" else "lvdm")
        result = program("evaluate", workshop.synthetic, swapped, tmp_path / "OUT", option, model, *tiny("ef"))
        assert (result.code, result.stdout) == (2, "")
        assert f"{model}: was trained on 6 of the 6 test videos" in result.stderr
        assert not list(tmp_path.glob("OUT*"))


def test_the_report_says_nothing_of_models_that_are_known(workshop):
    assert json.loads((workshop.report / "report.json").read_text())["training_unknown"] == []
