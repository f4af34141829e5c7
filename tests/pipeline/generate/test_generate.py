"""Finding samples that pass the filter, and what a heart, its EF and its motion depend on."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from echosyn import rng, weights
from echosyn.data import filelist, stills, video
from echosyn.diffusion.pipelines import LatentImagePipeline, LatentVideoPipeline
from echosyn.errors import ConfigError, ModelError
from echosyn.pipeline.audit.audit import audit
from echosyn.pipeline.audit.withdraw import withdraw
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.animate import write_videos
from echosyn.pipeline.generate.animation import EFDistribution, Motion, ef_from, ef_range, motion_for
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.generate.sample import invent, sample
from echosyn.pipeline.models import check_same_vae, image_pipeline, video_pipeline
from echosyn.pipeline.privacy_filter.calibrate import calibrate
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.judging import AuditSettings, WithdrawSettings
from echosyn.settings.making import AnimationSettings, CalibrateSettings, GenerateSettings, SampleSettings

Build = Callable[..., Any]
CPU = torch.device("cpu")


# Hearts


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, build: Build) -> Path:
    folder = tmp_path_factory.mktemp("models")
    flow = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler"})
    weights.save(build("vae"), folder / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    weights.save(build("lidm"), folder / "lidm", weights.Facts(stage="lidm", num_inference_steps=2), flow)
    facts = weights.Facts(stage="lvdm", fps=25.0, num_inference_steps=2, drop_conditions=0.1, guidance_scale=2.0)
    facts = facts.model_copy(update={"vae": weights.weights_hash(folder / "vae")})
    weights.save(build("lvdm"), folder / "lvdm", facts, flow)
    return folder


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_heart_is_the_same_in_every_batch_size(models: Path, batch_size: int) -> None:
    pipeline = image_pipeline(models / "lidm", CPU)
    whole, parts = (invent(pipeline, range(7), 3, 2, size) for size in (7, batch_size))
    assert whole.shape == (7, 4, 4, 4)
    assert torch.allclose(whole, parts, atol=1e-5)
    assert torch.allclose(invent(pipeline, [5, 2], 3, 2), whole[[5, 2]], atol=1e-5)


def test_fewer_candidates_are_the_first_of_more(models: Path, tmp_path: Path) -> None:
    for num in (3, 5):
        sample(
            tmp_path / str(num), models / "lidm", SampleSettings(num=num, seed=4, batch_size=num), Compute(device="cpu")
        )
    few, many = (stills.read(tmp_path / str(num)) for num in (3, 5))
    assert (few[0], many[0]) == ([0, 1, 2], [0, 1, 2, 3, 4])
    assert torch.allclose(few[1], many[1][:3], atol=1e-5)


def test_nothing_is_sampled_from_wrong_numbers(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected at least 1"):
        sample(tmp_path / "x", models / "lidm", SampleSettings(num=0, seed=0))


# Ejection fractions


@given(st.integers(0, 99), st.integers(0, 999), st.floats(0, 100), st.floats(0, 100))
def test_an_ef_is_the_items_own_in_range_and_exactly_what_the_label_says(
    seed: int, index: int, a: float, b: float
) -> None:
    low, high = sorted((round(a, 1), round(b, 1)))
    for efs in (EFDistribution(low, high), EFDistribution(low, high, (20.0, 60.0))):
        ef = efs.draw(seed, index)
        assert low <= ef <= high
        assert ef == efs.draw(seed, index) == round(ef, 1)


def test_efs_are_uniform_or_follow_the_real_ones():
    uniform = np.array([EFDistribution().draw(0, i) for i in range(2000)])
    assert np.histogram(uniform, bins=4, range=(10, 90))[0] == pytest.approx([500] * 4, abs=80)
    real = np.array([EFDistribution(5, 90, (0, 0, 1, 0, 0, 0, 2, 0, 0, 0)).draw(0, i) for i in range(2000)])
    assert (real < 45).mean() == pytest.approx(1 / 3, abs=0.05)
    assert real[real < 45].mean() == pytest.approx(26.25, abs=0.5)  # the middle of its bin
    assert real[real < 45].std() == pytest.approx(
        8.5 / np.sqrt(6), abs=0.2
    )  # a triangle over it and half of its neighbours


def test_efs_from_a_dataset_are_its_train_labels(latents_folder: Path) -> None:
    records = filelist.read(latents_folder)
    efs = [r.ef for r in records if r.split == "TRAIN"]
    assert ef_from(latents_folder).counts == tuple(np.histogram(efs, 10, (5, 90))[0])


@pytest.mark.parametrize(("text", "bounds"), [("10..90", (10, 90)), ("55", (55, 55)), ("0..100", (0, 100))])
def test_ranges_of_efs_are_read(text: str, bounds: tuple[float, float]) -> None:
    assert (ef_range(text).low, ef_range(text).high) == bounds


@pytest.mark.parametrize("text", ["90..10", "10..101", "-5..10", "half", "10-90", "", "nan"])
def test_wrong_ranges_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--ef .*expected"):
        ef_range(text)


# Videos


def videos(models: Path, folder: Path, indices: list[int], batch_size: int) -> list[Any]:
    folder.mkdir(exist_ok=True)
    pipeline = video_pipeline(models / "lvdm", models / "vae", CPU)
    hearts = rng.normal((4, 4, 4), 0, "test hearts", indices)
    motion = Motion(10, 2, 2.0, batch_size)
    return write_videos(pipeline, indices, hearts, 5, EFDistribution(), motion, folder)


def test_a_video_is_the_same_whatever_else_is_made(models: Path, tmp_path: Path) -> None:
    whole = videos(models, tmp_path / "a", [2, 3, 7, 8], 4)
    some = videos(models, tmp_path / "b", [7, 3], 1)
    assert [r.name for r in whole] == [stills.name(i) for i in (2, 3, 7, 8)]
    assert {r.name: r.ef for r in some}.items() <= {r.name: r.ef for r in whole}.items()
    for record in some:
        a, b = (video.read(tmp_path / f / "Videos" / f"{record.name}.avi").grey() for f in "ab")
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 4  # a grey level before a lossy file


def test_the_file_list_says_what_was_asked_for(models: Path, tmp_path: Path) -> None:
    written = videos(models, tmp_path / "a", [0, 1, 2], 2)
    assert filelist.read(tmp_path / "a") == written
    for i, record in enumerate(written):
        assert record.ef == EFDistribution().draw(5, i)
        assert (record.num_frames, record.fps, record.height, record.width) == (10, 25.0, 32, 32)
        assert video.probe(tmp_path / "a" / "Videos" / f"{record.name}.avi")[:3] == (10, 32, 32)
    assert [r.split for r in written] == ["TRAIN", "VAL", "TEST"]


def test_finished_videos_are_not_made_again(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos(models, tmp_path / "a", [0, 1, 2], 2)
    made: list[int] = []
    honest = LatentVideoPipeline.__call__

    def counting(self: Any, hearts: Tensor, *args: Any, **kwargs: Any) -> Any:
        made.append(len(hearts))
        return honest(self, hearts, *args, **kwargs)

    monkeypatch.setattr(LatentVideoPipeline, "__call__", counting)
    (tmp_path / "a" / "Videos" / f"{stills.name(2)}.avi").unlink()
    videos(models, tmp_path / "a", [0, 1, 2], 2)
    assert made == [1]


def test_motion_comes_from_the_model_unless_it_is_asked_for(models: Path) -> None:
    assert motion_for(models / "lvdm", AnimationSettings(num_frames=64)) == Motion(64, 2, 2.0, 8)
    asked = AnimationSettings(num_frames=64, steps=9, guidance_scale=0.0, batch_size=3)
    assert motion_for(models / "lvdm", asked) == Motion(64, 9, 0.0, 3)
    with pytest.raises(ConfigError, match="expected at least 1"):
        motion_for(models / "lvdm", AnimationSettings(num_frames=0))


# Models that belong together


def test_models_become_pipelines_with_their_facts(models: Path) -> None:
    pipeline = video_pipeline(models / "lvdm", models / "vae", CPU)
    assert (pipeline.config.fps, pipeline.config.pixels, pipeline.config.guidance) == (25.0, "symmetric", True)
    assert isinstance(image_pipeline(models / "lidm", CPU), LatentImagePipeline)


def test_another_vae_is_refused(models: Path, build: Build, tmp_path: Path) -> None:
    weights.save(build("vae", 1), tmp_path / "vae", weights.Facts(stage="vae"))
    with pytest.raises(ModelError, match="was made with another VAE"):
        video_pipeline(models / "lvdm", tmp_path / "vae", CPU)
    check_same_vae(models, None, tmp_path / "vae")
    check_same_vae(models, "None", tmp_path / "vae")


@pytest.mark.parametrize("verb", ["generate", "calibrate", "audit", "withdraw"])
def test_a_screen_is_refused_whose_two_models_do_not_belong_together(
    verb: str, tiny_models: Path, video_dataset: Path, build: Build, tmp_path: Path
) -> None:
    """Latents and Re-ID model are of one VAE, the VAE that is given is another."""
    weights.save(build("vae", 1), tmp_path / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    facts = weights.load_facts(tiny_models / "lvdm").model_copy(update={"vae": None})
    flow = weights.load_scheduler(tiny_models / "lvdm")
    weights.save(build("lvdm"), tmp_path / "lvdm", facts, flow)  # does not say of which VAE its latents were
    given = {stage: tiny_models / stage for stage in ("lidm", "reid")} | {s: tmp_path / s for s in ("vae", "lvdm")}
    pair = {stage: given[stage] for stage in ("vae", "reid")}
    out, real, latents, cpu = tmp_path / "out", video_dataset, tiny_models / "latents", Compute("cpu")
    wanted = GenerateSettings(num=2, num_frames=8, reference=latents, real=real)
    with new_folder(tmp_path / "made", "generate") as made:
        shutil.copytree(real, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns("provenance.json"))
    verbs: dict[str, Callable[[], object]] = {
        "generate": lambda: generate(out, given, wanted, cpu),
        "calibrate": lambda: calibrate(out, pair, CalibrateSettings(reference=latents, real=real), cpu),
        "audit": lambda: audit(real, real, out, pair, AuditSettings(), cpu),
        "withdraw": lambda: withdraw(tmp_path / "made", real, out, pair, WithdrawSettings(too_close=True), cpu),
    }
    with pytest.raises(ModelError, match="was made with another VAE"):
        verbs[verb]()
    assert not list(tmp_path.glob("out*")), "nothing is written"
