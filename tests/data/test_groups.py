"""Words of hospitals fall into groups; what says nothing is in none."""

import pytest

from echosyn.data.groups import group, of_patients
from echosyn.data.records import Record


@pytest.mark.parametrize(
    ("kind", "columns", "expected"),
    [
        ("sex", {"sex": "female"}, "F"),
        ("sex", {"PatientSex": " m"}, "M"),
        ("age band", {"Age": "45"}, "40 to 60"),
        ("age band", {"PatientAge": "007M"}, "0 to 2"),
        ("age band", {"PatientAge": "083Y"}, "from 80"),
        ("age band", {"AgeBand": "adult"}, "adult"),
        ("year", {"StudyDate": "20190304"}, "2019"),
        ("year", {"StudyDate": "last spring"}, None),
        ("site", {"Site": "n/a", "Hospital": "North"}, "North"),
        ("scanner", {}, None),
    ],
)
def test_a_column_becomes_a_group(kind: str, columns: dict[str, str], expected: str | None) -> None:
    assert group(Record("a", extra=columns), kind) == expected


@pytest.mark.parametrize(("ef", "band"), [(None, None), (39.9, "0 to 40"), (40.0, "40 to 50"), (71.0, "from 50")])
def test_bands_of_ef_are_closed_below(ef: float | None, band: str | None) -> None:
    assert group(Record("a", ef=ef), "EF band") == band


def test_a_patient_is_in_the_group_of_the_first_recording_that_says_it() -> None:
    records = [Record(f"v{i}", extra={"PatientId": "p", "Site": site}) for i, site in enumerate(["", "North", "South"])]
    assert of_patients(records, "site") == {"p": "North"}
