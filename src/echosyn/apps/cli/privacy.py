"""The verbs of privacy: audit a synthetic dataset, and take out what is near to somebody who withdrew."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.commands import Device, Json, Out, Quiet, Rate, app
from echosyn.apps.cli.console import Console, show
from echosyn.apps.cli.executors import RayAddress, Workers, executor
from echosyn.errors import ConfigError, ModelError

__all__ = ["app"]

Synthetic = Annotated[Path, typer.Argument(help="Synthetic dataset folder.", show_default=False)]
Real = Annotated[Path, typer.Argument(help="Real dataset folder, with TRAIN and held-out videos.", show_default=False)]
Models = Annotated[
    Path | None,
    typer.Option(help="Folder with vae and reid; lidm and lvdm in it are attacked too.", show_default=False),
]


@app.command()
def audit(
    synthetic: Synthetic,
    real: Real,
    out: Out,
    models: Models = None,
    videos_only: Annotated[
        bool, typer.Option("--videos-only", help="The weights stay in the house: do not attack the LIDM and the LVDM.")
    ] = False,
    false_rejection_rate: Rate = 0.05,
    canaries: Annotated[int, typer.Option(help="Training videos that are disguised to see what is caught.")] = 20,
    seed: Annotated[int, typer.Option(help="Of disguises, attacks and intervals.")] = 0,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Look for real patients in finished videos and attack them; exit code 3 if a line is crossed."""
    from echosyn.pipeline.audit import CROSSED
    from echosyn.pipeline.audit import audit as audit_videos

    if canaries < 1:
        raise ConfigError(f"--canaries {canaries}: expected at least 1")
    found = _models(models, () if videos_only else ("lidm", "lvdm"))
    with executor(device, workers, ray) as who:
        result = audit_videos(
            synthetic,
            real,
            out,
            models=found,
            false_rejection_rate=false_rejection_rate,
            num_canaries=canaries,
            seed=seed,
            device=device,
            executor=who,
            progress=Console(quiet),
        )
    show(result, json)
    if result["verdict"] != "pass":
        sys.exit(CROSSED)


@app.command()
def withdraw(
    synthetic: Synthetic,
    real: Real,
    out: Out,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Patient who withdrew; may be given again.")
    ] = None,
    too_close: Annotated[
        bool, typer.Option("--too-close", help="Take out what an audit finds too close to anybody.")
    ] = False,
    models: Models = None,
    rate: Annotated[
        float, typer.Option("--rate", help="Share of videos that have nothing to do with them and go as well.")
    ] = 0.05,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Copy a synthetic dataset without what is near to patients who withdrew, and say which models saw them."""
    from echosyn.pipeline.withdraw import withdraw as withdraw_patients

    result = withdraw_patients(
        synthetic,
        real,
        out,
        patients=exclude or (),
        too_close=too_close,
        models=_models(models, ("lidm", "lvdm")),
        rate=rate,
        device=device,
        progress=Console(quiet),
    )
    show(result, json)


@app.command()
def finetune(
    data: Annotated[Path, typer.Argument(help="Latents folder; its TRAIN patients are learned.", show_default=False)],
    out: Out,
    lidm: Annotated[Path, typer.Option(help="Image model to start from; it must not know them.", show_default=False)],
    epsilon: Annotated[float, typer.Option(help="Largest privacy loss of a patient.")] = 8.0,
    delta: Annotated[
        float | None, typer.Option(help="Chance that it is larger; default 1/(10 patients).", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 500,
    batch_size: Annotated[int, typer.Option(help="Patients a step, on average.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW.")] = 5e-4,
    seed: Annotated[int, typer.Option(help="Of draws and noise; keep it secret.")] = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train an image model further with differential privacy (DP-SGD; needs opacus)."""
    from echosyn.pipeline.finetune import finetune as finetune_privately

    result = finetune_privately(
        data,
        out,
        lidm=lidm,
        epsilon=epsilon,
        delta=delta,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        progress=Console(quiet),
    )
    show(result, json)


def _models(models: Path | None, wanted: Sequence[str]) -> dict[str, Path]:
    """The VAE and the Re-ID model, and of the wanted ones those that are there."""
    from echosyn import weights

    if models is None:
        raise ConfigError("--models is missing: give the folder of models that made the set, vae and reid at least")
    found = weights.find_all(models, ["vae", "reid"])
    for stage in wanted:
        try:
            found[stage] = weights.find(models, stage)
        except ModelError as error:
            typer.echo(f"warning: {error}; it is left out", err=True)
    return found
