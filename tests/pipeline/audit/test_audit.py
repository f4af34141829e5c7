"""What an audit concludes from its numbers, and that its numbers mean what they are called."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.estimate import Estimate
from echosyn.metrics.area import lv_area
from echosyn.pipeline.audit import attack_inputs, membership
from echosyn.pipeline.audit.criteria import LINKED, Findings, checked, public, warnings
from echosyn.pipeline.audit.membership import Attack, judged
from echosyn.pipeline.audit.positive_controls import Caught, Trial, false_rejection
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import RealVideos, from_videos
from echosyn.privacy.attacks import Excess
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.intervals import exact, risk
from echosyn.privacy.positive_controls import PositiveControl


def control(must: float | None, caught: int, kind: str = "shift", num: int = 73, essential: bool = True) -> Caught:
    return Caught(PositiveControl(kind, 4, "pixels", must, lambda x, y, g: x, essential=essential), exact(caught, num))


def attack(auc: float, p_value: float, needs: str = "videos") -> Attack:
    chance = Estimate(0.5, 0.45, 0.55)
    found = Estimate(auc, auc - 0.04, auc + 0.04)
    return Attack("loss", needs, found, chance, chance, 500, 200, p_value, {}, {})


def guesses(name: str, main: int, control: int) -> dict[str, Excess]:
    """Right guesses about 500 training patients and about 200 others."""
    right = np.concatenate([np.arange(500) < main, np.arange(200) < control])
    return {name: Excess.of(right, np.arange(700) < 500, 0.4)}


GOOD = Findings(
    num_videos=100,
    flagged=0,
    threshold=threshold_from_scores(np.arange(200.0), [str(i) for i in range(200)]),
    false_rejection=Trial(exact(11, 200), 0.4),
    published=None,
    controls=[control(0.95, 71), control(None, 0, "mixture"), control(1.0, 73, "exact copy")],
    risks={"singling-out": risk(exact(3, 500), exact(1, 200))},
    attacks=[attack(0.52, 0.3)],
    num_train=500,
    num_held_out=200,
    silent_models=0,
    guesses=guesses(LINKED, 300, 118) | guesses("EF band", 250, 105),
    tails={"videos": {0: 0.3, 1: 0.2}},
)


def crossed(findings: Findings) -> list[str]:
    return [line.name for line in checked(findings) if not line.holds]


def test_a_set_without_a_finding_passes_and_the_summary_is_json() -> None:
    assert crossed(GOOD) == []
    said = public(GOOD, checked(GOOD), "0" * 64)
    assert said["verdict"] == "pass"
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize(
    ("changed", "line", "said"),
    [
        ({"flagged": 1}, "copies", "fail"),
        ({"false_rejection": Trial(exact(30, 200), 0.001)}, "calibration", "fail"),
        ({"false_rejection": Trial(exact(0, 0), None)}, "calibration", "cannot say"),
        (
            {"threshold": threshold_from_scores(np.arange(99.0), [str(i) for i in range(99)])},
            "calibration",
            "cannot say",
        ),
        ({"controls": [control(0.95, 69)]}, "canaries", "fail"),
        ({"controls": [control(1.0, 72, "exact copy")]}, "canaries", "fail"),
        ({"controls": [control(1.0, 1, "exact copy", num=1)]}, "canaries", "cannot say"),
        ({"controls": []}, "canaries", "cannot say"),
        ({"risks": {"singling-out": risk(exact(80, 500), exact(78, 500))}}, "risk of singling-out", "fail"),
        ({"risks": {"singling-out": risk(exact(0, 8), exact(0, 8))}}, "risk of singling-out", "cannot say"),
        ({"attacks": [attack(0.65, 0.0001)]}, "inference: loss", "fail"),
        ({"attacks": [attack(0.35, 0.0001)]}, "inference: loss", "fail"),
        ({"guesses": guesses(LINKED, 400, 120)}, LINKED, "fail"),
        ({"guesses": guesses("EF band", 300, 80)}, "attribute inference: EF band", "fail"),
        ({"tails": {"videos": {0: 0.034, 1: 0.1}}}, "inference from videos: patients learned by heart", "fail"),
    ],
)
def test_each_finding_crosses_its_own_line(changed: dict[str, object], line: str, said: str) -> None:
    found = replace(GOOD, **changed)  # type: ignore[arg-type]
    assert crossed(found) == [line]
    public_part = public(found, checked(found), "0" * 64)
    assert public_part["verdict"] == "fail"
    assert public_part["conclusions"] == {"videos": said, "weights": "not examined"}


@pytest.mark.parametrize(("epsilon", "said"), [(0.3, "fail"), (8.0, "pass")])
def test_a_promise_of_differential_privacy_that_guesses_refute_condemns_the_weights(epsilon: float, said: str) -> None:
    """A model that knows 200 patients by heart, against promises that this refutes and that it cannot."""
    split = {f"p{i}": i < 200 for i in range(400)}
    draws, promise = np.random.default_rng(5), {"epsilon": epsilon, "delta": 1e-6}
    scores = {name: draws.normal() + 9.0 * is_in for name, is_in in split.items()}
    known = replace(attack(0.52, 0.3, "weights"), name="image model, loss", scores=scores)
    leaked = membership.leaked([known], split, promise)
    found = replace(GOOD, attacks=[*GOOD.attacks, known], promise=promise, leaked=leaked)
    assert crossed(found) == (["differential privacy"] if said == "fail" else [])
    public_part = public(found, checked(found), "0" * 64)
    assert public_part["conclusions"] == {"videos": "pass", "weights": said}
    assert public_part["image_model_epsilon"]["promised"] == epsilon
    assert membership.leaked(GOOD.attacks, split, None) is None


def test_weights_that_tell_whom_they_saw_do_not_condemn_the_videos() -> None:
    """As the shipped image model: AUC 0.73 from its weights, nothing from its videos."""
    found = replace(GOOD, attacks=[*GOOD.attacks, attack(0.73, 0.0001, "weights")], tails={})
    said = public(found, checked(found), "0" * 64)
    assert (said["verdict"], said["conclusions"]) == ("pass", {"videos": "pass", "weights": "fail"})


def test_a_kind_of_copy_that_is_missed_is_an_exception_of_the_verdict() -> None:
    missed = control(0.95, 40, "rotation", essential=False)
    found = replace(GOOD, controls=[*GOOD.controls, missed, control(0.95, 73, "mirror", essential=False)])
    said = public(found, checked(found), "0" * 64)
    assert said["verdict"] == "pass"
    assert said["exceptions"] == ["rotation 4 pixels: 40 of 73 caught, which shows at least 43 %"]
    assert said["conclusions"]["videos"].startswith("pass, except rotation 4 pixels")
    assert "not excluded: rotation" in said["warnings"][0]


def test_an_attack_that_beats_guessing_is_told_even_if_no_line_is_crossed() -> None:
    """Lower scores for training patients give them away just as higher ones do."""
    for auc, words in ((0.545, "0.545 (0.505 to 0.585)"), (0.455, "0.455 (0.415 to 0.495)")):
        found = replace(GOOD, attacks=[attack(auc, 0.0001)])
        assert crossed(found) == []
        told = public(found, checked(found), "0" * 64)["warnings"]
        assert len(told) == 1
        assert words in told[0]
    assert warnings(GOOD) == []
    assert "Do not release the weights" in warnings(replace(GOOD, attacks=[attack(0.73, 0.1, "weights")]))[0]


def test_an_attack_on_an_honest_set_is_chance_and_so_is_its_control() -> None:
    draws = np.random.default_rng(0)
    names, is_train = [str(i) for i in range(400)], np.arange(400) < 200
    honest = judged("x", "videos", draws.normal(size=400), names, is_train, 0)
    leaky = judged("x", "videos", draws.normal(size=400) + 4 * is_train, names, is_train, 0)
    for found in (honest.auc, honest.control_auc, leaky.control_auc):
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 0.5 <= found.high
    assert leaky.auc.low is not None
    assert leaky.auc.low > 0.95
    assert leaky.tpr.low is not None
    assert leaky.tpr.low > 0.02
    assert (leaky.members, leaky.others) == (200, 200)
    assert honest.p_value > 0.05
    assert leaky.p_value < 0.001
    turned = judged("x", "videos", -draws.normal(size=400) - 4 * is_train, names, is_train, 0)
    assert turned.auc.high is not None
    assert turned.auc.high < 0.05
    assert turned.tpr.value == pytest.approx(leaky.tpr.value, abs=0.1), "the attacker learns the sign"
    assert leaky.cohorts[20] > 0.999
    assert honest.cohorts[5] < 0.2
    few = judged("x", "videos", draws.normal(size=398), names[:398], is_train[:398], 0)
    assert few.tpr.value is None, "99 negatives say nothing of 1 %"


def people(num: int, draws: np.random.Generator) -> RealVideos:
    """Patients with an EF, a sex, an age and a site, half of them in TRAIN; nothing is seen of them."""
    told = [{"Sex": draws.choice(["F", "M"]), "age": f"{draws.integers(20, 90)}"} for _ in range(num)]
    efs = draws.uniform(20, 70, num).round(1).tolist()
    splits = ["TRAIN" if i % 2 else "TEST" for i in range(num)]
    records = [Record(f"p{i:03d}", ef=efs[i], split=splits[i], extra=told[i]) for i in range(num)]  # type: ignore[arg-type]
    return RealVideos(records, [None] * num)  # type: ignore[list-item]


def test_labels_that_copies_carry_over_are_noticed_and_labels_drawn_at_random_are_not() -> None:
    """200 training patients, each of 100 videos a copy of one with that patient's labels, or with anybody's."""
    draws = np.random.default_rng(3)
    archive, chance = people(400, draws), []
    for leaks in (True, *[False] * 40):
        nearest = draws.integers(0, 100, 400)
        nearest[1:200:2] = np.arange(100)
        sources = archive.records[1:200:2] if leaks else [archive.records[i] for i in draws.integers(0, 400, 100)]
        found = membership.inferred(archive, nearest, [*sources, None])
        assert list(found) == ["EF band", "sex", "age band"], "no site is known"
        if leaks:
            for excess in found.values():
                assert excess.risk.main.value > max(excess.risk.control.value, excess.naive) + 0.1
                assert excess.p_value < 0.001
        chance += [excess.p_value < 0.05 for excess in found.values() if not leaks]
    assert np.mean(chance) <= 0.06


def test_a_set_without_labels_gives_no_attribute_away() -> None:
    archive = people(20, np.random.default_rng(4))
    assert membership.inferred(archive, np.zeros(20, int), [None, Record("made")]) == {}


def held_out(scores: np.ndarray, patients: list[str]) -> Any:
    limit = SimpleNamespace(requested_rate=0.05)
    return SimpleNamespace(held_out_patients=patients, held_out=torch.from_numpy(scores), threshold=limit)


def test_innocents_are_tried_on_thresholds_that_others_set() -> None:
    draws, rates = np.random.default_rng(1), []
    for _ in range(20):
        found = false_rejection(held_out(draws.normal(size=200), [f"p{i:03d}" for i in range(200)]))
        rates.append(found.rate.value)
        assert found.p_value is None
    assert np.mean(rates) == pytest.approx(0.05, abs=0.012)
    assert false_rejection(held_out(np.zeros(2), ["a", "b"])).rate.num == 0


def test_a_threshold_of_val_that_is_wrong_for_test_is_seen_and_many_videos_of_a_patient_are_not_mistaken_for_that() -> (
    None
):
    """Two populations 1.5 sd apart; and 40 patients of ten alike videos, of whom nothing is wrong."""
    draws = np.random.default_rng(2)
    names = [f"p{i:03d}" for i in range(200)]
    split = {name: "TEST" if i % 2 else "VAL" for i, name in enumerate(names)}
    apart = draws.normal(size=200) + 1.5 * (np.arange(200) % 2)
    found = false_rejection(held_out(apart, names), split)
    assert found.p_value is not None
    assert found.p_value < 0.01
    p_values, held = [], []
    for _ in range(30):
        scores = np.repeat(draws.normal(size=40), 10) + 0.33 * draws.normal(size=400)
        found = false_rejection(held_out(scores, np.repeat(names[:40], 10).tolist()), split)
        assert found.p_value is not None
        p_values.append(found.p_value)
        held.append(found.rate.low <= 0.05 <= found.rate.high)
    assert np.mean(np.array(p_values) < 0.05) <= 0.1
    assert np.mean(held) > 0.8


@pytest.mark.slow
def test_a_model_is_attacked_with_what_it_was_taught(tmp_path: Path) -> None:
    """The shipped models learned end-diastolic stills and courses: so are they shown to them."""
    make_phantom(tmp_path / "real", num=3, seed=5, num_frames=64, fps=32.0)
    models, cpu = weights.find_all(weights.shipped(), ("vae", "lidm", "lvdm"), "a4c"), torch.device("cpu")
    encoder, index = codec(models["vae"], cpu), filelist.VideoIndex(tmp_path / "real")
    records, read = filelist.read(tmp_path / "real"), from_videos(tmp_path / "real", encoder)
    archive = RealVideos(records, [read(record, False) for record in records])
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
