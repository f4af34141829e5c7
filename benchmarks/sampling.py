"""Seconds for a video of 192 frames: the published procedure, our best with the same weights, and the fast family.

    python benchmarks/sampling.py --json

(a) ``published``: 64 DDPM steps, windows of 64 frames at a hop of 32, float32, 8 frames decoded at a time, plain calls of
diffusers. One window is denoised once, 8 frames are decoded and one video is written; the rest is multiplied, since it
would take an hour. (b) ``same_weights``: the same networks with the fastest settings that keep the quality; one video in
full. (c) ``fast``: the models of the package, in full. The networks of (a) and (b) have random weights: time does not see
them. Each part runs in a process of its own, so that peak memory is its own.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import torch

from echosyn import rng, weights
from echosyn.data import video
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.denoiser import pad
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.diffusion.samplers import solver
from echosyn.diffusion.windows import plan, tiles
from echosyn.pipeline.models import for_decoding, video_pipeline
from echosyn.training import catalog

SHIPPED = weights.shipped()
"""Where the package keeps the fast family: ``vae`` and ``lvdm``."""

PUBLISHED_STEPS, DECODED_AT_ONCE = 64, 8
BEST = {"scheduler": "dpm++", "steps": 8, "blend": "alternate"}
VIDEOS = (1, 4, 16)
LENGTHS = (64, 192, 960)
FRAMES, QUICK_FRAMES = 192, 96

TINY = {
    "vae": ["network.block_out_channels=[8,8,8,8]", "network.norm_num_groups=4", "network.layers_per_block=1"],
    "lvdm": ["network.block_out_channels=[32,32,32,32]", "network.num_attention_heads=2", "network.layers_per_block=1"],
}


def clock(action: Callable[[], object], kind: str) -> tuple[float, object]:
    """Seconds and result; of this process alone, summed over its threads, for ``kind="cpu"``."""
    now = time.process_time if kind == "cpu" else time.perf_counter
    started = now()
    result = action()
    return now() - started, result


def peak_mb() -> float:
    """Most memory that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def full_size(quick: bool):
    """The published networks with random weights, and their scheduler."""
    made = {}
    for stage in ("vae", "lvdm"):
        settings = catalog.settings(stage, "dynamic", None, TINY[stage] if quick else [])
        with rng.initializing(0):
            made[stage] = weights.network(settings.network).eval().requires_grad_(False)
    return made["vae"], made["lvdm"], weights.scheduler(settings.scheduler)


def written(frames: torch.Tensor, fps: float, kind: str) -> float:
    """Seconds to write videos ``(B, T, H, W, channels)`` as AVI."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.avi" for i in range(len(frames))]
        return clock(
            lambda: [video.write_avi(p, grey(v).numpy(), fps) for p, v in zip(paths, frames, strict=True)], kind
        )[0]


@torch.no_grad()
def published(quick: bool, frames: int, kind: str) -> dict[str, float]:
    """(a): one window, one step; 8 decoded frames; one written video."""
    vae, unet, scheduler = full_size(quick)
    scheduler.set_timesteps(PUBLISHED_STEPS)
    t, window = scheduler.timesteps[0], int(unet.config.num_frames)
    x, still = torch.randn(1, window, 4, 14, 14), torch.randn(1, 1, 4, 14, 14).expand(-1, window, -1, -1, -1)
    ef, times = torch.full((1, 1, 1), 0.55), torch.zeros(1, 1)

    def step(count: int) -> torch.Tensor:
        seen = pad(torch.cat([x, still], dim=2)[0, :count])[0].unsqueeze(0)
        y = unet(seen, t, ef, added_time_ids=times).sample[..., 1:15, 1:15]
        return scheduler.step(y, t, x[:, :count]).prev_sample

    def decode(count: int) -> torch.Tensor:
        y = vae.decode(x[0, :count] / vae.config.scaling_factor).sample
        return ((y + 1) * 128).clamp(0, 255).to(torch.uint8)

    step(2), decode(1)
    step_s, decode_s = clock(lambda: step(window), kind)[0], clock(lambda: decode(DECODED_AT_ONCE), kind)[0]
    write_s = written(torch.randint(0, 255, (1, frames, 112, 112, 1), dtype=torch.uint8), 32.0, kind)
    return {"window_step_s": step_s, "decode_8_s": decode_s, "write_s": write_s, "peak_mb": peak_mb()}


@torch.no_grad()
def same_weights(quick: bool, compiled: bool, steps: int, num_frames: int, kind: str) -> dict[str, float]:
    """(b): one video in full; also one plain window and plain decoding, to say what each part brings."""
    vae, unet, scheduler = full_size(quick)
    pipeline = LatentVideoPipeline(None, unet, solver(scheduler, BEST["scheduler"]))
    codec = LatentCodec(for_decoding(vae, torch.device("cpu")))
    if compiled:
        unet.forward, vae.decoder.forward = torch.compile(unet.forward), torch.compile(vae.decoder.forward)
    still, found = torch.randn(1, 4, 14, 14), {}
    noise = torch.randn(1, 4, num_frames, 14, 14)
    codec.decode(still)
    how = {"num_inference_steps": steps, "blend": BEST["blend"], "latents": noise, "num_frames": num_frames}
    found["denoise_s"], output = clock(lambda: pipeline(still, [55.0], **how), kind)
    found["decode_s"], frames = clock(lambda: codec.decode_videos(output.latents), kind)
    found["write_s"] = written(frames, 32.0, kind)
    return found | {"total_s": found["denoise_s"] + found["decode_s"] + found["write_s"], "peak_mb": peak_mb()}


@torch.no_grad()
def fast(models: str, videos: int, frames: int, kind: str) -> dict[str, float]:
    """(c): so many videos in one batch, with the model's own settings."""
    lvdm, vae = weights.resolve(Path(models) / "lvdm"), weights.resolve(Path(models) / "vae")
    pipeline = video_pipeline(lvdm, vae, torch.device("cpu"))
    facts = weights.load_facts(lvdm)
    codec = LatentCodec(pipeline.vae, pipeline.config.pixels)
    shape = pipeline.unet.config.sample_size
    stills, found = (
        rng.normal((4, shape, shape), 0, "still", range(videos)),
        {"denoise_s": 0.0, "decode_s": 0.0, "write_s": 0.0},
    )

    def run(count: int, length: int) -> None:
        how = {"num_inference_steps": facts.num_inference_steps, "guidance_scale": facts.guidance_scale}
        generators = rng.generators(0, "motion", range(count))
        seconds, output = clock(
            lambda: pipeline(stills[:count], [55.0] * count, num_frames=length, generator=generators, **how), kind
        )
        found["denoise_s"] = seconds
        found["decode_s"], frames = clock(lambda: codec.decode_videos(output.latents), kind)
        found["write_s"] = written(frames, pipeline.config.fps, kind)

    run(1, 8)
    run(videos, frames)
    total = found["denoise_s"] + found["decode_s"] + found["write_s"]
    return found | {"total_s": total, "s_per_video": total / videos, "peak_mb": peak_mb()}


