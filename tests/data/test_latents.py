"""Latents folders are read in part and refused in the user's words."""

from pathlib import Path

import pytest
import torch

from echosyn import rng
from echosyn.data import latents
from echosyn.data.records import Record
from echosyn.errors import DataError

RECORD = Record("a.b", num_frames=9)


@pytest.fixture
def content(tmp_path: Path) -> torch.Tensor:
    content = rng.normal((4, 3, 3), 0, "latents", range(9))
    latents.write(tmp_path, RECORD, content.permute(0, 1, 3, 2))  # not contiguous
    return content.permute(0, 1, 3, 2)


def test_what_is_written_is_read_whole_or_in_part(tmp_path: Path, content: torch.Tensor) -> None:
    assert torch.equal(latents.read(tmp_path, RECORD), content)
    for indices in ([3], [2, 5, 3, 3], list(range(9)), [8, 0]):
        assert torch.equal(latents.read(tmp_path, RECORD, indices), content[indices])
    assert [p.name for p in (tmp_path / "Latents").iterdir()] == ["a.b.safetensors"]


@pytest.mark.parametrize("indices", [[9], [-1], []])
def test_frames_that_are_not_there_are_refused(tmp_path: Path, content: torch.Tensor, indices: list[int]) -> None:
    with pytest.raises(DataError, match=r"outside 0\.\.8; encode the dataset again"):
        latents.read(tmp_path, RECORD, indices)


def test_missing_and_damaged_files_say_which(tmp_path: Path, content: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"other\.safetensors: missing"):
        latents.read(tmp_path, Record("other"))
    path = latents.path(tmp_path, RECORD)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"a\.b\.safetensors"):
        latents.read(tmp_path, RECORD, [0])


def test_a_folder_says_what_made_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a latents folder .* echosyn encode"):
        latents.info(tmp_path)
    latents.write_info(tmp_path, vae="abc", pixels="symmetric")
    assert latents.info(tmp_path) == {"vae": "abc", "pixels": "symmetric"}
    (tmp_path / latents.INFO).write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        latents.info(tmp_path)
