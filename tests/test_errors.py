"""Mistakes that happen in another process arrive as themselves."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import echosyn.apps.ray.executor
import echosyn.pipeline.ingest.videos
from echosyn.data.video import BadVideoError
from echosyn.errors import DataError, EchosynError
from echosyn.pipeline.workers.executors import Processes

assert echosyn.apps.ray.executor


def kinds(of: type[EchosynError] = EchosynError) -> Iterator[type[EchosynError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", sorted(set(kinds()), key=lambda kind: kind.__name__))
def test_every_mistake_can_be_sent(kind: type[EchosynError]) -> None:
    error = kind.__new__(kind)
    error.args = ("said",)
    error.fault = "damaged"  # type: ignore[attr-defined]
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is kind
    assert (str(found), found.fault) == (str(error), "damaged")


def test_a_damaged_video_is_named_by_whoever_reads_it(tmp_path: Path) -> None:
    from working import Reads

    (tmp_path / "v.avi").write_bytes(b"RIFF....")
    with Processes(1) as processes, pytest.raises(BadVideoError, match=r"v\.avi") as caught:
        list(processes.map([Reads()], [tmp_path / "v.avi"]))
    assert isinstance(caught.value, DataError)
    assert caught.value.fault
