"""The published folder of models, all eleven, in every verb that takes models: nothing that was given is trained."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torchvision.models.video import r2plus1d_18

from echosyn import rng, weights
from echosyn.data import filelist, images, stills
from published import PUBLISHED, SCHEDULER, SMALL, weights_of, write_siamese

pytestmark = pytest.mark.slow
VARIANTS = ("dynamic", "ped_a4c", "ped_psax")
STEPS = ["--num_steps", 1, "--quiet"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VAE, LVDM, and three each of LIDM (one as ``.bin``), Re-ID (``.pth``) and EF regressor (``best.pt``), of random weights."""
    folder = tmp_path_factory.mktemp("published") / "models"
    for name, kind in [("vae", "vae"), ("lvdm", "lvdm"), *((f"lidm_{v}", "lidm_dynamic") for v in VARIANTS)]:
        with rng.initializing(len(name)):
            network = weights.network(PUBLISHED[kind] | SMALL[kind])
        network.save_pretrained(folder / name, safe_serialization=name != "lidm_ped_a4c")
        if name != "vae":
            config = {"globals": {"target_fps": 32}, "seed": 42, "noise_scheduler": SCHEDULER, "unet": {}}
            (folder / name / "config.yaml").write_text(yaml.safe_dump(config))
    regressor = r2plus1d_18(weights=None)
    regressor.fc = nn.Linear(512, 1)
    state = {f"module.{name}": value for name, value in regressor.state_dict().items()}
    for variant in VARIANTS:
        with rng.initializing(0):
            write_siamese(folder / f"reidentification_{variant}")
        ef = folder / f"regression_{variant}"
        ef.mkdir()
        if variant == "dynamic":
            torch.save({"epoch": 44, "state_dict": state, "best_loss": 1.0, "period": 2, "frames": 32}, ef / "best.pt")
        else:
            os.link(folder / "regression_dynamic" / "best.pt", ef / "best.pt")
    (folder / "SHA256SUMS").write_text(weights_of(folder))
    return folder


