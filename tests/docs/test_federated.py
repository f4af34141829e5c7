"""The recipe for several houses: their weights are averaged, and one house's videos reach no other."""

import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from echosyn import weights
from echosyn.data import filelist
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.training import catalog
from echosyn.training.loop import Training, fit

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "federated.py"
STEPS = 2


@pytest.mark.slow
def test_houses_with_the_same_videos_learn_what_one_of_them_learns_alone(tmp_path: Path) -> None:
    pytest.importorskip("nvflare", reason="needs echosyn[federated]")
    make_phantom(tmp_path / "houses" / "north", num=4, seed=3, num_frames=64, fps=32.0)
    shutil.copytree(tmp_path / "houses" / "north", tmp_path / "houses" / "south")
    command = [sys.executable, str(RECIPE), "houses", "out", "--rounds", "1", "--steps", str(STEPS)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    together = weights.load(tmp_path / "out" / "model", "ef").state_dict()
    alone = on_its_own(tmp_path / "houses" / "north")
    begin = catalog.create("ef", settings()).network.state_dict()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, atol=1e-6, rtol=1e-5)
    assert any(not torch.equal(alone[name], value) for name, value in begin.items())


def settings() -> catalog.StageSettings:
    return catalog.settings("ef", "phantom", None, [f"loop.steps={STEPS}", "loop.ema_decay=0"])


def on_its_own(house: Path) -> dict[str, torch.Tensor]:
    stage = catalog.create("ef", settings())
    records = [record for record in filelist.read(house) if record.split == "TRAIN"]
    training = fit(Training(stage, stage.settings.loop), stage.items(house, records))
    assert len(list(islice(training, STEPS))) == STEPS
    return dict(stage.network.state_dict())
