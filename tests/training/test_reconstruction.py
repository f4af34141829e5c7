"""Judging a VAE: exact for what is exact, worse for what is worse, and by patient."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from echosyn import rng
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.training.stages.reconstruction import GAIN, judge


class Shifted(nn.Module):
    """A VAE that gives frames back, some grey levels too bright."""

    def __init__(self, levels: float, channels: int = 1) -> None:
        super().__init__()
        self.config = SimpleNamespace(scaling_factor=0.3, shift_factor=None, in_channels=channels)
        self.weight, self.levels = nn.Parameter(torch.zeros(1)), levels

    def encode(self, x: Tensor) -> Any:
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=x, std=torch.ones_like(x)))

    def decode(self, z: Tensor) -> Any:
        return SimpleNamespace(sample=z + self.levels / 127.5)


RECORDS = [Record(f"v{i}", num_frames=9, extra={"PatientId": f"p{i // 2}"}) for i in range(8)]


def frames(record: Record) -> np.ndarray:
    return rng.numpy_generator(0, record.name).integers(50, 200, (9, 32, 32), dtype=np.uint8)


def scores(levels: float, folder: Path, channels: int = 1, **changed: Any) -> dict[str, float]:
    options = {"num_videos": 8, "num_frames": 3} | changed
    return judge(LatentCodec(Shifted(levels, channels), "symmetric"), frames, RECORDS, folder, **options)


def test_what_comes_back_exactly_scores_best(tmp_path: Path) -> None:
    found = scores(0, tmp_path, distance=lambda a, b: (a - b).abs().mean((1, 2, 3)))
    assert found["psnr"] == 100
    assert found["ssim"] == 1
    assert found["perceptual"] == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_an_error_of_known_size_has_its_psnr(channels: int, tmp_path: Path) -> None:
    found = scores(4, tmp_path, channels)
    assert found["psnr"] == pytest.approx(20 * np.log10(255 / 4))
    assert found["psnr_low"] == pytest.approx(found["psnr_high"])
    assert found["ssim"] < 1
    assert "perceptual" not in found


def test_the_picture_shows_frame_reconstruction_and_difference(tmp_path: Path) -> None:
    scores(4, tmp_path)
    picture = np.asarray(Image.open(tmp_path / "reconstructions.png")).astype(int)
    assert picture.shape == (3 * 32, 8 * 32)
    frame, back, difference = picture[:32], picture[32:64], picture[64:]
    assert (back - frame == 4).all()
    assert (difference == 128 + GAIN * 4).all()
    assert (frame[:, :32] == frames(RECORDS[0])[0]).all()


def test_a_patient_counts_once_however_many_videos(tmp_path: Path) -> None:
    def distance(a: Tensor, b: Tensor) -> Tensor:
        return next(values).expand(len(a))

    values = iter(torch.tensor([1.0, 1.0, 1.0, 4.0]))
    three = [Record(f"v{i}", extra={"PatientId": "much"}) for i in range(3)]
    codec = LatentCodec(Shifted(1), "symmetric")
    found = judge(codec, frames, [*three, Record("v4")], tmp_path, num_videos=9, num_frames=2, distance=distance)
    assert found["perceptual"] == 2.5
    assert "perceptual_low" not in found  # two patients have no interval


def test_few_videos_are_spread_over_all(tmp_path: Path) -> None:
    read = []

    def remembered(record: Record) -> np.ndarray:
        read.append(record.name)
        return frames(record)

    judge(LatentCodec(Shifted(1)), remembered, RECORDS, tmp_path, num_videos=3, num_frames=100)
    assert read == ["v0", "v4", "v7"]
