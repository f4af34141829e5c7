"""The models that ship, as the page uses them."""

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import filelist, latents, stills, video
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.demo.limits import Limits
from echosyn.pipeline.demo.session import Asked, Studio
from echosyn.pipeline.demo.temporary_files import described
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.privacy_filter import reference_frames
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import GenerateSettings

NUM_TRAIN, NUM_HELD_OUT = 6000, 250


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(weights.shipped(), device="cpu")


def test_training_hearts_are_rejected_and_held_out_ones_are_not(studio):
    given = reference_frames.of_models(weights.shipped(), "psax")
    screen = Screens.of({"reid": weights.find(weights.shipped(), "reid")}).of_stills(given, Compute("cpu"))
    assert not screen.judge(torch.cat(list(given.train[:20]))).kept.any()
    assert screen.judge(torch.cat(list(given.held_out[:40]))).kept.float().mean() > 0.8


def test_a_verdict_has_numbers_and_no_names(studio):
    verdict = studio.invent("a4c", 7).verdict
    assert verdict.status == "kept"
    assert verdict.score < verdict.threshold
    assert (verdict.num_train, verdict.num_held_out, verdict.enough) == (NUM_TRAIN, NUM_HELD_OUT, True)
    assert list(verdict.strangers) == sorted(verdict.strangers)
    assert not any(isinstance(value, str) and value != "kept" for value in vars(verdict).values())


@pytest.mark.slow
def test_a_dataset_with_the_same_heart_shows_the_same_but_for_a_grey_level(studio, tmp_path):
    made = studio.beat("a4c", 7, Asked(61.26, 64))
    video.write_avi(tmp_path / "ours.avi", made.frames, 32.0)
    ours = video.read(tmp_path / "ours.avi").grey()
    models = weights.find_all(weights.shipped(), ("vae", "lidm", "lvdm"), "a4c")
    generate(
        tmp_path / "out",
        models,
        GenerateSettings(num=1, seed=7, num_frames=64, ef=f"{made.requested_ef:g}"),
        Compute(device="cpu"),
    )
    theirs = video.read(tmp_path / "out" / "Videos" / f"{stills.name(0)}.avi").grey()
    # the page waits for one heart and computes with all threads; a dataset computes eight at a time with one thread each
    assert np.abs(theirs.astype(int) - ours).max() <= 4, "a grey level before a lossy file"
    assert filelist.read(tmp_path / "out")[0].ef == made.requested_ef


def test_a_rejected_heart_does_not_beat(studio, monkeypatch):
    heart = studio.invent("a4c", 7)
    monkeypatch.setitem(studio._hearts, ("a4c", 7), _rejected(heart))
    with pytest.raises(ConfigError, match="rejected"):
        studio.beat("a4c", 7, Asked(50))


def _rejected(heart):
    from dataclasses import replace

    return replace(heart, verdict=replace(heart.verdict, status="rejected"))


def test_a_heart_of_somebodys_frame_is_marked(studio):
    frame = studio.invent("psax", 1).picture
    made = studio.animate(frame, Asked(40, 16), "PSAX")
    assert made.recipe is None
    assert '"deidentified": false' in described(made, deidentified=False)


def test_on_step_stops_the_sampler(studio):
    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        studio.invent("a4c", 123456, stop)
    with pytest.raises(InterruptedError):
        studio.beat("a4c", 7, Asked(50, 16), stop)


def test_without_references_a_heart_is_not_checked(tmp_path):
    for name in ("vae", "lvdm", "reid"):
        (tmp_path / name).symlink_to(weights.shipped() / name)
    (tmp_path / "lidm").symlink_to(weights.shipped() / "lidm_psax")
    alone = Studio(tmp_path, device="cpu")
    assert alone.variants == [None]
    assert alone.view(None) == "PSAX"
    assert alone.invent(None, 0).verdict.status == "unchecked"


def test_with_ones_own_reference_hearts_are_compared_with_that(tmp_path):
    given = reference_frames.of_models(weights.shipped(), "a4c")
    frames = [*given.train[:30], *given.held_out[:30]]
    records = [Record(f"v{i:02d}", split="TRAIN" if i < 30 else "TEST", num_frames=1) for i in range(60)]
    for record, frame in zip(records, frames, strict=True):
        latents.write(tmp_path, record, frame)
    latents.write_info(tmp_path, vae=given.vae, pixels="symmetric", posterior="mean")
    filelist.write(tmp_path, records)
    found = Studio(weights.shipped(), tmp_path, device="cpu").invent("a4c", 7).verdict
    assert (found.num_train, found.num_held_out) == (30, 30)
    assert found.status in ("kept", "rejected")
    assert "any of the 30 training patients" in found.words
    latents.write_info(tmp_path, vae="0" * 64, pixels="symmetric", posterior="mean")
    with pytest.raises(DataError, match="another VAE"):
        Studio(weights.shipped(), tmp_path, device="cpu").invent("a4c", 7)


@pytest.mark.parametrize("value", [63, 193, 64.5, "64", None, True, float("nan"), float("inf"), [64]])
def test_frames_are_bounded(value):
    with pytest.raises(ConfigError, match="frames"):
        Limits().whole("frames", value)
