"""Look-alikes, and what of them a page may show."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.pipeline.evaluate import ef_adherence, media
from echosyn.pipeline.evaluate import page as presentation
from echosyn.pipeline.evaluate.fidelity import tables
from echosyn.pipeline.evaluate.look_alikes import nearest
from echosyn.pipeline.tracking import measure

FRAMES = 8


def dataset(folder: Path, name: str, seeds: list[int]) -> tuple[Path, list[Record]]:
    """Noise blobs; equal seeds are equal videos."""
    (folder / "Videos").mkdir(parents=True)
    made = []
    for i, seed in enumerate(seeds):
        split = "TRAIN" if i < len(seeds) - 3 else "TEST"
        record = Record(f"{name}{i}", ef=20.0 + 6 * i, fps=32.0, num_frames=FRAMES, split=split)
        coarse = np.random.default_rng(seed).integers(0, 255, (14, 14)).astype(np.uint8)
        video.write_avi(
            folder / "Videos" / f"{record.name}.avi", coarse.repeat(8, 0).repeat(8, 1)[None].repeat(FRAMES, 0), 32
        )
        made.append(record)
    filelist.write(folder, made)
    return folder, made


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    real = dataset(tmp_path_factory.mktemp("real"), "patient", [1, 2, 3, 4, 5, 6, 7])
    synthetic = dataset(tmp_path_factory.mktemp("made"), "synthetic", [11, 3, 12, 7, 13])
    return real, synthetic


def test_a_copy_of_a_training_video_comes_first_and_one_of_a_test_video_is_no_matter(sides):
    (real, known), (synthetic, made) = sides
    first, *others = nearest(synthetic, made, real, known, 3)
    assert (first.synthetic.name, first.real.name) == ("synthetic1", "patient2")
    assert first.similarity == pytest.approx(1, abs=1e-3)
    assert all(pair.similarity < 0.5 for pair in others)


def test_the_mosaic_has_a_column_for_each_band(sides):
    (real, known), (synthetic, made) = sides
    both = media.mosaic([("synthetic", synthetic, made), ("real", real, known)])
    assert both is not None
    assert both["rows"] == ["synthetic", "real"]
    assert len(both["columns"]) == len(media.EF_EDGES) - 1
    assert media.mosaic([("real", real, [])]) is None


def test_the_public_page_shows_no_patient_and_the_private_one_says_that_it_does(sides, tmp_path):
    (real, known), (synthetic, made) = sides
    held_out = [r for r in known if r.split == "TEST"]
    ef = np.array([r.ef for r in made])
    tested = np.array([r.ef for r in held_out])
    rows = {
        "synthetic": measure.measure_all(synthetic, made[:1]),
        "real": measure.measure_all(real, held_out[:1]),
    }
    figures = ef_adherence.agreement(tested, held_out, 0, details=True)
    distance = {"name": "FD", "number": "frechet", "space": "lite0", "value": 1.0, "low": 0.5, "high": 2.0, "n": 5}
    fidelity = {
        "protocol": {"id": "small-v1"},
        "sets": {"synthetic": {"videos": 5}, "real": {"videos": 3}},
        "numbers": {"fd": distance},
        "rows": tables.rows({"fd": distance | {"sampling": "image"}}),
        "left_out": {},
    }
    numbers = {
        "counts": {"synthetic": 5, "synthetic_train": 2, "real_train": 4, "real_held_out": 3},
        "utility": {"train on real": figures, "train on synthetic": figures},
        "utility_protocol": {"id": "echosyn-v1", "words": "Trained alike."},
        "ef_adherence": ef_adherence.agreement(ef, made, 0),
        "ef_by_area": {side: ef_adherence.of_rows(r, made[:1], 0) for side, r in rows.items()},
        "physiology": {side: measure.summary(r) for side, r in rows.items()},
        "fidelity": fidelity,
        "provenance": {"seed": 0},
        "privacy": None,
    }
    sets = SimpleNamespace(
        synthetic=synthetic, synthetic_records=made, real=real, real_records=known, held_out=held_out
    )
    readings = presentation.Readings(sets, ef, held_out, {"real": tested, "synthetic": tested}, rows["synthetic"])  # type: ignore[arg-type]
    pages = {}
    for public in (False, True):
        path = tmp_path / f"{public}.html"
        presentation.write_page(path, numbers, readings, public=public)
        pages[public] = path.read_text()
    assert "patient2" in pages[False]
    assert "of real patients. It must not be shared" in pages[False]
    assert "patient" + "2" not in pages[True]
    assert not any(record.name in pages[True] for record in known)
    assert "It must not be shared" not in pages[True]
    assert "Look-alikes" not in pages[True]
    assert "predicted over known EF" not in pages[True]
    assert all("lite0" in page and "Physiology" in page for page in pages.values())
