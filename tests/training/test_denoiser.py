"""What the video model is told, trained and sampled end to end; and its judgement on held-out videos."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate as collate

from echosyn import rng, weights
from echosyn.data import filelist, latents, stills, video
from echosyn.data.records import Record
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.diffusion.rhythm import Rhythm, contractions
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.generate.animate import animate
from echosyn.pipeline.generate.animation import conditions_of
from echosyn.pipeline.train import mixture
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import AnimateSettings
from echosyn.training import catalog

SettingsOf = Callable[..., Any]
CONDITIONS = [
    {"name": "ef", "unit": "percent", "range": [0, 100]},
    {"name": "heart_rate", "column": "HeartRate", "unit": "beats/min", "range": [30, 230], "drop": 0.3},
    {"name": "view", "choices": ["A4C", "PSAX"]},
]


@pytest.fixture
def labelled(latents_folder: Path, tmp_path: Path) -> Path:
    """The latents of ten videos with two more columns; the heart rate of some is not known."""
    folder = tmp_path / "labelled"
    shutil.copytree(latents_folder, folder)
    records = [
        replace(r, extra={"View": ("A4C", "PSAX")[i % 2]} | ({"HeartRate": str(60 + 5 * i)} if i % 3 else {}))
        for i, r in enumerate(filelist.read(folder))
    ]
    filelist.write(folder, records)
    return folder


def items_of(settings: Any, folder: Path, name: str = "lvdm") -> tuple[Any, Any]:
    stage = catalog.create(name, settings)
    return stage, stage.items(folder, [r for r in filelist.read(folder) if r.split == "TRAIN"])


# Conditions


def test_a_new_condition_is_one_entry_and_trains_and_samples(
    labelled: Path, settings_of: SettingsOf, build: Callable[..., Any], tmp_path: Path
) -> None:
    settings = settings_of("lvdm", {"steps": 2}, conditions=CONDITIONS, num_inference_steps=1)
    train("lvdm", labelled, tmp_path / "lvdm", settings=settings, compute=Compute("cpu"))
    facts = weights.load_facts(tmp_path / "lvdm" / "model")
    assert [(c.name, c.drop) for c in facts.conditions] == [("ef", 0.1), ("heart_rate", 0.3), ("view", 0.1)]
    vae = tmp_path / "vae"
    weights.save(build("vae"), vae, weights.Facts(stage="vae", pixels="symmetric"))
    facts_path = tmp_path / "lvdm" / "model" / weights.FACTS
    facts_path.write_text(facts.model_copy(update={"vae": None}).model_dump_json(exclude_none=True))
    kept = tmp_path / "kept"
    kept.mkdir()
    stills.write(kept, [0, 1], rng.normal((4, 4, 4), 0, "still", range(2)))
    asked = ("heart_rate=70", "view=PSAX")
    animate(
        kept,
        tmp_path / "out",
        {"lvdm": tmp_path / "lvdm", "vae": vae},
        AnimateSettings(seed=0, num_frames=8, conditions=asked),
        Compute(device="cpu"),
    )
    made = filelist.read(tmp_path / "out")
    assert [dict(r.extra) for r in made] == [{"HeartRate": "70", "view": "PSAX"}] * 2


def test_every_condition_reaches_the_network_and_changes_its_output(
    labelled: Path, settings_of: SettingsOf, build: Callable[..., Any]
) -> None:
    stage, items = items_of(settings_of("lvdm", conditions=CONDITIONS, drop_conditions=0.0), labelled)
    assert stage.network.config.num_conditions == 4
    stage.network = build("lvdm", num_conditions=4)
    batch = collate([items[g] for g in range(4)])
    batch["heart_rate"] = torch.full((4,), 80.0)
    batch["index"] = torch.tensor([g for g in range(99) if stage._draws([g], (1,))["uniform"][0, 1] > 0.3][:4])
    with torch.no_grad():
        plain = float(stage.loss(batch)["loss"])
        for name, value in {"ef": 99.0, "heart_rate": 200.0, "view": 1.0}.items():
            other = batch | {name: torch.full((4,), value)}
            if name == "view":
                other[name] = 1 - batch[name]
            assert float(stage.loss(other)["loss"]) != plain


def test_labels_that_make_no_sense_say_which_video(labelled: Path, settings_of: SettingsOf) -> None:
    bad = [CONDITIONS[0], {"name": "view", "choices": ["A4C", "PLAX"]}]
    with pytest.raises(DataError, match=r"FileList\.csv: video v01: view is 'PSAX'; did you mean|expected one of"):
        items_of(settings_of("lvdm", conditions=bad), labelled)
    missing = [CONDITIONS[0], {"name": "age", "range": [0, 120]}]
    with pytest.raises(DataError, match="no TRAIN video has a value in column age"):
        items_of(settings_of("lvdm", conditions=missing), labelled)


def test_the_published_unet_takes_one_number(settings_of: SettingsOf) -> None:
    network = {"_class_name": "UNetSpatioTemporalConditionModel", "cross_attention_dim": 1}
    with pytest.raises(ConfigError, match="4 inputs, but UNetSpatioTemporalConditionModel takes one, the EF"):
        catalog.create("lvdm", settings_of("lvdm", network=network, conditions=CONDITIONS))


def test_a_number_of_inputs_that_does_not_fit_is_refused(
    settings_of: SettingsOf, configs: dict[str, dict[str, Any]]
) -> None:
    with pytest.raises(ConfigError, match="num_conditions = 2: the conditions have 4 inputs"):
        catalog.create(
            "lvdm", settings_of("lvdm", network=configs["lvdm"] | {"num_conditions": 2}, conditions=CONDITIONS)
        )


@pytest.mark.parametrize("text", ["heart_rate", "=3", "view=", "ef=30"])
def test_a_condition_is_a_name_and_a_value(text: str) -> None:
    with pytest.raises(ConfigError, match="expected NAME=VALUE"):
        conditions_of([text])


# Several folders


@pytest.mark.parametrize("stage", ["lidm", "lvdm"])
def test_a_training_on_two_folders_says_so(
    stage: str, labelled: Path, latents_folder: Path, settings_of: SettingsOf, tmp_path: Path
) -> None:
    also = [mixture.parse(f"{labelled}=0.5")]
    train(
        stage,
        latents_folder,
        tmp_path / "run",
        settings=settings_of(stage, {"steps": 2}),
        also=also,
        compute=Compute("cpu"),
    )
    assert '"weight": 0.5' in (tmp_path / "run" / "run.json").read_text()


def test_latents_of_another_vae_and_stages_of_one_folder_are_refused(
    labelled: Path, latents_folder: Path, settings_of: SettingsOf, tmp_path: Path
) -> None:
    from echosyn.data import latents

    with pytest.raises(ConfigError, match="the reid learns from one folder; only vae, lidm, lvdm mix"):
        train("reid", latents_folder, tmp_path / "x", settings=settings_of("reid"), also=[mixture.Source(labelled)])
    latents.write_info(labelled, vae="1" * 64)
    with pytest.raises(DataError, match="latents of another VAE than"):
        train("lidm", latents_folder, tmp_path / "x", settings=settings_of("lidm"), also=[mixture.Source(labelled)])
    assert not (tmp_path / "x").exists()


def test_a_folder_without_weight_counts_by_its_videos(latents_folder: Path, settings_of: SettingsOf) -> None:
    stage = catalog.create("lidm", settings_of("lidm"))
    records = filelist.read(latents_folder)[:4]
    mixed, _, said = mixture.items(stage, latents_folder, records, [mixture.Source(latents_folder)])
    assert said[0]["weight"] == 8 / 4
    assert mixed.shares == [333, 667]


def test_the_data_sets_of_the_settings_are_all_learned_from(
    labelled: Path, latents_folder: Path, settings_of: SettingsOf, tmp_path: Path
) -> None:
    both = settings_of("lvdm", {"steps": 2}, datasets=[str(latents_folder), str(labelled)])
    train("lvdm", latents_folder, tmp_path / "run", settings=both, compute=Compute("cpu"))
    (said,) = json.loads((tmp_path / "run" / "run.json").read_text())["also"]
    assert said["videos"] == [r.name for r in filelist.read(labelled) if r.split == "TRAIN"]
    assert [s.folder for s in mixture.sources(labelled, [], both.datasets)] == [latents_folder]
    asked = [mixture.Source(tmp_path)]
    assert mixture.sources(tmp_path / "other", asked, both.datasets) == asked  # the command line has the last word
    with pytest.raises(ConfigError, match=r"datasets: .* and .*other is none of them; train on one of these") as error:
        train("lvdm", tmp_path / "other", tmp_path / "x", settings=both, compute=Compute("cpu"))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x").exists()


def test_original_takes_every_frame_of_every_video(latents_folder: Path, settings_of: SettingsOf) -> None:
    seen: dict[Any, set[int]] = {}
    for fps in ("original", 25):
        stage = catalog.create("lidm", settings_of("lidm", fps=fps))
        records = [r for r in filelist.read(latents_folder) if r.name == "v05"]  # 25 frames at 50 a second
        items = stage.items(latents_folder, records)
        frames = [items[g]["latents"][0, 0, 0, 0] for g in range(300)]
        seen[fps] = {round(100 * (float(x) - 5)) for x in frames}
    assert seen["original"] == set(range(25))
    assert len(seen[25]) == 12


def test_a_perturbed_input_leaves_the_target_and_the_other_draws(
    latents_folder: Path, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[float, Any] = {}
    for strength in (0.0, 0.5):
        stage = catalog.create("lidm", settings_of("lidm", input_perturbation=strength, noise_offset=0.1))
        batch = collate([stage.items(latents_folder, filelist.read(latents_folder))[g] for g in range(64)])
        seen: list[Any] = []
        monkeypatch.setattr(stage, "_predict", lambda _, x_t, t, kept, seen=seen: seen.append((x_t, t)) or x_t)
        loss = stage.loss(batch)["loss"]
        shown[strength] = *seen[0], stage._draws(batch["index"].tolist(), tuple(batch["latents"].shape[1:])), loss
    (plain, t, draws, loss), (perturbed, same, again, other) = shown[0.0], shown[0.5]
    assert t.equal(same)
    assert all(torch.equal(values, again[name]) for name, values in draws.items())
    assert 0.1 < float(again["more"].std()) < 0.5  # half of uniform times normal
    expected = t.view(-1, 1, 1, 1, 1) / 1000 * again["more"]  # in a flow the input is (1 - t) x0 + t eps
    assert torch.allclose(perturbed - plain, expected, atol=1e-5)
    # what "predicts" its input is off by the perturbation, and only by it
    x0, eps = batch["latents"], draws["eps"]
    assert float(loss) == pytest.approx(float((plain - (eps - x0)).square().mean()), rel=1e-4)
    assert float(other) == pytest.approx(float((perturbed - (eps - x0)).square().mean()), rel=1e-4)


@pytest.mark.parametrize("text", ["x=0", "x=-1", "=2", "x=much", "x=inf"])
def test_a_weight_is_a_number_above_zero(text: str) -> None:
    with pytest.raises(ConfigError, match="expected FOLDER or FOLDER=WEIGHT"):
        mixture.parse(text)


# Judgement on held-out videos


@pytest.mark.parametrize("name", ["lidm", "lvdm"])
def test_the_held_out_loss_is_the_same_at_every_call_and_of_every_batch_order(
    name: str, latents_folder: Path, settings_of: SettingsOf, build: Callable[..., Any], tmp_path: Path
) -> None:
    stage = catalog.create(name, settings_of(name))
    stage.network = build(name)
    held_out = [r for r in filelist.read(latents_folder) if r.split != "TRAIN"]
    torch.manual_seed(1)
    first = stage.validate(latents_folder, held_out, tmp_path)
    torch.manual_seed(2)
    assert stage.validate(latents_folder, held_out, tmp_path) == first
    assert first["loss"] == pytest.approx(sum(v for k, v in first.items() if k != "loss") / 5)
    assert stage.criterion == ("loss", "min")
    assert not list(tmp_path.iterdir())
    assert stage.validate(latents_folder, [], tmp_path) == {}


def test_a_network_that_knows_the_target_has_no_held_out_loss(
    latents_folder: Path, settings_of: SettingsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from echosyn.training.stages import denoiser

    stage = catalog.create("lvdm", settings_of("lvdm"))
    targets: list[torch.Tensor] = []

    def spy(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x_t, target = honest(*arguments)
        targets.append(target)
        return x_t, target

    honest = denoiser.noised
    monkeypatch.setattr(denoiser, "noised", spy)
    monkeypatch.setattr(denoiser, "predict", lambda *_: targets[-1])
    held_out = [r for r in filelist.read(latents_folder) if r.split != "TRAIN"]
    assert stage.validate(latents_folder, held_out, tmp_path)["loss"] == 0


@pytest.mark.parametrize("name", ["lidm", "lvdm"])
def test_with_a_vae_there_are_pictures(
    name: str, labelled: Path, settings_of: SettingsOf, build: Callable[..., Any], tmp_path: Path
) -> None:
    from echosyn.data import latents

    vae, shown = tmp_path / "vae", tmp_path / "shown"
    weights.save(build("vae"), vae, weights.Facts(stage="vae", pixels="symmetric"))
    latents.write_info(labelled, vae=weights.weights_hash(vae), pixels="symmetric", posterior="mean")
    extra = {"conditions": CONDITIONS} if name == "lvdm" else {}
    stage = catalog.create(name, settings_of(name, vae=str(vae), num_inference_steps=1, **extra))
    records = filelist.read(labelled)
    stage.items(labelled, records)
    shown.mkdir()
    stage.validate(labelled, [r for r in records if r.split != "TRAIN"], shown)
    if name == "lidm":
        assert Image.open(shown / "stills.png").size == (4 * 32, 4 * 32)
        return
    assert Image.open(shown / "videos.png").size == (8 * 32, 4 * 32)
    frames = video.read(shown / "videos.mp4").grey()
    assert frames.shape == (8, 4 * 32, 2 * 32)


def test_the_pictures_need_the_vae_of_the_latents(
    latents_folder: Path, settings_of: SettingsOf, build: Callable[..., Any], tmp_path: Path
) -> None:
    weights.save(build("vae"), tmp_path / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    stage = catalog.create("lidm", settings_of("lidm", vae=str(tmp_path / "vae")))
    with pytest.raises(ConfigError, match="were made with another VAE; give that one"):
        stage.items(latents_folder, filelist.read(latents_folder))


# Courses

MODES = {
    "_class_name": "ModeUNet",
    "sample_size": 4,
    "num_frames": 64,
    "num_modes": 2,
    "block_out_channels": [8, 8],
    "layers_per_block": 1,
    "condition_width": 16,
    "course_width": 8,
}


@pytest.fixture
def beating(tmp_path: Path) -> Path:
    """Latents of ten hearts that beat every 16 frames, with their courses; a frame's first value is its course."""
    folder = tmp_path / "beating"
    for i, record in enumerate(hearts()):
        assert record.num_frames
        course = (1 - np.cos(2 * np.pi * (np.arange(record.num_frames) + i) / 16)) / 2
        content = rng.normal((4, 4, 4), i, "test latents", range(record.num_frames))
        content[:, 0, 0, 0] = torch.from_numpy(course)
        latents.write(folder, record, content, None if i == 3 else course)
    latents.write_info(folder, vae="0" * 64, pixels="symmetric", posterior="mean")
    filelist.write(folder, hearts())
    return folder


