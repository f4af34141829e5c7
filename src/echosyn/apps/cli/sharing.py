"""The verbs of what comes in from others and what goes out to them: weights, releases, EchoNet's own formats."""

from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.arguments import Dataset, Models, Out, Synthetic
from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import Console, show
from echosyn.apps.cli.urls import Program
from echosyn.errors import ConfigError
from echosyn.settings.data import FramesSettings, ImagesSettings, SplitSettings
from echosyn.settings.running import OutputSettings, ShownSettings
from echosyn.settings.sharing import CheckpointSettings, FetchSettings, PublishSettings

__all__ = ["app"]

weights_app = Program(
    help="List, fetch, verify and import published weights.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(weights_app, name="weights")


@weights_app.command("list")
def list_(output: OutputSettings) -> None:
    """List published weights: source, size and licence."""
    from echosyn.weights.registry import sources

    if output.json:
        show({"sources": [source.model_dump() for source in sources().values()]}, as_json=True)
        return
    for source in sources().values():
        size = f"{source.size_mb} MB" if source.size_mb else "size not published"
        typer.echo(f"{source.name}: {source.about}; {size}; licence: {source.licence}")
        for file, digest in source.files.items():
            typer.echo(f"  {source.address(file)}  sha256 {digest[:12] if digest else 'not published'}")


@weights_app.command("fetch")
def fetch_(
    names: Annotated[list[str], typer.Argument(help="Names from `weights list`, or a group: echonet-synthetic.")],
    asked: FetchSettings,
    shown: ShownSettings,
) -> None:
    """Fetch published weights.

    Downloads resume and are checked; files that are present and intact stay.
    """
    from echosyn.weights import fetch, registry

    how = {name: value for name, value in vars(asked).items() if name != "to"}
    found = fetch.fetch(registry.select(names), asked.to, **how, progress=Console(shown.quiet))
    show({"models": str(asked.to), "files": len(found), "sha256": found}, shown.json)


@weights_app.command("verify")
def verify_weights(models: Models, output: OutputSettings) -> None:
    """Verify the hashes of fetched weights."""
    from echosyn.weights import fetch

    found = fetch.verify(models)
    show({"models": str(models), "files": len(found), "sha256": found}, output.json)


@weights_app.command("import")
def import_weights(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint file to import.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Model folder to write.", show_default=False)],
    asked: CheckpointSettings,
    output: OutputSettings,
) -> None:
    """Import a published checkpoint as a model folder.

    Nothing in it is executed.
    """
    from echosyn.files import refuse_existing
    from echosyn.weights.published import import_checkpoint

    refuse_existing(out)
    levels = None
    if asked.mean is not None and asked.std is not None:
        levels = asked.mean, asked.std
    elif asked.mean is not None or asked.std is not None:
        raise ConfigError("--mean and --std belong together: give both, or neither for EchoNet-Synthetic's")
    stage = import_checkpoint(asked.kind, checkpoint, out, asked.config, levels)
    show({"model": str(out), "stage": stage}, output.json)


@app.command()
def publish(
    dataset: Synthetic,
    out: Annotated[Path, typer.Argument(help="New folder: the release.", show_default=False)],
    asked: PublishSettings,
    shown: ShownSettings,
) -> None:
    """Make a sealed release folder of a synthetic dataset.

    It contains only what may be shared. With --push it is uploaded to the hub.
    """
    from echosyn.pipeline.publish.publish import publish as publish_dataset

    show(publish_dataset(dataset, out, asked, Console(shown.quiet)), shown.json)


@app.command()
def verify(
    release: Annotated[Path, typer.Argument(help="Release folder.", show_default=False)], output: OutputSettings
) -> None:
    """Verify a release against its seal.

    Exit code 2 if a byte changed.
    """
    from echosyn.pipeline.publish.verify import verify as verify_release

    show(verify_release(release), output.json)


@app.command()
def frames(dataset: Dataset, out: Out, asked: FramesSettings, shown: ShownSettings) -> None:
    """Write frames as PNG, for VAE trainers that read images.

    Takes the TRAIN and VAL videos and writes lists of files.
    """
    from echosyn.pipeline.ingest.frames import extract_frames

    show(extract_frames(dataset, out, every=asked.every, progress=Console(shown.quiet)), shown.json)


@app.command()
def reference(dataset: Dataset, out: Out, asked: ImagesSettings, shown: ShownSettings) -> None:
    """Write TRAIN videos as PNG folders, for StyleGAN-V's metrics."""
    from echosyn.pipeline.ingest.frames import reference_images

    show(reference_images(dataset, out, **vars(asked), progress=Console(shown.quiet)), shown.json)


@app.command("update-split")
def update_split(asked: SplitSettings, output: OutputSettings) -> None:
    """Assign new splits to the rows of a file list.

    Rows keep their order; the remaining ones become EXTRA.
    """
    from echosyn.pipeline.ingest.frames import update_splits

    counts = {"TRAIN": asked.train, "VAL": asked.val, "TEST": asked.test}
    show(update_splits(asked.csv, asked.output, counts), output.json)
