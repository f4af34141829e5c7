"""Finished videos against all patients, in blocks, by whoever: what one process finds that has everything at once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from echosyn.errors import StoppedError
from echosyn.pipeline.audit import screen_videos
from echosyn.pipeline.audit.screen_videos import compared, found
from echosyn.pipeline.workers.executors import Executor, InProcess, Lost, Processes
from echosyn.privacy import registration
from echosyn.privacy.fingerprints import VECTORS, Views
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.patient_matches import Exposure, Sides
from echosyn.privacy.screen import Screen, vector_screen

PATIENTS = [f"p{i:02d}" for i in range(30)]
IS_TRAIN = np.arange(30) < 20


def video(seed: int) -> Views:
    """Two to four views in one space; in the other one or none."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "a": torch.randn(2 + seed % 3, 9, generator=generator),
        "b": torch.randn(int(seed % 4 > 0), 5, generator=generator),
    }


@pytest.fixture(scope="module")
def check() -> Screen[Any]:
    """A calibrated check whose videos are looked at by their numbers: a strange one, or below 0 a patient's."""
    people = [video(seed) for seed in range(30)]
    built = vector_screen(Gallery.of(people, PATIENTS), (people[:20], PATIENTS[:20]), (people[20:], PATIENTS[20:]))
    prints: Any = SimpleNamespace(
        of_queries=lambda items: [people[-i] if i < 0 else video(1000 + i) for i in items], centre=torch.zeros(2)
    )
    return built.through(prints)


DIGESTS: Any = [0, 1, -3, 2, 3, -3, 4, 5, 6, 7, 1, 8, -25]
"""With two copies of one patient, one of another, and a video that is there twice."""


def test_blocks_by_workers_find_what_is_found_at_once(
    check: Screen[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = Sides.drawn(IS_TRAIN)
    whole, exposure = found(check.through(VECTORS), list(check.prints.of_queries(DIGESTS)), sides)
    assert exposure.nearest[[3, 25]].tolist() == [2, 12]
    assert not whole.kept[[2, 5, 12]].any()
    monkeypatch.setattr(screen_videos, "BLOCK", 4)
    executors: list[Executor] = [InProcess(1), InProcess(2)]
    with Processes(1) as processes:
        for executor in [*executors, processes]:
            told: list[int] = []
            judged, said = compared(
                check, DIGESTS, sides, executor, tmp_path, lambda _, done, num, told=told: told.append(done)
            )
            for name in ("kept", "score"):
                assert torch.equal(getattr(judged, name), getattr(whole, name)), name
            assert (judged.space, judged.nearest) == (whole.space, whole.nearest)
            assert said.highest.tobytes() == exposure.highest.tobytes()
            assert said.nearest.tolist() == exposure.nearest.tolist()
            assert said.close.tolist() == exposure.close.tolist()
            assert said.singled_out.tolist() == exposure.singled_out.tolist()
            assert said.num_videos == 13
            assert sorted(told)[-1] == 13
    assert list(tmp_path.iterdir()) == [], "vectors are private and do not stay"


def test_no_table_is_larger_than_a_block(check: Screen[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    of = Exposure.of

    def counting(scores: Any, *others: Any, **named: Any) -> Exposure:
        sizes.append(scores.shape)
        return of(scores, *others, **named)

    monkeypatch.setattr(screen_videos, "BLOCK", 4)
    monkeypatch.setattr(Exposure, "of", counting)
    compared(check, DIGESTS, Sides.drawn(IS_TRAIN), InProcess(1), tmp_path)
    assert sorted(sizes) == [(1, 30), (4, 30), (4, 30), (4, 30)]


def test_dying_workers_are_said_and_nothing_stays(
    check: Screen[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen_videos, "BLOCK", 4)
    deadly: Any = SimpleNamespace(map=lambda works, items: ((item, Lost(2)) for item in items))
    with pytest.raises(StoppedError, match="died on the videos from 0 on"):
        compared(check, DIGESTS, Sides.drawn(IS_TRAIN), deadly, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_video_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict and the exposure of patients come from one comparison, which is most of an audit's time."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(2 * 28**2, generator=generator)
    people = [torch.rand(1, 2 * 28**2, generator=generator) for _ in PATIENTS]
    items = [{registration.SPACE: torch.cat([x, centre[None]], dim=1)} for x in people]
    gallery = Gallery.of([{registration.SPACE: x} for x in people], PATIENTS)
    screen = vector_screen(gallery, (items[:20], PATIENTS[:20]), (items[20:], PATIENTS[20:]))
    asked = []
    of = registration.aligned
    monkeypatch.setattr(
        registration, "aligned", lambda queries, *others: asked.append(len(queries)) or of(queries, *others)
    )
    judged, exposure = found(screen, items[:3], Sides.drawn(IS_TRAIN))
    assert asked == [3]
    assert judged.nearest == PATIENTS[:3]
    assert exposure.nearest[:3].tolist() == [0, 1, 2]
