"""The published layout, from a server to a generated video: the folders as they lie on the hub, with random weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from echosyn import rng, weights
from echosyn.data import filelist, stills, video
from echosyn.pipeline.models import embed
from published import PUBLISHED, SCHEDULER, SMALL, weights_of, write_siamese

MILLIONS = {"vae": (62, 63), "lidm_dynamic": (73, 75), "lvdm": (143, 145)}
"""Parameters of the published models, as their notes say."""


def publish(folder: Path, changed: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Write the folders as the hub has them; the number of parameters of each."""
    sizes = {}
    for name, config in PUBLISHED.items():
        with rng.initializing(1):
            network = weights.network(config | dict(changed.get(name, {})))
        network.save_pretrained(folder / name)
        sizes[name] = sum(p.numel() for p in network.parameters())
        if name != "vae":
            (folder / name / "config.yaml").write_text(json.dumps({"noise_scheduler": SCHEDULER, "seed": 1}))
    write_siamese(folder / "reidentification_dynamic")
    return sizes


def fetch_and_generate(program: Any, mirror: Any, folder: Path, lidm_steps: int) -> Path:
    """Fetch, verify, generate one video with one step of the video model."""
    names = [f"echonet-synthetic/{name}" for name in (*PUBLISHED, "reidentification_dynamic")]
    fetched = ["weights", "fetch", *names, "--to", folder / "models", "--from", mirror.url]
    # the weights here are random, so the published hashes cannot fit
    refused = program(*fetched, "--trust-on-first-use", "--quiet")
    assert refused.code == 2
    assert "its SHA-256 is" in refused.stderr
    sums = weights_of(mirror.root)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "SHA256SUMS").write_text(sums)
    mirror.drop_after = [5000]
    program.good(*fetched, "--quiet")
    assert program.good("weights", "verify", folder / "models", "--json").json["files"] == 10
    (folder / "models" / "lidm_dynamic" / "echosyn.json").write_text(json.dumps({"num_inference_steps": lidm_steps}))
    out = folder / "synthetic"
    options = ["--num", 1, "--frames", 64, "--steps", 1, "--seed", 3, "--dataset", "dynamic", "--quiet"]
    done = program.start("generate", out, "--models", folder / "models", *options).wait(timeout_s=1800)
    assert done.code == 0, done.stderr
    return out


def judge(folder: Path, out: Path) -> None:
    """A video of the right shape, and a re-identification model that embeds its kind of latents."""
    (record,) = filelist.read(out)
    frames = video.read(filelist.video_path(out, record)).frames
    assert frames.shape == (64, 112, 112)
    reid = weights.load(weights.find(folder / "models", "reid", "dynamic"), "reid")
    embedding = embed(reid, rng.normal((4, 14, 14), 0, "latents", range(2)))
    assert embedding.shape == (2, 128)
    assert embedding.std(0).max() > 0


def flipped_byte_is_refused(program: Any, folder: Path) -> None:
    path = folder / "models" / "lvdm" / weights.WEIGHTS
    with path.open("r+b") as file:
        file.seek(-5, 2)
        byte = file.read(1)[0]
        file.seek(-5, 2)
        file.write(bytes([byte ^ 1]))
    result = program("weights", "verify", folder / "models")
    assert result.code == 2
    assert "lvdm" in result.stderr
    assert "its SHA-256 is" in result.stderr


def test_small_models_of_the_published_classes(program: Any, mirror: Any, tmp_path: Path) -> None:
    publish(mirror.root, SMALL)
    out = fetch_and_generate(program, mirror, tmp_path, 1)
    judge(tmp_path, out)
    flipped_byte_is_refused(program, tmp_path)
    assert stills.name(0) in filelist.read(out)[0].name


@pytest.mark.slow
def test_the_published_configurations(program: Callable[..., Any], mirror: Any, tmp_path: Path) -> None:
    sizes = publish(mirror.root, {})
    assert all(low <= sizes[name] / 1e6 <= high for name, (low, high) in MILLIONS.items()), sizes
    out = fetch_and_generate(program, mirror, tmp_path, 1)
    judge(tmp_path, out)
    flipped_byte_is_refused(program, tmp_path)
