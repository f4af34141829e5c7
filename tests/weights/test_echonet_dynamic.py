"""Files of others: EchoNet-Dynamic's best.pt says the same here as there, and nothing in a file is executed."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models.video import r2plus1d_18

from echosyn import rng, weights
from echosyn.errors import ModelError
from echosyn.hashing import file_hash
from echosyn.nn import r2plus1d
from echosyn.nn.ef_regressor import EFRegressor
from echosyn.pipeline.evaluate.predict_ef import ef_reader
from echosyn.pixels import convention
from echosyn.training import catalog
from echosyn.training.ef_reading import EFReader
from echosyn.training.stages.ef import EFSettings
from echosyn.weights.echonet_dynamic import MEAN, STD, import_echonet_dynamic_ef, read_regressor, read_state


@pytest.fixture(scope="module")
def network() -> Any:
    """Torchvision's network with one output, random in every weight and statistic."""
    with rng.initializing(0):
        network = r2plus1d_18(weights=None)
        network.fc = nn.Linear(network.fc.in_features, 1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def ours() -> EFRegressor:
    """A regressor of ours with other weights."""
    with rng.initializing(1):
        return EFRegressor().eval()


@pytest.fixture(scope="module")
def best(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all that EchoNet-Dynamic's training writes into its ``best.pt``."""
    path = tmp_path_factory.mktemp("echonet") / "best.pt"
    optimizer = torch.optim.SGD(network.fc.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    content = {
        "epoch": 7,
        "state_dict": OrderedDict((f"module.{name}", tensor) for name, tensor in network.state_dict().items()),
        "period": 2,
        "frames": 8,
        "best_loss": float("inf"),
        "loss": 31.5,
        "r2": np.float64(0.81),
        "opt_dict": optimizer.state_dict(),
        "scheduler_dict": torch.optim.lr_scheduler.StepLR(optimizer, 15).state_dict(),
    }
    torch.save(content, path)
    return path


def test_an_imported_best_pt_predicts_what_its_torchvision_network_predicts(
    best: Path, network: Any, tmp_path: Path
) -> None:
    import_echonet_dynamic_ef(best, tmp_path / "ef", mean=32.6, std=50.0)
    facts = weights.load_facts(tmp_path / "ef")
    assert (facts.stage, facts.period, facts.num_frames) == ("ef", 2, 8)
    # 12 frames: their clip of 8 x 2 ends in 4 frames of "nothing", which are zeros after their normalisation
    frames = rng.numpy_generator(0, "clip").integers(0, 256, (12, 32, 32), np.uint8)
    video = np.zeros((3, 16, 32, 32), np.float32)
    video[:, :12] = (frames.astype(np.float32) - 32.6) / 50.0
    starts = range(16 - 7 * 2)
    with torch.no_grad():
        said = network(torch.from_numpy(np.stack([video[:, s + 2 * np.arange(8)] for s in starts])))[:, 0]
    loaded = weights.load(tmp_path / "ef", "ef")
    ours = EFReader(loaded, convention(facts.pixels), facts.fps, 8, facts.period)(frames, 50.0, "all")
    assert ours.num_clips == len(starts) == 2
    assert float(said.std()) > 1e-4
    assert ours.ef == pytest.approx(float(said.mean()), abs=1e-4)


@pytest.mark.parametrize("period", [1, pytest.param("random", marks=pytest.mark.slow)])
def test_a_published_folder_loads_as_it_lies_and_reads_real_videos_as_there(
    best: Path, network: Any, tmp_path: Path, period: Any
) -> None:
    """Also one that was trained on every frame of synthetic videos, or on random periods."""
    folder = tmp_path / "models" / "regression_ped_a4c"
    folder.mkdir(parents=True)
    torch.save(torch.load(best, weights_only=False) | {"period": period}, folder / "best.pt")
    assert (
        weights.load_facts(folder).model_dump()
        == weights.Facts(stage="ef", pixels="symmetric", period=2, num_frames=32).model_dump()
    )
    # 66 frames: 32 of every second one begin at frame 0, 1, 2 and 3
    frames = rng.numpy_generator(0, "clip").integers(0, 256, (66, 32, 32), np.uint8)
    mean, std = (
        np.array(v).reshape(3, 1, 1, 1) for v in ((32.660564, 32.79394, 33.07615), (49.802944, 49.89014, 50.17571))
    )
    video = ((frames.astype(np.float64) - mean) / std).astype(np.float32)
    with torch.no_grad():
        said = network(torch.from_numpy(np.stack([video[:, s : s + 63 : 2] for s in range(4)])))[:, 0]
    for given in (folder, folder.parent):
        found = ef_reader(given)(frames, 50.0, "all")
        assert found.num_clips == 66 - 62 == len(said)
        assert found.ef == pytest.approx(float(said.mean()), abs=1e-4)
    assert weights.weights_hash(folder) == file_hash(folder / "best.pt")


def test_nothing_is_zero_to_a_network_with_a_mean_for_each_channel(best: Path) -> None:
    regressor, frames = read_regressor(best)
    seen: list[Tensor] = []
    regressor.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    EFReader(regressor, convention("symmetric"), 50.0, frames, 2)(np.full((10, 16, 16), 200, np.uint8), 50.0)
    clip = seen[0][0]
    assert clip[:, 5:].abs().max() == 0
    assert clip[:, 0, 0, 0].tolist() == pytest.approx([(200 - m) / s for m, s in zip(MEAN, STD, strict=True)], rel=1e-4)


def test_a_training_with_the_published_constants_is_saved_with_them(tmp_path: Path) -> None:
    settings = {"network": {"_class_name": "EFRegressor"}, "normalization": "echonet", "num_frames": 4, "shift": 2}
    stage = catalog.create("ef", EFSettings.model_validate(settings))
    clip = torch.randint(0, 256, (2, 4, 16, 16), dtype=torch.uint8)
    batch = {"clip": clip, "length": torch.tensor([2, 4]), "ef": torch.tensor([50.0, 60.0]), "index": torch.arange(2)}
    seen: list[Tensor] = []
    stage.network.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert stage.loss(batch)["loss"].isfinite()
    assert seen[0][0, :, 2:].abs().max() == 0  # beyond the end of the first video, wherever it is moved to
    stage.export(tmp_path / "model")
    assert weights.load(tmp_path / "model", "ef").config.mean == pytest.approx([m / 127.5 - 1 for m in MEAN])
    with pytest.raises(ValidationError, match="normalization = echonet has a constant for each of three channels"):
        EFSettings.model_validate(settings | {"network": {"_class_name": "EFRegressor", "backbone": "small"}})


def test_kinetics_weights_bring_everything_but_the_last_layer(network: Any, ours: EFRegressor, tmp_path: Path) -> None:
    path = tmp_path / "r2plus1d_18.pth"
    torch.save(network.state_dict() | {"fc.weight": torch.ones(400, 512), "fc.bias": torch.ones(400)}, path)
    state, rest = read_state(path)
    assert rest == {}
    before = ours.head.weight.clone()
    assert not r2plus1d.load_published(ours, state, path)
    assert torch.equal(ours.head.weight, before)
    assert float(ours.head.bias.detach()) == pytest.approx(55.6)
    body = network.state_dict()
    assert all(torch.equal(tensor, body[name]) for name, tensor in ours.network.state_dict().items())
    with pytest.raises(ModelError, match=r"r2plus1d_18.pth: its last layer is not an EF's"):
        import_echonet_dynamic_ef(path, tmp_path / "ef", mean=32.6, std=50.0)
    assert not (tmp_path / "ef").exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "surprise": _Bomb(tmp_path / "boom")}, tmp_path / "bad.pt")
    with pytest.raises(ModelError, match=r"bad\.pt: cannot be read safely") as error:
        read_state(tmp_path / "bad.pt")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "holds a list"),
        ({"state_dict": {"weight": 3}}, "no table of tensors"),
        ({"conv1.weight": torch.zeros(2)}, r"tensor\(s\) are not those of an r2plus1d_18, first 'conv1.weight'"),
    ],
)
def test_another_network_is_refused(content: Any, said: str, ours: EFRegressor, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match=rf"other\.pt: .*{said}.*expected torchvision's") as error:
        r2plus1d.load_published(ours, read_state(path)[0], path)
    assert "\n" not in str(error.value)


def test_no_file_and_no_weights_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_state(tmp_path / "none.pt")
    for garbage in (b"", b"<html>not found</html>", b"PK\x03\x04 cut"):
        (tmp_path / "garbage.pt").write_bytes(garbage)
        with pytest.raises(ModelError, match="cannot be read safely") as error:
            read_state(tmp_path / "garbage.pt")
        assert "\n" not in str(error.value)


def test_a_tensor_of_another_shape_is_named(network: Any, ours: EFRegressor) -> None:
    state: dict[str, Tensor] = network.state_dict() | {"stem.1.weight": torch.zeros(3)}
    with pytest.raises(ModelError, match=r"1 tensor.*'stem\.1\.weight' \(found \(3,\), expected \(45,\)\)"):
        r2plus1d.load_published(ours, state, Path("x.pt"))
