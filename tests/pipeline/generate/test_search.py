"""The first hearts that pass stay, under their own numbers, whoever looks at them and however the job is divided."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echosyn.data import stills
from echosyn.errors import DataError, StoppedError
from echosyn.pipeline.finished import LOG, Finished
from echosyn.pipeline.generate import outcome as said
from echosyn.pipeline.generate.animate import Beat
from echosyn.pipeline.generate.animation import EFDistribution, Motion
from echosyn.pipeline.generate.outcome import Outcome, as_json, facts, from_json
from echosyn.pipeline.generate.sample import BLOCK
from echosyn.pipeline.generate.search import MAX_CANDIDATES_PER_VIDEO, Search, reach, share, whole
from echosyn.pipeline.generate.tasks import Invent, Made, Measure, ScreenVideos, Still
from echosyn.pipeline.privacy_filter.rules import Rules
from echosyn.pipeline.workers.executors import Lost
from echosyn.pipeline.workers.shards import WHOLE, Shard

NOWHERE = Path("none")


@dataclass
class Workshop:
    """An executor that makes nothing: ``stranger(n)`` passes the filter with score ``-n``, ``apart(n)`` the check of videos."""

    stranger: Callable[[int], bool] = lambda n: True
    apart: Callable[[int], bool] = lambda n: True
    deadly: frozenset[int] = frozenset()
    backwards: bool = False
    invented: list[int] = field(default_factory=list)
    animated: list[int] = field(default_factory=list)

    def on_gpu(self, device: str) -> bool:
        return False

    def map(self, works: Sequence[Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        everything = list(items)
        for item in reversed(everything) if self.backwards else everything:
            yield item, self._made(works, item)

    def _made(self, works: Sequence[Any], item: Any) -> Any:
        if isinstance(works[0], Invent):
            self.invented += item
            file = stills.shard(works[0].folder, item[0])
            file.write_text("stills")
            return {n: Still(self.stranger(n), -float(n), file) for n in item}
        assert isinstance(works[0], Beat)
        numbers = [heart.number for heart in item]
        if self.deadly & set(numbers):
            return Lost(2)
        self.animated += numbers
        for n in numbers:
            (works[0].videos / f"{stills.name(n)}.avi").write_text("a video")
        return [Made(n, self.apart(n)) for n in numbers]


def search(workshop: Workshop, folder: Path, shard: Shard = WHOLE) -> Search:
    own = folder / f"{shard.number}-{shard.count}"
    own.mkdir(exist_ok=True)
    beat = Beat(NOWHERE, NOWHERE, Motion(), EFDistribution(), 0, own)
    works = Invent(NOWHERE, 0, own, None), beat, ScreenVideos(own, None), None
    return Search(workshop, *works, set(), Finished(own), shard)


def found(workshop: Workshop, folder: Path, num: int, complete: bool = False) -> list[int]:
    return whole(search(workshop, folder), num, complete=complete, threshold=0.5).stay


@pytest.mark.parametrize("num", [1, 3, 10, 40])
def test_the_first_that_pass_stay(tmp_path: Path, num: int) -> None:
    workshop = Workshop(stranger=lambda n: n % 3 == 2)
    assert found(workshop, tmp_path, num) == [3 * i + 2 for i in range(num)]
    assert workshop.invented == list(range(len(workshop.invented))), "nothing is invented twice"
    assert sorted(workshop.animated) == [3 * i + 2 for i in range(num)], "and nothing in vain"


def test_what_comes_too_close_is_replaced_by_the_next(tmp_path: Path) -> None:
    workshop = Workshop(apart=lambda n: n not in (1, 5, 6))
    assert found(workshop, tmp_path, 5) == [0, 2, 3, 4, 7]
    assert sorted(workshop.animated) == list(range(8))


def test_too_few_strangers_give_up_with_the_numbers_and_the_cure(tmp_path: Path) -> None:
    workshop = Workshop(stranger=lambda n: n < 2)
    with pytest.raises(
        DataError, match=r"only 2 of \d+ samples passed the privacy filter, 3 are needed .*threshold 0\.500"
    ):
        found(workshop, tmp_path, 3)
    assert 3 * MAX_CANDIDATES_PER_VIDEO <= len(workshop.invented) < 3 * MAX_CANDIDATES_PER_VIDEO + 2 * BLOCK
    assert not workshop.animated


def test_a_model_that_copies_is_given_up_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\d+ of \d+ finished videos are too close .* 3 are needed"):
        found(Workshop(apart=lambda n: False), tmp_path, 3)


def test_completing_takes_the_least_similar(tmp_path: Path) -> None:
    workshop = Workshop(stranger=lambda n: n < 2)
    stay = found(workshop, tmp_path, 4, complete=True)
    last = len(workshop.invented) - 1
    assert stay == [0, 1, last - 1, last]


def test_completing_keeps_close_videos_where_there_are_no_others(tmp_path: Path) -> None:
    assert len(found(Workshop(apart=lambda n: False), tmp_path, 4, complete=True)) == 4
    assert found(Workshop(), tmp_path, 4, complete=True) == [0, 1, 2, 3]


def test_hearts_that_kill_workers_are_left_out_and_said(tmp_path: Path) -> None:
    one = search(Workshop(deadly=frozenset({2, 4})), tmp_path)
    assert whole(one, 5, complete=False, threshold=None).stay == [0, 1, 3, 5, 6]
    assert one.lost == {2, 4}


def test_when_workers_die_at_everything_it_stops_and_can_go_on(tmp_path: Path) -> None:
    with pytest.raises(
        StoppedError, match=r"workers died repeatedly on \d samples, such as 0.*run the same command again"
    ):
        found(Workshop(deadly=frozenset(range(1000))), tmp_path, 50)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_shards_together_have_what_one_job_has(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    num, count, seed = (data.draw(st.integers(*ends)) for ends in ((1, 120), (1, 7), (0, 10**6)))
    rate = data.draw(st.sampled_from([0.0, 0.05, 0.3]))

    def lucky(n: int, salt: int) -> bool:
        return hash((seed, n, salt)) % 1000 >= 1000 * rate

    def workshop() -> Workshop:
        return Workshop(lambda n: lucky(n, 1), lambda n: lucky(n, 2), backwards=data.draw(st.booleans()))

    folder = tmp_path_factory.mktemp("shards")
    try:
        expected = found(workshop(), folder, num)
    except DataError:
        return
    stay: list[int] = []
    ends = []
    for number in range(1, count + 1):
        one = search(workshop(), folder, Shard(number, count))
        part = share(one, num, screened=rate > 0)
        assert all(Shard(number, count).has(n // BLOCK) for n in part.stay)
        stay += part.stay
        ends.append(part.end)
    together = sorted(n for n in stay if n < min(ends))
    assert together[:num] == expected[: len(together)], "the same hearts, in the same order"
    if rate == 0:
        assert together == expected, "and not one more than needed"


def test_a_shard_with_bad_luck_does_not_give_up_for_the_others(tmp_path: Path) -> None:
    bad = set(range(8)) | set(range(24, 30))  # 14 of the first shard's first 16, and none of the others'
    part = share(search(Workshop(apart=lambda n: n not in bad), tmp_path, Shard(1, 3)), 40, screened=True)
    assert len(part.stay) > 16


@pytest.mark.parametrize("count", [1, 3, 7])
def test_every_shard_gives_up_on_a_model_that_copies(tmp_path: Path, count: int) -> None:
    workshop = Workshop(apart=lambda n: False)
    with pytest.raises(
        DataError, match=rf"(\d+) of \1 finished videos are too close .* {math.ceil(40 / count)} are needed"
    ):
        share(search(workshop, tmp_path, Shard(count, count)), 40, screened=True)
    assert len(workshop.animated) <= 40, "and does not make thousands first"


def test_a_share_is_enough_nearly_always_and_little_more() -> None:
    assert reach(1000, 200, 200, screened=False) == 1000
    ends = [reach(1000, 200, good, screened=True) for good in (190, 195, 200)]
    assert ends == sorted(ends, reverse=True)
    assert 1000 / 0.95 < ends[0] < 1000 / 0.95 * 1.08


def test_a_job_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Workshop(apart=lambda n: n != 3)
    expected = found(first, tmp_path, 6)
    log = tmp_path / "1-1" / LOG
    lines = [line for line in log.read_text().splitlines() if line]
    assert len(lines) == 1 + len(first.animated)
    log.write_text("\n".join(lines[:4]) + '\n{"files": {"synth')
    again = Workshop(apart=lambda n: n != 3)
    assert found(again, tmp_path, 6) == expected
    assert not again.invented
    assert len(again.animated) == len(first.animated) - 3


def test_the_order_in_which_workers_finish_changes_nothing(tmp_path: Path) -> None:
    a, b = (Workshop(lambda n: n % 4 != 1, lambda n: n % 5 != 2, backwards=order) for order in (False, True))
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    assert found(a, tmp_path / "a", 30) == found(b, tmp_path / "b", 30)


# What is said of it


RULES = Rules({"value": 1.0, "enough": True}, {"value": 2.0, "enough": True}, "videos")


def test_the_facts_count_up_to_the_last_heart_and_name_none() -> None:
    outcome = Outcome(stills={1, 30}, close={3}, lost={5})
    found = facts(outcome, RULES, [0, 2, 4, 6], 7)
    assert (found["candidates"], found["num_kept"], found["rejection_rate"]) == (7, 6, pytest.approx(1 / 7))
    assert found["final_check"]["videos_rejected"] == 1
    assert found["final_check"]["videos_too_close"] == 0
    assert found["lost"] == 1
    assert found["releasable"]
    assert set(found) <= {"candidates", "num_kept", "rejection_rate", "threshold", "filter", "final_check", "lost",
                          "releasable", "audit"}  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "rules", "stay"),
    [
        (Outcome(stills={0}), RULES, [0, 1]),
        (Outcome(close={0}), RULES, [0, 1]),
        (Outcome(), Rules({"value": 1.0, "enough": False}, RULES.video_threshold), [0, 1]),
        (Outcome(), Rules(RULES.still_threshold, {"value": 1.0, "enough": False}), [0, 1]),
        (Outcome(), Rules(), [0, 1]),
    ],
    ids=["rejected still", "close video", "few patients", "few videos", "no filter"],
)
def test_what_forbids_release(outcome: Outcome, rules: Rules, stay: list[int]) -> None:
    assert facts(outcome, rules, stay, 2)["releasable"] is False
    assert facts(Outcome(), RULES, stay, 2)["releasable"] is True


def test_parts_are_written_and_read() -> None:
    outcome = Outcome({1}, {2}, {3: ("static",)}, {4})
    assert Outcome.from_json(outcome.to_json()) == outcome
    assert Outcome({1}).joined(Outcome({5}, {2}, {3: ("static",)}, {4})).rejected() == {1, 2, 3, 4, 5}
    made = Made(7, False)
    assert from_json(as_json(made)) == made
    assert Rules(**RULES.to_json()).to_json() == RULES.to_json()
    assert said.MEASUREMENTS.endswith(".csv")
    assert Measure(NOWHERE, EFDistribution(), 0, None).device == "cpu"
