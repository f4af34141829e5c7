"""An image model that learns stills by heart is told while it trains, and such a step is not chosen."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from echosyn import rng, weights
from echosyn.data import filelist, latents
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.pipeline.train.validation import Judge
from echosyn.training import catalog
from echosyn.training.stages.denoiser import NUM_INVENTED, LIDMStage

SIDES = {"TRAIN": 24, "VAL": 12}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = [
        Record(f"{split}{i}", num_frames=2, fps=32.0, split=split)  # type: ignore[arg-type]
        for split, num in SIDES.items()
        for i in range(num)
    ]
    for number, record in enumerate(records):
        latents.write(tmp_path, record, rng.normal((4, 4, 4), 0, "stills", [number, number]))
    latents.write_info(tmp_path, vae="0" * 64, pixels="symmetric", posterior="mean")
    filelist.write(tmp_path, records)
    return tmp_path


@pytest.fixture
def judged(
    folder: Path, settings_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[torch.Tensor], dict[str, float]]:
    """What validation says of a model that invents these."""

    def of(made: torch.Tensor) -> dict[str, float]:
        stage = catalog.create("lidm", settings_of("lidm"))
        records = filelist.read(folder)
        stage.items(folder, [r for r in records if r.split == "TRAIN"])
        monkeypatch.setattr(LIDMStage, "_invented", lambda self, num: made)
        return stage.validate(folder, [r for r in records if r.split == "VAL"], tmp_path)

    return of


def invented(folder: Path, split: str) -> torch.Tensor:
    records = [r for r in filelist.read(folder) if r.split == split]
    stills = torch.stack([latents.read(folder, records[i % len(records)])[0] for i in range(NUM_INVENTED)])
    return stills + 0.1 * rng.normal((4, 4, 4), 1, "noise", range(NUM_INVENTED))


def test_copies_of_train_are_told(folder: Path, judged: Callable[[torch.Tensor], dict[str, float]]) -> None:
    found = judged(invented(folder, "TRAIN"))
    assert found["nearer_to_train"] > 0.7  # only as many TRAIN stills as held-out ones are compared with
    assert found["memorised"] == 1


def test_strangers_are_nearer_to_train_in_half_of_the_cases(judged: Callable[[torch.Tensor], dict[str, float]]) -> None:
    found = judged(rng.normal((4, 4, 4), 2, "strangers", range(NUM_INVENTED)))
    assert 0.3 < found["nearer_to_train"] < 0.65
    assert found["memorised"] == 0


def test_what_is_shown_is_what_was_compared(
    folder: Path,
    settings_of: Callable[..., Any],
    build: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    vae, shown = tmp_path / "vae", tmp_path / "shown"
    weights.save(build("vae"), vae, weights.Facts(stage="vae", pixels="symmetric"))
    latents.write_info(folder, vae=weights.weights_hash(vae), pixels="symmetric", posterior="mean")
    stage = catalog.create("lidm", settings_of("lidm", vae=str(vae), num_inference_steps=1))
    records = filelist.read(folder)
    stage.items(folder, [r for r in records if r.split == "TRAIN"])
    made, invented = [], LIDMStage._invented
    monkeypatch.setattr(LIDMStage, "_invented", lambda self, num: made.append(invented(self, num)) or made[-1])
    shown.mkdir()
    found = stage.validate(folder, [r for r in records if r.split == "VAL"], shown)
    assert "nearer_to_train" in found
    (latent,) = made
    assert latent.shape == (NUM_INVENTED, 4, 4, 4)
    picture = np.asarray(Image.open(shown / "stills.png"))
    first = grey(LatentCodec(weights.load(vae, "vae"), "symmetric").decode(latent[:1])).numpy()[0]
    assert np.array_equal(picture[: first.shape[0], : first.shape[1]], first)


def test_a_step_that_knows_its_patients_is_never_the_best(tmp_path: Path) -> None:
    stage = SimpleNamespace(criterion=("loss", "min"))
    training = SimpleNamespace(stage=stage, step=5, settings=SimpleNamespace(select="last", patience=None))
    judge = Judge(tmp_path, training, tmp_path, [])  # type: ignore[arg-type]
    assert not judge.is_best({"validation/loss": 0.1, "validation/memorised": 1.0})
    assert judge.is_best({"validation/loss": 0.2, "validation/memorised": 0.0})
    assert not judge.is_best({"validation/loss": 0.1, "validation/memorised": 1.0})
