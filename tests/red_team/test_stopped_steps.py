"""Somebody lays recordings into the folder of a stopped step, as if it had made them: it takes only what it made."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.data import filelist, lineage, stills, video
from echosyn.errors import StoppedError
from echosyn.hashing import file_hash
from echosyn.pipeline import finished
from echosyn.pipeline.finished import LOG, Finished
from echosyn.pipeline.folder import new_folder, write_json
from echosyn.pipeline.generate.animate import animate
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.generate.sample import sample
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.privacy_filter.screens import RULES, STILLS, VIDEOS
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import AnimateSettings, GenerateSettings, SampleSettings

Step = Callable[[Path, Any], None]
"""Runs a step with a progress that may stop it."""


class StopError(Exception):
    """Stands for a kill."""


def after(what: str, count: int) -> Callable[[str, int, int], None]:
    """A progress that stops the step when so many things are done."""

    def tell(name: str, done: int, total: int) -> None:
        if name == what and done >= count:
            raise StopError

    return tell


def phantoms(out: Path, progress: Any) -> None:
    make_phantom(out, num=4, seed=1, num_frames=64, fps=32.0, progress=progress)


@pytest.fixture
def steps(tiny_models: Path) -> dict[str, tuple[Step, str]]:
    """Every step that begins or carries on what may leave and goes on after a stop; and what it counts."""
    models = {stage: tiny_models / stage for stage in ("vae", "lidm", "lvdm")}

    def generated(out: Path, progress: Any) -> None:
        generate(out, models, GenerateSettings(num=4, num_frames=8, seed=3), Compute("cpu", progress=progress))

    def animated(out: Path, progress: Any) -> None:
        if not (kept := out.parent / "kept").exists():
            sample(kept, models["lidm"], SampleSettings(num=4, seed=1), Compute("cpu"))
        animate(kept, out, models, AnimateSettings(num_frames=8, save_as="png"), Compute("cpu", progress=progress))

    return {"phantom": (phantoms, "phantom"), "generate": (generated, "animate"), "animate": (animated, "animate")}


def recording(path: Path) -> str:
    """A patient's video in that place; its hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    video.write_avi(path, np.random.default_rng(0).integers(0, 255, (64, 112, 112), np.uint8), 32.0)
    return file_hash(path)


def stopped(step: tuple[Step, str], out: Path) -> Path:
    """The folder of the step, stopped after two things."""
    with pytest.raises(StopError):
        step[0](out, after(step[1], 2))
    return out.with_name(out.name + ".partial")


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_hash(path) for path in lineage.shown_files(folder) if path.is_file()
    }


def nothing(*_: object) -> None:
    """A progress that says nothing."""


ATTACKS = ("new", "in the place of", "with an entry", "all, with a record", "linked")
VERBS = ("phantom", "generate", "animate")
QUICK = [*(("generate", attack) for attack in ATTACKS), ("phantom", "linked"), ("animate", "all, with a record")]
"""Every verb and every attack; all of both together in the slow tests."""


@pytest.mark.parametrize(
    ("verb", "attack"),
    [
        pytest.param(verb, attack, marks=() if (verb, attack) in QUICK else pytest.mark.slow)
        for verb in VERBS
        for attack in ATTACKS
    ],
)
def test_no_recording_becomes_a_steps_own(
    verb: str, attack: str, steps: dict[str, tuple[Step, str]], tmp_path: Path
) -> None:
    step = steps[verb]
    step[0](tmp_path / "honest", nothing)
    partial = stopped(step, tmp_path / "out")
    names = sorted(hashes(tmp_path / "honest"))
    videos = [name for name in names if name.endswith(".avi")]
    there = [name for name in videos if (partial / name).exists()]
    missing = [name for name in videos if name not in there]
    assert there
    if attack == "linked":
        (tmp_path / "elsewhere").mkdir()
        for name in there:
            shutil.copy(partial / name, tmp_path / "elsewhere")
        shutil.rmtree(partial / "Videos")
        (partial / "Videos").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    else:
        chosen = {"in the place of": there[:1], "all, with a record": videos}.get(attack, missing[-1:] or there[-1:])
        planted = {recording(partial / name) for name in chosen}
        assert planted
    if attack in ("with an entry", "all, with a record"):
        with (partial / LOG).open("a") as log:
            for name in chosen:
                entry = {"files": {name: file_hash(partial / name)}, "said": {"made": {"number": 3}}, "mac": "0" * 64}
                log.write(json.dumps(entry) + "\n")
    with pytest.warns(UserWarning, match=r"out\.partial: \d+ file\(s\) are not known to be finished by this command"):
        step[0](tmp_path / "out", nothing)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "honest")
    assert not (tmp_path / "out" / LOG).exists()
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("verb", ["phantom", "generate", "animate"])
def test_what_the_step_finished_is_not_made_again(
    verb: str, steps: dict[str, tuple[Step, str]], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    step = steps[verb]
    partial = stopped(step, tmp_path / "out")
    logged = [name for entry in Finished(partial).entries for name in entry.files if name.endswith(".avi")]
    assert logged
    times = {name: (partial / name).stat().st_mtime_ns for name in logged}
    for path in set(partial.rglob("*.avi")) - {partial / name for name in logged}:
        path.unlink()  # a worker had just written it
    step[0](tmp_path / "out", nothing)
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in logged} == times


