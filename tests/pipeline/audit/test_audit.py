"""What an audit concludes from its numbers, and that its numbers mean what they are called."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import filelist, video
from echosyn.estimate import Estimate
from echosyn.metrics.area import lv_area
from echosyn.pipeline.audit import attack_inputs, membership
from echosyn.pipeline.audit.criteria import Findings, checked, public, warnings
from echosyn.pipeline.audit.membership import Attack, judged
from echosyn.pipeline.audit.positive_controls import Caught, false_rejection
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import RealVideos, from_videos
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.intervals import risk, wilson
from echosyn.privacy.positive_controls import PositiveControl


def control(must: float | None, caught: int, kind: str = "shift") -> Caught:
    return Caught(PositiveControl(kind, 4, "pixels", must, lambda x, y, g: x), wilson(caught, 20), caught)


def attack(value: float, low: float, high: float) -> Attack:
    chance = Estimate(0.5, 0.45, 0.55)
    return Attack("loss", "weights", chance, Estimate(value, low, high), chance, 500, 200)


GOOD = Findings(
    num_videos=100,
    flagged=0,
    threshold=threshold_from_scores(np.arange(200.0), [str(i) for i in range(200)], num_bootstrap=10),
    false_rejection=wilson(11, 200),
    published=None,
    controls=[control(0.95, 19), control(None, 0, "mirror"), control(1.0, 20, "exact copy")],
    risks={"linkability": risk(wilson(3, 500), wilson(1, 200))},
    attacks=[attack(0.012, 0.0, 0.04)],
    num_train=500,
    num_held_out=200,
    silent_models=0,
)


def crossed(findings: Findings) -> list[str]:
    return [line.name for line in checked(findings) if not line.holds]


def test_a_set_without_a_finding_passes_and_the_summary_is_json() -> None:
    assert crossed(GOOD) == []
    said = public(GOOD, checked(GOOD), "0" * 64)
    assert said["verdict"] == "pass"
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"flagged": 1}, "copies"),
        ({"false_rejection": wilson(30, 200)}, "calibration"),
        ({"false_rejection": wilson(0, 0)}, "calibration"),
        ({"threshold": threshold_from_scores(np.arange(5.0), list("abcde"), num_bootstrap=0)}, "calibration"),
        ({"controls": [control(0.95, 18)]}, "canaries"),
        ({"controls": [control(1.0, 19, "exact copy")]}, "canaries"),
        ({"controls": []}, "canaries"),
        ({"risks": {"linkability": risk(wilson(80, 500), wilson(2, 200))}}, "risk of linkability"),
        ({"risks": {"singling-out": risk(wilson(0, 8), wilson(0, 8))}}, "risk of singling-out"),
        ({"attacks": [attack(0.5, 0.3, 0.7)]}, "inference: loss"),
    ],
)
def test_each_finding_crosses_its_own_line(changed: dict[str, object], line: str) -> None:
    assert crossed(replace(GOOD, **changed)) == [line]  # type: ignore[arg-type]


def test_an_attack_that_beats_guessing_is_told_even_if_no_line_is_crossed() -> None:
    leaky = replace(GOOD.attacks[0], auc=Estimate(0.73, 0.69, 0.77))
    assert crossed(replace(GOOD, attacks=[leaky])) == []
    assert warnings(GOOD) == []
    told = public(replace(GOOD, attacks=[leaky]), checked(GOOD), "0" * 64)["warnings"]
    assert len(told) == 1
    assert "0.730 (0.690 to 0.770)" in told[0]
    assert "Do not release the weights" in told[0]


def test_an_attack_on_an_honest_set_is_chance_and_so_is_its_control() -> None:
    draws = np.random.default_rng(0)
    names, is_train = [str(i) for i in range(300)], np.arange(300) < 200
    honest = judged("x", "videos", draws.normal(size=300), names, is_train, 0)
    leaky = judged("x", "videos", draws.normal(size=300) + 4 * is_train, names, is_train, 0)
    for found in (honest.auc, honest.control_auc, leaky.control_auc):
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 0.5 <= found.high
    assert leaky.auc.low is not None
    assert leaky.auc.low > 0.95
    assert leaky.tpr.low is not None
    assert leaky.tpr.low > 0.02
    assert (leaky.members, leaky.others) == (200, 100)


def test_innocents_are_tried_on_thresholds_that_others_set() -> None:
    draws = np.random.default_rng(1)
    rates = []
    for _ in range(20):
        screen = SimpleNamespace(
            held_out_patients=[f"p{i:03d}" for i in range(200)], held_out=torch.from_numpy(draws.normal(size=200))
        )
        rates.append(false_rejection(screen, 0.05).value)  # type: ignore[arg-type]
    assert np.mean(rates) == pytest.approx(0.05, abs=0.012)
    few = SimpleNamespace(held_out_patients=["a", "b"], held_out=torch.zeros(2))
    assert false_rejection(few, 0.05).num == 0  # type: ignore[arg-type]


def test_a_model_is_attacked_with_what_it_was_taught(tmp_path: Path) -> None:
    """The shipped models learned end-diastolic stills and courses: so are they shown to them."""
    make_phantom(tmp_path / "real", num=3, seed=5, num_frames=64, fps=32.0)
    models, cpu = weights.find_all(weights.shipped(), ("vae", "lidm", "lvdm"), "a4c"), torch.device("cpu")
    encoder, index = codec(models["vae"], cpu), filelist.VideoIndex(tmp_path / "real")
    records, read = filelist.read(tmp_path / "real"), from_videos(tmp_path / "real", encoder)
    archive = RealVideos(records, [read(record) for record in records])
    areas = lv_area(video.read(index.path(archive.records[0])).grey())
    clip = attack_inputs.clip(archive.records[0], index, 32.0, 32, encoder, True)
    assert clip is not None
    assert clip.course is not None
    assert np.corrcoef(clip.course.numpy(), areas[:32])[0, 1] < -0.95
    stills = attack_inputs.stills(archive, 0, index, encoder, diastole=True)
    at_rest = encoder.encode(torch.from_numpy(video.read(index.path(archive.records[0])).grey()[[int(areas.argmax())]]))
    spread = evenly(archive.digests[0].latents, len(stills))
    assert (stills - at_rest).abs().mean() < (spread - at_rest).abs().mean()
    found = membership.on_motion(models["lvdm"], tmp_path / "real", archive, encoder, cpu)
    found += membership.on_images(models["lidm"], tmp_path / "real", archive, encoder, cpu)
    assert [(a.members, a.others) for a in found] == [(1, 2)] * 4
