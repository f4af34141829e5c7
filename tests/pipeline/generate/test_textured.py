"""Videos with texture: laid by (seed, number), left out on demand, and no hiding place for a copy."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import background, phantom, stills, video
from echosyn.errors import ModelError
from echosyn.metrics.spectrum import spatial_power
from echosyn.pipeline.demo import replay
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.generate.tasks import ScreenVideos
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import GenerateSettings
from echosyn.texture.texture import FILE

MODELS = weights.shipped()


def made(out: Path, num: int = 2, **more: object) -> list[np.ndarray]:
    models = weights.for_generating(MODELS, "a4c", screened=False)
    generate(out, models, GenerateSettings(num=num, seed=4, num_frames=48, **more), Compute(device="cpu"))
    return [video.read(path).grey() for path in sorted((out / "Videos").glob("*.avi"))]


def fine_power(videos: list[np.ndarray]) -> float:
    """Above half of Nyquist's frequency."""
    return float(np.mean([spatial_power(v[::12], ~background.background(v))[0][:, 16:32].mean() for v in videos]))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[np.ndarray], list[np.ndarray]]:
    folder = tmp_path_factory.mktemp("textured")
    return made(folder / "with"), made(folder / "without", no_texture=True)


def test_videos_have_the_fine_power_of_recorded_ones_and_do_not_without_texture(both):
    recorded = [phantom.render(phantom.patient(31, i, num_frames=64)) for i in range(6)]
    real, laid, plain = map(fine_power, (recorded, *both))
    assert 0.4 < laid / real < 2.5
    assert plain / real < 0.1


def test_texture_changes_grain_and_not_the_heart(both):
    for laid, plain in zip(*both, strict=True):
        coarse = [x.reshape(len(x), 14, 8, 14, 8).mean((2, 4)) for x in (laid, plain)]
        assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.98


def test_a_video_has_its_texture_whatever_else_is_made(both, tmp_path):
    one = made(tmp_path / "one", num=1)
    np.testing.assert_array_equal(one[0], both[0][0])


@pytest.mark.slow
def test_provenance_says_whether_there_is_texture(tmp_path):
    made(tmp_path / "with", num=1)
    made(tmp_path / "without", num=1, no_texture=True)
    said = [json.loads((tmp_path / name / "provenance.json").read_text())["call"] for name in ("with", "without")]
    assert "texture" in said[0]["inputs"]
    assert "texture" not in said[1]["inputs"]
    assert said[1]["settings"]["texture"] is False


def test_a_copy_is_found_though_texture_hides_it(tmp_path):
    """The screen of this test knows a picture only if it is exactly the same; grain is enough to deceive it."""
    copied = phantom.render(phantom.patient(2, 0, num_frames=64))[::4]
    rng = np.random.default_rng(0)
    video.write_avi(
        tmp_path / f"{stills.name(0)}.avi", (copied * rng.uniform(0.5, 1, copied.shape)).astype(np.uint8), 8.0
    )

    def judge(digests):
        known = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(copied).float(), 28)
        same = [bool((d.thumbnails - known).abs().mean() < 1) for d in digests]
        return SimpleNamespace(kept=~torch.tensor(same))

    screens = SimpleNamespace(vae=MODELS / "vae", videos=lambda device: SimpleNamespace(judge=judge))
    plain = tmp_path / "plain"
    plain.mkdir()
    screened = ScreenVideos(tmp_path, screens, "cpu", plain).start()
    assert screened([0])[0].apart
    np.save(plain / f"{stills.name(0)}.npy", copied)
    assert not screened([0])[0].apart


def test_a_video_of_the_page_is_not_made_again_with_another_texture(tmp_path):
    models = tmp_path / "models"
    shutil.copytree(MODELS, models)
    folders = weights.find_all(models, replay.STAGES, "a4c")
    recipe = replay.Recipe.of(folders, variant="a4c", seed=3, ef=55.0, frames=16, steps=None)
    (tmp_path / "heart.json").write_text(recipe.model_dump_json())
    (models / "vae" / FILE).unlink()
    with pytest.raises(ModelError, match="another texture"):
        replay.replay(tmp_path / "heart.json", tmp_path / "out", models=models, device="cpu")
