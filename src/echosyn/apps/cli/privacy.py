"""The verbs of privacy: audit a synthetic dataset, and take out what is near to somebody who withdrew."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echosyn.apps.cli.arguments import Out, Real, Synthetic
from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import show
from echosyn.apps.cli.executors import computing
from echosyn.errors import ConfigError
from echosyn.settings import settings
from echosyn.settings.judging import AttackedSettings, AuditSettings, ModelsOfSet, WithdrawSettings
from echosyn.settings.running import DeviceSettings, RunSettings
from echosyn.settings.training import FinetuneSettings

if TYPE_CHECKING:
    from echosyn.data.records import Record

__all__ = ["app"]


@settings
class StartModel:
    """The model that is trained further."""

    lidm: Path
    """Image model to start from; not trained on these patients."""


def _check_both(synthetic: Path, real: Path) -> "list[Record]":
    """Say what is wrong with the datasets before anything is said of the models; the real one's records."""
    from echosyn.data import filelist

    filelist.read(synthetic)
    return filelist.read(real)


@app.command()
def audit(
    synthetic: Synthetic, real: Real, out: Out, attacked: AttackedSettings, asked: AuditSettings, run: RunSettings
) -> None:
    """Audit the privacy of a synthetic dataset.

    Looks for real patients in it and attacks it; exit code 3 if a criterion fails.
    """
    from echosyn.pipeline.audit.audit import FAILED, foreseen
    from echosyn.pipeline.audit.audit import audit as audit_videos

    records = _check_both(synthetic, real)
    if asked.canaries < 1:
        raise ConfigError(f"--canaries {asked.canaries}: expected at least 1")
    models = _models(attacked, () if attacked.videos_only else ("lidm", "lvdm"))
    for text in foreseen(records, asked):
        typer.echo(f"warning: this audit cannot pass: {text}", err=True)
    with computing(run) as compute:
        result = audit_videos(synthetic, real, out, models, asked, compute)
    show(result, run.json)
    if result["verdict"] != "pass":
        sys.exit(FAILED)


@app.command()
def withdraw(
    synthetic: Synthetic, real: Real, out: Out, asked: WithdrawSettings, made_by: ModelsOfSet, run: DeviceSettings
) -> None:
    """Copy a dataset without videos close to withdrawn patients.

    Also lists the models that were trained on them.
    """
    _check_both(synthetic, real)
    from echosyn.pipeline.audit.withdraw import withdraw as withdraw_patients

    models = _models(made_by, ("lidm", "lvdm") if asked.exclude else ())
    with computing(run) as compute:
        show(withdraw_patients(synthetic, real, out, models, asked, compute), run.json)


@app.command()
def finetune(
    data: Annotated[Path, typer.Argument(help="Latents folder; trains on its TRAIN patients.", show_default=False)],
    out: Out,
    start: StartModel,
    asked: FinetuneSettings,
    run: DeviceSettings,
) -> None:
    """Fine-tune an image model with differential privacy.

    DP-SGD; needs opacus.
    """
    from echosyn.pipeline.train.dp_finetune import finetune as finetune_privately

    with computing(run) as compute:
        show(finetune_privately(data, out, start.lidm, asked, compute), run.json)


def _models(given: ModelsOfSet, wanted: Sequence[str]) -> dict[str, Path]:
    """The VAE and the Re-ID model, and of the wanted ones those that are there."""
    from echosyn import weights

    if given.models is None:
        raise ConfigError(
            "--models is missing: give the folder of the models that generated SYNTHETIC, with at least vae and reid; for a set "
            "of other software, a folder with a vae and a reid that were trained on REAL"
        )
    found, why = weights.for_auditing(given.models, wanted, given.dataset)
    for text in why:
        typer.echo(f"warning: {text}", err=True)
    return found
