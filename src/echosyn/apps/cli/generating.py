"""The verbs from videos to latents, hearts and a synthetic dataset."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from echosyn.apps.cli.commands import (
    EF,
    Batch,
    Blending,
    Condition,
    Device,
    EFFrom,
    Frames,
    Guidance,
    Hop,
    Json,
    Out,
    Quiet,
    Scheduler,
    Seed,
    Steps,
    app,
    efs,
)
from echosyn.apps.cli.console import Console, show
from echosyn.apps.cli.executors import RayAddress, ShardOption, Workers, executor
from echosyn.apps.cli.given import refuse_others

__all__ = ["app"]


Calibrated = Annotated[
    Path | None,
    typer.Option(
        help="Folder of `echosyn calibrate`, instead of --reference and what belongs to it.", show_default=False
    ),
]
MaybeRate = Annotated[
    float | None,
    typer.Option(
        "--false-rejection-rate",
        help="How often an innocent heart may be rejected; default 0.05.",
        show_default=False,
    ),
]


class Variant(StrEnum):
    """The datasets that EchoNet-Synthetic publishes models for, and the views of the models that ship."""

    dynamic = "dynamic"
    ped_a4c = "ped_a4c"
    ped_psax = "ped_psax"
    a4c = "a4c"
    psax = "psax"


class Rule(StrEnum):
    """How `filter` decides."""

    calibrated = "calibrated"
    published = "published"


@app.command()
def encode(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)],
    out: Out,
    vae: Annotated[Path, typer.Option(help="Model folder of the VAE.", show_default=False)],
    mean: Annotated[bool, typer.Option("--mean", help="Posterior means instead of samples.")] = False,
    any_scale: Annotated[bool, typer.Option("--any-scale", help="Accept latents far from unit variance.")] = False,
    courses: Annotated[bool, typer.Option("--courses", help="Also track when each heart contracts.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    shard: ShardOption = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Turn the videos of a dataset into latents."""
    from echosyn.pipeline.encode import encode as encode_dataset
    from echosyn.pipeline.sharding import part

    posterior: Any = "mean" if mean else "sample"
    options: dict[str, Any] = {"posterior": posterior, "seed": seed, "any_scale": any_scale, "courses": courses}
    with executor(device, workers, ray) as who:
        options |= {"device": device, "executor": who, "shard": part(shard)}
        show(encode_dataset(dataset, out, vae=vae, **options, progress=Console(quiet)), json)


