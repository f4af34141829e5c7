"""A screen that was written and read decides as before."""

from pathlib import Path

import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy import stored
from echosyn.privacy.screening import Gallery, screen


def views(seed: int, count: int) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    return [{"z": torch.randn(3, 8, generator=draw), "a": torch.randn(2, 5, generator=draw)} for _ in range(count)]


def test_verdicts_are_equal_after_a_round_trip(tmp_path: Path) -> None:
    people = [f"p{i}" for i in range(12)]
    real = views(0, 12)
    before = screen(Gallery.of(real, people), (views(1, 6), people[:6]), (views(2, 6), people[6:]))
    centre = torch.randn(4, 4)
    stored.write(tmp_path / "screen.safetensors", before, centre)
    after, mean = stored.read(tmp_path / "screen.safetensors")
    assert torch.equal(mean, centre)
    assert after.threshold == before.threshold
    assert after.fusion == before.fusion
    a, b = before.judge([*views(3, 20), *real]), after.judge([*views(3, 20), *real])
    assert torch.equal(a.kept, b.kept)
    assert torch.equal(a.score, b.score)
    assert (a.nearest, a.space) == (b.nearest, b.space)
    assert not a.kept[-12:].any(), "the real ones themselves are too close"


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    small = screen(Gallery.of(views(0, 2), ["a", "b"]), ([], []), (views(1, 1), ["c"]))
    stored.write(tmp_path / "s.safetensors", small, torch.zeros(1))
    assert (tmp_path / "s.safetensors").stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.safetensors").write_bytes(b"half")
    with pytest.raises(DataError, match=r"s\.safetensors: not readable as a privacy screen"):
        stored.read(tmp_path / "s.safetensors")
