"""Item *i* depends on (seed, *i*) alone: not on the batch size, not on a kill -9 half-way."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from echosyn import rng
from echosyn.data import filelist, stills, video
from echosyn.pipeline import finished
from echosyn.pipeline.models import video_pipeline


def contents(folder: Path) -> dict[str, str]:
    """Hash by relative name of all files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def pixels(folder: Path) -> list[np.ndarray]:
    return [video.read(filelist.video_path(folder, r)).grey().astype(int) for r in filelist.read(folder)]


def beside(out: Path) -> Path:
    return out.with_name(out.name + ".partial")


def assert_same_files(folders: list[Path]) -> None:
    """Equal lists; equal videos but for JPEG, which turns one grey level in a pixel into a few in its 8x8 block."""
    assert len({(folder / "FileList.csv").read_bytes() for folder in folders}) == 1
    first, *others = (np.concatenate(pixels(folder)) for folder in folders)
    for other in others:
        difference = np.abs(first - other)
        assert difference.max() <= 5
        assert (difference > 0).mean() < 5e-3


def test_stills_do_not_depend_on_the_batch_size(program, workshop, tmp_path):
    found = []
    for size in (1, 3, 8):
        out = tmp_path / str(size)
        program.good("sample", out, "--lidm", workshop.model("lidm"), "--num", 8, "--seed", 2, "--batch-size", size)
        found.append(stills.read(out)[1])
    assert max(float((found[0] - other).abs().max()) for other in found[1:]) < 1e-5


def test_a_larger_set_begins_with_the_smaller_one(program, workshop, tmp_path):
    program.good("sample", tmp_path / "few", "--lidm", workshop.model("lidm"), "--num", 3, "--seed", 2)
    assert float((stills.read(tmp_path / "few")[1] - stills.read(workshop.candidates)[1][:3]).abs().max()) < 1e-5


def test_latents_and_pixels_do_not_depend_on_the_batch_size(workshop):
    """Before JPEG: latents to 1e-5, pixels to one grey level, also where windows are stitched."""
    pipeline = video_pipeline(workshop.model("lvdm"), workshop.model("vae"), torch.device("cpu"))
    indices, hearts = stills.read(workshop.candidates)

    def videos(size: int, output: str) -> torch.Tensor:
        parts = []
        for i in range(0, 8, size):
            now = slice(i, i + size)
            generators = rng.generators(5, "motion", indices[now])
            asked = [20.0 + 6 * number for number in indices[now]]
            settings = {"num_frames": 24, "num_inference_steps": 2, "generator": generators, "output_type": output}
            made = pipeline(hearts[now], asked, guidance_scale=1.0, **settings)
            parts.append(made.latents if output == "latent" else made.videos.int())
        return torch.cat(parts)

    for output, tolerance in (("latent", 1e-5), ("pixel", 1)):
        alone = videos(1, output)
        assert max((alone - videos(size, output)).abs().max().item() for size in (3, 8)) <= tolerance


def test_videos_do_not_depend_on_the_batch_size(program, workshop, tmp_path):
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae"), "--seed", 5, "--frames", 24]
    folders = [tmp_path / str(size) for size in (1, 3, 8)]
    for folder in folders:
        program.good("animate", workshop.candidates, folder, *models, "--batch-size", folder.name)
    assert len(filelist.read(folders[0])) == 8
    assert_same_files(folders)


@pytest.mark.slow
def test_generated_sets_do_not_depend_on_the_batch_size(program, workshop, tmp_path):
    models = ["--models", workshop.models, "--reference", workshop.latents, "--num", 5, "--frames", 16]
    folders = [tmp_path / str(size) for size in (2, 8)]
    for folder in folders:
        program.good("generate", folder, *models, "--batch-size", folder.name)
    assert_same_files(folders)


