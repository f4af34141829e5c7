"""Stopping and going on is the same as never having stopped, bit by bit; a damaged checkpoint is passed over."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn.data import filelist
from echosyn.errors import ConfigError
from echosyn.training import catalog, checkpoint
from echosyn.training.loop import Training, fit

LOOP = {"steps": 6, "batch_size": 2, "warmup_steps": 2, "schedule": "cosine", "ema_decay": 0.9}


@pytest.fixture
def start(settings_of: Callable[..., Any], latents_folder: Path, video_dataset: Path) -> Callable[..., Any]:
    """``start(stage)``: a training and its items."""

    def make(stage_name: str, **loop: Any) -> tuple[Training, Any]:
        settings = settings_of(stage_name, LOOP | loop)
        stage = catalog.create(stage_name, settings)
        data = latents_folder if stage.needs_latents else video_dataset
        records = [r for r in filelist.read(data) if r.split == "TRAIN"]
        return Training(stage, settings.loop), stage.items(data, records)

    return make


def tensors(training: Training) -> dict[str, torch.Tensor]:
    """Everything that a training consists of."""
    return checkpoint._flatten(checkpoint._state(training))[0]


@pytest.mark.parametrize("stage", list(catalog.STAGES))
def test_six_steps_are_three_and_three(stage: str, start: Callable[..., Any], tmp_path: Path) -> None:
    straight, items = start(stage)
    expected = list(fit(straight, items))
    first, items = start(stage)
    losses = []
    for metrics in fit(first, items):
        losses.append(metrics)
        if metrics["step"] == 3:
            break
    checkpoint.save(tmp_path, first)
    second, items = start(stage)
    torch.manual_seed(99)
    assert checkpoint.restore(tmp_path, second)
    assert second.step == 3
    losses += list(fit(second, items))
    assert losses == expected
    one, other = tensors(straight), tensors(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert {name.split("|")[0] for name in one} == {"networks", "optimizers", "average"}


@pytest.fixture
def run(start: Callable[..., Any], tmp_path: Path) -> Path:
    """A run with checkpoints at steps 2, 4 and 6."""
    training, items = start("reid", keep_checkpoints=3)
    for metrics in fit(training, items):
        if metrics["step"] % 2 == 0:
            checkpoint.save(tmp_path, training)
    return tmp_path


def steps(run: Path) -> list[int]:
    return [int(f.name.removeprefix(checkpoint.PREFIX)) for f in checkpoint.found(run)]


def test_a_checkpoint_is_two_files_and_their_sums_without_pickles(run: Path) -> None:
    assert steps(run) == [6, 4, 2]
    newest = checkpoint.found(run)[0]
    assert {p.name for p in newest.iterdir()} == {"state.safetensors", "state.json", "manifest.json"}
    assert json.loads((newest / "state.json").read_text())["step"] == 6
    assert [p.name for p in (run / "checkpoints").iterdir() if not p.name.startswith("step-")] == []


@pytest.mark.parametrize("file", [checkpoint.STATE, checkpoint.SCALARS, checkpoint.MANIFEST])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "garbled", "emptied"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    run: Path, start: Callable[..., Any], file: str, damage: str
) -> None:
    path = checkpoint.found(run)[0] / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80 if damage == "garbled" else 1
    path.write_bytes(content if damage in ("flipped", "garbled") else content[: len(content) // 2])
    if damage == "emptied":
        path.write_text("{}")
    if damage == "gone":
        path.unlink()
    training, _ = start("reid")
    assert checkpoint.restore(run, training) == run / "checkpoints" / "step-000000004"
    assert training.step == 4


def test_what_was_passed_over_makes_room_for_what_is_new(run: Path, start: Callable[..., Any]) -> None:
    (checkpoint.found(run)[0] / checkpoint.STATE).unlink()
    training, items = start("reid", keep_checkpoints=1)
    checkpoint.restore(run, training)
    next(fit(training, items))
    checkpoint.save(run, training)
    assert steps(run) == [5]


def test_a_checkpoint_of_other_networks_says_so(run: Path, start: Callable[..., Any]) -> None:
    training, _ = start("lidm")
    with pytest.raises(ConfigError, match="step-000000006: does not fit these settings"):
        checkpoint.restore(run, training)


def test_nothing_to_restore_is_a_start(run: Path, start: Callable[..., Any], tmp_path: Path) -> None:
    training, _ = start("reid")
    before = tensors(training)
    assert checkpoint.restore(tmp_path / "none", training) is None
    for folder in checkpoint.found(run):
        (folder / checkpoint.STATE).unlink()
    assert checkpoint.restore(run, training) is None
    assert training.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before.values(), tensors(training).values(), strict=True))


@pytest.mark.parametrize("keep", [1, 2])
def test_the_oldest_checkpoints_make_room(start: Callable[..., Any], tmp_path: Path, keep: int) -> None:
    training, items = start("reid", keep_checkpoints=keep)
    for metrics in fit(training, items):
        checkpoint.save(tmp_path, training)
        assert steps(tmp_path) == list(range(metrics["step"], max(0, metrics["step"] - keep), -1))


def test_a_half_written_checkpoint_is_none(run: Path, start: Callable[..., Any]) -> None:
    rest = run / "checkpoints" / "partial"
    checkpoint.found(run)[0].rename(rest)
    training, _ = start("reid")
    checkpoint.restore(run, training)
    assert training.step == 4
    checkpoint.save(run, training)
    assert not rest.exists()
