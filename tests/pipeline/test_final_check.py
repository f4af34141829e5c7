"""Finished videos that are too close to a patient are replaced, and what cannot be replaced is said."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from echosyn.data import stills
from echosyn.errors import DataError
from echosyn.pipeline.final_check import replaced
from echosyn.pipeline.generate import Hearts
from echosyn.privacy.calibration import Threshold


def hearts(num: int, completed: int = 0) -> Hearts:
    facts: dict[str, Any] = {"releasable": not completed}
    facts |= {"completed_with_rejected": completed} if completed else {}
    return Hearts(list(range(num)), torch.arange(float(num)).view(-1, 1), facts, torch.empty(0), torch.zeros(num))


@dataclass
class Workshop:
    """Writes empty videos and keeps those whose number is not among ``bad``."""

    folder: Path
    bad: set[int]
    enough: bool = True
    written: list[list[int]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "Videos").mkdir()
        threshold = Threshold(2.0, 1.9, 2.1, 0.05, 0.05, 40, 40, self.enough)
        self.screen = SimpleNamespace(screen=SimpleNamespace(threshold=threshold))
        self.compared_with = "videos"

    def keeps(self, videos: list[Path]) -> list[bool]:
        return [int(path.stem.rpartition("_")[2]) not in self.bad for path in videos]

    def write(self, some: Hearts) -> None:
        assert some.latents[:, 0].tolist() == some.indices
        self.written.append(list(some.indices))
        for i in some.indices:
            (self.folder / "Videos" / f"{stills.name(i)}.avi").touch()

    def find(self, num: int, known: Any) -> Hearts:
        self.asked.append(num)
        assert len(self.asked) < 20
        return hearts(num)

    def run(self, num: int, complete: bool = False, start: Hearts | None = None) -> dict[str, Any]:
        first = hearts(num) if start is None else start
        return replaced(self.folder, first, num, self, self.find, self.write, complete=complete)  # type: ignore[arg-type]

    @property
    def left(self) -> list[int]:
        return sorted(int(path.stem.rpartition("_")[2]) for path in (self.folder / "Videos").iterdir())


def test_what_fails_is_replaced_by_the_next_that_passes(tmp_path: Path) -> None:
    made = Workshop(tmp_path, bad={1, 5, 6})
    facts = made.run(5)
    assert made.left == [0, 2, 3, 4, 7]
    assert made.written[-1] == made.left  # the file list
    assert facts["final_check"]["videos_rejected"] == 3
    assert facts["final_check"]["videos_checked"] == 8
    assert facts["releasable"]


def test_without_a_failure_nothing_more_is_made(tmp_path: Path) -> None:
    made = Workshop(tmp_path, bad=set())
    assert made.run(3)["final_check"]["videos_rejected"] == 0
    assert made.asked == []
    assert made.left == [0, 1, 2]


def test_a_model_that_copies_is_given_up_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"6 of 6 finished videos are too close .* 3 are needed"):
        Workshop(tmp_path, bad=set(range(100))).run(3)


def test_completing_keeps_what_failed_and_forbids_release(tmp_path: Path) -> None:
    made = Workshop(tmp_path, bad={0, 2})
    facts = made.run(3, complete=True, start=hearts(3, completed=1))
    assert made.left == [0, 1, 2]
    assert facts["final_check"]["videos_too_close"] == 2
    assert facts["releasable"] is False


def test_too_few_held_out_patients_vouch_for_nothing(tmp_path: Path) -> None:
    assert Workshop(tmp_path, bad=set(), enough=False).run(2)["releasable"] is False


def test_what_does_not_fit_is_replaced_with_and_without_a_check(tmp_path: Path) -> None:
    def fits(videos: list[Path]) -> list[bool]:
        return [int(path.stem.rpartition("_")[2]) not in (1, 2) for path in videos]

    for name, checked in (("with", True), ("without", False)):
        (tmp_path / name).mkdir()
        made = Workshop(tmp_path / name, {0} if checked else set())
        check: Any = made if checked else None
        facts = replaced(made.folder, hearts(3), 3, check, made.find, made.write, fits=fits)
        assert made.left == ([3, 4, 5] if checked else [0, 3, 4])
        assert ("final_check" in facts) == checked
        if checked:
            assert facts["final_check"]["videos_rejected"] == 1
            assert facts["final_check"]["videos_too_close"] == 0


def test_too_few_that_fit_is_an_error_that_says_so(tmp_path: Path) -> None:
    made = Workshop(tmp_path, set())
    with pytest.raises(DataError, match="do not pass what --require asks"):
        replaced(tmp_path, hearts(2), 2, None, made.find, made.write, fits=lambda videos: [False] * len(videos))