@pytest.fixture(scope="module")
def project(program: Any, dataset: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stills, kept ones and videos by the lines of the published README."""
    folder = tmp_path_factory.mktemp("project")
    made, vae = folder / "lidm_dynamic", models / "vae"
    lines = [
        ["encode", "-m", vae, "-i", dataset, "-o", folder / "latents", "-g", "--quiet"],
        ["sample", "--config", models / "lidm_dynamic" / "config.yaml", "--unet", models / "lidm_dynamic", "--vae", vae,
         "--output", made, "--num_samples", 6, "--batch_size", 4, "--save_latent", "--seed", 0, *STEPS],
        ["filter", "--model", models / "reidentification_dynamic", "--synthetic", made / "latents",
         "--reference", folder / "latents", "--output", made / "privatised_latents", "--cutoff_precentile", 100, "--quiet"],
        ["animate", "--config", models / "lvdm" / "config.yaml", "--unet", models / "lvdm", "--vae", vae,
         "--conditioning", made / "privatised_latents", "--output", folder / "set", "--num_samples", 5, "--batch_size", 2,
         "--min_lvef", 10, "--max_lvef", 90, "--save_as", "avi,jpg", "--frames", 64, *STEPS],
    ]  # fmt: skip
    for line in lines:
        program.good(*line)
    return folder


def test_the_published_lines_make_a_dataset(project: Path) -> None:
    made = project / "lidm_dynamic"
    assert len(images.files(made / "images")) == len(list((made / "latents").glob("*.pt"))) == 6
    kept, _ = stills.read(made / "privatised_latents")
    assert kept
    assert len(filelist.read(project / "set")) == 5
    assert len(list((project / "set" / "jpg").iterdir())) == 5


def test_the_folder_is_verified(program: Any, models: Path) -> None:
    assert program.good("weights", "verify", models, "--json").json["files"] == 23


@pytest.fixture(scope="module")
def fast(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same models, which say that one step is enough."""
    folder = tmp_path_factory.mktemp("fast") / "models"
    shutil.copytree(models, folder, copy_function=os.link)
    for name in ("lvdm", *(f"lidm_{variant}" for variant in VARIANTS)):
        (folder / name / "echosyn.json").write_text(json.dumps({"num_inference_steps": 1}))
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_samples(program: Any, fast: Path, variant: str, tmp_path: Path) -> None:
    program.good("generate", tmp_path / "set", "--models", fast, "--dataset", variant, "--num", 1, "--frames", 64,
                 "--steps", 1, "--quiet")  # fmt: skip
    assert len(filelist.read(tmp_path / "set")) == 1


def test_of_several_models_one_is_asked_for(
    program: Any, project: Path, dataset: Path, models: Path, tmp_path: Path
) -> None:
    out, given = tmp_path / "out", ["--models", models]
    for line in (
        ["audit", project / "set", dataset, out, *given],
        ["withdraw", project / "set", dataset, out, *given, "--too-close"],
        ["run", dataset, out, *given],
        ["generate", out, *given],
        ["calibrate", out, *given, "--reference", project / "latents"],
    ):
        refused = program(*line)
        assert refused.code == 2, line
        assert refused.stderr.count("\n") == 1
        assert "choose with --dataset dynamic or ped_a4c or ped_psax" in refused.stderr
        assert not list(tmp_path.iterdir())


def test_audit_and_withdraw_take_a_variant(
    program: Any, project: Path, dataset: Path, models: Path, tmp_path: Path
) -> None:
    given = ["--models", models, "--dataset", "dynamic", "--quiet"]
    audited = program("audit", project / "set", dataset, tmp_path / "audit", *given, "--canaries", 2)
    assert audited.code in (0, 3), audited.stderr
    assert (tmp_path / "audit" / "public.json").is_file()
    assert "; skipped" not in audited.stderr
    program.good("withdraw", project / "set", dataset, tmp_path / "rest", *given, "--exclude", _patient(dataset))


def _patient(dataset: Path) -> str:
    return filelist.read(dataset)[0].patient


def test_run_trains_nothing_that_was_given(
    program: Any, dataset: Path, fast: Path, tiny: Callable[..., list[str]], tmp_path: Path
) -> None:
    ef = [word if word == "--set" else f"ef.{word}" for word in tiny("ef")]
    given = ["--models", fast, "--dataset", "dynamic", "--num", 2, "--frames", 64, *ef, "--quiet"]
    done = program.start("run", dataset, tmp_path / "run", *given).wait(timeout_s=600)
    assert done.code == 0, done.stderr
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"latents", "synthetic", "report", "provenance.json"}


def test_evaluate_compares_videos_and_stills(program: Any, project: Path, dataset: Path, tmp_path: Path) -> None:
    how = ["--only", "fidelity", "--quiet", "--json"]
    program.good("evaluate", project / "set", dataset, tmp_path / "videos", *how, "--protocol", "echosyn-quick-v2")
    program.good("frames", dataset, tmp_path / "frames", "--quiet")
    sides = [project / "lidm_dynamic" / "images", tmp_path / "frames" / "images"]
    found = program.good("evaluate", *sides, tmp_path / "stills", *how, "--metrics", "Kernel distance")
    assert [name for name in found.json if name.startswith("Kernel")]


def test_what_cannot_be_had_is_refused_in_one_line(program: Any, project: Path, models: Path, tmp_path: Path) -> None:
    stills_of, out = project / "lidm_dynamic" / "latents", tmp_path / "out"
    video = [
        "animate",
        "--unet",
        models / "lvdm",
        "--vae",
        models / "vae",
        "--conditioning",
        stills_of,
        "--output",
        out,
    ]
    for line, words in (
        ([*video, "--save_as", "avi,webm"], "--save-as webm: expected some of avi,mp4,gif,jpg,png,pt"),
        (["encode", "-m", models / "vae", "-i", project / "set", "-o", out, "-f"], "a step never overwrites"),
        ([*video, "--config", project / "set" / "FileList.csv"], "FileList.csv"),
    ):
        refused = program(*line)
        assert refused.code == 2, line
        assert refused.stderr.count("\n") == 1
        assert words in refused.stderr
        assert not list(tmp_path.iterdir())
