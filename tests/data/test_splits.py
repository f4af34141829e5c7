"""No patient is in two splits; a cell of a list names a split or a fold."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echosyn.data.splits import SPLITS, Split, named, split_by_order, split_patients

ids = st.sets(st.text(max_size=5), max_size=40)


@given(ids, st.integers(0, 2**31))
def test_a_split_depends_on_the_seed_and_the_set_of_patients_alone(patients: set[str], seed: int) -> None:
    ordered = sorted(patients)
    splits = split_patients(ordered, seed)
    assert split_patients([*reversed(ordered), *ordered[:3]], seed) == splits
    assert set(splits) == patients


@given(ids, st.integers(0, 2**31))
def test_every_split_gets_patients_once_there_are_three(patients: set[str], seed: int) -> None:
    count = Counter(split_patients(sorted(patients), seed).values())
    num = len(patients)
    if num >= 3:
        assert min(count[split] for split in SPLITS) >= 1
        assert abs(count["VAL"] - num / 8) <= 1
        assert abs(count["TEST"] - num / 8) <= 1
    else:
        assert count["TRAIN"] == num


def test_known_sizes_and_another_seed() -> None:
    patients = [f"p{i}" for i in range(80)]
    count = Counter(split_patients(patients, 0).values())
    assert [count[split] for split in SPLITS] == [60, 10, 10]
    five = Counter(split_patients(patients[:5], 0).values())
    assert [five[split] for split in SPLITS] == [3, 1, 1]
    assert split_patients(patients, 0) != split_patients(patients, 1)


@given(st.integers(0, 2000), st.integers(0, 9))
def test_patients_are_dealt_in_the_shares_of_items_in_order(num: int, seed: int) -> None:
    drawn = split_patients([str(i) for i in range(num)], seed)
    assert Counter(drawn.values()) == Counter(split_by_order(num))


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("TRAIN", ("TRAIN", None)),
        ("val", ("VAL", None)),
        ("extra", ("EXTRA", None)),
        ("7", ("TRAIN", "7")),
        ("8.0", ("VAL", "8")),
        ("9", ("TEST", "9")),
        ("10", (None, None)),
        ("DEV", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_cell_names_a_split_or_a_fold(cell: str, found: tuple[Split | None, str | None]) -> None:
    assert named(cell) == found
