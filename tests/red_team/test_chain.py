"""Attackers who take recordings through other verbs to `publish`, and lose."""

import ast
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import echosyn
from echosyn import weights
from echosyn.data import filelist, lineage
from echosyn.errors import DataError
from echosyn.pipeline.audit.withdraw import withdraw
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.animate import animate
from echosyn.pipeline.ingest.frames import extract_frames
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.ingest.videos import ingest
from echosyn.pipeline.merge import merge
from echosyn.pipeline.publish.audit_gate import WITHOUT
from echosyn.pipeline.publish.dicom import export_dicom
from echosyn.pipeline.publish.publish import publish
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.data import ImportSettings
from echosyn.settings.judging import WithdrawSettings
from echosyn.settings.making import AnimateSettings
from echosyn.settings.sharing import PublishSettings

WORDS = PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT)
ON_CPU = Compute(device="cpu")


def writers() -> dict[str, set[str]]:
    """Every verb that writes a folder, with the names of its inputs, read off the source: a new verb is in at once."""
    source, found = Path(echosyn.__file__).parent, {}
    for path in source.rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {key.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys
                 if isinstance(key, ast.Constant) and isinstance(key.value, str)}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "new_folder" and len(node.args) > 1:
                command = node.args[1]
                found[command.value if isinstance(command, ast.Constant) else "calibrate"] = names
    return found


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain") / "phantoms"
    make_phantom(folder, num=2, seed=1, num_frames=64, fps=32.0)
    return folder


@pytest.fixture
def recordings(phantoms: Path, tmp_path: Path) -> Path:
    """A dataset that `import` made."""
    ingest(phantoms, tmp_path / "recordings", ImportSettings(source="folder"), ON_CPU, size=32)
    return tmp_path / "recordings"


def refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="may show patients") as error:
        publish(dataset, tmp_path / "release", WORDS)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("release*"))


def test_no_sequence_of_three_verbs_takes_recordings_to_publish(recordings: Path, tmp_path: Path) -> None:
    """All verbs but those that invent, each with all of its inputs taken from the one before; 1 and 2 written, 3 composed."""
    verbs = writers()
    assert {"import", "encode", "frames", "decode", "reproduce", "withdraw", "animate", "filter"} <= verbs.keys()
    taints = sorted(verbs.keys() - set(lineage.INVENTED))
    made: dict[tuple[str, ...], Path] = {(): recordings}
    for length in (1, 2):
        for sequence in itertools.product(taints, repeat=length):
            source, out = made[sequence[:-1]], tmp_path / "made" / "-".join(sequence)
            with new_folder(out, sequence[-1], {}, dict.fromkeys(verbs[sequence[-1]], source)) as folder:
                (folder / filelist.FILE_LIST).write_text("FileName,Split\n")
            made[sequence] = out
    assert all(lineage.steps(folder) is None for folder in made.values())
    for sequence, third in itertools.product(made, taints):
        assert lineage.chain(third, dict.fromkeys(verbs[third], made[sequence])) is None, (*sequence, third)
    for verb in taints:
        refused(made[(verb,)], tmp_path)


def test_withdrawing_does_not_launder(recordings: Path, phantoms: Path, tmp_path: Path) -> None:
    """The review's attack: import, withdraw, publish."""
    with pytest.raises(DataError, match="may show patients"):
        withdraw(recordings, phantoms, tmp_path / "out", {}, WithdrawSettings(too_close=True))
    assert not list(tmp_path.glob("out*"))


def test_copies_parts_and_labels_do_not_launder(recordings: Path, phantoms: Path, tmp_path: Path) -> None:
    shutil.copytree(recordings, tmp_path / "copy")
    merge([recordings], tmp_path / "merged")
    for folder in (recordings, tmp_path / "copy", tmp_path / "merged"):
        refused(folder, tmp_path)
        with pytest.raises(DataError, match="may show patients"):
            export_dicom(folder, tmp_path / "dicom")


@pytest.mark.parametrize(
    "record", [None, "", "[]", "{", '{"call": 3, "made": []}', '{"made": {"steps": ["generate"]}}']
)
def test_a_record_that_is_missing_or_unreadable_is_one_of_recordings(
    record: str | None, phantoms: Path, tmp_path: Path
) -> None:
    dataset = shutil.copytree(phantoms, tmp_path / "dataset")
    (dataset / "provenance.json").unlink()
    if record is not None:
        (dataset / "provenance.json").write_text(record)
    refused(dataset, tmp_path)


def test_the_record_of_other_videos_does_not_vouch_for_recordings(
    recordings: Path, phantoms: Path, tmp_path: Path
) -> None:
    shutil.copy(phantoms / "provenance.json", recordings)
    refused(recordings, tmp_path)


def test_frames_of_recordings_are_not_published_as_hearts_that_beat(
    recordings: Path, build: Callable[..., Any], tmp_path: Path
) -> None:
    """import, frames, animate, publish; and the same from images that say nothing of themselves."""
    extract_frames(recordings, tmp_path / "frames", every=4)
    stills = tmp_path / "frames" / "images" / filelist.read(recordings)[0].name
    flow = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler"})
    weights.save(build("vae"), tmp_path / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    own = weights.weights_hash(tmp_path / "vae")
    weights.save(build("lvdm"), tmp_path / "lvdm", weights.Facts(stage="lvdm", fps=25.0, vae=own), flow)
    models = {stage: tmp_path / stage for stage in ("vae", "lvdm")}
    animate(stills, tmp_path / "moving", models, AnimateSettings(num_frames=8, steps=1), ON_CPU)
    refused(tmp_path / "moving", tmp_path)


def test_what_was_invented_may_leave(phantoms: Path, tmp_path: Path) -> None:
    publish(phantoms, tmp_path / "release", WORDS)
    made = json.loads((tmp_path / "release" / "provenance.json").read_text())["made"]
    assert made["steps"] == lineage.steps(tmp_path / "release") == ["phantom", "publish"]
