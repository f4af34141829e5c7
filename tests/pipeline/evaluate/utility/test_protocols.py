"""The published utility of a set, and ours: who chooses the weights, what is trained on, what tests them."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn import weights
from echosyn.data import filelist
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.evaluate import evaluate as evaluating
from echosyn.pipeline.evaluate.compare import compare
from echosyn.pipeline.evaluate.utility import protocols, utility
from echosyn.pipeline.evaluate.utility.grid import Grid
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.executors import Lost
from echosyn.settings.judging import EvaluateSettings
from echosyn.training import catalog

SMALL = [
    "network={_class_name: EFRegressor, backbone: small}", "normalization=range", "num_frames=8", "loop.steps=2",
    "loop.validate_every_steps=1", "loop.batch_size=2", "loop.num_workers=0", "loop.trackers=[]",
]  # fmt: skip


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A synthetic and a real set, of which the latter has two VAL and three TEST videos."""
    folder = tmp_path_factory.mktemp("sides")
    splits = {"real": ["TRAIN"] * 3 + ["VAL"] * 2 + ["TEST"] * 3, "synthetic": ["TRAIN"] * 3}
    for seed, (name, parts) in enumerate(splits.items()):
        make_phantom(folder / name, num=len(parts), num_frames=64, seed=seed)
        records = filelist.read(folder / name)
        filelist.write(folder / name, [replace(r, split=s) for r, s in zip(records, parts, strict=True)])
    return folder / "synthetic", folder / "real"


def test_its_settings_are_the_published_presets_unless_others_are_named() -> None:
    published: Any = protocols.regressor_settings("echonet-synthetic-v1", "phantom")
    assert published == catalog.settings("ef", "dynamic")
    assert protocols.regressor_settings("echosyn-v1", "phantom") == catalog.settings("ef", "phantom")
    assert protocols.regressor_settings("echonet-synthetic-v1", "ped_a4c") == catalog.settings("ef", "ped_a4c")
    with pytest.raises(
        ConfigError, match="--utility echonet-synthetic-v2: unknown; did you mean 'echonet-synthetic-v1'"
    ):
        protocols.regressor_settings("echonet-synthetic-v2", "phantom")


def test_a_side_is_trained_as_published() -> None:
    values = catalog.settings("ef", "dynamic")
    found = {side: protocols.PUBLISHED.settings(side, values, Path("real")) for side in ("real", "synthetic")}
    changed: Any = {side: s.model_dump() for side, s in found.items()}
    assert (changed["real"]["period"], changed["synthetic"]["period"]) == (2, 1)
    assert {name for name in changed["real"] if changed["real"][name] != changed["synthetic"][name]} == {
        "period",
        "judged_on",
    }
    assert (changed["real"]["judged_on"], changed["synthetic"]["judged_on"]) == (None, "real")
    assert found["real"] == values  # the preset is the real side of the published evaluation


def test_ours_chooses_nothing_whatever_the_preset() -> None:
    loop: Any = protocols.OURS.settings("real", catalog.settings("ef", "dynamic"), Path("real")).loop
    assert (loop.select, loop.patience) == ("last", None)


