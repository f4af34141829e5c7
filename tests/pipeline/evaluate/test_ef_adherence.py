"""Agreement of predicted and known EFs, for all videos and for parts of them."""

import numpy as np
import pytest

from echosyn.data.records import Record
from echosyn.pipeline.evaluate.ef_adherence import MIN_GROUP, agreement, auc, groups


def records(efs, **columns):
    return [
        Record(f"v{i}", ef=ef, extra={name: values[i] for name, values in columns.items() if values[i]})
        for i, ef in enumerate(efs)
    ]


def test_perfect_predictions_are_perfect_in_every_figure_and_part():
    efs = np.linspace(20, 75, 60)
    views = ["A4C", "PSAX"] * 30
    found = agreement(efs, records(efs, View=views), 0, details=True)
    assert found["r2"]["value"] == pytest.approx(1)
    assert {t: a["value"] for t, a in found["auc"].items()} == {"35": 1, "40": 1, "45": 1, "50": 1}
    assert {g["group"] for g in found["groups"] if g["column"] == "View"} == {"A4C", "PSAX"}
    assert all(g["mae"]["value"] == pytest.approx(0) for g in found["groups"])


def test_videos_without_a_label_or_a_measurement_are_left_out():
    efs = [20.0, 30.0, None, 50.0, 60.0, 70.0]
    predicted = np.array([20.0, 30.0, 99.0, np.nan, 60.0, 70.0])
    found = agreement(predicted, records(efs), 0)
    assert found["n"] == 4
    assert found["mae"]["value"] == 0


def test_low_predictions_speak_for_low_ef():
    target = np.array([20.0, 30.0, 60.0, 70.0])
    patients = list("abcd")
    assert auc(target, target, 40, patients, 0).value == 1
    assert auc(-target, target, 40, patients, 0).value == 0
    missing = auc(target, target, 10, patients, 0)
    assert missing.value is None
    assert missing.reason == "0 of 4 videos have an EF below 10 %"


def test_error_of_one_group_does_not_show_in_the_other():
    efs = np.linspace(20, 75, 40)
    predicted = efs + np.where(np.arange(40) % 2, 5.0, 0.0)
    found = agreement(predicted, records(efs, Vendor=["x", "y"] * 20), 0, details=True)["groups"]
    assert {g["group"]: g["bias"]["value"] for g in found if g["column"] == "Vendor"} == pytest.approx({"x": 0, "y": 5})


def test_every_video_is_in_one_part_of_each_column():
    rates = [f"{r:g}" for r in np.linspace(45, 120, 30)]
    weights = [f"{w:.1f}" for w in np.linspace(3, 80, 30)]
    known = records(np.linspace(10, 90, 30), HeartRate=rates, Weight=weights, PatientId=[f"p{i}" for i in range(30)])
    counted: dict[str, np.ndarray] = {}
    for column, _, inside in groups(known):
        counted[column] = counted.get(column, 0) + inside.astype(int)
    assert set(counted) == {"EF", "HeartRate", "Weight"}
    assert all((count == 1).all() for count in counted.values())


def test_small_parts_are_not_told():
    efs = np.linspace(20, 75, 30)
    vendors = ["rare"] * (MIN_GROUP - 1) + ["common"] * (31 - MIN_GROUP)
    found = agreement(efs, records(efs, Vendor=vendors), 0, details=True)["groups"]
    assert {g["group"] for g in found if g["column"] == "Vendor"} == {"common"}
