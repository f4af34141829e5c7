"""The audit as its users start it: what it refuses, what it tells whom, and that it says the same again."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from echosyn.data import filelist, latents, lineage, video
from echosyn.hashing import file_hash
from echosyn.pipeline.publish import checksums

PRIVATE = {"audit.json", "index.html", "private", "provenance.json"}
PUBLIC = {"public.json", "public.html"}


def audit(program: Any, workshop: Any, synthetic: Path, real: Path, out: Path, *more: object) -> Any:
    given = ["--models", workshop.folder / "models", "--canaries", 1, "--json", "--quiet", *more]
    return program("audit", synthetic, real, out, *given)


@pytest.fixture(scope="module")
def audited(program: Any, workshop: Any, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The audit of the tiny synthetic set, and what the program said."""
    out = tmp_path_factory.mktemp("audit") / "audit"
    return out, audit(program, workshop, workshop.synthetic, dataset, out)


def test_a_crossed_line_is_exit_code_3_and_named(audited: tuple[Path, Any]) -> None:
    out, result = audited
    assert result.code == 3, result.stderr
    assert result.json["verdict"] == "cannot say"
    assert "this audit cannot pass: 2 held-out patients (VAL, TEST), expected at least 100" in result.stderr
    assert "calibration" in result.json["crossed"], "two held-out patients support no threshold"
    assert {path.name for path in out.iterdir()} == PRIVATE | PUBLIC
    found = json.loads((out / "audit.json").read_text(), parse_constant=pytest.fail)
    lines = {line["name"]: line["found"] for line in found["public"]["lines"]}
    assert "too few held-out patients" in lines["calibration"]
    for guess in ("attribute inference: EF band", "linkability: halves of a recording"):
        assert "a naive guess: " in lines[guess]


def test_the_audit_is_of_exactly_these_files_and_publishing_asks_for_it(
    audited: tuple[Path, Any], program: Any, workshop: Any, tmp_path: Path
) -> None:
    out, _ = audited
    found = json.loads((out / "audit.json").read_text())
    assert found["videos"] == checksums.videos_hash(workshop.synthetic)
    said = ["--licence", "cc-by-4.0", "--audit", out / "audit.json", "--quiet"]
    refused = program("publish", workshop.synthetic, tmp_path / "release", *said)
    assert refused.code == 2
    assert "could not say" in refused.stderr
    other = program("publish", workshop.animated, tmp_path / "release", *said)
    assert "audit of other videos" in other.stderr


def test_what_is_public_shows_nobody(audited: tuple[Path, Any], dataset: Path, workshop: Any) -> None:
    out, _ = audited
    told = b"".join((out / name).read_bytes() for name in PUBLIC)
    told += json.dumps(json.loads((out / "audit.json").read_text())["public"]).encode()
    for record in filelist.read(dataset):
        assert record.name.encode() not in told
        assert file_hash(dataset / "Videos" / f"{record.name}.avi").encode() not in told
    for path in (dataset, workshop.folder, out):
        assert str(path).encode() not in told
    assert told.count(b"data:image") == 1, "the curves of the check's power, and no picture of anybody"
    assert b"Power of the check" in told
    assert b"data:video" not in told
    assert b"data:image" in (out / "index.html").read_bytes()
    assert b"must not leave your institution" in (out / "index.html").read_bytes()


def test_what_is_released_holds_nothing_of_the_patients(
    audited: tuple[Path, Any], program: Any, workshop: Any, dataset: Path, tmp_path: Path
) -> None:
    """Names, hashes, frames and latents of every real video are looked for in every byte of the release."""
    said = json.loads((audited[0] / "audit.json").read_text())
    for canary in said["public"]["canaries"]:
        canary["planted"] = 73
    (tmp_path / "audit.json").write_text(json.dumps(said | {"verdict": "pass"}))  # as if set and audit were good ones
    words = ["--licence", "cc-by-4.0", "--audit", tmp_path / "audit.json", "--quiet"]
    result = program("publish", workshop.synthetic, tmp_path / "release", *words)
    assert result.code == 0, result.stderr
    files = [path for path in (tmp_path / "release").rglob("*") if path.is_file()]
    released = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)
    frames = {file_hash(path) for path in files}
    for record in filelist.read(dataset):
        path = dataset / "Videos" / f"{record.name}.avi"
        grey = video.read(path).grey()
        latent = latents.read(workshop.folder / "latents", record).numpy()
        assert record.name.encode() not in released
        assert file_hash(path) not in frames
        assert file_hash(path).encode() not in released
        for planted in (path.read_bytes()[9000:9064], grey[0, 60:64].tobytes(), latent[0, 0].tobytes()):
            assert planted not in released
    for folder in (dataset, workshop.folder, audited[0]):
        assert str(folder).encode() not in released


