"""The whole path: what every verb leaves behind, and that it says what it was made from."""

import csv
import json
from pathlib import Path
from typing import Any

import av
import pytest

from echosyn.data import filelist, latents, stills
from echosyn.hashing import content_hash

COLUMNS = ["FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split"]
CLIPS = Path(__file__).parents[3] / "shared" / "clips"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "FileList.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert list(reader.fieldnames or [])[: len(COLUMNS)] == COLUMNS
        return list(reader)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def made_from(folder: Path, command: str) -> dict[str, Any]:
    record = json.loads((folder / "provenance.json").read_text())["call"]
    assert record["command"] == command
    assert {"echosyn", "python", "torch", "diffusers", "av", "numpy"} == record["versions"].keys()
    inputs: dict[str, Any] = record["inputs"]
    return inputs


def assert_columns_are_true(folder: Path, ef: tuple[float, float]) -> None:
    """Every column of a synthetic dataset, against the decoded files."""
    listed = rows(folder)
    assert {f"{row['FileName']}.avi" for row in listed} == names(folder / "Videos")
    for row in listed:
        with av.open(str(folder / "Videos" / f"{row['FileName']}.avi")) as container:
            stream = container.streams.video[0]
            frames = list(container.decode(stream))
            assert len(frames) == int(row["NumberOfFrames"]) == stream.frames
            assert float(row["FPS"]) == pytest.approx(float(stream.average_rate), rel=1e-6)
            assert (frames[0].height, frames[0].width) == (int(row["FrameHeight"]), int(row["FrameWidth"]))
        assert ef[0] <= float(row["EF"]) <= ef[1]
        assert row["ESV"] == row["EDV"] == ""
        assert row["Split"] in ("TRAIN", "VAL", "TEST")


def test_phantom(program, dataset):
    listed = rows(dataset)
    assert names(dataset) == {"FileList.csv", "VolumeTracings.csv", "Videos", "provenance.json"}
    assert {f"{row['FileName']}.avi" for row in listed} == names(dataset / "Videos")
    assert [row["Split"] for row in listed] == ["TRAIN"] * 6 + ["VAL", "TEST"]
    for row in listed:
        esv, edv = float(row["ESV"]), float(row["EDV"])
        assert 100 * (edv - esv) / edv == pytest.approx(float(row["EF"]), abs=0.1)
        assert row["NumberOfFrames"] == "64"
    assert made_from(dataset, "phantom") == {}


def test_check(program, dataset):
    report = program.good("check", dataset, "--json").json
    assert report["ok"]
    assert report["summary"]["videos"] == 8
    assert program.good("check", dataset).stdout.endswith("ok\n")


@pytest.mark.parametrize("stage", ["vae", "lidm", "lvdm", "reid", "ef"])
def test_train(workshop, stage):
    run = workshop.model(stage)
    assert workshop.results[stage]["model"] == str(run / "model")
    assert {"config.json", "diffusion_pytorch_model.safetensors", "echosyn.json"} <= names(run / "model")
    assert ((run / "model" / "scheduler_config.json").is_file()) == (stage in ("lidm", "lvdm"))
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [1, 3]
    assert f"{stage}/loss" in logged[0]
    described = json.loads((run / "run.json").read_text())
    assert described["settings"]["loop"]["steps"] == 3
    assert len(described["videos"]) == 6


def test_encode(workshop, dataset):
    folder = workshop.latents
    assert names(folder) == {"FileList.csv", "Latents", "latents.json", "provenance.json"}
    assert (folder / "FileList.csv").read_bytes() == (dataset / "FileList.csv").read_bytes()
    for record in filelist.read(folder):
        assert latents.read(folder, record).shape == (record.num_frames, 4, 14, 14)
    inputs = made_from(folder, "encode")
    assert inputs == {"dataset": content_hash(dataset), "vae": content_hash(workshop.model("vae") / "model")}


def test_sample_and_filter(workshop):
    candidates, hearts = stills.read(workshop.candidates)
    assert candidates == list(range(8))
    assert hearts.shape == (8, 4, 14, 14)
    kept, kept_hearts = stills.read(workshop.kept)
    assert set(kept) <= set(candidates)
    assert kept_hearts.equal(hearts[kept])
    assert workshop.results["filter"]["num_kept"] == len(kept)
    inputs = made_from(workshop.kept, "filter")
    assert inputs["candidates"] == content_hash(workshop.candidates)
    assert inputs["reference"] == content_hash(workshop.latents)
    public = (workshop.kept / "provenance.json").read_text()
    assert "phantom_a4c_3_0" not in public
    assert "NearestPatient" in (workshop.kept / "private" / "similarity.csv").read_text()


def test_animate(workshop):
    assert names(workshop.animated) == {"FileList.csv", "Videos", "provenance.json"}
    assert_columns_are_true(workshop.animated, ef=(20, 70))
    assert [row["FileName"] for row in rows(workshop.animated)] == [
        stills.name(i) for i in stills.read(workshop.kept)[0]
    ]
    assert made_from(workshop.animated, "animate")["kept"] == content_hash(workshop.kept)


