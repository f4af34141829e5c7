"""Every gauge sees the damages that it claims to see: the rows of the table in docs/metrics.md."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.data import phantom
from echosyn.pipeline.evaluate.fidelity import protocols
from echosyn.pipeline.evaluate.fidelity.protocols import Protocol
from scripts import imported

ROOT = Path(__file__).parents[2]
FORMULAS = ("spectrum", "speckle", "speckle-motion", "motion")
"""Spaces without a network."""


gauges = imported(ROOT / "benchmarks" / "gauges.py")
Found = Mapping[str, Mapping[str, Mapping[str, Any]]]


def table(folder: Path, patients: int, spaces: tuple[str, ...]) -> Found:
    whole = protocols.load("echosyn-v3")
    measures = tuple(m for m in whole.measures if m.space in spaces and m.sampling != "long")
    protocol: Protocol = whole.model_copy(update={"measures": measures, "floor_repeats": 1, "equal_n": False})
    clips = [phantom.render(phantom.patient(77, i, num_frames=64, fps=32.0))[:34] for i in range(patients)]
    found: Found = gauges.measured(clips, protocol, folder)
    return found


@pytest.fixture(scope="module")
def formulas(tmp_path_factory) -> Found:
    return table(tmp_path_factory.mktemp("formulas"), 16, FORMULAS)


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Found:
    return table(tmp_path_factory.mktemp("networks"), 32, ("efficientnet-lite0", "lite0-debiased"))


def rows(of_networks: bool) -> list[tuple[str, str]]:
    return [
        (gauge, damage)
        for gauge, damages in gauges.CLAIMS.items()
        for damage in damages
        if (gauge.split("/")[1] in FORMULAS) != of_networks
    ]


def of(found: Found, gauge: str) -> tuple[str, Mapping[str, Mapping[str, Any]]]:
    return next((key, row) for key, row in found.items() if key.startswith(f"{gauge}/"))


@pytest.mark.parametrize(("gauge", "damage"), rows(of_networks=False))
def test_a_gauge_sees_the_damage_that_it_claims_to_see(formulas, gauge, damage):
    assert gauges.seen(*of(formulas, gauge), damage), of(formulas, gauge)


@pytest.mark.slow
@pytest.mark.parametrize(("gauge", "damage"), rows(of_networks=True))
def test_a_gauge_of_a_network_sees_the_damage_that_it_claims_to_see(networks, gauge, damage):
    assert gauges.seen(*of(networks, gauge), damage), of(networks, gauge)


@pytest.mark.parametrize("damage", ["blur, sigma 1", "blur, sigma 2"])
def test_a_blurred_copy_of_a_set_is_worse_than_the_set_in_every_number_of_texture(formulas, damage):
    for key, row in formulas.items():
        if key.split("/")[1] in ("spectrum", "speckle", "speckle-motion") and not key.startswith("persistence"):
            assert gauges.seen(key, row, damage), key
    assert of(formulas, "classifier/spectrum")[1][damage]["value"] > 0.95


def test_what_a_still_cannot_show_changes_no_number_of_stills(formulas):
    for key, row in formulas.items():
        if key.split("/")[1] == "spectrum" and not key.startswith("classifier"):
            shuffled, clean = (row[d]["value"] for d in ("shuffled frames", gauges.CLEAN))
            assert shuffled == pytest.approx(clean, rel=0.35, abs=0.2), key


def test_more_grain_than_real_and_less_are_told_apart(formulas):
    _, row = of(formulas, "power_ratio/spectrum")
    assert row["blur, sigma 2"]["value"] < 0.1 < 1.5 < row["static noise"]["value"]
    _, row = of(formulas, "persistence/speckle-motion")
    next_frame, last = ({name: shown["bands"][i]["value"] for name, shown in row.items()} for i in (0, -1))
    assert next_frame["flickering texture"] < next_frame[gauges.CLEAN] - 0.1
    assert last["frozen texture"] > last[gauges.CLEAN] + 0.1


def test_damages_leave_the_background_black_and_the_beat_alone():
    clip = phantom.render(phantom.patient(77, 0, num_frames=64, fps=32.0))[:16]
    outside = ~clip.any(axis=0)
    for name, damage in gauges.DAMAGES.items():
        damaged = damage(clip, 0)
        assert damaged.shape == clip.shape
        if "blur" not in name:
            assert not damaged[:, outside].any(), name
        if name != "shuffled frames":
            means = [x.astype(float).mean(axis=(1, 2)) for x in (clip, damaged)]
            assert np.corrcoef(*means)[0, 1] > 0.9, name


def test_every_damage_is_claimed_by_several_gauges():
    for damage in set(gauges.DAMAGES) - {gauges.CLEAN}:
        assert sum(damage in claimed for claimed in gauges.CLAIMS.values()) >= 3, damage
