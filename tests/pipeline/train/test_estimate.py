"""A dry run says before hours of training what they will take, and leaves nothing behind."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echosyn import rng
from echosyn.data import filelist, latents
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.train import estimate as measuring
from echosyn.pipeline.train.estimate import Measured
from echosyn.pipeline.train.train import dry_run
from echosyn.training import catalog, checkpoint
from echosyn.training.loop import Training


@pytest.mark.parametrize("stage", list(catalog.STAGES))
def test_it_says_what_it_takes_and_writes_nothing(
    stage: str, latents_folder: Path, video_dataset: Path, settings_of: Callable[..., Any], tmp_path: Path
) -> None:
    data = latents_folder if stage in ("lidm", "lvdm", "reid") else video_dataset
    before = sorted(data.rglob("*"))
    settings = settings_of(stage, {"steps": 50, "batch_size": 6})
    found = dry_run(stage, data, settings=settings, device="cpu")
    assert sorted(data.rglob("*")) == before
    assert not list(tmp_path.iterdir())
    network = catalog.create(stage, settings).network
    assert found["parameters"] == sum(p.numel() for p in network.parameters())
    assert found["measured_part"] == found["part_of_batch"] == 6
    assert found["hours"] == pytest.approx(found["step_s"] * 50 / 3600)
    assert found["peak_memory_gb"] > 4 * found["parameters"] * 4 / 1e9
    assert "micro_batch_size_that_fits" not in found


def test_the_checkpoint_is_as_large_as_said(
    latents_folder: Path, settings_of: Callable[..., Any], tmp_path: Path
) -> None:
    settings = settings_of("lidm", {"steps": 1, "batch_size": 2})
    found = dry_run("lidm", latents_folder, settings=settings, device="cpu")
    training = Training(catalog.create("lidm", settings), settings.loop)
    items = training.stage.items(latents_folder, filelist.read(latents_folder))
    measuring._step(training, items, 2)
    folder = checkpoint.save(tmp_path, training)
    assert found["checkpoint_gb"] == pytest.approx((folder / checkpoint.STATE).stat().st_size / 1e9, rel=0.1)


def test_a_batch_goes_through_in_its_parts(latents_folder: Path, settings_of: Callable[..., Any]) -> None:
    settings = settings_of("lidm", {"steps": 1, "batch_size": 32, "micro_batch_size": 4})
    found = dry_run("lidm", latents_folder, settings=settings, device="cpu")
    assert found["part_of_batch"] == found["measured_part"] == 4


def test_beyond_the_measured_it_goes_on_in_a_straight_line():
    assert measuring._line([(1, 10.0), (2, 12.0), (4, 16.0)], 8) == 24
    assert measuring._line([(2, 12.0), (4, 16.0)], 4) == 16
    assert measuring._line([(1, 10.0)], 3) == 30
    assert measuring._line([(1, 10.0), (2, 9.0)], 8) == 9  # noise is no negative price


def test_what_does_not_fit_names_the_part_that_does():
    measured = [Measured(1, 1.0, 10.0), Measured(2, 1.0, 20.0)]
    assert measuring._fitting(measured, 64, free=1000.0) is None
    assert measuring._fitting(measured, 64, free=200.0) == 16
    assert measuring._fitting(measured, 64, free=1.0) == 2


def test_growth_stops_before_time_and_memory_do(
    latents_folder: Path, settings_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("lidm", {"steps": 1, "batch_size": 64})
    monkeypatch.setattr(measuring, "_free", lambda training: 0.0)
    found = dry_run("lidm", latents_folder, settings=settings, device="cpu")
    assert (found["part_of_batch"], found["measured_part"]) == (64, 2)
    monkeypatch.undo()
    monkeypatch.setattr(measuring, "BUDGET_S", 0.0)
    assert dry_run("lidm", latents_folder, settings=settings, device="cpu")["measured_part"] == 2


MEASURE = """
import json, resource, sys
from pathlib import Path
from echosyn.pipeline import train as verb
from echosyn.training import catalog
stage, preset, what, data, out, loop = sys.argv[1:]
settings = catalog.settings(stage, preset)
settings = settings.model_copy(update={"loop": settings.loop.model_copy(update=json.loads(loop))})
if what == "dry":
    print(verb.dry_run(stage, Path(data), settings=settings, device="cpu")["peak_memory_gb"])
else:
    verb.train(stage, Path(data), Path(out), settings=settings, compute=Compute("cpu"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)
"""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve phantom videos, and latents of the same shape as theirs."""
    root = tmp_path_factory.mktemp("phantoms")
    make_phantom(root / "data", num=12, seed=0, num_frames=64)
    records = filelist.read(root / "data")
    for i, record in enumerate(records):
        latents.write(root / "latents", record, rng.normal((4, 14, 14), i, "latents", range(record.num_frames or 0)))
    latents.write_info(root / "latents", vae="0" * 64, pixels="symmetric", posterior="mean")
    filelist.write(root / "latents", records)
    return root / "data", root / "latents"


FULL_SIZE = {"steps": 2, "batch_size": 2, "mixed_precision": "no", "num_workers": 0}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "getrusage"), reason="no ru_maxrss here")
@pytest.mark.parametrize(
    ("stage", "preset", "loop"),
    [
        *((stage, "phantom", {"steps": 8}) for stage in catalog.STAGES),
        ("lidm", "dynamic", FULL_SIZE),
    ],
)
def test_predicted_peak_memory_is_within_a_quarter_of_the_measured(
    stage: str, preset: str, loop: dict[str, Any], phantoms: tuple[Path, Path], tmp_path: Path
) -> None:
    data = phantoms[stage in ("lidm", "lvdm", "reid")]

    def said(what: str) -> float:
        call = [sys.executable, "-c", MEASURE, stage, preset, what, data, tmp_path / "out", json.dumps(loop)]
        return float(subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()[-1])

    predicted, measured = said("dry"), said("train")
    print(f"{stage} {preset}: predicted {predicted:.2f} GB, measured {measured:.2f} GB")  # noqa: T201
    assert predicted == pytest.approx(measured, rel=0.25)
