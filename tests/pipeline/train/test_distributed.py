"""What a training on several processes refuses."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from echosyn.apps.cli import main
from echosyn.errors import DataError
from echosyn.pipeline.train.distributed import SHARDING, agree


@pytest.mark.parametrize("variable", list(SHARDING))
def test_a_sharded_training_is_refused_in_one_line(
    variable: str,
    latents_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "true")
    with pytest.raises(SystemExit, match="2"):
        main(["train", "reid", str(latents_folder), str(tmp_path / "run")])
    (line,) = capsys.readouterr().err.splitlines()
    assert SHARDING[variable] in line
    assert "use distributed_type MULTI_GPU" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("steps", "is_fine"), [((5, 5), True), ((5, 0), False)])
def test_processes_that_see_different_checkpoints_do_not_go_on(steps: tuple[int, int], is_fine: bool) -> None:
    accelerator = SimpleNamespace(num_processes=2, device="cpu", gather=lambda _: torch.tensor(steps))
    training: Any = SimpleNamespace(step=steps[0], accelerator=accelerator)
    if is_fine:
        agree(training, Path("run"))
        return
    with pytest.raises(DataError, match=r"run: .* different steps \(0, 5\); OUT must be on a filesystem"):
        agree(training, Path("run"))
