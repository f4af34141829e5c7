"""What a GPU brings: seconds and memory of sampling and training, and whether it computes what a CPU does.

    python benchmarks/gpu.py                  prints JSON
    python benchmarks/gpu.py --check          also samples the same videos on the CPU; exit code 1 if they differ too much
    python benchmarks/gpu.py --device cpu --quick --check     tries the script with tiny networks

Two families: ``published``, the networks of the preset dynamic with random weights, sampled as published (64 DDPM steps,
windows of 64 frames at a hop of 32), and ``fast``, the models of the package. Each in float32, and under autocast in bfloat16
and float16; weights stay in float32, as in training. Before the clock starts, everything has run once. The check compares the
fast family's decoded videos, made from the same noise, in grey levels (0..255): see ``TOLERANCE``.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.utils.data import default_collate

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import filelist, latents
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.errors import EchosynError
from echosyn.pipeline.models import for_decoding, video_pipeline
from echosyn.training import catalog
from echosyn.training.loop import Training, to_device

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
TOLERANCE = {
    "fp32": {"largest": 1, "mean": 0.01},
    "bf16": {"largest": 16, "mean": 1.0},
    "fp16": {"largest": 8, "mean": 0.5},
}
"""Grey levels by which a video may differ from the CPU's in float32."""
TINY = {
    "vae": ["network.block_out_channels=[8,8,8,8]", "network.norm_num_groups=4", "network.layers_per_block=1"],
    "lvdm": ["network.block_out_channels=[32,32,32,32]", "network.num_attention_heads=2", "network.layers_per_block=1"],
}
PUBLISHED, FAST = "dynamic", "phantom-full"


class Size(NamedTuple):
    """How much is measured."""

    frames: int
    steps: int
    repeats: int
    batch: int


FULL, QUICK = Size(192, 64, 3, 8), Size(64, 1, 1, 1)


class Family(NamedTuple):
    """A pipeline to sample from, with its settings for training."""

    pipeline: LatentVideoPipeline
    steps: int
    guidance: float
    preset: str
    overrides: list[str]


def published(device: torch.device, size: Size, quick: bool) -> Family:
    """The published networks with random weights: time does not see them."""
    made = {}
    for stage in ("vae", "lvdm"):
        settings = catalog.settings(stage, PUBLISHED, None, TINY[stage] if quick else [])
        with rng.initializing(0):
            made[stage] = weights.network(settings.network).eval().requires_grad_(False)
    pipeline = LatentVideoPipeline(made["vae"], made["lvdm"], weights.scheduler(settings.scheduler))
    return Family(pipeline.to(device), size.steps, 1.0, PUBLISHED, TINY["lvdm"] if quick else [])


def fast(device: torch.device) -> Family:
    """The models of the package."""
    folder = weights.shipped()
    lvdm = weights.resolve(folder / "lvdm")
    facts = weights.load_facts(lvdm)
    pipeline = video_pipeline(lvdm, weights.resolve(folder / "vae"), device)
    return Family(pipeline, facts.num_inference_steps, facts.guidance_scale, FAST, [])


@contextmanager
def precision(device: torch.device, name: str) -> Iterator[None]:
    """Autocast, for anything but float32."""
    dtype = PRECISIONS[name]
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        yield


def sampled(family: Family, device: torch.device, frames: int, videos: int = 1) -> Tensor:
    """Grey videos ``(B, T, H, W)`` on the CPU; equal noise on every device."""
    config = family.pipeline.unet.config
    side = config.sample_size
    stills = rng.normal((config.out_channels, side, side), 0, "still", range(videos)).to(device)
    output = family.pipeline(
        stills,
        [55.0] * videos,
        num_frames=frames,
        num_inference_steps=family.steps,
        guidance_scale=family.guidance,
        generator=rng.generators(0, "motion", range(videos)),
    )
    codec = LatentCodec(for_decoding(family.pipeline.vae, device), family.pipeline.config.pixels)
    return grey(codec.decode_videos(output.latents)).cpu()