@pytest.mark.parametrize("house", ["another", "none"])
def test_in_another_house_a_step_begins_anew(house: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was lost or replaced vouches for nothing; where none can be kept, steps work and do not go on."""
    phantoms(tmp_path / "honest", nothing)
    monkeypatch.setenv("ECHOSYN_SECRET", str(tmp_path / "secret"))
    partial = stopped((phantoms, "phantom"), tmp_path / "out")
    first = next(partial.rglob("*.avi")).stat().st_mtime_ns
    if house == "none":
        (tmp_path / "secret").write_bytes(b"damaged")
    else:
        (tmp_path / "secret").unlink()
    with pytest.warns(UserWarning, match="in this house"):
        phantoms(tmp_path / "out", nothing)
    assert first not in {path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.avi")}
    assert hashes(tmp_path / "out") == hashes(tmp_path / "honest")


def test_what_was_finished_for_one_call_is_not_vouched_for_in_another(tmp_path: Path) -> None:
    for name, settings in (("a", {"seed": 1}), ("b", {"seed": 2})):
        with suppress(StopError), new_folder(tmp_path / name, "generate", settings) as folder:
            (folder / "x.avi").write_text("a video")
            Finished(folder).add(folder / "x.avi")
            raise StopError
    shutil.copy(tmp_path / "a.partial" / LOG, tmp_path / "b.partial" / LOG)
    assert not Finished(tmp_path / "b.partial").entries
    assert Finished(tmp_path / "a.partial").entries


def test_what_somebody_lays_there_while_a_step_runs_stops_it(tmp_path: Path) -> None:
    def plant(name: str, done: int, total: int) -> None:
        if done == 3:
            recording(tmp_path / "out.partial" / "Videos" / "phantom_a4c_1_00000.avi")

    with pytest.raises(
        StoppedError, match=r"1 file\(s\) are not as this step made them, first phantom_a4c_1_00000\.avi"
    ):
        phantoms(tmp_path / "out", plant)
    assert not (tmp_path / "out").exists()
    phantoms(tmp_path / "honest", nothing)
    with pytest.warns(UserWarning, match="made anew"):
        phantoms(tmp_path / "out", nothing)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "honest")


def test_no_verdict_no_still_and_no_screen_is_taken_from_a_stopped_generate(tiny_models: Path, tmp_path: Path) -> None:
    """A screen that keeps everybody, a still that is a patient's, a verdict that says "apart"."""
    models = {stage: tiny_models / stage for stage in ("vae", "lidm", "lvdm", "reid")}
    asked = GenerateSettings(num=3, num_frames=8, seed=3, reference=tiny_models / "latents", false_rejection_rate=0.5)

    def make(out: Path, progress: Any) -> dict[str, Any]:
        return generate(out, models, asked, Compute("cpu", progress=progress))

    honest = make(tmp_path / "honest", nothing)
    partial = stopped((make, "samples that passed the filter"), tmp_path / "out")
    assert {path.name for path in (partial / "work").iterdir()} >= {STILLS, VIDEOS, RULES}
    rules = json.loads((partial / "work" / RULES).read_text())
    rules["still_threshold"]["value"] = rules["video_threshold"]["value"] = 1e9
    write_json(partial / "work" / RULES, rules)
    for path in (partial / "work" / "stills").iterdir():
        found = stills.read_shard(path)
        found["kept"][:] = True
        index, latents = found.pop("index"), found.pop("latents")
        stills.write(path.parent, index.tolist(), latents + 1, found)
    with pytest.warns(UserWarning, match="made anew"):
        again = make(tmp_path / "out", nothing)
    assert again["privacy"] == honest["privacy"]
    assert hashes(tmp_path / "out") == hashes(tmp_path / "honest")


def test_a_leftover_without_a_log_is_thrown_away(tmp_path: Path) -> None:
    partial = stopped((phantoms, "phantom"), tmp_path / "out")
    (partial / LOG).unlink()
    recording(partial / "Videos" / "phantom_a4c_1_00003.avi")
    with pytest.warns(UserWarning, match="made anew"):
        finished.sweep(partial)
    assert [path.name for path in partial.iterdir()] == ["provenance.json"]
    assert not (partial / filelist.FILE_LIST).exists()
