"""What is kept of videos in a file is what was put there, whoever asks, in whatever order."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.privacy.video_digests import DigestFile, LazySequence, VideoDigest


def digest(seed: int, num: int) -> VideoDigest:
    draw = torch.Generator().manual_seed(seed)
    between = torch.randint(0, 256, (3 * num, 5, 5), generator=draw, dtype=torch.uint8)
    return VideoDigest(
        torch.rand(num, 5, 5, generator=draw), torch.randn((num + 1) // 2, 2, 3, 3, generator=draw), between
    )


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6), data=st.data())
def test_each_is_read_as_it_was_put(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], data: st.DataObject
) -> None:
    given = [digest(i, num) for i, num in enumerate(lengths)]
    file = DigestFile(tmp_path_factory.mktemp("digests") / "new" / "digests", len(lengths))
    for i in data.draw(st.permutations(range(len(lengths)))):
        file.put(i, given[i])
    assert len(file.digests) == len(lengths)
    for found, expected in zip(file.digests, given, strict=True):
        assert torch.equal(found.thumbnails, expected.thumbnails)
        assert torch.equal(found.latents, expected.latents)
        assert torch.equal(found.between, expected.between)
        assert torch.equal(found.every, torch.cat([expected.thumbnails, expected.between.float()]))


def test_the_file_is_for_its_owner_and_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "digests").write_bytes(b"of an earlier try")
    file = DigestFile(tmp_path / "digests", 1)
    file.put(0, digest(0, 2))
    assert (tmp_path / "digests").stat().st_mode & 0o077 == 0
    assert (tmp_path / "digests").stat().st_size == 4 * (2 * 25 + 18) + 6 * 25
    assert torch.equal(file.digests[0].thumbnails, digest(0, 2).thumbnails)


@given(num=st.integers(0, 9), start=st.none() | st.integers(-12, 12), stop=st.none() | st.integers(-12, 12))
def test_lazily_is_a_list_that_is_made_when_asked(num: int, start: int | None, stop: int | None) -> None:
    made: list[int] = []
    lazy = LazySequence(num, lambda i: (made.append(i), i * i)[1])
    squares = [i * i for i in range(num)]
    assert len(lazy) == num
    assert not made
    assert list(lazy) == squares
    assert list(lazy[start:stop]) == squares[start:stop]
    assert list(lazy[start:stop][::2]) == squares[start:stop][::2]
    for i in (num, -num - 1):
        with pytest.raises(IndexError):
            lazy[i]