def seconds(action: Callable[[], object], device: torch.device, repeats: int) -> dict[str, float | None]:
    """Median seconds of an action that has run once, and the most memory that its tensors took on a GPU."""
    is_cuda = device.type == "cuda"
    action()
    if is_cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        if is_cuda:
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    memory = torch.cuda.max_memory_allocated(device) / 2**20 if is_cuda else None
    return {"seconds": sorted(taken)[len(taken) // 2], "memory_mb": memory}


def training(family: Family, device: torch.device, name: str, size: Size, folder: Path) -> Callable[[], object]:
    """A step of the video model's training, on latents of noise."""
    mixed = {"fp32": "no"}.get(name, name)
    settings = catalog.settings("lvdm", family.preset, None, [*family.overrides, f"loop.batch_size={size.batch}"])
    stage = catalog.create("lvdm", settings)
    data = noise_latents(folder, stage, size.batch + 8)
    batch = default_collate([*map(stage.items(data, filelist.read(data)).__getitem__, range(size.batch))])
    AcceleratorState._reset_state(reset_partial_state=True)  # the precision is otherwise that of the first
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)
    made = Training(stage, settings.loop, accelerator)
    batch = to_device(batch, accelerator.device)
    return lambda: made.advance(batch)


def noise_latents(folder: Path, stage: Any, num: int) -> Path:
    """Latents to learn from, of which only the shape matters."""
    frames, config = 3 * stage.settings.num_frames, stage.network.config  # courses need several beats
    side, channels = config.sample_size, config.out_channels
    beats = [0.5 - 0.5 * torch.cos(torch.arange(frames) / (4 + i / 10)).double().numpy() for i in range(num)]
    records = [Record(f"v{i}", ef=50.0, height=112, width=112, fps=32.0, num_frames=frames) for i in range(num)]
    for i, record in enumerate(records):
        latents.write(
            folder,
            record,
            rng.normal((channels, side, side), i, "latents", range(frames)),
            beats[i] if stage.settings.courses else None,
        )
    latents.write_info(folder, vae="0" * 64, pixels="symmetric", posterior="mean")
    filelist.write(folder, records)
    return folder


def measured(make: Callable[[], Family], device: torch.device, size: Size) -> dict[str, Any]:
    """Sampling and training of a family in every precision; what a device cannot do says why."""
    family = make()
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in family.pipeline.unet.parameters())}
    for name in PRECISIONS:
        if device.type == "cpu" and name == "fp16":
            found[name] = {"not run": "float16 needs a GPU"}
            continue
        with precision(device, name):
            sampling = seconds(lambda: sampled(family, device, size.frames), device, size.repeats)
        with tempfile.TemporaryDirectory() as folder:
            step = training(family, device, name, size, Path(folder))
            found[name] = {"video": sampling, "training step": seconds(step, device, size.repeats)}
            del step
    return found


def checked(device: torch.device, size: Size) -> dict[str, Any]:
    """The fast family's videos on a device against those of the CPU in float32."""
    cpu, videos = torch.device("cpu"), 1 if size is QUICK else 4
    exact = sampled(fast(cpu), cpu, size.frames, videos).float()
    found: dict[str, Any] = {}
    for name, allowed in TOLERANCE.items():
        if device.type == "cpu" and name == "fp16":
            continue
        with precision(device, name):
            apart = (sampled(fast(device), device, size.frames, videos).float() - exact).abs()
        differs = {"largest": float(apart.max()), "mean": float(apart.mean())}
        found[name] = {"differs": differs, "allowed": allowed, "ok": all(differs[k] <= allowed[k] for k in allowed)}
    return found


def machine(device: torch.device) -> str:
    """What was computed on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return f"{name}, torch {torch.__version__}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N; cpu only tries the script")
    parser.add_argument("--check", action="store_true", help="compare with the CPU")
    parser.add_argument("--quick", action="store_true", help="tiny published networks, 64 frames, one step")
    args = parser.parse_args()
    try:
        device = devices.resolve(args.device)
    except EchosynError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    size = QUICK if args.quick else FULL
    result: dict[str, Any] = {
        "command": " ".join(["python benchmarks/gpu.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(device),
        "size": size._asdict(),
        "published": measured(lambda: published(device, size, args.quick), device, size),
        "fast": measured(lambda: fast(device), device, size),
    }
    if args.check:
        result["check"] = checked(device, size)
    print(json.dumps(result))
    sys.exit(0 if all(each["ok"] for each in result.get("check", {}).values()) else 1)


if __name__ == "__main__":
    main()