def test_generate(workshop):
    assert names(workshop.synthetic) == {"FileList.csv", "Videos", "provenance.json"}
    assert_columns_are_true(workshop.synthetic, ef=(5, 90))
    assert len(rows(workshop.synthetic)) == 5
    inputs = made_from(workshop.synthetic, "generate")
    assert inputs == {"reference": content_hash(workshop.latents)} | {
        stage: content_hash(workshop.model(stage) / "model") for stage in ("vae", "lidm", "lvdm", "reid")
    }
    privacy = json.loads((workshop.synthetic / "provenance.json").read_text())["privacy"]
    assert privacy["filter"] == "calibrated"
    assert workshop.results["generate"]["privacy"] == privacy


def test_a_synthetic_dataset_passes_the_check_and_can_be_encoded_again(program, workshop, tmp_path):
    assert program.good("check", workshop.synthetic, "--json").json["problems"] == []
    program.good("encode", workshop.synthetic, tmp_path / "again", "--vae", workshop.model("vae"))


def test_evaluate(workshop, dataset):
    numbers = json.loads((workshop.report / "report.json").read_text(), parse_constant=pytest.fail)
    assert numbers["counts"] == {"synthetic": 5, "synthetic_train": 3, "real_train": 6, "real_held_out": 2}
    assert {"train on real", "train on synthetic"} == numbers["utility"].keys()
    assert numbers["vae"]["psnr"] > 0
    page = (workshop.report / "index.html").read_text()
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    inputs = made_from(workshop.report, "evaluate")
    assert inputs["synthetic"] == content_hash(workshop.synthetic)
    assert inputs["real"] == content_hash(dataset)


def test_generate_without_a_filter_warns(program, workshop, tmp_path):
    out = tmp_path / "open"
    result = program.good("generate", out, "--models", workshop.models, "--num", 2, "--frames", 16, "--json", "--quiet")
    assert result.stderr.startswith("warning: ")
    assert result.json["privacy"]["releasable"] is False


def test_import(program, dataset, tmp_path):
    out = tmp_path / "imported"
    arguments = ["--from", "folder", "--labels", dataset / "FileList.csv", "--crop", "6,6,100,100"]
    result = program.good("import", dataset / "Videos", out, *arguments, "--json").json
    assert result["videos"] == 8
    assert program.good("check", out, "--json").json["ok"]
    assert [row["EF"] for row in rows(out)] == [row["EF"] for row in rows(dataset)]
    assert made_from(out, "import") == {
        "source": content_hash(dataset / "Videos"),
        "labels": content_hash(dataset / "FileList.csv"),
    }


@pytest.mark.skipif(not (CLIPS / "labels.csv").is_file(), reason="the real clips are not here")
def test_import_of_real_clips(program, tmp_path):
    out = tmp_path / "clips"
    labels = ["--crop", "0,0,112,112", "--labels", CLIPS / "labels.csv"]
    program.good("import", CLIPS, out, "--from", "folder", *labels)
    assert program.good("check", out, "--json").json["summary"]["videos"] == 5


def assert_is_a_run(out: Path, result: dict[str, Any], num: int) -> None:
    assert names(out) == {"models", "latents", "synthetic", "report", "provenance.json"}
    assert_columns_are_true(out / "synthetic", ef=(5, 90))
    assert len(rows(out / "synthetic")) == num
    assert result["synthetic"] == str(out / "synthetic")
    assert Path(result["page"]).is_file()
    assert isinstance(result["releasable"], bool)
    for stage in ("vae", "lidm", "lvdm", "reid"):
        kept = names(out / "models" / stage)
        assert kept >= {"model", "model-raw", "metrics.jsonl", "run.json", "tracking"}
        assert "checkpoints" not in kept


def test_run(program, dataset, workshop, all_tiny, tmp_path):
    out = tmp_path / "run"
    result = program.good("run", dataset, out, "--num", 4, "--frames", 24, *all_tiny, "--json", "--quiet")
    assert_is_a_run(out, result.json, num=4)
    assert ("do not share this set" in result.stderr) != result.json["releasable"]
    assert "warning: fewer than 8 TRAIN patients" in result.stderr, "six are too few for a texture"
    assert made_from(out, "run") == {"dataset": content_hash(dataset)}


@pytest.mark.slow
def test_run_takes_given_models(program, dataset, workshop, all_tiny, tmp_path):
    out = tmp_path / "run"
    models = ["--models", workshop.models]
    program.good("run", dataset, out, *models, "--num", 3, "--frames", 24, *all_tiny, "--json")
    assert names(out) == {"latents", "synthetic", "report", "provenance.json"}


@pytest.mark.slow
def test_quickstart_with_training(program, all_tiny, tmp_path):
    arguments = ["quickstart", tmp_path / "q", "--train", "--patients", 8, "--num", 4, *all_tiny, "--json"]
    result = program.good(*arguments).json
    assert_is_a_run(tmp_path / "q" / "trained", result, num=4)
    assert program.good(*arguments).json == result


@pytest.mark.slow
def test_quickstart_with_the_models_that_ship(program, tmp_path):
    arguments = ["quickstart", tmp_path / "q", "--json"]
    result = program.good(*arguments).json
    out = tmp_path / "q" / "run"
    assert names(out) == {"latents", "synthetic", "report", "provenance.json"}
    records = filelist.read(out / "synthetic")
    assert {r.extra["View"] for r in records} == {"A4C"}
    assert not result["releasable"], "28 held-out patients are too few to know the filter's rate"
    assert program.good(*arguments).json == result
