"""What a stage learns from: its draws belong to the item, and its words mean what they say."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import binom
from torch import Tensor
from torch.utils.data import default_collate as collate

from echosyn import rng, weights
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError
from echosyn.pipeline.train import mixture
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.pixels import convention
from echosyn.training import catalog
from echosyn.training.ef_reading import to_input
from echosyn.training.loop import Training, fit
from echosyn.training.stages import denoiser, outline
from echosyn.training.stages.ef import augmented

SettingsOf = Callable[..., Any]


def train_records(folder: Path) -> list[Record]:
    return [r for r in filelist.read(folder) if r.split == "TRAIN"]


@pytest.fixture
def begun(settings_of: SettingsOf, latents_folder: Path, video_dataset: Path) -> Callable[..., Any]:
    """``begun(name, ...)``: a stage, its items, its folder."""

    def make(name: str, loop: dict[str, Any] | None = None, **changed: Any) -> tuple[Any, Any, Path]:
        stage = catalog.create(name, settings_of(name, loop, **changed))
        data = latents_folder if stage.needs_latents else video_dataset
        return stage, stage.items(data, train_records(data)), data

    return make


def clip_batch(indices: list[int], frames: int = 1, lengths: list[int] | None = None) -> dict[str, Any]:
    """Latent clips that depend on their index alone."""
    mask = torch.ones(len(indices), frames)
    for row, length in zip(mask, lengths or [frames] * len(indices), strict=True):
        row[length:] = 0
    return {
        "latents": rng.normal((4, frames, 4, 4), 0, "clip", indices) * mask[:, None, :, None, None],
        "still": rng.normal((4, 4, 4), 0, "still", indices),
        "ef": torch.tensor([float(i % 100) for i in indices]),
        "mask": mask,
        "index": torch.tensor(indices),
    }


# Every stage


@pytest.mark.parametrize("name", list(catalog.STAGES))
def test_every_stage_trains_and_exports_a_model_folder_that_loads(
    name: str, begun: Callable[..., Any], tmp_path: Path
) -> None:
    stage, items, _ = begun(name, {"steps": 2})
    training = Training(stage, stage.settings.loop)
    metrics = list(fit(training, items))
    assert all(f"{name}/loss" in m for m in metrics)
    with training.averaged():
        stage.finish(items)
        stage.export(tmp_path / "model")
    weights.load(tmp_path / "model", name)
    facts = weights.load_facts(tmp_path / "model")
    assert facts.stage == name
    assert facts.vae == ("0" * 64 if stage.needs_latents else None)
    if name in ("lidm", "lvdm"):
        found = dict(weights.load_scheduler(tmp_path / "model").config)
        assert found.items() >= {k: v for k, v in stage.scheduler.config.items() if k[0] != "_"}.items()


@pytest.mark.parametrize("name", list(catalog.STAGES))
def test_an_items_loss_does_not_depend_on_its_batch(name: str, begun: Callable[..., Any]) -> None:
    stage, items, _ = begun(name)
    chosen = [items[g] for g in (1, 5, 8)]
    with torch.no_grad():
        stage.network.eval()
        alone = [(float(stage.loss(collate([i]))["loss"]), stage.weight(collate([i]))) for i in chosen]
        together = float(stage.loss(collate(chosen))["loss"])
    mean = sum(loss * weight for loss, weight in alone) / sum(weight for _, weight in alone)
    assert together == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("name", list(catalog.STAGES))
def test_initial_weights_are_the_seeds(name: str, begun: Callable[..., Any], same_weights: Any) -> None:
    torch.manual_seed(1)
    one, *_ = begun(name)
    torch.manual_seed(2)
    assert same_weights(one.network, begun(name)[0].network)
    assert not same_weights(one.network, begun(name, {"seed": 1})[0].network)


# LIDM and LVDM


def test_the_ef_is_dropped_from_the_asked_share_of_items(
    begun: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, Tensor] = {}

    def spy(network: Any, x_t: Tensor, t: Tensor, still: Tensor, conditions: Tensor, given: Tensor, _: Any) -> Tensor:
        shown.update(given=given[:, 0], conditions=conditions[:, 0], t=t)
        return x_t

    monkeypatch.setattr(denoiser, "predict", spy)
    stage, *_ = begun("lvdm", drop_conditions=0.2)
    batch = clip_batch(list(range(3000)))
    stage.loss(batch)
    low, high = binom.interval(0.999, 3000, 0.2)
    assert low <= int((~shown["given"]).sum()) <= high
    assert torch.allclose(shown["conditions"], batch["ef"] / 100)
    assert abs(float(torch.corrcoef(torch.stack([shown["given"].float(), shown["t"]]))[0, 1])) < 0.1
    stage, *_ = begun("lvdm", drop_conditions=0.0)
    stage.loss(batch)
    assert shown["given"].all()


def test_a_dropped_ef_is_not_seen(begun: Callable[..., Any], build: Callable[..., Any]) -> None:
    stage, *_ = begun("lvdm", drop_conditions=0.5)
    stage.network = build("lvdm")
    given = stage._draws(list(range(40)), (4, 1, 4, 4))["uniform"][:, 1] >= 0.5
    for index, is_given in enumerate(given.tolist()):
        batch = clip_batch([index])
        other = batch | {"ef": batch["ef"] + 50}
        assert (float(stage.loss(batch)["loss"]) != float(stage.loss(other)["loss"])) == is_given


def test_padding_does_not_change_the_loss_and_clips_weigh_by_their_frames(begun: Callable[..., Any]) -> None:
    stage, *_ = begun("lvdm")
    batch = clip_batch([0, 1], 8, [3, 8])
    assert stage.weight(batch) == 11
    with torch.no_grad():
        stage.network.head.bias.fill_(0.3)
        loss = stage.loss(batch)["loss"]
        batch["latents"][0, :, 3:] = 7.0
        assert torch.equal(stage.loss(batch)["loss"], loss)


@pytest.mark.parametrize("micro", [1, 2, 3])
def test_accumulated_parts_equal_the_whole_batch_also_with_short_clips(
    micro: int, begun: Callable[..., Any], build: Callable[..., Any]
) -> None:
    batch, gradients = clip_batch(list(range(5)), 8, [1, 8, 3, 8, 5]), []
    for part in (None, micro):
        stage, *_ = begun("lvdm", {"micro_batch_size": part})
        stage.network = build("lvdm").requires_grad_(True)
        training = Training(stage, stage.settings.loop)
        loss = training.advance(batch)["lvdm/loss"]
        gradients.append((loss, torch.cat([p.grad.flatten() for p in stage.network.parameters()])))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-5)
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-5)


def test_the_noise_offset_moves_each_channel_by_a_constant(begun: Callable[..., Any]) -> None:
    plain, offset = (begun("lidm", noise_offset=v)[0]._draws([3, 4], (4, 2, 5, 5))["eps"] for v in (0.0, 0.5))
    moved = (offset - plain).flatten(2)
    assert torch.allclose(moved, moved[..., :1].expand_as(moved), atol=1e-6)
    assert moved[..., 0].unique().numel() == 8


def test_a_video_without_ef_is_no_use_to_the_lvdm_and_is_to_the_lidm(
    settings_of: SettingsOf, latents_folder: Path
) -> None:
    records = [Record("v01", fps=32.0, num_frames=9)]
    with pytest.raises(DataError, match=r"no TRAIN video has a value in column EF of .*; the lvdm learns from"):
        catalog.create("lvdm", settings_of("lvdm")).items(latents_folder, records)
    assert catalog.create("lidm", settings_of("lidm")).items(latents_folder, records)[0]["latents"].shape[1] == 1


def test_a_dataset_is_no_latents_folder(settings_of: SettingsOf, video_dataset: Path) -> None:
    for name in ("lidm", "lvdm", "reid"):
        with pytest.raises(DataError, match="not a latents folder"):
            catalog.create(name, settings_of(name)).items(video_dataset, train_records(video_dataset))


# VAE


def test_after_the_vae_is_finished_its_latents_have_unit_variance(begun: Callable[..., Any]) -> None:
    stage, items, _ = begun("vae", {"steps": 3})
    list(fit(Training(stage, stage.settings.loop), items))
    facts = stage.finish(items)
    frames = torch.stack([items[g]["frames"] for g in range(100, 160)])
    latents = LatentCodec(stage.network, stage.settings.pixels).encode(frames)
    assert 0.95 < float(latents.std()) < 1.05
    assert facts["scaling_factor"] == stage.network.config.scaling_factor
    assert stage.finish(items) == pytest.approx(facts)


def test_the_kl_term_weighs_as_asked(begun: Callable[..., Any]) -> None:
    stage, items, _ = begun("vae", kl_weight=0.5)
    with torch.no_grad():
        scalars = stage.loss(collate([items[0]]))
    assert float(scalars["loss"]) == pytest.approx(float(scalars["l1"] + 0.5 * scalars["kl"]), rel=1e-5)
    assert scalars["kl"] > 0


# EF and Re-ID


def test_the_ef_loss_is_in_tens_and_its_error_in_points(begun: Callable[..., Any]) -> None:
    stage, items, _ = begun("ef")
    item = items[0]
    stage.network.forward = lambda clips: torch.full((len(clips),), item["ef"] + 5.0)
    scalars = stage.loss(collate([item]))
    assert float(scalars["loss"]) == pytest.approx(0.125)  # Huber: half the square
    assert float(scalars["mae"]) == pytest.approx(5)


def test_the_squared_error_is_in_points(begun: Callable[..., Any]) -> None:
    stage, items, _ = begun("ef", loss="mse")
    item = items[0]
    stage.network.forward = lambda clips: torch.full((len(clips),), item["ef"] + 5.0)
    assert float(stage.loss(collate([item]))["loss"]) == pytest.approx(25)


def test_normalised_clips_of_train_have_no_mean_and_unit_spread(begun: Callable[..., Any], tmp_path: Path) -> None:
    seen: list[Tensor] = []
    stage, items, _ = begun("ef", normalization="dataset", num_frames=5, shift=0)
    stage.network.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    stage.loss(collate([items[g] for g in range(40)]))
    assert abs(float(seen[0].mean())) < 0.05
    assert float(seen[0].std()) == pytest.approx(1, abs=0.05)
    stage.export(tmp_path / "model")
    clips = torch.rand(2, 1, 5, 32, 32)
    stage.network.eval()
    with torch.no_grad():
        assert torch.equal(weights.load(tmp_path / "model", "ef")(clips), stage.network(clips))


def test_what_is_not_there_looks_like_the_mean_to_a_network_that_normalises(begun: Callable[..., Any]) -> None:
    seen: list[Tensor] = []
    stage, items, _ = begun("ef", normalization="dataset", num_frames=12, shift=3)
    stage.network.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch = collate([items[g] for g in range(20)])
    stage.loss(batch)
    short = batch["length"].tolist().index(5)
    assert (seen[0][short, :, 5:].abs() < 1e-6).all()
    assert (seen[0][short, :, :5].abs() > 1e-6).any()


def test_a_period_counts_frames_and_not_seconds(begun: Callable[..., Any], tmp_path: Path) -> None:
    stage, items, data = begun("ef", period=2, num_frames=4)
    records = {r.ef: r for r in train_records(data)}
    for g in range(12):
        item = items[g]
        frames = torch.from_numpy(items.read(records[item["ef"]]))
        starts = range(max(len(frames), 8) - 6)
        assert any(torch.equal(item["clip"][: item["length"]], frames[s : s + 7 : 2]) for s in starts)
    stage.export(tmp_path / "model")
    assert weights.load_facts(tmp_path / "model").period == 2


def test_validation_is_the_error_on_the_videos_it_is_given(begun: Callable[..., Any], tmp_path: Path) -> None:
    stage, _, data = begun("ef")
    stage.network.eval()
    records = filelist.read(data)
    with torch.no_grad():
        stage.network.head.weight.zero_()
        stage.network.head.bias.fill_(30.0)
    numbers = stage.validate(data, records, tmp_path)
    errors = torch.tensor([abs(r.ef - 30.0) for r in records if r.ef is not None])
    assert numbers["videos"] == len(errors)
    assert numbers["mae"] == pytest.approx(float(errors.mean()), abs=1e-4)
    assert numbers["rmse"] == pytest.approx(float((errors**2).mean().sqrt()), abs=1e-4)
    assert numbers["mae_low"] < numbers["mae"] < numbers["mae_high"]
    assert stage.validate(data, records, tmp_path) == numbers
    assert (tmp_path / "ef.png").read_bytes().startswith(b"\x89PNG")
    assert stage.criterion == ("mae", "min")


def test_validation_on_few_videos_or_none_is_no_error(begun: Callable[..., Any], tmp_path: Path) -> None:
    stage, _, data = begun("ef")
    assert stage.validate(data, [], tmp_path) == {}
    assert stage.validate(data, [Record("x", fps=32.0)], tmp_path) == {}
    assert not list(tmp_path.iterdir())
    assert stage.validate(data, filelist.read(data)[:1], tmp_path).keys() == {"videos", "mae", "rmse"}


def test_pretrained_weights_need_their_network(settings_of: SettingsOf) -> None:
    with pytest.raises(ValueError, match=r"those of an r2plus1d_18, network\.backbone is 'small'"):
        settings_of("ef", pretrained="kinetics.pth")


def test_shifts_move_the_picture_and_fill_with_black():
    clips = torch.zeros(6, 1, 2, 9, 9)
    clips[..., 4, 4] = 1.0
    moved = augmented(clips, 2, 0.0, 0, range(6))
    assert moved.shape == clips.shape
    places = {tuple((clip[0, 0] == 1).nonzero()[0].tolist()) for clip in moved}
    assert len(places) > 1
    assert all(2 <= x <= 6 for place in places for x in place)
    assert set(moved.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.equal(augmented(clips[2:3], 2, 0.0, 0, [2])[0], moved[2])


def test_gain_scales_grey_levels_and_leaves_black_black():
    clips = torch.full((8, 1, 2, 3, 3), -0.5)
    clips[..., 0, 0] = -1.0
    scaled = augmented(clips, 0, 0.2, 0, range(8))
    assert (scaled[..., 0, 0] == -1).all()
    levels = scaled[:, 0, 0, 1, 1] + 1
    assert levels.min() >= 0.4
    assert levels.max() <= 0.6
    assert levels.std() > 0.01


def test_the_regressor_sees_grey_clips_with_one_channel():
    seen = to_input(torch.full((2, 3, 4, 4), 255, dtype=torch.uint8), [3, 2], convention("symmetric"), blank=0.25)
    assert seen.shape == (2, 1, 3, 4, 4)
    assert (seen[0] == 1).all()
    assert (seen[1, :, :2] == 1).all()
    assert (seen[1, :, 2:] == 0.25).all()


def test_reid_accuracy_counts_pairs_on_the_right_side(begun: Callable[..., Any]) -> None:
    stage, *_ = begun("reid")
    stage.network = lambda a, b: torch.tensor([2.0, -1.0, 3.0, -4.0])
    scalars = stage.loss({"a": None, "b": None, "same": torch.tensor([1.0, 1.0, 0.0, 0.0])})
    assert float(scalars["accuracy"]) == 0.5


@pytest.mark.parametrize("name", ["vae", "ef", "lidm", "lvdm", "reid"])
def test_a_list_with_wrong_counts_trains_as_well(
    name: str, settings_of: SettingsOf, latents_folder: Path, video_dataset: Path
) -> None:
    """230 written for 223 frames, as public lists have it."""
    stage = catalog.create(name, settings_of(name, None))
    data = latents_folder if stage.needs_latents else video_dataset
    records = [replace(r, num_frames=(r.num_frames or 0) + 7) for r in train_records(data)]
    items = stage.items(data, records)
    seen = [items[g] for g in range(200)]
    assert torch.isfinite(fit_loss(stage, seen[:4]))


def fit_loss(stage: Any, items: list[dict[str, Any]]) -> Tensor:
    batch = collate(items)
    return torch.stack([objective.loss(batch)["loss"] for objective in stage.objectives().values()]).sum().detach()


def test_period_of_training_and_of_reading_are_two_things(begun: Callable[..., Any], tmp_path: Path) -> None:
    stage, items, data = begun("ef", period=1, read_period=2, num_frames=4, loop={"steps": 1}, choose_by="rmse")
    assert items.period == 1
    stage.export(tmp_path / "model")
    assert weights.load_facts(tmp_path / "model").period == 2
    assert stage.criterion == ("rmse", "min")
    same, _, _ = begun("ef", period=2, num_frames=4, loop={"steps": 1})
    found = [s.validate(data, train_records(data), tmp_path)["mae"] for s in (stage, same)]
    assert found[0] == found[1]


def test_the_vae_learns_from_several_folders_by_their_frames(
    begun: Callable[..., Any], video_dataset: Path, tmp_path: Path
) -> None:
    stage, _, data = begun("vae", {"steps": 1})
    records = train_records(data)
    mixed, found, said = mixture.items(stage, data, records[:1], [mixture.Source(video_dataset)])
    frames = [-(-len(video.read(filelist.video_path(data, r)).frames) // 5) for r in records]
    assert said[0]["weight"] == pytest.approx(sum(frames) / frames[0])
    assert [r.name for r in found] == [r.name for r in records]
    assert mixed[3]["frames"].shape == (32, 32)
    assert stage.finish(mixed)["scaling_factor"] > 0
    asked, *_ = begun("vae", {"steps": 1}, scaling_factor=0.18215)
    assert asked.finish(mixed) == {"scaling_factor": 0.18215}
    asked.export(tmp_path / "model")
    assert weights.load(tmp_path / "model", "vae").config.scaling_factor == 0.18215


def test_the_batch_of_each_process_is_said_and_kept(
    settings_of: SettingsOf, latents_folder: Path, tmp_path: Path
) -> None:
    settings = settings_of("reid", {"steps": 1, "batch_size": 6, "micro_batch_size": 2, "per_process": "batch"})
    said = train("reid", latents_folder, tmp_path / "run", settings=settings, compute=Compute("cpu"))
    assert said["batch"] == "6 items: 1 process(es), 2 at once, 3 part(s)"
    loop = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["loop"]
    assert (loop["batch_size"], loop["per_process"]) == (6, "no")
    assert settings.for_processes(8).loop.batch_size == 48


def test_other_videos_may_judge(settings_of: SettingsOf, latents_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(latents_folder, other)
    filelist.write(other, [replace(r, split="VAL" if r.name < "v04" else "TRAIN") for r in filelist.read(other)])
    settings = settings_of("reid", {"steps": 1, "select": "best"}, judged_on=str(other), choose_by="loss")
    train("reid", latents_folder, tmp_path / "run", settings=settings, compute=Compute("cpu"))
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert said["judged_on"] == ["v00", "v01", "v02", "v03"]
    assert said["videos"] == [f"v{i:02d}" for i in range(8)]
    assert json.loads((tmp_path / "run" / "best.json").read_text())["name"] == "loss"


# Outlines


def test_a_traced_still_is_its_frame_and_the_filled_chords(begun: Callable[..., Any], video_dataset: Path) -> None:
    _, items, _ = begun("outline")
    assert len(items.stills) == 2 * len(train_records(video_dataset))
    index = filelist.VideoIndex(video_dataset)
    for g in range(len(items.stills)):
        record, number = items.stills[items.shuffle[g]]
        assert number in (0, 2)
        assert items[g]["frame"].equal(torch.from_numpy(video.read(index.path(record)).grey()[number]))
        rows, columns = torch.nonzero(items[g]["mask"], as_tuple=True)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 24, 10, 22)


def test_augmentation_moves_outlines_with_their_stills(settings_of: SettingsOf) -> None:
    mask = torch.zeros(3, 1, 32, 32)
    mask[:, :, 8:20, 12:26] = 1
    settings = settings_of("outline", noise=0.0, gain=0.0)
    stills, masks = outline.augmented(mask * 0.8, mask, settings, [3, 4, 5])
    bright = stills > 0.5 * stills.amax((1, 2, 3), keepdim=True)
    assert float(outline.dice(bright.float(), (masks > 0.5).float()).min()) > 0.9
    assert float(outline.dice(masks, mask).max()) < 0.99, "and none stays where it was"
    again, _ = outline.augmented(mask[:1] * 0.8, mask[:1], settings, [4])
    assert torch.allclose(again[0], stills[1]), "by index alone"


def test_haze_hides_what_is_darker_inside_the_sector_alone(settings_of: SettingsOf) -> None:
    fan = torch.zeros(1, 1, 32, 32)
    fan[..., 4:28, 6:26] = 0.9
    fan[..., 10:22, 12:20] = 0.0
    assert outline.sector(fan[0]).sum() == 24 * 20, "dark blood is in the sector"
    plain = {"noise": 0.0, "gain": 0.0, "contrast": 0.0, "rotation": 0.0, "shift": 0.0, "zoom": 0.0, "stretch": 0.0}
    clear, _ = outline.augmented(
        fan.repeat(16, 1, 1, 1), fan.repeat(16, 1, 1, 1), settings_of("outline", haze=0.0, **plain), range(16)
    )
    hazy, _ = outline.augmented(
        fan.repeat(16, 1, 1, 1), fan.repeat(16, 1, 1, 1), settings_of("outline", haze=0.4, **plain), range(16)
    )
    blood, tissue = (slice(None), 0, slice(13, 19), slice(14, 18)), (slice(None), 0, slice(5, 9), slice(8, 24))
    raised = (hazy - clear)[blood].mean((1, 2))
    assert 5 < int((raised > 0.02).sum()) < 16, "in most stills, not in all"
    assert float(raised.max()) > 0.1
    assert float((hazy - clear)[tissue].abs().mean()) < 0.25 * float(raised.mean())
    assert float((hazy - clear)[:, :, :3].abs().max()) == 0


def test_a_dataset_without_tracings_is_refused_in_a_line(
    begun: Callable[..., Any], video_dataset: Path, tmp_path: Path
) -> None:
    untraced = tmp_path / "untraced"
    shutil.copytree(video_dataset, untraced)
    (untraced / "VolumeTracings.csv").unlink()
    stage, *_ = begun("outline")
    with pytest.raises(DataError, match="no TRAIN video is traced"):
        stage.items(untraced, train_records(untraced))