@pytest.mark.slow
def test_the_published_evaluation_as_a_whole(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = EvaluateSettings(utility="echonet-synthetic-v1", protocol="echosyn-quick-v2", track=1)
    values = protocols.regressor_settings(asked.utility, "phantom", None, SMALL)
    read: list[tuple[str, str, Any, Any]] = []
    original = evaluating.predict_ef

    def spied(data: Path, records: Any, model: Path, *, num_clips: Any, period: int | None = None, **how: Any) -> Any:
        read.append((data.name, model.parent.name, num_clips, period))
        return original(data, records, model, num_clips=num_clips, period=period, **how)

    monkeypatch.setattr(evaluating, "predict_ef", spied)
    with pytest.warns(UserWarning, match="echonet-synthetic-v1 starts from Kinetics' weights"):
        evaluating.evaluate(*sides, tmp_path / "report", asked, Compute("cpu"), ef_settings=values)
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    runs = {
        side: json.loads((tmp_path / "report" / "models" / f"ef_{side}" / "run.json").read_text())
        for side in ("real", "synthetic")
    }
    val = [r.name for r in filelist.read(sides[1]) if r.split == "VAL"]
    for side, run in runs.items():
        assert run["judged_on"] == val
        assert run["settings"]["loop"]["select"] == "best"
        assert run["settings"]["period"] == {"real": 2, "synthetic": 1}[side]
        assert run["settings"]["read_period"] == 2
        assert json.loads((tmp_path / "report" / "models" / f"ef_{side}" / "best.json").read_text())["name"] == "rmse"
    assert {name: figures["n"] for name, figures in report["utility"].items()} == dict.fromkeys(report["utility"], 3)
    assert {figures["n"] for figures in report["utility_on_val"].values()} == {2}
    assert read == [
        ("synthetic", "ef_real", "all", 1),
        ("real", "ef_real", "all", None),
        ("real", "ef_synthetic", "all", None),
    ]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "train on synthetic, VAL" in page
    assert "protocol echonet-synthetic-v1" in page
    ours = EvaluateSettings(protocol="echosyn-quick-v2", track=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluating.evaluate(*sides, tmp_path / "ours", ours, Compute("cpu"), ef_settings=values)
    other = json.loads((tmp_path / "ours" / "report.json").read_text())
    assert {figures["n"] for figures in other["utility"].values()} == {5}
    assert "utility_on_val" not in other
    with pytest.raises(DataError, match="utility by different protocols, echonet-synthetic-v1 and echosyn-v1"):
        compare(tmp_path / "report", tmp_path / "ours")


def test_regressors_side_by_side_are_those_of_one_after_the_other(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility, "cores", lambda: 2)
    monkeypatch.setattr(utility, "FEWEST_STEPS", 1)
    monkeypatch.setattr(utility, "SECONDS_BETWEEN_LOOKS", 0.05)
    values = protocols.regressor_settings("echosyn-v1", "phantom", None, SMALL)
    steps: list[tuple[int, int]] = []

    def made(name: str, compute: Compute) -> list[Path]:
        return utility.regressors([(data, tmp_path / name / data.name, values) for data in sides], compute)

    compute = Compute("cpu", side_by_side=True, progress=lambda what, done, total: steps.append((done, total)))
    together, apart = made("together", compute), made("apart", Compute("cpu"))
    for one, other in zip(together, apart, strict=True):
        assert one.parent.name == other.parent.name
        mine, theirs = (weights.load(folder, "ef").state_dict() for folder in (one, other))
        assert all(torch.allclose(mine[k].float(), theirs[k].float(), atol=1e-4) for k in mine)
        assert not (one.parent / "checkpoints").exists()
    assert utility.logged_steps(together[0].parent) == 2
    assert utility.logged_steps(tmp_path) == 0
    assert {total for _, total in steps} <= {2, 4}
    before = len(steps)
    assert made("together", compute) == together
    assert len(steps) == before, "finished ones are found, not trained"


def test_a_training_whose_process_dies_goes_on_here(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility, "cores", lambda: 2)
    monkeypatch.setattr(utility, "FEWEST_STEPS", 1)
    monkeypatch.setattr(utility.Processes, "map", lambda self, works, items: ((item, Lost(tries=2)) for item in items))
    values = protocols.regressor_settings("echosyn-v1", "phantom", None, SMALL)
    found = utility.regressors(
        [(data, tmp_path / data.name, values) for data in sides], Compute("cpu", side_by_side=True)
    )
    assert [weights.is_model(folder, "ef") for folder in found] == [True, True]


def test_trainings_of_a_few_steps_start_no_process(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility, "cores", lambda: 2)
    monkeypatch.setattr(utility, "Processes", lambda workers: pytest.fail("a process for two steps"))
    values = protocols.regressor_settings("echosyn-v1", "phantom", None, SMALL)
    trainings = [(data, tmp_path / data.name, values) for data in sides]
    assert len(utility.regressors(trainings, Compute("cpu", side_by_side=True))) == 2
    monkeypatch.setattr(utility, "FEWEST_STEPS", values.loop.steps)
    trainings = [(data, tmp_path / "long" / data.name, values) for data in sides]
    with pytest.raises(pytest.fail.Exception, match="a process for two steps"):
        utility.regressors(trainings, Compute("cpu", side_by_side=True))


def test_what_it_cannot_do_is_one_line_before_anything_is_trained(sides: tuple[Path, Path], tmp_path: Path) -> None:
    synthetic, real = sides
    asked = EvaluateSettings(utility="echonet-synthetic-v1", protocol="echosyn-quick-v2")
    values = protocols.regressor_settings(asked.utility, "phantom", None, [*SMALL, "pretrained=null"])
    held_out = [r for r in filelist.read(real) if r.split == "TEST"]
    with pytest.raises(DataError, match="no VAL video with an EF; echonet-synthetic-v1 chooses weights on VAL"):
        protocols.PUBLISHED.check(real, held_out, values)
    with (
        pytest.raises(ConfigError, match="--grid chooses weights in its own way"),
        pytest.warns(UserWarning, match="Kinetics"),
    ):
        evaluating.evaluate(synthetic, real, tmp_path / "x", asked, Compute("cpu"), ef_settings=values, grid=Grid())
    assert not any(tmp_path.iterdir())
    with pytest.warns(UserWarning, match="period = 2 counts frames on both sides, whatever their rates"):
        protocols.OURS.check(real, held_out, values)
