"""The re-identification stage: what the contrastive objective asks, what it sees, and how it is judged."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.utils.data import default_collate as collate
from torchvision.models import resnet

from echosyn import rng, weights
from echosyn.data import filelist
from echosyn.data.augmentation import Augmentation
from echosyn.errors import ConfigError, ModelError
from echosyn.training import catalog
from echosyn.training.loop import Training, fit
from echosyn.training.stages.reid import ReIDSettings, contrastive

SettingsOf = Callable[..., Any]
AUGMENTATION = {"gain": 0.2, "shift": 0.1, "noise": 0.1}
NONE = dict.fromkeys(Augmentation.model_fields, 0.0)


@pytest.fixture(scope="module")
def vae_folder(build: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae") / "model"
    weights.save(build("vae"), folder, weights.Facts(stage="vae", pixels="symmetric"))
    return folder


def split(folder: Path, *names: str) -> list[Any]:
    return [r for r in filelist.read(folder) if r.split in names]


# The contrastive objective


def test_its_loss_is_the_cross_entropy_of_the_partner_among_strangers():
    eye = torch.eye(6) + 0.3 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    loss = float(contrastive(eye, torch.tensor([0, 1, 2, 0, 1, 2]), 0.5)["loss"])
    scores = torch.corrcoef(eye) / 0.5
    expected = [
        -scores[i, (i + 3) % 6] + math.log(sum(math.exp(scores[i, j]) for j in range(6) if j != i)) for i in range(6)
    ]
    assert loss == pytest.approx(float(sum(expected)) / 6, rel=1e-5)


def test_other_frames_of_a_patient_are_no_strangers():
    # patient 0 fills two places of the batch, with equal frames: none of them may count against the others
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    embeddings = torch.stack([x[0], x[0], x[1], x[0], x[0], x[1]])
    twice = contrastive(embeddings, torch.tensor([0, 0, 1, 0, 0, 1]), 0.01)
    assert float(twice["loss"]) < 1e-3
    assert float(twice["accuracy"]) == 1
    assert float(contrastive(embeddings, torch.tensor([0, 2, 1, 0, 2, 1]), 0.01)["loss"]) > 0.5


def test_it_does_not_see_scale_and_offset_of_an_embedding():
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    patients = torch.tensor([0, 1, 2, 3] * 2)
    scaled = x * torch.arange(1, 9)[:, None] + torch.arange(8)[:, None]
    assert torch.allclose(contrastive(x, patients, 0.1)["loss"], contrastive(scaled, patients, 0.1)["loss"], atol=1e-4)


def test_it_learns_and_its_pairs_are_of_one_patient(settings_of: SettingsOf, latents_folder: Path) -> None:
    loop = {"steps": 40, "batch_size": 8, "learning_rate": 3e-3}
    stage = catalog.create("reid", settings_of("reid", loop, objective="contrastive"))
    items = stage.items(latents_folder, split(latents_folder, "TRAIN"))
    assert all(items[g]["same"] == 1 for g in range(8))
    losses = [m["reid/loss"] for m in fit(Training(stage, stage.settings.loop), items)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


# Pixels


def test_with_a_vae_it_sees_augmented_frames_through_it(
    settings_of: SettingsOf, video_dataset: Path, vae_folder: Path, tmp_path: Path
) -> None:
    settings = settings_of("reid", {"steps": 2}, vae=str(vae_folder), augmentation=AUGMENTATION)
    stage = catalog.create("reid", settings)
    assert not stage.needs_latents
    items = stage.items(video_dataset, split(video_dataset, "TRAIN"))
    item = items[3]
    assert item["a"].dtype == torch.uint8
    assert torch.equal(item["a"], stage.items(video_dataset, split(video_dataset, "TRAIN"))[3]["a"])
    plain = catalog.create("reid", settings_of("reid", vae=str(vae_folder), augmentation=NONE))
    untouched = plain.items(video_dataset, split(video_dataset, "TRAIN"))[3]
    assert not torch.equal(item["a"], untouched["a"])
    assert item["patient"] == untouched["patient"]
    before = weights.load(vae_folder, "vae").state_dict()
    list(fit(Training(stage, settings.loop), items))
    assert all(torch.equal(before[k], v) for k, v in stage.codec.vae.state_dict().items())
    stage.export(tmp_path / "model")
    assert weights.load_facts(tmp_path / "model").vae == weights.weights_hash(vae_folder)


def test_a_pixel_frame_and_its_latent_score_alike(
    settings_of: SettingsOf, latents_folder: Path, video_dataset: Path, vae_folder: Path
) -> None:
    stage = catalog.create("reid", settings_of("reid", vae=str(vae_folder)))
    batch = collate([stage.items(video_dataset, split(video_dataset, "TRAIN"))[g] for g in range(4)])
    encoded = batch | {side: stage.codec.encode(batch[side]) for side in "ab"}
    on_latents = catalog.create("reid", settings_of("reid"))
    assert torch.allclose(stage.loss(batch)["loss"], on_latents.loss(encoded)["loss"])


def test_augmentation_without_a_vae_is_refused(settings_of: SettingsOf) -> None:
    with pytest.raises(ConfigError, match=r"no effect on latents; set vae="):
        catalog.create("reid", settings_of("reid", augmentation=AUGMENTATION))


def test_a_vae_that_is_none_is_named(settings_of: SettingsOf, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: no such folder"):
        catalog.create("reid", settings_of("reid", vae=str(tmp_path / "nowhere")))


# Validation


def test_it_is_judged_on_held_out_patients_beside_the_latents_themselves(
    settings_of: SettingsOf, latents_folder: Path, tmp_path: Path
) -> None:
    stage = catalog.create("reid", settings_of("reid"))
    stage.network.eval()
    records = filelist.read(latents_folder)
    found = stage.validate(latents_folder, records, tmp_path)
    assert stage.criterion[0] in found
    assert 0 <= found["auc_low"] <= found["auc"] <= found["auc_high"] <= 1
    assert 0 <= found["auc_of_latents"] <= 1
    assert (tmp_path / "roc.png").is_file()
    assert stage.validate(latents_folder, records, tmp_path) == found


def test_the_held_out_loss_is_that_of_pairs_and_the_same_at_every_call(
    settings_of: SettingsOf, latents_folder: Path, tmp_path: Path
) -> None:
    stage = catalog.create("reid", settings_of("reid", choose_by="loss"))
    records = filelist.read(latents_folder)
    first, second = (stage.validate(latents_folder, records, tmp_path)["loss"] for _ in range(2))
    assert first == second
    assert 0.3 < first < 1.5  # two equally likely answers: 0.69
    assert stage.criterion == ("loss", "min")
    with pytest.raises(ValidationError, match="choose_by = loss is the cross-entropy of pairs"):
        settings_of("reid", choose_by="loss", objective="contrastive")


def test_pixels_are_judged_through_the_vae(
    settings_of: SettingsOf, video_dataset: Path, vae_folder: Path, tmp_path: Path
) -> None:
    stage = catalog.create("reid", settings_of("reid", vae=str(vae_folder)))
    stage.network.eval()
    assert "auc" in stage.validate(video_dataset, split(video_dataset, "VAL", "TEST"), tmp_path)


def test_one_held_out_patient_gives_no_numbers(settings_of: SettingsOf, latents_folder: Path, tmp_path: Path) -> None:
    stage = catalog.create("reid", settings_of("reid"))
    assert stage.validate(latents_folder, split(latents_folder, "VAL")[:1], tmp_path) == {}
    assert stage.validate(latents_folder, [], tmp_path) == {}


def test_a_resnet_starts_from_imagenets_weights_by_local_path(tmp_path: Path) -> None:
    with rng.initializing(5):
        published = resnet.resnet18(weights=None)
    torch.save({f"module.{name}": value for name, value in published.state_dict().items()}, tmp_path / "resnet18.pth")
    network = {"_class_name": "SiameseNet", "backbone": "resnet18"}
    stage = catalog.create("reid", ReIDSettings(network=network, pretrained=tmp_path / "resnet18.pth"))
    ours = stage.network.network.state_dict()
    for name, value in published.state_dict().items():
        if not name.startswith(("conv1.", "fc.")):
            assert torch.equal(ours[name], value), name
    assert ours["conv1.weight"].shape == (64, 4, 7, 7)
    with pytest.raises(ModelError, match=r"resnet18\.pth: not the weights of a resnet50"):
        catalog.create(
            "reid", ReIDSettings(network=network | {"backbone": "resnet50"}, pretrained=tmp_path / "resnet18.pth")
        )
    with pytest.raises(ValueError, match="backbone is 'small'"):
        ReIDSettings(network=network | {"backbone": "small"}, pretrained=tmp_path / "resnet18.pth")
