"""An attacker who has the code, the release and even the seed looks for the EFs of patients, and loses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn import rng
from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.errors import ConfigError
from echosyn.pipeline.generate.animation import ef_from

VIDEOS, SEED = 4000, 0


def dataset(folder: Path, efs: Any) -> Path:
    folder.mkdir(parents=True)
    filelist.write(folder, [Record(f"v{i}", ef=float(ef), split="TRAIN") for i, ef in enumerate(efs)])
    return folder


@pytest.fixture
def efs() -> Any:
    """Fifty patients' labels with four decimals, as a hospital has them."""
    draws = np.random.default_rng(4)
    return np.clip(np.where(draws.random(50) < 0.8, draws.normal(61, 7, 50), draws.normal(35, 8, 50)), 10, 85).round(4)


def released(folder: Path) -> Any:
    found = ef_from(folder)
    return np.array([found.draw(SEED, i) for i in range(VIDEOS)])


def test_known_noise_taken_off_gives_no_label(efs: Any, tmp_path: Path) -> None:
    """The review's attack: label i was real label number k, drawn by the seed, plus noise of the seed."""
    labels, claimed = released(dataset(tmp_path / "real", efs)), [[] for _ in efs]
    for i, label in enumerate(labels):
        draws = rng.numpy_generator(SEED, "ef", i)
        k = int(draws.choice(np.arange(len(efs))))
        claimed[k].append(label - 2.0 * draws.standard_normal())
    guess = np.array([np.median(found) for found in claimed])
    error = np.abs(guess - efs)
    assert error.mean() >= 1.5
    rank = (np.abs(guess[:, None] - efs[None]) < error[:, None]).mean(axis=1)  # share of others who fit better
    assert rank.mean() >= 0.5 - 2 * np.sqrt(1 / 12 / len(efs))


def test_who_knows_all_that_is_drawn_from_knows_no_label(efs: Any, tmp_path: Path) -> None:
    """The best attacker inverts the draws and has the counts exactly; they are equal for all labels of a bin, in any order."""
    true = dataset(tmp_path / "real", efs)
    found = ef_from(true)
    width = (found.high - found.low) / len(found.counts)
    bins = np.minimum((efs - found.low) // width, len(found.counts) - 1)
    other = np.random.default_rng(1)
    moved = found.low + width * (bins + other.random(len(efs)) * 0.999)
    for name, efs_of_another_house in (("moved", moved), ("shuffled", other.permutation(efs))):
        assert ef_from(dataset(tmp_path / name, efs_of_another_house)) == found
    told = found.low + width * (bins + 0.5)  # more than any release says: whose bin is whose
    assert np.abs(told - efs).mean() >= 1.5


def test_the_labels_of_a_release_are_still_distributed_like_the_real_ones(efs: Any, tmp_path: Path) -> None:
    labels = released(dataset(tmp_path / "real", efs))
    assert labels.mean() == pytest.approx(efs.mean(), abs=1.5)
    assert labels.std() == pytest.approx(efs.std(), rel=0.15)
    assert 5 <= labels.min() <= labels.max() <= 90


def test_what_is_said_of_the_labels_is_counts_alone(efs: Any, tmp_path: Path) -> None:
    said = ef_from(dataset(tmp_path / "real", efs)).described()
    assert set(said) == {"low", "high", "counts"}
    assert sum(said["counts"]) == len(efs)


def test_a_patient_with_many_videos_counts_once(tmp_path: Path) -> None:
    records = [Record(f"v{i}", ef=20.0, split="TRAIN", extra={"PatientId": "a"}) for i in range(30)]
    records.append(Record("w", ef=60.0, split="TRAIN", extra={"PatientId": "b"}))
    (tmp_path / "real").mkdir()
    filelist.write(tmp_path / "real", records)
    assert sorted(ef_from(tmp_path / "real").counts)[-2:] == [1.0, 1.0]


def test_noise_of_counts_is_the_houses_and_not_the_seeds(
    efs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, exact = dataset(tmp_path / "real", efs), ef_from(dataset(tmp_path / "same", efs)).counts
    noisy = []
    for house in ("a", "a", "b"):
        monkeypatch.setenv("ECHOSYN_SECRET", str(tmp_path / house))
        noisy.append(ef_from(real, 0.5).counts)
    assert noisy[0] == noisy[1] != noisy[2]
    assert exact not in noisy
    neighbour = ef_from(dataset(tmp_path / "one less", efs[:-1]), 0.5).counts  # fresh noise: differences tell nothing
    assert np.abs(np.subtract(neighbour, noisy[2])).sum() > 1
    assert (tmp_path / "a").stat().st_mode & 0o77 == 0
    with pytest.raises(ConfigError, match="--ef-epsilon 0"):
        ef_from(real, 0.0)


def test_laplace_noise_has_the_scale_that_epsilon_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, off = dataset(tmp_path / "real", np.repeat(np.arange(9.25, 90, 8.5), 100)), []
    for house in range(30):
        monkeypatch.setenv("ECHOSYN_SECRET", str(tmp_path / f"secret {house}"))
        off += [c - 100 for c in ef_from(real, 0.1).counts]
    assert np.mean(np.abs(off)) == pytest.approx(10, rel=0.2)