def test_every_patient_has_an_exposure(audited: tuple[Path, Any], dataset: Path, workshop: Any) -> None:
    with (audited[0] / "private" / "exposure.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["Patient"] for row in rows} == {r.patient for r in filelist.read(dataset)}
    assert {row["NearestVideo"] for row in rows} <= {p.name for p in (workshop.synthetic / "Videos").iterdir()}


@pytest.mark.slow
def test_two_audits_are_equal(
    audited: tuple[Path, Any], program: Any, workshop: Any, dataset: Path, tmp_path: Path
) -> None:
    audit(program, workshop, workshop.synthetic, dataset, tmp_path / "again")
    for name in ("audit.json", "public.json", "public.html", "index.html", "provenance.json", "private/matches.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (audited[0] / name).read_bytes(), name


@pytest.mark.slow
def test_the_training_set_itself_is_caught(program: Any, workshop: Any, dataset: Path, tmp_path: Path) -> None:
    result = audit(program, workshop, dataset, dataset, tmp_path / "audit", "--videos-only")
    assert result.code == 3, result.stderr
    assert result.json["videos too close"] == 8
    assert "copies" in result.json["crossed"]


def test_nothing_to_audit_is_one_line_and_leaves_nothing(
    program: Any, workshop: Any, dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(workshop.synthetic, tmp_path / "empty")
    for path in (tmp_path / "empty" / "Videos").iterdir():
        path.unlink()
    result = audit(program, workshop, tmp_path / "empty", dataset, tmp_path / "audit")
    assert result.code == 2
    assert "no video to audit" in result.stderr
    assert not (tmp_path / "audit").exists()


def test_one_patient_is_refused(program: Any, workshop: Any, dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "one")
    filelist.write(tmp_path / "one", filelist.read(dataset)[:1])
    result = audit(program, workshop, workshop.synthetic, tmp_path / "one", tmp_path / "audit")
    assert result.code == 2
    assert "1 TRAIN and 0 held-out" in result.stderr


@pytest.mark.slow
def test_who_withdraws_takes_what_is_near_along(program: Any, workshop: Any, dataset: Path, tmp_path: Path) -> None:
    patient = filelist.read(dataset)[0].patient
    copied = tmp_path / "synthetic"
    shutil.copytree(workshop.synthetic, copied)
    shutil.copyfile(dataset / "Videos" / f"{patient}.avi", copied / "Videos" / "synthetic_000000.avi")
    models = ["--models", workshop.folder / "models"]
    changed = program("withdraw", copied, dataset, tmp_path / "no", "--exclude", patient, *models)
    assert changed.code == 2
    assert "videos or labels were changed" in changed.stderr
    record = json.loads((copied / "provenance.json").read_text())
    record["made"] = lineage.entry(copied, record["made"]["steps"])  # as if the models had made it
    (copied / "provenance.json").write_text(json.dumps(record))
    models = ["--models", workshop.folder / "models"]
    result = program("withdraw", copied, dataset, tmp_path / "left", "--exclude", patient, *models, "--json", "--quiet")
    assert result.code == 0, result.stderr
    assert "synthetic_000000" not in {r.name for r in filelist.read(tmp_path / "left")}
    assert result.json["saw them"] == "lidm, lvdm, reid, vae"
    assert patient not in (tmp_path / "left" / "provenance.json").read_text()
    again = program("withdraw", copied, dataset, tmp_path / "clean", "--too-close", *models, "--json", "--quiet")
    if again.code == 0:
        assert "synthetic_000000" not in {r.name for r in filelist.read(tmp_path / "clean")}
    else:
        assert "all 5 videos" in again.stderr
    unknown = program("withdraw", copied, dataset, tmp_path / "x", "--exclude", "nobody", *models)
    assert unknown.code == 2
    assert "has no patient 'nobody'" in unknown.stderr


def test_the_published_rule_says_what_it_really_rejects(program: Any, workshop: Any, tmp_path: Path) -> None:
    given = ["--reid", workshop.model("reid"), "--reference", workshop.latents, "--rule", "published", "--json"]
    result = program("filter", workshop.candidates, tmp_path / "kept", *given)
    if result.code == 2:
        assert "all 8 candidates are too similar" in result.stderr
        return
    assert result.json["false_rejection"]["num"] == 1
    assert result.json["false_rejection_predicted"] == pytest.approx(1 - 0.95**6)
    assert "theory predicts 26.5%" in result.json["says"]
