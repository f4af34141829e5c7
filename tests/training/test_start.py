"""Trainings that start from a model: it is the model's network that goes on, and what was in it stays known."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn import weights
from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.data.splits import Split
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.pipeline import starting, trained_on
from echosyn.pipeline.models import check_same_vae
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import EncodeSettings
from echosyn.settings.whole import WholeSettings
from echosyn.training import catalog

CPU = Compute("cpu")


def equal(a: Any, b: Any, prefix: str = "") -> bool:
    one, other = a.state_dict(), b.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one if name.startswith(prefix))


@pytest.mark.parametrize(
    ("stage", "model"), [("vae", "vae"), ("lidm", "lidm_psax"), ("lvdm", "lvdm"), ("reid", "reid")]
)
def test_the_network_is_that_of_the_model_and_learns(stage: str, model: str) -> None:
    settings = catalog.settings(stage, "adapt", overrides=[f"start=shipped/{model}"])
    begun = catalog.create(stage, settings)
    assert equal(begun.network, weights.load(weights.shipped() / model, stage))
    assert begun.network.training
    assert all(p.requires_grad for objective in begun.objectives().values() for p in objective.parameters)


def test_a_network_beside_a_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave network out"):
        catalog.settings("vae", "adapt", overrides=["start=shipped", "network.patch_size=2"])


def test_a_model_of_another_stage_is_refused() -> None:
    with pytest.raises(ModelError, match="expected a lidm model"):
        catalog.settings("lidm", "adapt", overrides=["start=shipped/vae"])


@pytest.fixture
def first(video_dataset: Path, settings_of: Callable[..., Any], tmp_path: Path) -> Path:
    """A VAE that was trained on a dataset."""
    train("vae", video_dataset, tmp_path / "first", settings=settings_of("vae"), compute=CPU)
    return tmp_path / "first" / "model"


def adapted(data: Path, out: Path, settings: Any, first: Path, **changed: Any) -> Path:
    network = weights.load(first, "vae").config
    named = {"_class_name": "AutoencoderKL"} | {k: v for k, v in network.items() if not k.startswith("_")}
    settings = settings.model_copy(update={"start": str(first), "network": named} | changed)
    train("vae", data, out, settings=settings, compute=CPU)
    return out / "model"


def test_with_a_frozen_encoder_the_latents_stay(
    first: Path, video_dataset: Path, settings_of: Callable[..., Any], tmp_path: Path
) -> None:
    second = adapted(video_dataset, tmp_path / "second", settings_of("vae"), first, freeze_encoder=True)
    before, after = weights.load(first, "vae"), weights.load(second, "vae")
    assert equal(before, after, "encoder.")
    assert not equal(before, after, "decoder.")
    assert before.config.scaling_factor == after.config.scaling_factor
    check_same_vae(tmp_path, weights.weights_hash(first), second)  # what was trained on its latents goes on
    made = [tmp_path / "one", tmp_path / "other"]
    for out, vae in zip(made, (first, second), strict=True):
        encode(video_dataset, out, vae, EncodeSettings(mean=True, any_scale=True), CPU)
    files = [sorted((out / "Latents").iterdir()) for out in made]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]
    assert (made[0] / "latents.json").read_text() == (made[1] / "latents.json").read_text()


def test_without_it_they_are_others(
    first: Path, video_dataset: Path, settings_of: Callable[..., Any], tmp_path: Path
) -> None:
    second = adapted(video_dataset, tmp_path / "second", settings_of("vae"), first)
    assert not equal(weights.load(first, "vae"), weights.load(second, "vae"), "encoder.")
    with pytest.raises(ModelError, match="another VAE"):
        check_same_vae(tmp_path, weights.weights_hash(first), second)


def test_a_random_encoder_is_not_frozen(settings_of: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="expected start"):
        catalog.create("vae", settings_of("vae", freeze_encoder=True))


def test_patients_of_the_first_training_are_known_to_the_second(
    first: Path, video_dataset: Path, settings_of: Callable[..., Any], tmp_path: Path
) -> None:
    others = tmp_path / "others"
    shutil.copytree(video_dataset, others)
    renamed = [Record(f"x{r.name}", **{k: v for k, v in vars(r).items() if k != "name"}) for r in filelist.read(others)]
    for record in renamed:
        (path,) = (others / "Videos").glob(f"{record.name[1:]}.*")
        path.rename(path.with_name(f"x{path.name}"))
    filelist.write(others, renamed)
    second = adapted(others, tmp_path / "second", settings_of("vae"), first)
    for records in (filelist.read(video_dataset), renamed):
        with pytest.raises(DataError, match="was trained on"):
            trained_on.refuse_seen([second], [r for r in records if r.split == "TRAIN"])
    assert trained_on.refuse_seen([second], [Record("stranger")]) == []
    (first / trained_on.TRAINED_ON).unlink()
    (first.parent / trained_on.RUN).unlink()
    third = adapted(others, tmp_path / "third", settings_of("vae"), first)
    assert trained_on.refuse_seen([third], [Record("stranger")]) == [third]  # it cannot say


@pytest.mark.parametrize(
    ("asked", "start"),
    [
        (WholeSettings(), weights.shipped()),
        (WholeSettings(preset="adapt"), weights.shipped()),
        (WholeSettings(preset="phantom"), None),
        (WholeSettings(overrides=("vae.network.patch_size=2",)), None),
        (WholeSettings(start="none"), None),
        (WholeSettings(start="mine", preset="phantom"), Path("mine")),
    ],
)
def test_a_run_starts_from_the_shipped_models_unless_it_is_told_of_others(
    asked: WholeSettings, start: Path | None
) -> None:
    assert starting.folder(asked) == start


@pytest.mark.parametrize(("view", "model"), [("A4C", "lidm_a4c"), ("PSAX", "lidm_psax"), ("A2C", "lidm_a4c")])
def test_the_view_of_the_recordings_chooses_the_image_model(view: str, model: str) -> None:
    records = [Record("a", extra={"View": view})]
    settings = starting.settings(WholeSettings(), weights.shipped(), records)
    assert settings["lidm"].start == f"shipped/{model}"
    assert settings["ef"].start is None


def test_look_only_leaves_image_and_video_model_alone() -> None:
    asked = WholeSettings(look_only=True)
    kept = starting.kept(asked, weights.shipped(), [Record("a")])
    assert kept == {"lidm": weights.shipped() / "lidm_a4c", "lvdm": weights.shipped() / "lvdm"}
    assert starting.settings(asked, weights.shipped(), [Record("a")])["vae"].model_dump()["freeze_encoder"]
    with pytest.raises(ConfigError, match="--look-only"):
        starting.folder(WholeSettings(look_only=True, start="none"))


@pytest.mark.parametrize(("split", "select"), [("VAL", "best"), ("TEST", "last")])
def test_the_patients_of_the_final_test_choose_no_weights(split: Split, select: str) -> None:
    settings = starting.settings(WholeSettings(), weights.shipped(), [Record("a", split=split)])
    assert {stage: settings[stage].loop.select for stage in starting.TRAINED} == dict.fromkeys(starting.TRAINED, select)
    assert settings["ef"].loop.select == "last"  # by the protocol of `evaluate`
    assert (settings["lidm"].loop.patience is None) == (select == "last")
