"""The utility grid: one table for many trainings, none of them done twice."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.pipeline.evaluate.utility import utility
from echosyn.pipeline.evaluate.utility.training_sets import Arm

TARGET = np.linspace(15, 80, 60)
PATIENTS = [f"p{i}" for i in range(60)]


def noisy(size, seed):
    return TARGET + size * np.random.default_rng(seed).standard_normal(60)


def row(found, name):
    return next(r for r in found["rows"] if r["name"] == name)


def test_what_predicts_alike_has_ratio_one_and_what_is_worse_less():
    real = {0: noisy(5, 0), 1: noisy(5, 1)}
    found = utility.table({"worse": {0: noisy(15, 2), 1: noisy(15, 3)}, "real": real, "twin": real}, TARGET, PATIENTS)
    assert [r["name"] for r in found["rows"]] == ["real", "worse", "twin"]
    twin, worse = row(found, "twin")["ratio"], row(found, "worse")["ratio"]
    assert twin == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})
    assert worse["high"] < 1
    assert worse["low"] < worse["value"] < worse["high"]


def test_the_mean_over_trainings_stands_beside_each_of_them():
    found = row(utility.table({"real": {0: noisy(3, 0), 1: noisy(9, 1)}}, TARGET, PATIENTS), "real")
    assert found["r2"]["value"] == pytest.approx(np.mean(found["r2_by_seed"]))
    assert found["mae_by_seed"][0] < found["mae"]["value"] < found["mae_by_seed"][1]


def test_a_ratio_to_nothing_is_none():
    found = utility.table({"real": {0: noisy(60, 0)}, "other": {0: noisy(3, 1)}}, TARGET, PATIENTS)
    assert row(found, "other")["ratio"]["value"] is None
    assert row(found, "other")["ratio"]["reason"]


@pytest.fixture
def workshop(monkeypatch, tmp_path):
    """Trainings that only note their call; a model says EF 40 plus its seed."""
    trained: list[str] = []

    def regressor(data, run, settings, device, progress):
        trained.append(run.name)
        (run / "model").mkdir(parents=True)
        return run / "model"

    def predict(dataset, records, model, *, device, progress):
        seed = int(Path(model).parent.name.rpartition("-")[2])
        return SimpleNamespace(ef=np.linspace(30, 60, len(records)) + seed)

    monkeypatch.setattr(utility, "regressor", regressor)
    monkeypatch.setattr(utility, "predict_ef", predict)
    monkeypatch.setattr(utility, "chosen_on_validation", lambda settings, seed: settings)
    (tmp_path / "set" / "Videos").mkdir(parents=True)
    (tmp_path / "set" / "Videos" / "x.avi").write_bytes(b"video")
    filelist.write(tmp_path / "set", [Record("x", ef=77.0)])
    return trained


def test_trainings_that_are_finished_are_not_done_again_and_labels_come_from_the_real_arm(workshop, tmp_path):
    data = tmp_path / "set"
    test = utility.Test(data, [Record(f"t{i}", ef=30.0 + i) for i in range(8)])
    chosen = [Arm("synthetic, relabelled", data, "each"), Arm("real", data)]

    def run(seeds):
        return utility.grid(chosen, test, tmp_path / "grid", settings=None, seeds=seeds)  # type: ignore[arg-type]

    run([0])
    assert workshop == ["real-0", "synthetic-relabelled-0"]
    relabelled = filelist.read(tmp_path / "grid" / "synthetic-relabelled-0-data")
    assert [(r.name, r.ef) for r in relabelled] == [("relabelled_x", 30.0)]
    found = run([0, 1])
    assert workshop[2:] == ["real-1", "synthetic-relabelled-1"]
    assert row(found, "real")["seeds"] == [0, 1]


def test_the_trend_keeps_the_order_of_requests_and_takes_the_readers_bias():
    records = [Record(f"v{i}", ef=float(e), extra={"View": "AP"[i % 2]}) for i, e in enumerate(np.linspace(10, 80, 40))]
    asked = np.array([r.ef for r in records])
    bend = np.where(np.arange(40) % 2, 0.8 * asked + 10, asked - 5)
    noise = np.random.default_rng(0).standard_normal(40)
    np.testing.assert_allclose(utility.trend(records, bend), bend)
    np.testing.assert_allclose(utility.trend(records, bend + noise), bend, atol=1.5)
    assert np.ptp(utility.trend([Record("a", ef=50.0)] * 3, np.array([1.0, 2.0, 3.0]))) == 0
