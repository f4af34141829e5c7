"""The search for enough videos: invent hearts, throw away those that are somebody's, animate, look, until enough stay."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from echosyn.data import stills
from echosyn.errors import DataError, StoppedError
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.generate.animate import Beat, Heart, batch_of, units
from echosyn.pipeline.generate.outcome import Outcome, as_json, from_json
from echosyn.pipeline.generate.sample import BLOCK
from echosyn.pipeline.generate.tasks import Invent, Made, Measure, ScreenVideos, Still, block_of
from echosyn.pipeline.workers.executors import Executor, Lost, one_by_one
from echosyn.pipeline.workers.shards import WHOLE, Shard
from echosyn.progress import Progress, silent

MAX_CANDIDATES_PER_VIDEO = 20
"""Give up when that many candidates a video did not yield enough."""
MAX_REJECTED_PER_VIDEO = 1
"""Give up when that many finished videos for each wanted one were too close."""
MOST_LOST = 3
"""Give up when workers died at more hearts than that and a twentieth of all."""
SURE = 3.0
"""Standard deviations by which a shard makes more than its share, as it knows only its own luck."""


@dataclass
class Search:
    """Decides on hearts in the order of their numbers. Equal for every executor, and a stopped one goes on where it was.

    Args:
        executor: who does the work.
        invent, beat, screen, measure: the works; ``measure`` only if something is required.
        refused: flags that no video may have.
        finished: log that remembers what is finished.
        shard: whose blocks of hearts are looked at.
        progress: told what is done.
    """

    executor: Executor
    invent: Invent
    beat: Beat
    screen: ScreenVideos
    measure: Measure | None
    refused: set[str]
    finished: Finished
    shard: Shard = WHOLE
    progress: Progress = silent
    stills: dict[int, Still] = field(default_factory=dict)
    made: dict[int, Made] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    blocks: int = 0
    """Blocks of all shards that were looked at."""
    known: dict[int, dict[int, Still]] = field(default_factory=dict)
    """Invented before a stop, by the number of the block's first."""

    def __post_init__(self) -> None:
        for entry in self.finished.entries:
            if "made" in entry.said:
                made = from_json(entry.said["made"])
                self.made[made.number] = made
            if "stills" in entry.said:
                first = entry.said["stills"][0][0]
                file = stills.shard(self.invent.folder, first)
                self.known[first] = {number: Still(kept, score, file) for number, kept, score in entry.said["stills"]}

    @property
    def candidates(self) -> int:
        """Numbers below it were looked at, or are another shard's."""
        return self.blocks * BLOCK

    def passed(self) -> list[int]:
        """Hearts that the filter kept, in order."""
        return sorted(n for n, still in self.stills.items() if still.kept and n not in self.lost)

    @property
    def outcome(self) -> Outcome:
        """What became of the hearts so far."""
        found = Outcome(stills={n for n, s in self.stills.items() if not s.kept}, lost=set(self.lost))
        for number, made in self.made.items():
            if number in self.stills:
                found.add(made, self.refused)
        return found

    def invent_up_to(self, end: int, wanted: int) -> None:
        """Invent the hearts below ``end``, rounded up to whole blocks; ``wanted`` is for the progress."""
        last = max(self.blocks, math.ceil(end / BLOCK))
        own = [block_of(b) for b in range(self.blocks, last) if self.shard.has(b)]
        self.blocks = last
        for block in own:
            self.stills |= self.known.get(block[0], {})
        passed = len(self.passed())
        for unit, result in one_by_one(self.executor, [self.invent], [b for b in own if b[0] not in self.known]):
            if isinstance(result, Lost):
                self._lose(unit)
            else:
                self.stills |= result
                rows = [(number, still.kept, still.score) for number, still in sorted(result.items())]
                self.finished.add(*{still.file for still in result.values()}, stills=rows)
                passed += sum(still.kept for still in result.values())
            self.progress(
                f"samples{' that passed the filter' if self.invent.screens else ''}", min(wanted, passed), wanted
            )

    def decide(self, numbers: Iterable[int]) -> None:
        """Animate and look at the videos of some hearts, unless that was done."""
        wanted = [n for n in numbers if n in self.stills]
        hearts = [Heart(n, self.stills[n].file) for n in wanted if n not in self.made and n not in self.lost]
        works: list[Any] = [self.beat, self.screen, *([self.measure] if self.measure else [])]
        done = len(wanted) - len(hearts)
        for unit, result in one_by_one(self.executor, works, units(hearts, batch_of(self.executor, self.beat))):
            done += len(unit)
            if isinstance(result, Lost):
                self._lose([heart.number for heart in unit])
            else:
                self.made |= {made.number: made for made in result}
                for made in result:
                    self.finished.add(self.beat.videos / f"{stills.name(made.number)}.avi", made=as_json(made))
            self.progress("animate", min(done, len(wanted)), len(wanted))

    def _lose(self, numbers: Sequence[int]) -> None:
        self.lost |= set(numbers)
        if len(self.lost) > MOST_LOST + (len(self.made) + len(self.stills)) // 20:
            raise StoppedError(
                f"workers died repeatedly on {len(self.lost)} samples, such as {min(self.lost)}, perhaps out of "
                "memory; check their logs, reduce --workers and run the same command again: it continues"
            )

    def good(self) -> list[int]:
        """Hearts whose videos may stay, in order."""
        rejected = self.outcome.rejected()
        return sorted(n for n in self.made if n in self.stills and n not in rejected)