@app.command()
def sample(
    out: Out,
    lidm: Annotated[Path, typer.Option(help="Model folder of the image model.", show_default=False)],
    num: Annotated[int, typer.Option(help="How many hearts.")] = 16,
    seed: Seed = 0,
    steps: Steps = None,
    scheduler: Scheduler = None,
    batch_size: Batch = 32,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    shard: ShardOption = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Invent latent hearts: the candidates."""
    from echosyn.pipeline.sample import sample as sample_stills
    from echosyn.pipeline.sharding import part

    how: dict[str, Any] = {"steps": steps, "scheduler": scheduler, "batch_size": batch_size, "device": device}
    with executor(device, workers, ray) as who:
        how |= {"executor": who, "shard": part(shard)}
        show(sample_stills(out, lidm=lidm, num=num, seed=seed, progress=Console(quiet), **how), json)


@app.command("filter")
def filter_(
    candidates: Annotated[Path, typer.Argument(help="Folder of stills.", show_default=False)],
    out: Out,
    reid: Annotated[Path, typer.Option(help="Model folder of the re-identification model.", show_default=False)],
    reference: Annotated[Path | None, typer.Option(help="Latents of the real videos.", show_default=False)] = None,
    calibrated: Calibrated = None,
    rule: Annotated[
        Rule, typer.Option(help="published: EchoNet-Synthetic's, with what it really rejects.")
    ] = Rule.calibrated,
    false_rejection_rate: MaybeRate = None,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    shard: ShardOption = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Keep the hearts that are nobody's."""
    from echosyn.pipeline.filtering import filter_stills
    from echosyn.pipeline.sharding import part

    with executor(device, workers, ray) as who:
        result = filter_stills(
            candidates,
            out,
            reid=reid,
            reference=reference,
            calibrated=calibrated,
            rule=cast(Any, rule.value),
            false_rejection_rate=false_rejection_rate,
            device=device,
            executor=who,
            shard=part(shard),
            progress=Console(quiet),
        )
    show(result, json)


@app.command()
def animate(
    kept: Annotated[Path, typer.Argument(help="Folder of stills.", show_default=False)],
    out: Out,
    lvdm: Annotated[Path, typer.Option(help="Model folder of the video model.", show_default=False)],
    vae: Annotated[Path, typer.Option(help="Model folder of the VAE.", show_default=False)],
    num: Annotated[int | None, typer.Option(help="Only the first so many stills.", show_default=False)] = None,
    frames: Frames = 192,
    ef: EF = None,
    ef_from: EFFrom = None,
    seed: Seed = 0,
    steps: Steps = None,
    scheduler: Scheduler = None,
    hop: Hop = None,
    blend: Blending = "cut",
    guidance: Guidance = None,
    condition: Condition = None,
    batch_size: Batch = 8,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    shard: ShardOption = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make stills beat with a requested EF: a dataset folder."""
    from echosyn.pipeline.animate import animate as animate_stills
    from echosyn.pipeline.motion import conditions_of
    from echosyn.pipeline.sharding import part

    with executor(device, workers, ray) as who:
        result = animate_stills(
            kept,
            out,
            lvdm=lvdm,
            vae=vae,
            seed=seed,
            num=num,
            num_frames=frames,
            ef=efs(ef, ef_from),
            steps=steps,
            scheduler=scheduler,
            hop=hop,
            blend=cast(Any, blend),
            guidance_scale=guidance,
            conditions=conditions_of(condition or []),
            batch_size=batch_size,
            device=device,
            executor=who,
            shard=part(shard),
            progress=Console(quiet),
        )
    show(result, json)


@app.command()
def generate(
    context: typer.Context,
    out: Out,
    models: Annotated[
        Path | None,
        typer.Option(
            help="Folder with vae, lidm, lvdm and reid, or their published names; default: what ships, for the phantom.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        Variant | None,
        typer.Option(help="Which LIDM and Re-ID, where there are several: dataset or view.", show_default=False),
    ] = None,
    num: Annotated[int, typer.Option(help="Videos.")] = 16,
    seed: Seed = 0,
    reference: Annotated[
        Path | None, typer.Option(help="Latents of the real videos, for the filter.", show_default=False)
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(help="The real videos themselves, for the check of the finished ones.", show_default=False),
    ] = None,
    calibrated: Calibrated = None,
    frames: Frames = 192,
    ef: EF = None,
    ef_from: EFFrom = None,
    steps: Steps = None,
    scheduler: Scheduler = None,
    hop: Hop = None,
    blend: Blending = "cut",
    guidance: Guidance = None,
    condition: Condition = None,
    batch_size: Batch = 8,
    false_rejection_rate: MaybeRate = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            help="Replace videos that fail: contrast, motion, cavity, smooth, rhythm, ef or all; repeatable. Adds labels.",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="JSON of one video of the page: make it again, and look at nothing else.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what it would take with so many --workers: hours, disk, memory; no files."
        ),
    ] = False,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    shard: ShardOption = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Sample, filter and animate until enough videos passed: a synthetic dataset folder."""
    from echosyn import weights
    from echosyn.pipeline import generate as generating
    from echosyn.pipeline.motion import conditions_of
    from echosyn.pipeline.sharding import part

    if replay is not None:
        from echosyn.apps.cli.page import make_again

        refuse_others(context, "--replay", {"out", "models", "replay", "device", "quiet", "json"})
        make_again(replay, out, models or weights.shipped(), device, Console(quiet), json)
        return
    if models is None:
        models, dataset = weights.shipped(), dataset or Variant.a4c
    needed = ["vae", "lidm", "lvdm", *(["reid"] if reference or calibrated else [])]
    asked: dict[str, Any] = {
        "models": weights.find_all(models, needed, dataset.value if dataset else None),
        "num": num,
        "seed": seed,
        "reference": reference,
        "real": real,
        "calibrated": calibrated,
        "num_frames": frames,
        "ef": efs(ef, ef_from),
        "steps": steps,
        "scheduler": scheduler,
        "hop": hop,
        "blend": blend,
        "guidance_scale": guidance,
        "conditions": conditions_of(condition or []),
        "batch_size": batch_size,
        "false_rejection_rate": false_rejection_rate,
        "require": require or [],
        "device": device,
    }
    if dry_run:
        show(generating.dry_run(workers or 1, **asked), json)
        return
    with executor(device, workers, ray) as who:
        result = generating.generate(out, executor=who, shard=part(shard), progress=Console(quiet), **asked)
    if reference is None and calibrated is None:
        typer.echo("warning: no --reference: nothing was filtered, do not share this set", err=True)
    if lost := result.pop("lost", None):
        typer.echo(
            f"warning: workers died at {len(lost)} hearts, others were taken: {', '.join(map(str, lost))}", err=True
        )
    show(result, json)