def apart(function, quick: bool, *arguments):
    """Call in a fresh process; in this one for a quick look, whose memory is of no interest."""
    if quick:
        return function(*arguments)
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def tiny_models(folder: Path) -> Path:
    """Stand-ins for the fast family, for ``--quick`` without models."""
    vae = {"_class_name": "PatchAutoencoderKL", "patch_size": 4, "block_out_channels": [8, 8], "norm_num_groups": 4}
    lvdm = {"_class_name": "VideoTransformer", "width": 16, "depth": 1, "num_heads": 2, "sample_size": 14}
    flow = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler"})
    for stage, config in (("vae", vae), ("lvdm", lvdm)):
        facts = weights.Facts(stage=stage, num_inference_steps=2)
        weights.save(weights.network(config), folder / stage, facts, flow if stage == "lvdm" else None)
    return folder


def contributions(
    a: dict[str, float], b: dict[str, float], frames: int, steps: int, window: int, hop: int
) -> dict[str, object]:
    """What each change alone makes of (a), from the measured parts; ``together`` is measured in full."""
    cut, alternate = len(plan(frames, window, hop)), len(tiles(frames, window, False))
    step, decode = a["window_step_s"], frames / DECODED_AT_ONCE * a["decode_8_s"]
    total = PUBLISHED_STEPS * cut * step + decode + a["write_s"]
    alone = {
        "solver": steps * cut * step + decode + a["write_s"],
        "windows": PUBLISHED_STEPS * alternate * step + decode + a["write_s"],
        "decode": PUBLISHED_STEPS * cut * step + b["decode_s"] + a["write_s"],
    }
    rows = {name: {"seconds": seconds, "ratio": total / seconds} for name, seconds in alone.items()}
    return rows | {"together": {"seconds": b["total_s"], "ratio": total / b["total_s"]}}


