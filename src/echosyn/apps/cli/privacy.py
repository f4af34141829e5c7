"""The verbs of privacy: audit a synthetic dataset, and take out what is near to somebody who withdrew."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.commands import Device, Json, Out, Quiet, Rate, app
from echosyn.apps.cli.console import Console, show
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
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Look for real patients in finished videos and attack them; exit code 3 if a line is crossed."""
    from echosyn.pipeline.audit import CROSSED
    from echosyn.pipeline.audit import audit as audit_videos

    if canaries < 1:
        raise ConfigError(f"--canaries {canaries}: expected at least 1")
    found = _models(models, () if videos_only else ("lidm", "lvdm"))
    result = audit_videos(
        synthetic,
        real,
        out,
        models=found,
        false_rejection_rate=false_rejection_rate,
        num_canaries=canaries,
        seed=seed,
        device=device,
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
    exclude: Annotated[list[str], typer.Option("--exclude", help="Patient who withdrew; may be given again.")],
    models: Models = None,
    rate: Annotated[
        float, typer.Option("--rate", help="Share of videos that have nothing to do with them and go as well.")
    ] = 0.05,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Copy a synthetic dataset without what is near to a patient, and say which models saw that patient."""
    from echosyn.pipeline.withdraw import withdraw as withdraw_patients

    result = withdraw_patients(
        synthetic,
        real,
        out,
        patients=exclude,
        models=_models(models, ("lidm", "lvdm")),
        rate=rate,
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
