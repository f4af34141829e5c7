"""Screens that are calibrated once decide as those that each job calibrates for itself, and only for what they were made for."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from echosyn import weights
from echosyn.data import filelist, table
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.pipeline.generate import generate as generating
from echosyn.pipeline.generate.sample import sample
from echosyn.pipeline.merge import merge
from echosyn.pipeline.privacy_filter import filter, real_videos, reference_frames
from echosyn.pipeline.privacy_filter.calibrate import calibrate
from echosyn.pipeline.privacy_filter.screens import GROUPS, STILLS, VIDEOS, Screens, by_group
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.executors import InProcess, Processes
from echosyn.pipeline.workers.shards import WHOLE, Shard
from echosyn.privacy import stored
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.rejections import POOLED
from echosyn.settings.making import CalibrateSettings, FilterSettings, GenerateSettings, SampleSettings

CPU = Compute("cpu")
STAGES = ("vae", "lidm", "lvdm", "reid")


@pytest.fixture
def make(tiny_models: Path) -> Callable[..., dict[str, Any]]:
    def generated(out: Path, shard: Shard = WHOLE, **how: Any) -> dict[str, Any]:
        asked = GenerateSettings(**({"num": 12, "seed": 3, "num_frames": 8} | how))
        models = {stage: tiny_models / stage for stage in STAGES}
        return generating.generate(out, models, asked, Compute("cpu", InProcess(1), shard))

    return generated


@pytest.fixture(scope="module")
def real(tiny_models: Path, video_dataset: Path) -> dict[str, Path]:
    return {"reference": tiny_models / "latents", "real": video_dataset}


@pytest.fixture(scope="module")
def models(tiny_models: Path) -> dict[str, Path]:
    return {stage: tiny_models / stage for stage in ("vae", "reid")}


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path], real: dict[str, Path]) -> Path:
    out = tmp_path_factory.mktemp("once") / "calibrated"
    calibrate(out, models, CalibrateSettings(**real), CPU)
    return out


def test_false_rejections_are_told_by_group_and_stay_in_the_private_folder(
    models: dict[str, Path], real: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(real["real"], tmp_path / "real")
    records = filelist.read(tmp_path / "real")
    held_out = sorted({r.patient for r in records if r.split != "TRAIN"})
    where = {patient: "North" if i % 2 else "South" for i, patient in enumerate(held_out)}
    filelist.write(
        tmp_path / "real", [replace(r, extra={**r.extra, "Site": where.get(r.patient, "")}) for r in records]
    )
    said = calibrate(tmp_path / "out", models, CalibrateSettings(**(real | {"real": tmp_path / "real"})), CPU)
    assert "groups that differ" not in said, "of a handful nothing is said"
    rows = [row.cells for row in table.read(tmp_path / "out" / "private" / GROUPS, ("Screen",)).rows]
    of = {row["screen"]: (row["group"], int(row["patients"])) for row in rows if row["kind"] == "site"}
    assert of == {screen: (POOLED, len(held_out)) for screen in (STILLS, VIDEOS)}
    assert not (tmp_path / "out" / GROUPS).exists()


def test_a_screen_that_is_wrong_for_one_scanner_says_so() -> None:
    scores = torch.cat([torch.arange(180.0), 175.0 + torch.arange(20.0)])
    records = [Record(f"p{i}", extra={"Scanner": "old" if i < 180 else "new"}) for i in range(200)]
    names = [record.patient for record in records]
    screen = SimpleNamespace(
        held_out=scores, held_out_patients=names, threshold=threshold_from_scores(scores.numpy(), names)
    )
    found = {group.group: group.differs for group in by_group(screen, records)}  # type: ignore[arg-type]
    assert found == {"old": True, "new": True}


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def said(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "provenance.json").read_text())
    return found


@pytest.fixture
def nobody_reads_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("the real recordings were read again")

    monkeypatch.setattr(reference_frames, "of_latents", never)
    monkeypatch.setattr(real_videos.Reading, "start", never)


def test_the_set_is_that_of_a_job_that_calibrates_for_itself(
    make: Any, real: dict[str, Path], screens: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    make(tmp_path / "own", **real)
    request.getfixturevalue("nobody_reads_the_archive")
    before = content(screens)
    make(tmp_path / "set", calibrated=screens)
    own, shared = content(tmp_path / "own"), content(tmp_path / "set")
    records = [said(tmp_path / "own"), said(tmp_path / "set")]
    one = records[1]["call"]["inputs"].pop("calibrated")
    assert one == said(screens)["screens"]
    assert records[0] == records[1], "provenance says all that it says without, and the screens"
    del own["provenance.json"], shared["provenance.json"]
    assert own == shared
    assert content(screens) == before


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_reads_the_archive")
def test_shards_with_the_same_screens_become_the_whole(make: Any, screens: Path, tmp_path: Path) -> None:
    make(tmp_path / "whole", calibrated=screens)
    copied = shutil.copytree(screens, tmp_path / "copy")
    for k, given in enumerate((screens, copied, screens), 1):
        make(tmp_path / f"part-{k}", Shard(k, 3), calibrated=given)
    merge([tmp_path / f"part-{k}" for k in (1, 2, 3)], tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


@pytest.mark.slow
def test_parts_whose_screens_differ_do_not_merge(
    make: Any, models: dict[str, Path], real: dict[str, Path], screens: Path, tmp_path: Path
) -> None:
    calibrate(tmp_path / "strict", models, CalibrateSettings(**real, false_rejection_rate=0.4), CPU)
    calibrate(tmp_path / "decoded", models, CalibrateSettings(reference=real["reference"]), CPU)
    make(tmp_path / "one", Shard(1, 2), calibrated=screens)
    for name in ("strict", "decoded"):
        make(tmp_path / f"by-{name}", Shard(2, 2), calibrated=tmp_path / name)
        with pytest.raises(DataError, match=r"is a part of another job than"):
            merge([tmp_path / "one", tmp_path / f"by-{name}"], tmp_path / "merged")
    make(tmp_path / "by-itself", Shard(2, 2), **real)
    with pytest.raises(DataError, match=r"\(inputs: calibrated differs\)"):
        merge([tmp_path / "one", tmp_path / "by-itself"], tmp_path / "merged")


@pytest.mark.slow
def test_who_reads_the_videos_changes_nothing(
    models: dict[str, Path], real: dict[str, Path], screens: Path, tmp_path: Path
) -> None:
    with Processes(1) as processes:
        calibrate(tmp_path / "there", models, CalibrateSettings(**real), Compute("cpu", processes))
    assert content(tmp_path / "there") == content(screens)


def test_a_second_try_gives_the_same(
    models: dict[str, Path],
    real: dict[str, Path],
    screens: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Screens, "of_videos", stopped)
        with pytest.raises(KeyboardInterrupt):
            calibrate(tmp_path / "again", models, CalibrateSettings(**real), CPU)
    assert (tmp_path / "again.partial" / "private" / "stills.screen").exists()
    calibrate(tmp_path / "again", models, CalibrateSettings(**real), CPU)
    assert content(tmp_path / "again") == content(screens)


def test_the_filter_decides_alike(tiny_models: Path, real: dict[str, Path], screens: Path, tmp_path: Path) -> None:
    sample(tmp_path / "candidates", tiny_models / "lidm", SampleSettings(num=30, seed=1), CPU)
    candidates, reid = tmp_path / "candidates", tiny_models / "reid"
    filter.filter_stills(candidates, tmp_path / "own", reid, FilterSettings(reference=real["reference"]), CPU)
    filter.filter_stills(candidates, tmp_path / "kept", reid, FilterSettings(calibrated=screens), CPU)
    records = [said(tmp_path / "own"), said(tmp_path / "kept")]
    assert records[1]["call"]["inputs"].pop("calibrated") == said(screens)["screens"]
    assert records[0] == records[1]
    own, kept = content(tmp_path / "own"), content(tmp_path / "kept")
    del own["provenance.json"], kept["provenance.json"]
    assert own == kept


def test_only_its_owner_may_read_it(screens: Path) -> None:
    assert (screens / "private").stat().st_mode & 0o077 == 0
    assert {path.parent.name for path in screens.rglob("*.screen")} == {"private"}


def test_a_dry_run_takes_it(tiny_models: Path, screens: Path) -> None:
    models = {stage: tiny_models / stage for stage in STAGES}
    found = generating.dry_run(2, models, GenerateSettings(num=10, num_frames=8, calibrated=screens), "cpu")
    assert found["real_recordings"] == 0
    assert found["of_which"]["check"] > 0


# What is refused


def refused(make: Any, out: Path, error: type[Exception], message: str, **how: Any) -> None:
    with pytest.raises(error, match=message) as raised:
        make(out, **how)
    assert "\n" not in str(raised.value)
    assert not list(out.parent.glob(f"{out.name}*"))


def test_other_models_are_refused(
    make: Any, build: Any, models: dict[str, Path], real: dict[str, Path], tmp_path: Path
) -> None:
    facts = weights.load_facts(models["reid"])
    weights.save(build("reid", 9), tmp_path / "reid", facts)
    calibrate(tmp_path / "other", models | {"reid": tmp_path / "reid"}, CalibrateSettings(**real), CPU)
    message = r"other: was calibrated for another reid than .*/reid; give the models it was calibrated for"
    refused(make, tmp_path / "x", ModelError, message, calibrated=tmp_path / "other")


@pytest.mark.parametrize("more", ["reference", "real", "false_rejection_rate"])
def test_what_the_folder_has_decided_is_not_given_again(
    make: Any, real: dict[str, Path], screens: Path, tmp_path: Path, more: str
) -> None:
    given: dict[str, Any] = {more: (real | {"false_rejection_rate": 0.05})[more]}
    message = rf"--{more.replace('_', '-')} and --calibrated .*: the folder already fixes"
    refused(make, tmp_path / "x", ConfigError, message, calibrated=screens, **given)


def test_what_is_no_finished_folder_is_refused(make: Any, screens: Path, tmp_path: Path) -> None:
    message = "not a finished folder of `echosyn calibrate`; run that first, or give --reference"
    refused(make, tmp_path / "x", DataError, message, calibrated=tmp_path / "nothing")
    partial = shutil.copytree(screens, tmp_path / "once.partial")
    refused(make, tmp_path / "x", DataError, message, calibrated=partial)


def test_changed_screens_are_refused(make: Any, screens: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(screens, tmp_path / "changed")
    rules = json.loads((changed / "private" / "rules.json").read_text())
    rules["still_threshold"]["enough"] = True
    (changed / "private" / "rules.json").write_text(json.dumps(rules))
    message = "its screens are not those that were calibrated; calibrate again"
    refused(make, tmp_path / "x", DataError, message, calibrated=changed)


def test_screens_of_another_version_are_refused(make: Any, screens: Path, tmp_path: Path) -> None:
    older = shutil.copytree(screens, tmp_path / "older")
    record = said(older)
    record["call"]["versions"]["echosyn"] = "0.0.1"
    (older / "provenance.json").write_text(json.dumps(record))
    message = r"was calibrated by echosyn 0\.0\.1, this is .*; calibrate again"
    refused(make, tmp_path / "x", DataError, message, calibrated=older)


def test_screens_that_do_not_compare_parts_are_refused(
    make: Any, screens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = [space for space in stored.spaces(screens / "private" / "videos.screen") if space != "parts"]
    monkeypatch.setattr(stored, "spaces", lambda path: spaces)
    message = "which did not compare parts of a picture; calibrate again"
    refused(make, tmp_path / "x", DataError, message, calibrated=screens)


def test_the_filter_needs_one_of_the_two(tiny_models: Path, screens: Path, tmp_path: Path) -> None:
    sample(tmp_path / "candidates", tiny_models / "lidm", SampleSettings(num=8, seed=1), CPU)
    candidates, reid = tmp_path / "candidates", tiny_models / "reid"
    with pytest.raises(ConfigError, match="give --reference or --calibrated"):
        filter.filter_stills(candidates, tmp_path / "x", reid, FilterSettings(), CPU)
    with pytest.raises(ConfigError, match="not of the rule 'published', which needs --reference"):
        filter.filter_stills(
            candidates, tmp_path / "x", reid, FilterSettings(calibrated=screens, rule="published"), CPU
        )
