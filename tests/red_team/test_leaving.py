"""What a release says: an attacker looks for names, free words, exact scores, seeds, and hashes of what is private."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from echosyn import secret, weights
from echosyn.data import checksum, filelist, latents
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.hashing import content_hash
from echosyn.pipeline import trained_on
from echosyn.pipeline.audit.withdraw import _decoys
from echosyn.pipeline.evaluate.ef_adherence import THRESHOLDS
from echosyn.pipeline.evaluate.utility import training_sets
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.publish import figures, layout
from echosyn.pipeline.publish.audit_gate import WITHOUT
from echosyn.pipeline.publish.publish import publish
from echosyn.pipeline.publish.verify import verify
from echosyn.pipeline.train.dp_finetune import finetune
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.workers.compute import Compute
from echosyn.progress import silent
from echosyn.settings.making import EncodeSettings
from echosyn.settings.sharing import PublishSettings
from echosyn.settings.training import FinetuneSettings

WORDS = PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT)
SCORE = 3.7956123456789012
ESTIMATE = {"value": 0.123456789, "low": 0.1, "high": 0.2, "reason": "of Dr. Mueller"}


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """What `generate` made of a real archive, whose hash is in its record."""
    make_phantom(tmp_path / "source", num=2, seed=1, num_frames=64, fps=32.0)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "labels.csv").write_text("Jane,61.2345")
    settings = {"num": 2, "seed": 73412, "ef": {"counts": [3, 4]}, "conditions": {"Physician": "Dr. Mueller"}}
    with new_folder(tmp_path / "synthetic", "generate", settings, {"real": tmp_path / "archive"}) as folder:
        for path in (tmp_path / "source").rglob("*.*"):
            if path.name != "provenance.json":
                (folder / path.relative_to(tmp_path / "source")).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, folder / path.relative_to(tmp_path / "source"))
        privacy = {
            "filter": "calibrated",
            "rejection_rate": 0.0512345678,
            "releasable": True,
            "threshold": {"value": SCORE},
        }
        note(folder, privacy=privacy, server="pacs.hospital.example")
    return tmp_path / "synthetic"


def texts(folder: Path) -> str:
    papers = (p for p in folder.rglob("*") if p.suffix in (".json", ".md", ".csv"))
    return "\n".join(path.read_text() for path in papers)


def test_a_release_gives_away_no_seed_score_word_or_hash_of_what_is_private(synthetic: Path, tmp_path: Path) -> None:
    rows = [
        {"name": name, "n": 12, "r2": ESTIMATE, "r2_by_seed": [0.1], "seeds": [73412]} for name in ("real", "Mueller")
    ]
    groups = [{"column": "Physician", "group": "Dr. Mueller", "n": 12}]
    report = {
        "provenance": {"call": {"inputs": {"synthetic": content_hash(synthetic)}}},
        "utility": {"train on real": {"r2": ESTIMATE, "groups": groups}, "Mueller": {"r2": ESTIMATE}},
        "grid": {"rows": rows},
        "fidelity": {
            "protocol": {"id": "of Dr. Mueller"},
            "numbers": {"frechet/x/y": ESTIMATE, "Dr. Mueller/x": ESTIMATE},
        },
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    public = {"filter": {"threshold": {"value": SCORE, "requested_rate": 0.05}}, "note": "Dr. Mueller"}
    public |= {"conclusions": {"videos": "pass", "weights": "fail"}, "exceptions": ["turned by 30 degrees"]}
    audit = {"videos": checksum.videos_hash(synthetic), "verdict": "pass", "public": public}
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    words = replace(WORDS, without_audit=None, audit=tmp_path / "audit.json", evaluation=tmp_path / "report.json")
    publish(synthetic, tmp_path / "release", words)
    said = texts(tmp_path / "release")
    for private in (
        "73412",
        "Mueller",
        "Physician",
        "pacs.hospital",
        "0.0512345",
        "0.1234567",
        str(SCORE)[:8],
        'counts": [',
    ):
        assert private not in said, private
    assert "Copies of this kind are not excluded: turned by 30 degrees." in said
    for folder in (tmp_path / "archive", synthetic):
        assert content_hash(folder) not in said
    evaluation = json.loads((tmp_path / "release" / "evaluation.json").read_text())
    assert [row["name"] for row in evaluation["grid"]["rows"]] == ["real", "another set"]
    assert evaluation["grid"]["rows"][1]["r2"] == {"value": 0.123, "low": 0.1, "high": 0.2}
    assert evaluation["fidelity"]["numbers"] == {"frechet/x/y": {"value": 0.123, "low": 0.1, "high": 0.2}}


@pytest.mark.parametrize(
    ("public", "message"),
    [
        ({"filter": {"threshold": {"requested_rate": 0.001}}}, "false rejection rate 0.001"),
        ({"canaries": [{"must": 1.0, "planted": 1}]}, "1 canaries of a kind"),
    ],
)
def test_an_audit_made_easy_to_pass_is_refused(public: Any, message: str, synthetic: Path, tmp_path: Path) -> None:
    public = public | {"conclusions": {"videos": "pass", "weights": "not examined"}}
    audit = {"videos": checksum.videos_hash(synthetic), "verdict": "pass", "public": public}
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    with pytest.raises(DataError, match=message):
        publish(synthetic, tmp_path / "out", replace(WORDS, without_audit=None, audit=tmp_path / "audit.json"))


@pytest.mark.parametrize("column", ["EF", "Split"])
def test_a_label_that_was_typed_in_does_not_leave(column: str, synthetic: Path, tmp_path: Path) -> None:
    records = filelist.read(synthetic)
    changed = {"EF": replace(records[0], ef=23.4567), "Split": replace(records[0], split="TEST")}[column]
    filelist.write(synthetic, [changed, *records[1:]])
    with pytest.raises(DataError, match="videos or labels were changed"):
        publish(synthetic, tmp_path / "release", PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT))
    assert not (tmp_path / "release").exists()


def test_what_somebody_laid_into_a_half_made_release_does_not_leave(synthetic: Path, tmp_path: Path) -> None:
    items = layout.plan(synthetic)
    folders = tmp_path / "clean", tmp_path / "planted"
    for folder in folders:
        folder.mkdir()
        if folder.name == "planted":
            for path in (folder / items[0].avi, folder / items[0].mp4):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"a recording")
        layout.write(items, folder, silent)
    for name in (items[0].avi, items[0].mp4):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_nothing_is_smuggled_behind_a_link(synthetic: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    shutil.copy(next((synthetic / "Videos").iterdir()), hidden / "Jane_Doe.avi")
    (synthetic / "Videos" / "more").symlink_to(hidden, target_is_directory=True)
    with pytest.raises(DataError, match="may show patients"):
        publish(synthetic, tmp_path / "release", PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT))


def test_strays_in_a_half_made_release_and_beside_a_seal_do_not_pass(synthetic: Path, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "publish":
            raise KeyboardInterrupt

    words, out = PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT), tmp_path / "release"
    with pytest.raises(KeyboardInterrupt):
        publish(synthetic, out, words, progress=stop)
    (tmp_path / "release.partial" / "notes.csv").write_text("Jane Doe")
    publish(synthetic, out, words)
    assert not (out / "notes.csv").exists()
    for name in (".cache/Jane_Doe.avi", ".gitattributes.csv"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("Jane Doe")
        with pytest.raises(DataError):
            verify(out)
        (out / name).unlink()


def test_a_video_does_not_leave_as_a_licence(synthetic: Path, tmp_path: Path) -> None:
    video = next((synthetic / "Videos").iterdir())
    asked = PublishSettings(licence="other", licence_file=video, without_audit=WITHOUT)
    with pytest.raises(DataError, match="expected the text of a licence"):
        publish(synthetic, tmp_path / "release", asked)


def test_the_words_of_the_schema_are_those_of_the_evaluation() -> None:
    arms = training_sets
    assert set(figures.ARMS) == {
        arms.REAL, arms.SYNTHETIC, arms.THROUGH_VAE, arms.BOTH, arms.RELABELLED, arms.RECALIBRATED
    }  # fmt: skip
    known = {"utility": {"train on real": {"auc": {f"{t:g}": {"value": 0.5} for t in THRESHOLDS}}}}
    assert figures.of_evaluation(known) == known


def test_of_two_image_models_none_goes_unattacked_in_silence(tmp_path: Path) -> None:
    for name in ("vae", "reid", "lidm", "lidm_dynamic"):
        (tmp_path / name).mkdir()
    with pytest.raises(ModelError, match="has 2 lidm models"):
        weights.for_auditing(tmp_path, ["lidm"])


def test_the_noise_of_a_private_model_cannot_be_repeated_and_its_members_are_not_in_it(
    build: Callable[..., Any], latents_folder: Path, tmp_path: Path
) -> None:
    """An attacker who sets every seed that he can gets other weights, and finds no list of members."""
    schedule = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000})
    weights.save(build("lidm"), tmp_path / "lidm", weights.Facts(stage="lidm"), schedule)
    made = []
    for name in ("a", "b"):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        finetune(latents_folder, tmp_path / name, tmp_path / "lidm", FinetuneSettings(steps=2, batch_size=3))
        made.append((tmp_path / name / "model" / weights.WEIGHTS).read_bytes())
        assert not list((tmp_path / name / "model").rglob(trained_on.TRAINED_ON))
    assert made[0] != made[1]
    keys = {trained_on.seen(tmp_path / name).key for name in ("a", "b")}  # type: ignore[union-attr]
    assert len(keys) == 2
    assert not hasattr(FinetuneSettings(), "seed")


def test_the_noise_of_the_operating_system_is_gaussian_and_hides_low_bits() -> None:
    exact = torch.linspace(-1, 1, 300_000).view(300, 1000)
    noised = secret.noised(exact, 0.5)
    noise = ((noised - exact) / 0.5).double().numpy()
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(noise) > 1.96).mean() == pytest.approx(0.05, abs=0.003)
    steps = noised.double() * 2**17
    assert torch.equal(steps, steps.round())  # no low bit is left that could tell what the noise was added to
    assert not torch.equal(noised, secret.noised(exact, 0.5))
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.2
    assert secret.uniform(10_000).mean() == pytest.approx(0.5, abs=0.02)


def test_strangers_encoded_at_the_same_place_share_no_noise(build: Callable[..., Any], tmp_path: Path) -> None:
    """The first video of one house against that of another, both with the default seed."""
    weights.save(build("vae"), tmp_path / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    noise = []
    for house in (1, 2):
        data = tmp_path / f"house {house}"
        make_phantom(data, num=1, seed=house, num_frames=64, fps=32.0)
        for name, mean in (("mean", True), ("sample", False)):
            asked = EncodeSettings(mean=mean, any_scale=True)
            encode(data, tmp_path / f"{name} {house}", tmp_path / "vae", asked, Compute(device="cpu"))
        record = filelist.read(data)[0]
        sample, mean_ = (latents.read(tmp_path / f"{name} {house}", record) for name in ("sample", "mean"))
        noise.append((sample - mean_).flatten().numpy())
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.1


def test_decoys_are_others_and_nobody_can_tell_which() -> None:
    records = [Record(f"v{i}", extra={"PatientId": f"p{i % 40}"}) for i in range(80)]
    drawn = [_decoys(records, ["p1", "p2"], 4) for _ in range(2)]
    assert all(len(set(found) - {"p1", "p2"}) == 8 for found in drawn)
    assert drawn[0] != drawn[1]
    with pytest.raises(ConfigError, match=r"--decoys 20: expected 0\.\.19, of 38 other patients"):
        _decoys(records, ["p1", "p2"], 20)
