"""Pickles: tensors come out, code never runs."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.errors import ModelError
from echosyn.weights.pickles import read_checkpoint
from echosyn.weights.published import import_checkpoint


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return exec, (f"open({str(self.canary)!r}, 'w').close()",)


@pytest.mark.parametrize("writer", ["torch", "torch legacy", "pickle"])
@pytest.mark.parametrize("reader", ["checkpoint", "import", "published folder"])
def test_an_evil_pickle_is_refused_and_does_not_run(writer: str, reader: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "reid" / "x_best_network.pth"
    path.parent.mkdir()
    content = {"state_dict": {"model.conv1.weight": torch.zeros(1)}, "extra": Evil(canary)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    readers: dict[str, Callable[[], Any]] = {
        "checkpoint": lambda: read_checkpoint(path),
        "import": lambda: import_checkpoint("siamese", path, tmp_path / "out"),
        "published folder": lambda: weights.load(path.parent, "reid"),
    }
    with pytest.raises(ModelError) as error:
        readers[reader]()
    assert "refused" in str(error.value)
    assert "\n" not in str(error.value)
    assert not canary.exists()
    assert not (tmp_path / "out").exists()
    torch.load(path, weights_only=False) if writer != "pickle" else pickle.loads(path.read_bytes())
    assert canary.exists(), "the pickle of this test is harmless: the test proves nothing"


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_found_in_the_ways_people_save_them(wrapper: str | None, prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}a": torch.ones(2), f"{prefix}b": torch.zeros(3)}
    others = {"epoch": 3, "r2": np.float64(0.5), "best": np.float32(1.0), "scheduler": {"step": 1}}
    torch.save({wrapper: state, **others} if wrapper else state, tmp_path / "c.pt")
    found = read_checkpoint(tmp_path / "c.pt")
    assert list(found) == ["a", "b"]
    assert found["a"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 no zip"])
def test_rubbish_is_one_line(content: bytes, tmp_path: Path) -> None:
    for name in ("c.pt", "c.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError) as error:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="no such file"):
        read_checkpoint(tmp_path / "none")


def test_a_checkpoint_without_weights_says_what_was_expected(tmp_path: Path) -> None:
    torch.save({"epoch": 1}, tmp_path / "c.pt")
    with pytest.raises(ModelError, match="holds no weights"):
        read_checkpoint(tmp_path / "c.pt")
    torch.save([1], tmp_path / "c.pt")
    with pytest.raises(ModelError, match="holds a list"):
        read_checkpoint(tmp_path / "c.pt")
