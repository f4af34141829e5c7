"""The verbs from videos to latents, hearts and a synthetic dataset."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.arguments import Dataset, Out, Stills
from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import Console, show
from echosyn.apps.cli.executors import computing
from echosyn.errors import ConfigError
from echosyn.settings import Spelled, settings
from echosyn.settings.making import (
    AnimateSettings,
    DecodeSettings,
    EncodeSettings,
    FilterSettings,
    GenerateSettings,
    ModelsSettings,
    ReproduceSettings,
    SampleSettings,
)
from echosyn.settings.running import DeviceSettings, ShardedRunSettings
from echosyn.settings.training import TextureFitSettings

__all__ = ["app"]


@settings
class Encoder:
    """The model that makes latents."""

    vae: Path
    """Model folder of the VAE."""


@settings
class ImageModel:
    """The model that samples stills."""

    lidm: Path
    """Model folder of the image model."""


@settings
class ReID:
    """The model that tells patients apart."""

    reid: Path
    """Model folder of the re-identification model."""


@settings
class VideoModel(Encoder):
    """The models that animate stills."""

    lvdm: Path
    """Model folder of the video model."""


@settings
class Instead:
    """What `generate` may do instead."""

    replay: Annotated[Path | None, Spelled("--replay")] = None
    """JSON of one video of the demo page, to make it again."""
    dry_run: bool = False
    """Estimate hours, disk and memory with --workers; no files."""


@app.command()
def encode(dataset: Dataset, out: Out, model: Encoder, asked: EncodeSettings, run: ShardedRunSettings) -> None:
    """Encode the videos of a dataset as latents."""
    from echosyn.pipeline.train.encode import encode as encode_dataset

    with computing(run) as compute:
        show(encode_dataset(dataset, out, model.vae, asked, compute), run.json)


@app.command()
def texture(dataset: Dataset, out: Out, model: Encoder, asked: TextureFitSettings, run: DeviceSettings) -> None:
    """Give a VAE the speckle of recordings."""
    from echosyn.pipeline.train.texture import texture as add_texture
    from echosyn.pipeline.workers.compute import Compute

    show(add_texture(dataset, out, model.vae, asked, Compute(run.device, progress=Console(run.quiet))), run.json)


@app.command()
def sample(out: Out, model: ImageModel, asked: SampleSettings, run: ShardedRunSettings) -> None:
    """Sample latent stills: the candidates."""
    from echosyn.pipeline.generate.sample import sample as sample_stills

    with computing(run) as compute:
        show(sample_stills(out, model.lidm, asked, compute), run.json)


@app.command("filter")
def filter_(candidates: Stills, out: Out, model: ReID, asked: FilterSettings, run: ShardedRunSettings) -> None:
    """Drop samples that match a real patient."""
    from echosyn.pipeline.privacy_filter.filter import filter_stills

    with computing(run) as compute:
        result = filter_stills(candidates, out, model.reid, asked, compute)
    show(result, run.json)


@app.command()
def animate(kept: Stills, out: Out, models: VideoModel, asked: AnimateSettings, run: ShardedRunSettings) -> None:
    """Animate stills with a requested EF."""
    from echosyn.pipeline.generate.animate import animate as animate_stills

    with computing(run) as compute:
        result = animate_stills(kept, out, {"lvdm": models.lvdm, "vae": models.vae}, asked, compute)
    show(result, run.json)


@app.command()
def decode(
    source: Annotated[Path, typer.Argument(help="Folder of stills, or of images.", show_default=False)],
    out: Out,
    model: Encoder,
    asked: DecodeSettings,
    run: DeviceSettings,
) -> None:
    """Decode stills as images, or reconstruct images.

    `evaluate --only fidelity` and StyleGAN-V's metrics read the folder.
    """
    from echosyn.pipeline.generate.decode import decode as decode_stills

    with computing(run) as compute:
        show(decode_stills(source, out, model.vae, asked, compute), run.json)


@app.command()
def reproduce(dataset: Dataset, out: Out, models: VideoModel, asked: ReproduceSettings, run: DeviceSettings) -> None:
    """Reproduce real videos from a frame and their EF.

    Writes real and reproduction side by side: private, it shows real videos.
    """
    from echosyn.pipeline.generate.reproduce import reproduce as reproduce_videos

    with computing(run) as compute:
        show(reproduce_videos(dataset, out, {"lvdm": models.lvdm, "vae": models.vae}, asked, compute), run.json)


@app.command()
def generate(
    context: typer.Context,
    out: Out,
    where: ModelsSettings,
    asked: GenerateSettings,
    instead: Instead,
    run: ShardedRunSettings,
) -> None:
    """Generate a synthetic dataset: sample, filter, animate."""
    from echosyn import weights
    from echosyn.pipeline.generate import generate as generating
    from echosyn.pipeline.generate.outcome import unfit_to_share

    if instead.replay is not None:
        from echosyn.apps.cli.page import make_again

        _refuse_others(context, "--replay", {"out", "models", "replay", "device", "quiet", "json"})
        make_again(instead.replay, out, where.models or weights.shipped(), run.device, Console(run.quiet), run.json)
        return
    screened = bool(asked.reference or asked.calibrated)
    found = weights.for_generating(where.models, where.dataset, screened=screened)
    if instead.dry_run:
        show(generating.dry_run(run.workers or 1, found, asked, run.device), run.json)
        return
    with computing(run) as compute:
        result = generating.generate(out, found, asked, compute)
    if warned := unfit_to_share(result["privacy"]):
        typer.echo(f"warning: {warned}; do not share this set", err=True)
    if lost := result.pop("lost", None):
        typer.echo(
            f"warning: workers died on {len(lost)} samples, which were replaced by others: {', '.join(map(str, lost))}",
            err=True,
        )
    show(result, run.json)


def _refuse_others(context: typer.Context, option: str, used: Collection[str]) -> None:
    """Refuse what stands on the command line beside an option that leaves no choice but the parameters ``used``."""
    idle = [
        next(iter(parameter.opts), str(parameter.name))
        for parameter in context.command.params
        if (source := context.get_parameter_source(str(parameter.name))) is not None
        and source.name == "COMMANDLINE"
        and parameter.name not in used
    ]
    if idle:
        raise ConfigError(f"{', '.join(idle)}: no effect with {option}, whose file holds all settings: leave them out")