@pytest.mark.parametrize("verb", ["animate", pytest.param("generate", marks=pytest.mark.slow)])
def test_a_killed_step_continues_to_the_undisturbed_result(program, workshop, tmp_path, verb):
    settings = ["--seed", 4, "--frames", 32, "--steps", 4, "--batch-size", 1]
    if verb == "animate":
        models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")]
        calls = {
            name: ["animate", workshop.candidates, tmp_path / name, *models, *settings] for name in ("calm", "hit")
        }
    else:
        models = ["--models", workshop.models, "--reference", workshop.latents, "--num", 6]
        calls = {name: ["generate", tmp_path / name, *models, *settings] for name in ("calm", "hit")}
    program.good(*calls["calm"])
    partial = beside(tmp_path / "hit") / "Videos"
    log = partial.parent / finished.LOG
    program.start(*calls["hit"]).kill_when(lambda: log.is_file() and ".avi" in log.read_text())
    assert not (tmp_path / "hit").exists()
    first = partial / re.search(r"Videos/(\w+\.avi)", log.read_text()).group(1)
    written = first.stat().st_mtime_ns
    program.good(*calls["hit"])
    assert contents(tmp_path / "hit") == contents(tmp_path / "calm")
    assert (tmp_path / "hit" / "Videos" / first.name).stat().st_mtime_ns == written, "finished items are made anew"
    assert not beside(tmp_path / "hit").exists()


def test_what_another_call_left_is_thrown_away(program, workshop, tmp_path):
    out, lidm = tmp_path / "stills", ["--lidm", workshop.model("lidm"), "--num", 8]
    beside(out).mkdir()
    (beside(out) / "stills-000000000.safetensors").write_text("of another call")
    program.good("sample", out, *lidm, "--seed", 2)
    assert (
        contents(out)["stills-000000000.safetensors"] == contents(workshop.candidates)["stills-000000000.safetensors"]
    )


@pytest.mark.parametrize(
    "stage",
    ["lvdm", *(pytest.param(stage, marks=pytest.mark.slow) for stage in ("vae", "lidm", "reid", "ef"))],
)
def test_a_killed_training_resumes_bit_for_bit(program, workshop, dataset, tiny, tmp_path, stage):
    """40 steps at once are 20 or more, a kill -9 and the rest: losses, weights, averaged weights and optimizer state."""
    data = dataset if stage in ("vae", "ef") else workshop.latents
    settings = tiny(stage, "loop.save_every_steps=2", "loop.log_every_steps=1", steps=40)
    program.good("train", stage, data, tmp_path / "calm", *settings)
    hit = tmp_path / "hit"
    program.start("train", stage, data, hit, *settings).kill_when(
        lambda: any((hit / "checkpoints").glob("step-0000000[23]*"))
    )
    assert not (hit / "model").exists()
    assert program("train", stage, data, hit, *settings).code == 2, "without --resume nothing is overwritten"
    program.good("train", stage, data, hit, *settings, "--resume")
    assert (hit / "metrics.jsonl").read_text() == (tmp_path / "calm" / "metrics.jsonl").read_text()
    for made in ("model", "model-raw", "checkpoints/step-000000040"):
        assert contents(hit / made) == contents(tmp_path / "calm" / made)


@pytest.mark.slow
def test_a_killed_run_continues_to_the_undisturbed_result(program, dataset, all_tiny, tmp_path):
    settings = ["--num", 4, "--frames", 24, *all_tiny]
    program.good("run", dataset, tmp_path / "calm", *settings)
    hit = tmp_path / "hit"
    for reached in ("latents", "models/lvdm/model", "synthetic/Videos"):
        program.start("run", dataset, hit, *settings).kill_when((beside(hit) / reached).exists)
        assert not hit.exists()
    program.good("run", dataset, hit, *settings)
    assert contents(hit / "synthetic") == contents(tmp_path / "calm" / "synthetic")
    assert (hit / "report" / "report.json").read_text() == (tmp_path / "calm" / "report" / "report.json").read_text()
