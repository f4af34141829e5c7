"""What the counts alone say of an audit, before any video is read."""

from echosyn.data.records import Record
from echosyn.pipeline.audit.audit import foreseen
from echosyn.settings.judging import AuditSettings


def records(train: int, held_out: int) -> list[Record]:
    return [Record(f"p{i}", split="TRAIN" if i < train else "VAL") for i in range(train + held_out)]


def test_enough_patients_and_controls_foresee_nothing() -> None:
    assert foreseen(records(73, 100), AuditSettings()) == []


def test_too_few_held_out_patients_or_controls_are_named_with_how_many_are_needed() -> None:
    few = foreseen(records(73, 24), AuditSettings(canaries=20))
    assert few[0].startswith("24 held-out patients (VAL, TEST), expected at least 100")
    assert few[1].startswith("20 positive controls of a kind, expected at least 36")
    assert foreseen(records(30, 100), AuditSettings())[0].startswith("30 positive controls")