@dataclass(frozen=True)
class Found:
    """Which videos stay, and how far the hearts were looked at."""

    stay: list[int]
    end: int


def whole(search: Search, num: int, *, complete: bool, threshold: float | None) -> Found:
    """Until ``num`` videos may stay; the first ``num`` that do are taken.

    Args:
        search: of all hearts.
        num: videos.
        complete: if there are not as many, let the least similar of the others stay.
        threshold: of the filter, for a message.

    Raises:
        DataError: there are not as many, and ``complete`` is false.
    """
    while True:
        failed = len([n for n in search.made if n in search.stills]) - len(search.good())
        needed = num + failed
        _enough_stills(search, num, needed, complete=complete, threshold=threshold)
        chosen = search.passed()[:needed]
        chosen += _least(search, needed - len(chosen)) if complete else []
        search.decide(sorted(chosen))
        good = search.good()
        first = [n for n in good if search.stills[n].kept][:num]
        if len(first) == num:
            return Found(first, first[-1] + 1)
        failed = sum(n in search.stills for n in search.made) - len(good)
        short = len(search.passed()) < needed
        if complete and (short or failed >= MAX_REJECTED_PER_VIDEO * num + 2):
            spare = [n for n in search.made if n in search.stills and n not in set(first)]
            outcome = search.outcome
            spare.sort(key=lambda n: (n in outcome.close or n in outcome.unfit, n))
            return Found(sorted([*first, *spare][:num]), search.candidates)
        if failed >= MAX_REJECTED_PER_VIDEO * num + 2:
            raise DataError(_too_bad(search, num, failed))


def share(search: Search, num: int, *, screened: bool) -> Found:
    """A shard's part of ``num`` videos: it goes as far as it takes all shards to have them, as far as it can tell.

    Nothing is lost where every heart passes; else each shard makes a little more, and `merge` takes the first ``num``.

    Raises:
        DataError: even with ``SURE`` standard deviations of bad luck, there would not be as many.
    """
    end = num
    while True:
        search.invent_up_to(end, num)
        search.decide(n for n in search.passed() if n < end)
        own = [n for n in range(end) if search.shard.has(n // BLOCK)]
        good = sum(n < end for n in search.good())
        further = reach(num, len(own), good, screened=screened or bool(search.lost))
        if further <= end:
            return Found([n for n in search.good() if n < end], end)
        failed = sum(n < end for n in search.made) - good
        wanted = math.ceil(num / search.shard.count)
        if _hopeless(good, failed):
            raise DataError(_too_bad(search, wanted, failed))
        if end >= num * MAX_CANDIDATES_PER_VIDEO:
            raise DataError(_too_few(good, len(own), wanted, None))
        end = min(further, 2 * end)  # little is known of luck at first


def reach(num: int, own: int, good: int, *, screened: bool) -> int:
    """How many hearts all shards together must look at for ``num`` good ones, when ``good`` of ``own`` were.

    With ``SURE`` standard deviations to spare, of the others' luck and of what ``own`` hearts tell of it.
    """
    if not screened:
        return num
    p = (good + 1) / (own + 2)
    spread = math.sqrt(p * (1 - p))
    end = num
    while end * p - SURE * spread * math.sqrt(end + end**2 / (own + 2)) < num:
        end += max(1, num // 100)
        if end > num * MAX_CANDIDATES_PER_VIDEO:
            break
    return end


def _enough_stills(search: Search, num: int, needed: int, *, complete: bool, threshold: float | None) -> None:
    while (missing := needed - len(search.passed())) > 0 and search.candidates < num * MAX_CANDIDATES_PER_VIDEO:
        more = missing if threshold is None else max(BLOCK, round(1.25 * missing))
        search.invent_up_to(search.candidates + more, needed)
    if len(search.passed()) < needed and not complete:
        raise DataError(_too_few(len(search.passed()), search.candidates, needed, threshold))


def _too_few(kept: int, candidates: int, needed: int, threshold: float | None) -> str:
    at = "" if threshold is None else f" (threshold {threshold:.3f})"
    return (
        f"only {kept} of {candidates} samples passed the privacy filter, {needed} are needed{at}; train the LIDM on "
        "more patients or for fewer steps, or ask for fewer videos"
    )


def _least(search: Search, count: int) -> list[int]:
    """The rejected hearts that are least similar to a patient."""
    rejected = [n for n, still in search.stills.items() if not still.kept]
    return sorted(rejected, key=lambda n: (search.stills[n].score, n))[: max(0, count)]


def _hopeless(good: int, failed: int) -> bool:
    """Whether more than `MAX_REJECTED_PER_VIDEO` fail for each good one, and not by bad luck."""
    looked_at, rate = good + failed, MAX_REJECTED_PER_VIDEO / (1 + MAX_REJECTED_PER_VIDEO)
    return failed > rate * looked_at + SURE * math.sqrt(rate * (1 - rate) * looked_at)


def _too_bad(search: Search, num: int, failed: int) -> str:
    looked_at = sum(n in search.stills for n in search.made)
    near = len(search.outcome.close)
    return (
        f"{near} of {looked_at} finished videos are too close to real patients, {num} are needed; train the models "
        "on more patients or for fewer steps, or ask for fewer videos"
        if near >= failed - near
        else f"{failed} of {looked_at} finished videos do not pass what --require asks, {num} are needed; require less, "
        "ask for EFs within the range of the training videos, or train the video model longer"
    )
