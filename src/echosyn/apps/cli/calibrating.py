"""The verb that calibrates the privacy screens once, for many jobs."""

from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.commands import Device, Json, Out, Quiet, Rate, app
from echosyn.apps.cli.console import Console, show
from echosyn.apps.cli.executors import RayAddress, Workers, executor
from echosyn.apps.cli.generating import Variant

__all__ = ["app"]


@app.command()
def calibrate(
    out: Out,
    reference: Annotated[Path, typer.Option(help="Latents of the real videos.", show_default=False)],
    real: Annotated[
        Path | None,
        typer.Option(help="The real videos themselves, for the check of finished videos.", show_default=False),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder with vae and reid; default: what ships, for the phantom.", show_default=False),
    ] = None,
    dataset: Annotated[
        Variant | None,
        typer.Option(help="Which Re-ID, where there are several: dataset or view.", show_default=False),
    ] = None,
    vae: Annotated[
        Path | None, typer.Option(help="Model folder of the VAE, if not in --models.", show_default=False)
    ] = None,
    reid: Annotated[
        Path | None, typer.Option(help="Model folder of the Re-ID model, if not in --models.", show_default=False)
    ] = None,
    false_rejection_rate: Rate = 0.05,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Calibrate both privacy screens once, for `filter` and all shards of `generate` (--calibrated)."""
    from echosyn import weights
    from echosyn.pipeline.calibrate import calibrate as calibrate_screens

    if models is None:
        models, dataset = weights.shipped(), dataset or Variant.a4c
    given = {stage: path for stage, path in {"vae": vae, "reid": reid}.items() if path is not None}
    missing = [stage for stage in ("vae", "reid") if stage not in given]
    found = weights.find_all(models, missing, dataset.value if dataset else None) | given
    with executor(device, workers, ray) as who:
        result = calibrate_screens(
            out,
            models=found,
            reference=reference,
            real=real,
            false_rejection_rate=false_rejection_rate,
            device=device,
            executor=who,
            progress=Console(quiet),
        )
    if not result["enough"]:
        typer.echo(
            f"warning: {result['patients']} held-out patients cannot support a false rejection rate of "
            f"{false_rejection_rate:.1%}: what is made with this folder is not releasable",
            err=True,
        )
    show(result, json)