def hearts() -> list[Record]:
    return [
        Record(
            f"h{i}",
            ef=40.0 + i,
            height=32,
            width=32,
            fps=32.0,
            num_frames=48,
            split="VAL" if i > 7 else "TRAIN",
            extra={"View": ("A4C", "PSAX")[i % 2]},
        )
        for i in range(10)
    ]


def test_with_courses_stills_are_end_diastolic_and_every_frame_has_its_part(
    beating: Path, settings_of: SettingsOf
) -> None:
    stage, items = items_of(settings_of("lvdm", network=MODES, courses=True, num_frames=64), beating)
    assert len(items.records) == 7  # of one TRAIN heart the course is not known
    assert stage.network.beats.any()
    for item in (items[g] for g in range(20)):
        assert item["still"][0, 0, 0] < 0.05
        length = int(item["mask"].sum())
        assert torch.allclose(item["course"][:length], item["latents"][0, :length, 0, 0], atol=1e-6)
        assert item["course"].shape == (64,)
    _, images = items_of(settings_of("lidm", courses=True), beating, "lidm")
    assert all(images[g]["latents"][0, 0, 0, 0] < 0.05 for g in range(20))


def test_a_model_of_modes_trains_resumes_and_animates_hearts_of_the_learned_rate(
    beating: Path, settings_of: SettingsOf, build: Callable[..., Any], tmp_path: Path
) -> None:
    settings = settings_of("lvdm", {"steps": 3}, network=MODES, courses=True, num_frames=16, num_inference_steps=2)
    train("lvdm", beating, tmp_path / "lvdm", settings=settings, compute=Compute("cpu"))
    network = weights.load(tmp_path / "lvdm" / "model", "lvdm")
    course = Rhythm.from_array(network.beats.double().numpy()).draw(np.random.default_rng(0), 64, 32.0)
    assert np.diff(contractions(course)).mean() == pytest.approx(16, abs=0.5)
    pipeline = LatentVideoPipeline(None, network, weights.load_scheduler(tmp_path / "lvdm" / "model"))

    def made(ef: float, seed: int) -> torch.Tensor:
        generators = rng.generators(seed, "motion", [0])
        return pipeline(torch.zeros(1, 4, 4, 4), [ef], 20, num_inference_steps=2, generator=generators).latents

    assert made(30.0, 0).shape == (1, 4, 20, 4, 4)
    assert torch.equal(made(30.0, 0), made(30.0, 0))
    assert not torch.equal(made(30.0, 0), made(70.0, 0))
    assert not torch.equal(made(30.0, 0), made(30.0, 1))


def test_what_a_model_of_modes_lacks_is_said(beating: Path, latents_folder: Path, settings_of: SettingsOf) -> None:
    with pytest.raises(ConfigError, match="expected courses = true"):
        items_of(settings_of("lvdm", network=MODES), beating)
    with pytest.raises(DataError, match="--courses"):
        items_of(settings_of("lvdm", network=MODES, courses=True), latents_folder)


def test_only_the_videos_that_are_asked_for_are_learned_from(
    beating: Path, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of("lidm", {"steps": 1}, only={"View": "PSAX"})
    train("lidm", beating, tmp_path / "lidm", settings=settings, compute=Compute("cpu"))
    seen = json.loads((tmp_path / "lidm" / "run.json").read_text())
    assert seen["videos"] == ["h1", "h3", "h5", "h7"]
    assert seen["judged_on"] == ["h9"]
    assert weights.load_facts(tmp_path / "lidm" / "model").only == {"View": "PSAX"}
    with pytest.raises(DataError, match="no video has View = PLAX"):
        train(
            "lidm",
            beating,
            tmp_path / "no",
            settings=settings_of("lidm", only={"View": "PLAX"}),
            compute=Compute("cpu"),
        )