def measure(args: argparse.Namespace, models: Path | None) -> dict[str, object]:
    """All parts, one after the other."""
    settings = catalog.settings("lvdm", "dynamic", None, [])
    window = int(settings.network["num_frames"])
    hop, steps, base = window // 2, 2 if args.quick else args.steps, QUICK_FRAMES if args.quick else FRAMES
    a = apart(published, args.quick, args.quick, base, args.clock)
    b = apart(same_weights, args.quick, args.quick, False, steps, base, args.clock)
    videos, lengths = ((1, 2), (64, 96)) if args.quick else (VIDEOS, LENGTHS)
    c = {n: apart(fast, args.quick, str(models), n, base, args.clock) for n in videos} if models else {}
    rows = contributions(a, b, base, steps, window, hop)
    if args.compile:
        compiled = apart(same_weights, args.quick, args.quick, True, steps, base, args.clock)
        rows["compile"] = {
            "seconds": compiled["total_s"],
            "ratio": b["total_s"] / compiled["total_s"],
            "over": "together",
        }
    else:
        rows["compile"] = None
    seconds_a = PUBLISHED_STEPS * len(plan(base, window, hop)) * a["window_step_s"]
    parts_a = {"denoise_s": seconds_a, "decode_s": base / DECODED_AT_ONCE * a["decode_8_s"], "write_s": a["write_s"]}
    total_a = sum(parts_a.values())
    parts_a["window_step_s"] = a["window_step_s"]
    b["window_step_s"] = b["denoise_s"] / steps / len(tiles(base, window, False))
    best_c = min((part["s_per_video"] for part in c.values()), default=None)

    def long(length: int) -> dict[str, float | None]:
        share = length / base
        denoise_a = PUBLISHED_STEPS * len(plan(length, window, hop)) * a["window_step_s"]
        return {
            "published": denoise_a + share * (parts_a["decode_s"] + parts_a["write_s"]),
            "same_weights": share * b["total_s"],
            "fast": apart(fast, args.quick, str(models), 1, length, args.clock)["total_s"] if models else None,
        }

    return {
        "frames": base,
        "threads": torch.get_num_threads(),
        "clock": args.clock,
        "published_s": total_a,
        "same_weights_s": b["total_s"],
        "fast_s": best_c,
        "fast_single_s": c[1]["s_per_video"] if c else None,
        "ratio_same_weights": total_a / b["total_s"],
        "ratio_fast": total_a / best_c if best_c else None,
        "parts": {"published": parts_a, "same_weights": b, "fast": c},
        "settings": {"same_weights": BEST | {"steps": steps}},
        "contributions": rows,
        "seconds_by_videos": {
            n: {"published": n * total_a, "same_weights": n * b["total_s"], "fast": c[n]["total_s"] if c else None}
            for n in videos
        },
        "seconds_by_frames": {length: long(length) for length in lengths},
        "peak_mb": {"published": a["peak_mb"], "same_weights": b["peak_mb"], "fast": {n: c[n]["peak_mb"] for n in c}},
        "extrapolated": [
            f"published: 1 step of 1 window ({a['window_step_s']:.2f} s) times {PUBLISHED_STEPS} steps and "
            f"{len(plan(base, window, hop))} windows, 8 decoded frames times {base // DECODED_AT_ONCE}",
            "contributions other than together: from the measured parts",
            "published and same_weights for several videos: one video times their number",
            "same_weights for other lengths: proportional, as its windows share no frame",
        ],
        "quick": args.quick,
    }


def as_text(result: dict) -> str:
    """For people."""

    def line(name: str, seconds: float | None, ratio: float | None) -> str:
        return f"{name:<28}{'-' if seconds is None else f'{seconds:.1f} s':>12}{'-' if ratio is None else f'{ratio:.1f} x':>10}"

    lines = [f"One video of {result['frames']} frames, {result['threads']} thread(s), {result['clock']} clock", ""]
    lines.append(line("(a) published", result["published_s"], 1.0))
    lines.append(line("(b) same weights", result["same_weights_s"], result["ratio_same_weights"]))
    lines.append(line("(c) fast family", result["fast_s"], result["ratio_fast"]))
    lines += ["", "What each change brings"]
    lines += [line(name, row and row["seconds"], row and row["ratio"]) for name, row in result["contributions"].items()]
    lines += ["", f"{'Seconds of the parts':<28}{'denoise':>12}{'decode':>12}{'write':>12}{'window, step':>14}"]
    for name in ("published", "same_weights"):
        part = result["parts"][name]
        cells = "".join(f"{part[key]:>12.1f}" for key in ("denoise_s", "decode_s", "write_s"))
        lines.append(f"{name.replace('_', ' '):<28}{cells}{part['window_step_s']:>14.2f}")
    lines.append(
        "Both run the same network on a window: where the last column differs, other work disturbed one of them."
    )
    lines += ["", "Extrapolated:", *(f"- {text}" for text in result["extrapolated"])]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast-models", type=Path, default=SHIPPED, help="folder with vae and lvdm")
    parser.add_argument("--steps", type=int, default=BEST["steps"], help="of (b)")
    parser.add_argument("--compile", action="store_true", help="also (b) with torch.compile, which takes minutes")
    parser.add_argument("--quick", action="store_true", help="tiny networks: only tries the script")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: seconds of processor, on a busy machine"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    there = (args.fast_models / "lvdm").is_dir()
    if not there and args.fast_models != SHIPPED:
        parser.error(f"--fast-models {args.fast_models}: has no lvdm; expected a folder with vae and lvdm")
    with tempfile.TemporaryDirectory() as folder:
        models = args.fast_models if there else tiny_models(Path(folder)) if args.quick else None
        result = measure(args, models)
    print(json.dumps(result) if args.json else as_text(result))


if __name__ == "__main__":
    main()
