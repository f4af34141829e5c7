"""The verb that calibrates the privacy screens once, for many jobs."""

from pathlib import Path

import typer

from echosyn.apps.cli.arguments import Out
from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import show
from echosyn.apps.cli.executors import computing
from echosyn.settings import settings
from echosyn.settings.making import CalibrateSettings, Variant
from echosyn.settings.running import RunSettings

__all__ = ["app"]


@settings
class ScreenModels:
    """The models of the screens."""

    models: Path | None = None
    """Folder with vae and reid; default built-in (phantom)."""
    dataset: Variant | None = None
    """Which Re-ID, where there are several: dataset or view."""
    vae: Path | None = None
    """Model folder of the VAE, if not in --models."""
    reid: Path | None = None
    """Model folder of the Re-ID model, if not in --models."""

    def found(self) -> dict[str, Path]:
        """Model folders by stage."""
        from echosyn import weights

        given = {stage: path for stage, path in {"vae": self.vae, "reid": self.reid}.items() if path is not None}
        missing = [stage for stage in ("vae", "reid") if stage not in given]
        variant = self.dataset if self.models else self.dataset or "a4c"
        return weights.find_all(self.models or weights.shipped(), missing, variant) | given


@app.command()
def calibrate(out: Out, asked: CalibrateSettings, models: ScreenModels, run: RunSettings) -> None:
    """Calibrate both privacy screens once, for all shards.

    `filter` and `generate` take the folder with --calibrated.
    """
    from echosyn.pipeline.privacy_filter.calibrate import calibrate as calibrate_screens
    from echosyn.privacy.calibration import needed_patients

    found = models.found()
    with computing(run) as compute:
        result = calibrate_screens(out, found, asked, compute)
    if not result["enough"]:
        typer.echo(
            f"warning: {result['patients']} held-out patients are too few to know a false rejection rate of "
            f"{asked.false_rejection_rate:.1%}, expected at least {needed_patients(asked.false_rejection_rate)}: datasets "
            "screened with this folder must not be released",
            err=True,
        )
    show(result, run.json)
