"""A set that other software made, without a record and with a bare list: judged, thinned and judged again."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.data import filelist, lineage, video
from echosyn.data.records import Record


@pytest.fixture
def foreign(workshop: Any, tmp_path: Path) -> Path:
    """The tiny synthetic set as somebody else would have written it."""
    folder = tmp_path / "foreign"
    shutil.copytree(workshop.synthetic / "Videos", folder / "Videos")
    known = filelist.read(workshop.synthetic)
    filelist.write(folder, [Record(r.name, ef=r.ef, split=r.split) for r in known])
    return folder


def test_copies_are_taken_out_and_what_is_left_stays_a_set_of_other_software(
    program: Any, workshop: Any, dataset: Path, foreign: Path, tmp_path: Path
) -> None:
    models = ["--models", workshop.folder / "models"]
    patient = filelist.read(dataset)[0].name
    copied = filelist.read(foreign)[0].name
    shutil.copyfile(dataset / "Videos" / f"{patient}.avi", foreign / "Videos" / f"{copied}.avi")
    for source, out in ((foreign, "left"), (tmp_path / "left", "again")):
        found = program("withdraw", source, dataset, tmp_path / out, "--exclude", patient, *models, "--json", "--quiet")
        assert found.code == 0, found.stderr
        left = tmp_path / out
        assert copied not in {r.name for r in filelist.read(left)}
        assert lineage.unrecorded(left)
        assert lineage.steps(left) is None
        assert json.loads((left / "provenance.json").read_text())["origin"] == {}
    said = ["--licence", "cc0-1.0", "--without-audit", "I know that nobody audited these videos"]
    refused = program("publish", tmp_path / "left", tmp_path / "release", *said)
    assert refused.code == 2
    assert "may show patients" in refused.stderr


def test_videos_of_another_size_are_refused_before_any_work(
    program: Any, workshop: Any, dataset: Path, foreign: Path, tmp_path: Path
) -> None:
    """Copies among them would not be seen."""
    first = filelist.VideoIndex(foreign).files[0]
    frames = video.read(first).grey()
    video.write_avi(first, np.ascontiguousarray(frames.repeat(2, 1).repeat(2, 2)), 32.0)
    models = ["--models", workshop.folder / "models"]
    for verb, more in (("audit", ["--videos-only"]), ("withdraw", ["--too-close"])):
        refused = program(verb, foreign, dataset, tmp_path / "out", *models, *more)
        assert refused.code == 2
        assert "1 video(s) are not 112x112" in refused.stderr
        assert "(224x224); resize them" in refused.stderr
    refused = program("evaluate", foreign, dataset, tmp_path / "out")
    assert refused.code == 2
    assert "224x224, but ventricles are tracked at 112x112" in refused.stderr
    assert not list(tmp_path.glob("out*"))


def test_an_audit_without_models_says_which_a_set_of_other_software_needs(
    program: Any, dataset: Path, foreign: Path, tmp_path: Path
) -> None:
    refused = program("audit", foreign, dataset, tmp_path / "out")
    assert refused.code == 2
    assert "a vae and a reid that were trained on REAL" in refused.stderr
