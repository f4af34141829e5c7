"""Publishing: only what may leave leaves, only what was audited is called audited, and one changed byte is found."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from echosyn import weights
from echosyn.data import checking, checksum, filelist
from echosyn.errors import DataError, EchosynError, ModelError
from echosyn.hashing import content_hash
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.publish import cards, checksums, layout
from echosyn.pipeline.publish.audit_gate import UNFILTERED, WITHOUT
from echosyn.pipeline.publish.publish import _filter, _model_cards, publish
from echosyn.pipeline.publish.verify import verify
from echosyn.settings.sharing import PublishSettings

WORDS = PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT)
CONCLUSIONS = {"videos": "pass", "weights": "not examined"}


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def everything(folder: Path) -> bytes:
    return b"".join(p.read_bytes() + p.name.encode() for p in sorted(folder.rglob("*")) if p.is_file())


def audited(dataset: Path, path: Path, **changed: Any) -> Path:
    content = {
        "videos": checksum.videos_hash(dataset),
        "verdict": "pass",
        "public": {"conclusions": CONCLUSIONS, "risks": {"linkability": 0.01}},
        "nearest": "Jane Doe",
    }
    path.write_text(json.dumps(content | changed))
    return path


# What leaves


def test_only_what_may_leave_leaves(release: Path, synthetic: Path) -> None:
    stems = [f"synthetic_{i:06d}" for i in range(9)]
    expected = {f"Videos/{s}.avi" for s in stems} | {f"mp4/train/{s}.mp4" for s in stems}
    expected |= {
        "FileList.csv",
        "mp4/train/metadata.csv",
        "README.md",
        "croissant.json",
        "provenance.json",
        "SHA256SUMS",
    }
    assert names(release) == expected
    for planted in (b"Jane Doe", b"ours"):
        assert planted in everything(synthetic)
        assert planted not in everything(release)
    assert str(synthetic.parent).encode() not in everything(release)


def test_the_release_is_a_dataset_folder_with_the_same_videos(release: Path, synthetic: Path) -> None:
    assert checking.check(release).ok
    assert checksum.videos_hash(release) == checksum.videos_hash(synthetic)
    assert [r.ef for r in filelist.read(release)] == [r.ef for r in filelist.read(synthetic)]


def test_two_releases_of_one_dataset_have_the_same_seal(release: Path, synthetic: Path, tmp_path: Path) -> None:
    publish(synthetic, tmp_path / "again", WORDS)
    assert verify(tmp_path / "again")["seal"] == verify(release)["seal"]


def test_a_set_that_has_not_passed_its_filter_asks_for_more_words(synthetic: Path, tmp_path: Path) -> None:
    record = json.loads((synthetic / "provenance.json").read_text())
    record["privacy"] = {"filter": "none", "releasable": False}
    (synthetic / "provenance.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="and that they have not passed a privacy filter"):
        publish(synthetic, tmp_path / "out", WORDS)
    assert not (tmp_path / "out").exists()
    publish(synthetic, tmp_path / "out", replace(WORDS, without_audit=UNFILTERED))
    assert "No privacy filter was applied" in (tmp_path / "out" / "README.md").read_text()


def test_a_card_says_why_a_set_has_not_passed_its_filter() -> None:
    def told(**privacy: Any) -> str:
        return _filter(
            {"call": {"command": "generate"}, "privacy": {"filter": "calibrated", "rejection_rate": 0.1} | privacy}
        )

    assert "not" not in told(releasable=True)
    assert "completed with rejected ones" in told(completed_with_rejected=2)
    assert "too close to real ones" in told(final_check={"videos_too_close": 1})
    assert "not known well enough" in told(final_check={"videos_too_close": 0})


@pytest.mark.parametrize("command", ["import", "encode", None])
def test_real_videos_are_refused(command: str | None, synthetic: Path, tmp_path: Path) -> None:
    (synthetic / "provenance.json").unlink()
    if command:
        with new_folder(tmp_path / "made", command):
            pass
        shutil.copy(tmp_path / "made" / "provenance.json", synthetic)
    with pytest.raises(DataError, match="may show patients"):
        publish(synthetic, tmp_path / "out", WORDS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (PublishSettings(licence=None, without_audit=WITHOUT), "--licence is missing"),
        (PublishSettings(licence="cc-by-4", without_audit=WITHOUT), "did you mean 'cc-by-4.0'"),
        (PublishSettings(licence="other", without_audit=WITHOUT), "give --licence-file"),
        (PublishSettings(licence="mit"), "--audit is missing"),
        (PublishSettings(licence="mit", without_audit="yes"), "--audit is missing"),
        (PublishSettings(licence="mit", splits="8,1", without_audit=WITHOUT), "expected TRAIN,VAL,TEST"),
        (
            PublishSettings(licence="mit", splits="8,1,1", without_audit=WITHOUT),
            "10 videos requested, 9 available",
        ),
        (PublishSettings(licence="mit", splits="9,1,-1", without_audit=WITHOUT), "expected counts of at least 0"),
    ],
)
def test_what_is_not_said_is_asked_for_before_anything_is_written(
    words: PublishSettings, message: str, synthetic: Path, tmp_path: Path
) -> None:
    with pytest.raises(EchosynError, match=message):
        publish(synthetic, tmp_path / "out", words)
    assert not list(tmp_path.glob("out*"))


def test_damaged_and_unlisted_videos_are_refused(synthetic: Path, tmp_path: Path) -> None:
    extra = synthetic / "Videos" / "other.avi"
    shutil.copy(synthetic / "Videos" / "synthetic_000000.avi", extra)
    with pytest.raises(DataError, match="videos or labels were changed"):
        publish(synthetic, tmp_path / "out", WORDS)
    extra.unlink()
    rows = (synthetic / "FileList.csv").read_text()
    (synthetic / "FileList.csv").write_text("\n".join(rows.splitlines()[:-1]) + "\n")
    with pytest.raises(DataError, match="videos or labels were changed"):
        publish(synthetic, tmp_path / "out", WORDS)
    (synthetic / "FileList.csv").write_text(rows)
    path = synthetic / "Videos" / "synthetic_000003.avi"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="videos or labels were changed"):
        publish(synthetic, tmp_path / "out", WORDS)
    assert not list(tmp_path.glob("out*"))


# Splits and folders


def test_splits_are_as_asked_and_extras_marked(synthetic: Path, tmp_path: Path) -> None:
    publish(synthetic, tmp_path / "out", PublishSettings(licence="mit", splits="4,2,1", without_audit=WITHOUT))
    all_records = filelist.read(tmp_path / "out", extra=True)
    assert [r.split for r in all_records] == ["TRAIN"] * 4 + ["VAL"] * 2 + ["TEST"] + ["EXTRA"] * 2
    assert len(filelist.read(tmp_path / "out")) == 7
    assert sorted(p.name for p in (tmp_path / "out" / "mp4").iterdir()) == ["extra", "test", "train", "validation"]
    card = cards.check_card((tmp_path / "out" / "README.md").read_text())
    assert [d["split"] for d in card["configs"][0]["data_files"]] == ["train", "validation", "test", "extra"]


def test_published_splits() -> None:
    splits = layout.splits_asked("7465,1288,1277", 10_030)
    assert [splits.count(s) for s in ("TRAIN", "VAL", "TEST", "EXTRA")] == [7465, 1288, 1277, 0]
    assert splits[7464] == "TRAIN" != splits[7465]


@pytest.mark.parametrize("limit", [2, 3, 4, 8, 9])
def test_no_folder_holds_more_than_allowed_and_ours_reads_it(limit: int, synthetic: Path, tmp_path: Path) -> None:
    publish(synthetic, tmp_path / "out", WORDS, max_files=limit)
    folders = [
        p for p in (tmp_path / "out").rglob("*") if p.is_dir() and p.relative_to(tmp_path / "out").parts[0] != "mp4"
    ]
    folders += [p for p in (tmp_path / "out" / "mp4").rglob("*") if p.is_dir()]
    assert max(sum(f.is_file() for f in folder.iterdir()) for folder in folders) <= limit
    assert verify(tmp_path / "out")
    assert checking.check(tmp_path / "out").ok


def test_a_stopped_publication_ends_as_if_it_had_not_been_stopped(
    release: Path, synthetic: Path, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("publish", 5):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(synthetic, tmp_path / "out", WORDS, progress=stop)
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "out.partial").rglob("*.mp4"))) >= 5
    publish(synthetic, tmp_path / "out", WORDS)
    assert verify(tmp_path / "out")["seal"] == verify(release)["seal"]


# The audit


def test_an_audit_of_exactly_these_videos_is_said_and_its_private_part_stays(synthetic: Path, tmp_path: Path) -> None:
    words = PublishSettings(licence="mit")
    publish(synthetic, tmp_path / "out", replace(words, audit=audited(synthetic, tmp_path / "audit.json")))
    assert json.loads((tmp_path / "out" / "audit.json").read_text()) == {
        "videos": checksum.videos_hash(synthetic),
        "verdict": "pass",
        "public": {"conclusions": CONCLUSIONS, "risks": {"linkability": 0.01}},
    }
    assert "were audited and **passed**" in (tmp_path / "out" / "README.md").read_text()
    assert b"Jane Doe" not in everything(tmp_path / "out")
    assert verify(tmp_path / "out")["audit"] == "passed"


def test_the_folder_of_an_audit_is_as_good_as_its_file(synthetic: Path, tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    audited(synthetic, tmp_path / "audit" / "audit.json")
    publish(synthetic, tmp_path / "out", PublishSettings(licence="mit", audit=tmp_path / "audit"))
    assert verify(tmp_path / "out")["audit"] == "passed"
    with pytest.raises(DataError, match=rf"^{synthetic / 'audit.json'}: no such file; expected the audit\.json"):
        publish(synthetic, tmp_path / "again", PublishSettings(licence="mit", audit=synthetic))


def test_without_an_audit_the_release_says_so(release: Path) -> None:
    assert "**These videos were not audited**" in (release / "README.md").read_text()
    assert "not audited" in (release / "croissant.json").read_text()
    assert verify(release)["audit"] == "none"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"videos": "0" * 64}, "audit of other videos"),
        ({"verdict": "fail"}, "failed their audit"),
        ({"verdict": "maybe"}, "verdict = 'maybe'"),
        ({"public": {}}, "an audit of an earlier version"),
    ],
)
def test_another_audit_is_refused(changed: dict[str, Any], message: str, synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(EchosynError, match=message):
        publish(
            synthetic,
            tmp_path / "out",
            replace(PublishSettings(licence="mit"), audit=audited(synthetic, tmp_path / "audit.json", **changed)),
        )
    assert not list(tmp_path.glob("out*"))


def test_an_audit_and_its_absence_exclude_one_another(synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exclude one another"):
        publish(synthetic, tmp_path / "out", replace(WORDS, audit=audited(synthetic, tmp_path / "audit.json")))


# The evaluation


def test_of_an_evaluation_only_figures_leave(synthetic: Path, tmp_path: Path) -> None:
    report = {
        "provenance": {"call": {"inputs": {"synthetic": content_hash(synthetic), "real": "secret"}}},
        "ef_adherence": {"r2": {"value": 0.5, "low": 0.4, "high": 0.6, "reason": None}, "per_video": [1, 2, 3]},
        "utility": {"file": "/home/jane/real"},
        "fidelity": {"protocol": {"id": "p"}, "numbers": {"f": {"value": 1.0}}, "sets": {"real": {"sha256": "secret"}}},
        "patients": ["Jane Doe"],
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    publish(synthetic, tmp_path / "out", replace(WORDS, evaluation=tmp_path / "report.json"))
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == {
        "ef_adherence": {"r2": {"value": 0.5, "low": 0.4, "high": 0.6}},
        "fidelity": {"protocol": {"id": "p"}, "numbers": {"f": {"value": 1.0}}},
    }
    report["provenance"]["call"]["inputs"]["synthetic"] = "0"  # type: ignore[index]
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(DataError, match="evaluation of another dataset"):
        publish(synthetic, tmp_path / "other", replace(WORDS, evaluation=tmp_path / "report.json"))
    with pytest.raises(DataError, match="no evaluation"):
        publish(synthetic, tmp_path / "other", replace(WORDS, evaluation=tmp_path / "none"))


# The seal


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "Videos/synthetic_000004.avi",
        "mp4/train/synthetic_000004.mp4",
        "FileList.csv",
        "croissant.json",
        "SHA256SUMS",
        "provenance.json",
    ],
)
def test_one_changed_byte_is_found(name: str, release: Path) -> None:
    path = release / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        verify(release)
    if name not in ("SHA256SUMS", "provenance.json"):
        assert f"{name}: changed since it was sealed" in str(error.value)


def test_a_lost_and_an_added_file_are_found_and_what_the_hub_adds_is_not(release: Path) -> None:
    (release / ".gitattributes").write_text("*.mp4 filter=lfs\n")
    assert verify(release)
    (release / "Videos" / "synthetic_000001.avi").unlink()
    (release / "notes.txt").write_text("Jane")
    with pytest.raises(DataError) as error:
        verify(release)
    assert "Videos/synthetic_000001.avi: gone" in str(error.value)
    assert "notes.txt: added after the release was sealed" in str(error.value)


def test_papers_that_speak_of_other_files_are_found_even_if_sealed_again(release: Path) -> None:
    """Who recomputes the sums must also forge every paper; then only the announced seal tells."""
    before = verify(release)["seal"]
    record = {k: v for k, v in checksums.record_of(release).items() if k != "seal"}
    (release / "mp4" / "train" / "metadata.csv").write_text("file_name\n")
    assert checksums.close(release, record) != before
    with pytest.raises(DataError, match=r"croissant\.json: lists a different hash for mp4/train/metadata\.csv"):
        verify(release)


def test_a_folder_that_is_no_release_says_so(synthetic: Path, tmp_path: Path) -> None:
    for folder, said in (
        (synthetic, "not a sealed release; make one"),
        (tmp_path / "none", "no such folder; expected"),
    ):
        with pytest.raises(DataError, match=f"^{folder}: {said}"):
            verify(folder)


def test_the_sums_are_those_of_coreutils(release: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=release, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


# Cards and Croissant


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("license: nonsense", "license is 'nonsense'"),
        ("license: other", "needs license_name"),
        ("license: mit\ntags: synthetic", "tags is no list"),
        ("license: [", "refuse it"),
    ],
)
def test_a_card_that_the_hub_would_refuse_is_refused(block: str, problem: str) -> None:
    with pytest.raises(DataError, match=r"README\.md") as error:
        cards.check_card(f"---\n{block}\n---\n\n# Title\n")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_licence_of_ones_own_comes_with_its_text(synthetic: Path, tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("Be kind.")
    publish(
        synthetic,
        tmp_path / "out",
        PublishSettings(licence="other", licence_file=tmp_path / "terms.txt", without_audit=WITHOUT),
    )
    assert (tmp_path / "out" / "LICENSE").read_text() == "Be kind."
    card = cards.check_card((tmp_path / "out" / "README.md").read_text())
    assert (card["license"], card["license_link"]) == ("other", "LICENSE")


def test_croissant_is_valid_and_its_records_are_read(synthetic: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    publish(
        synthetic, tmp_path / "out", PublishSettings(licence="mit", splits="5,2,1", without_audit=WITHOUT), max_files=4
    )
    path = tmp_path / "out" / "croissant.json"
    described = mlcroissant.Dataset(str(path))  # what `mlcroissant validate` does
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    records = list(described.records("videos"))
    assert [r["videos/EF"] for r in records] == [20.0 + i for i in range(9)]


def test_datasets_reads_the_release(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    publish(
        synthetic, tmp_path / "out", PublishSettings(licence="mit", splits="4,2,1", without_audit=WITHOUT), max_files=4
    )
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 4, "validation": 2, "test": 1, "extra": 2}
    rows = loaded["train"].cast_column("video", datasets.Video(decode=False))
    assert [row["EF"] for row in rows] == [20.0, 21.0, 22.0, 23.0]
    assert all(Path(row["video"]["path"]).is_file() for row in rows)


@pytest.mark.slow
def test_ten_thousand_and_thirty_videos(make_set: Callable[..., Path], tmp_path: Path) -> None:
    synthetic = make_set(tmp_path / "synthetic", num=10_030)
    assert sum(1 for _ in (synthetic / "Videos").iterdir()) > layout.MAX_FILES
    out = tmp_path / "out"
    publish(synthetic, out, PublishSettings(licence="cc-by-4.0", splits="7465,1288,1277", without_audit=WITHOUT))
    assert max(sum(1 for _ in folder.iterdir()) for folder in out.rglob("*") if folder.is_dir()) <= layout.MAX_FILES
    assert len(filelist.read(out)) == 10_030
    mlcroissant = Path(sys.executable).with_name("mlcroissant")
    subprocess.run([mlcroissant, "validate", "--jsonld", out / "croissant.json"], check=True, capture_output=True)
    cards.check_card((out / "README.md").read_text())
    assert verify(out)["files"] == 2 * 10_030 + 6
    path = sorted((out / "Videos").rglob("*.avi"))[9_999]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}: changed since it was sealed"):
        verify(out)


def test_of_several_image_models_the_one_that_made_the_set_gets_a_card(
    tmp_path: Path, build: Callable[..., Any]
) -> None:
    variants = ("dynamic", "ped_a4c", "ped_psax")
    for seed, variant in enumerate(variants):
        weights.save(build("lidm", seed), tmp_path / f"lidm_{variant}", weights.Facts(num_inference_steps=seed + 1))
    made = content_hash(tmp_path / "lidm_ped_a4c")
    found = _model_cards(tmp_path, {"call": {"inputs": {"lidm": made}}}, "Title", "cc-by-4.0")
    assert list(found) == ["lidm"]
    assert made in found["lidm"]
    with pytest.raises(ModelError, match="is not lidm_dynamic or lidm_ped_a4c or lidm_ped_psax; give"):
        _model_cards(tmp_path, {"call": {"inputs": {"lidm": "0" * 64}}}, "Title", "cc-by-4.0")
