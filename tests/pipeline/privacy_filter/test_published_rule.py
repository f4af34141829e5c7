"""The published rule, beside its procedure written down anew with NumPy."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from echosyn import rng, weights
from echosyn.data import filelist, latents, stills
from echosyn.data.records import Record
from echosyn.data.splits import Split
from echosyn.errors import ConfigError
from echosyn.pipeline.privacy_filter.filter import filter_stills
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import FilterSettings

ON_CPU = Compute(device="cpu")
Array = NDArray[np.float64]


@dataclass
class Case:
    """Real videos of which later frames are brighter, so that a video's extremes are not its first frame's; and stills."""

    reid: Path
    reference: Path
    candidates: Path
    network: Any

    def published(self, percentile: float) -> tuple[float, list[int]]:
        """Threshold and kept numbers: scale to -1..1 by video or set, embed first frames, correlate, compare."""
        numbers, made = stills.read(self.candidates)
        train, test = (self._of(split) for split in ("TRAIN", "TEST"))
        synthetic = self._embedded(list(_scaled(made)))
        tau = float(np.percentile(_correlations(train, test).max(axis=1), percentile))
        best = _correlations(synthetic, train).max(axis=1)
        return tau, [n for n, similarity in zip(numbers, best, strict=True) if similarity < tau]

    def _of(self, split: str) -> Array:
        records = [r for r in filelist.read(self.reference) if r.split == split]
        return self._embedded([_scaled(latents.read(self.reference, r))[0] for r in records])

    def _embedded(self, frames: Sequence[torch.Tensor]) -> Array:
        with torch.no_grad():
            return torch.sigmoid(self.network.network(torch.stack(list(frames)))).double().numpy()


def _scaled(x: torch.Tensor) -> torch.Tensor:
    return (x - x.min()) / (x.max() - x.min()) * 2 - 1


def _correlations(a: Array, b: Array) -> Array:
    found: Array = np.corrcoef(np.concatenate([a, b]))[: len(a), len(a) :]
    return found


@pytest.fixture
def case(tmp_path: Path, build: Callable[..., Any]) -> Case:
    network = build("reid")
    weights.save(network, tmp_path / "reid", weights.Facts(stage="reid"))
    splits: list[Split] = ["TRAIN"] * 30 + ["VAL"] * 5 + ["TEST"] * 6
    records = [Record(f"v{i:02d}", fps=32.0, num_frames=6, split=split) for i, split in enumerate(splits)]
    reference = tmp_path / "reference"
    for i, record in enumerate(records):
        video = rng.normal((4, 4, 4), i, "case", range(6))
        latents.write(reference, record, video * torch.linspace(1, 2, 6)[:, None, None, None])
    latents.write_info(reference, pixels="published", posterior="sample")
    filelist.write(reference, records)
    for first in (0, 40):
        stills.write(_made(tmp_path / "candidates"), range(first, first + 40), _stills(first))
    return Case(tmp_path / "reid", reference, tmp_path / "candidates", network)


def _stills(first: int) -> torch.Tensor:
    return rng.normal((4, 4, 4), 99, "case", range(first, first + 40)) * 1.4


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("percentile", [None, 80.0])
def test_threshold_and_kept_stills_are_the_published_ones(case: Case, tmp_path: Path, percentile: float | None) -> None:
    tau, kept = case.published(percentile or 95.0)
    asked = FilterSettings(reference=case.reference, rule="published", percentile=percentile)
    said = filter_stills(case.candidates, tmp_path / "kept", case.reid, asked, ON_CPU)
    assert said["threshold"]["value"] == pytest.approx(tau, abs=1e-6)
    assert stills.read(tmp_path / "kept")[0] == kept
    assert 5 < len(kept) < 75
    assert f"the published rule says {100 - (percentile or 95):g}%" in said["says"]
    call = json.loads((tmp_path / "kept" / "provenance.json").read_text())["call"]
    assert call["settings"]["percentile"] == (percentile or 95.0)


def test_the_published_rule_reads_the_published_latents(case: Case, tmp_path: Path) -> None:
    asked = FilterSettings(reference=case.reference, rule="published")
    filter_stills(case.candidates, tmp_path / "kept", case.reid, asked, ON_CPU)
    theirs = _made(tmp_path / "pt")
    for number, latent in zip(*stills.read(case.candidates), strict=True):
        torch.save(latent.clone(), theirs / f"sample_{number:06d}.pt")
    filter_stills(theirs, tmp_path / "of-pt", case.reid, asked, ON_CPU)
    assert stills.read(tmp_path / "of-pt")[0] == stills.read(tmp_path / "kept")[0]
    assert not (tmp_path / "of-pt" / "work").exists()


def test_a_percentile_belongs_to_the_published_rule(case: Case, tmp_path: Path) -> None:
    for rule, percentile, words in (
        ("calibrated", 90.0, "give --rule published"),
        ("published", 101.0, r"expected 0\.\.100"),
    ):
        asked = FilterSettings(reference=case.reference, rule=rule, percentile=percentile)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=rf"--percentile {percentile:g}: .*{words}"):
            filter_stills(case.candidates, tmp_path / "out", case.reid, asked, ON_CPU)
    assert not list(tmp_path.glob("out*"))
