"""The verbs of what comes in from others and what goes out to them: weights, releases, EchoNet's own formats."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.commands import Json, Quiet, app
from echosyn.apps.cli.console import Console, show
from echosyn.apps.cli.remote import Program

__all__ = ["app"]

weights_app = Program(
    help="Weights that others publish: list, fetch, verify, import.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(weights_app, name="weights")


class Kind(StrEnum):
    """What `weights import` reads."""

    siamese = "siamese"
    ldm_vae = "ldm-vae"
    echonet_ef = "echonet-ef"


Models = Annotated[Path, typer.Argument(help="Folder of models.", show_default=False)]


@weights_app.command("list")
def list_(json: Json = False) -> None:
    """What can be fetched, from where, how large, under which licence."""
    from echosyn.weights.registry import sources

    if json:
        show({"sources": [source.model_dump() for source in sources().values()]}, as_json=True)
        return
    for source in sources().values():
        size = f"{source.size_mb} MB" if source.size_mb else "size not published"
        typer.echo(f"{source.name}: {source.about}; {size}; licence: {source.licence}")
        for file, digest in source.files.items():
            typer.echo(f"  {source.address(file)}  sha256 {digest[:12] if digest else 'not published'}")


@weights_app.command("fetch")
def fetch_(
    names: Annotated[list[str], typer.Argument(help="Names of `weights list`, or a group such as echonet-synthetic.")],
    to: Annotated[Path, typer.Option(help="Folder of models to fill.")] = Path("models"),
    from_: Annotated[
        str | None, typer.Option("--from", help="Folder or URL with the same layout.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never open a connection.")] = False,
    trust_on_first_use: Annotated[
        bool, typer.Option("--trust-on-first-use", help="Accept and record hashes that nobody published.")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fetch published weights, resumed and checked; what is there and right stays."""
    from echosyn.weights import fetch, registry

    found = fetch.fetch(
        registry.select(names),
        to,
        mirror=from_,
        offline=offline,
        trust_on_first_use=trust_on_first_use,
        progress=Console(quiet),
    )
    show({"models": str(to), "files": len(found), "sha256": found}, json)


@weights_app.command("verify")
def verify_weights(models: Models, json: Json = False) -> None:
    """Recompute the hashes of what was fetched into a folder."""
    from echosyn.weights import fetch

    found = fetch.verify(models)
    show({"models": str(models), "files": len(found), "sha256": found}, json)


@weights_app.command("import")
def import_weights(
    checkpoint: Annotated[Path, typer.Argument(help="The file of weights.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Model folder to write.", show_default=False)],
    kind: Annotated[Kind, typer.Option("--from", help="What it is.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option(help="Its settings file (ldm-vae); default EchoNet-Synthetic's.", show_default=False)
    ] = None,
    mean: Annotated[
        float | None, typer.Option(help="Of the grey levels 0..255 it was trained on (echonet-ef).", show_default=False)
    ] = None,
    std: Annotated[float | None, typer.Option(help="Their standard deviation.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Turn a published checkpoint into a model folder; nothing in it is executed."""
    from echosyn.pipeline.folder import refuse_existing
    from echosyn.weights.published import import_checkpoint

    refuse_existing(out)
    levels = None if mean is None or std is None else (mean, std)
    stage = import_checkpoint(kind.value, checkpoint, out, config, levels)
    show({"model": str(out), "stage": stage}, json)


@app.command()
def publish(
    dataset: Annotated[Path, typer.Argument(help="Synthetic dataset folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New folder: the release.", show_default=False)],
    licence: Annotated[
        str | None,
        typer.Option("--licence", "--license", help="Such as cc-by-4.0; asked, never assumed.", show_default=False),
    ] = None,
    licence_file: Annotated[Path | None, typer.Option(help="Its text.", show_default=False)] = None,
    title: Annotated[str, typer.Option(help="Name of the dataset.")] = "Synthetic echocardiograms",
    splits: Annotated[
        str | None, typer.Option(help="TRAIN,VAL,TEST counts; what is left over is EXTRA.", show_default=False)
    ] = None,
    audit: Annotated[Path | None, typer.Option(help="Audit of exactly these videos.", show_default=False)] = None,
    without_audit: Annotated[
        str | None, typer.Option(help="The words that are needed to do without.", show_default=False)
    ] = None,
    evaluation: Annotated[Path | None, typer.Option(help="report.json of its evaluation.", show_default=False)] = None,
    models: Annotated[
        Path | None, typer.Option(help="Models that made it: their cards are added.", show_default=False)
    ] = None,
    push: Annotated[str | None, typer.Option(help="ORG/NAME on the Hugging Face hub.", show_default=False)] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it there.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make a release folder of a synthetic dataset: only what may leave the house, sealed; push it if asked."""
    from echosyn.pipeline.publish import Words
    from echosyn.pipeline.publish import publish as publish_dataset

    result = publish_dataset(
        dataset,
        out,
        Words(licence, licence_file, title, splits, without_audit),
        audit=audit,
        evaluation=evaluation,
        models=models,
        push=push,
        public=public,
        progress=Console(quiet),
    )
    show(result, json)


@app.command()
def verify(
    release: Annotated[Path, typer.Argument(help="Release folder.", show_default=False)],
    json: Json = False,
) -> None:
    """Recompute the provenance chain of a release; exit code 2 if a byte changed."""
    from echosyn.pipeline.verify import verify as verify_release

    show(verify_release(release), json)


@app.command()
def frames(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New folder.", show_default=False)],
    every: Annotated[int, typer.Option(help="Take every n-th frame.")] = 5,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write frames of the TRAIN and VAL videos as PNG, with lists, for VAE trainers that read images."""
    from echosyn.pipeline.images import extract_frames

    show(extract_frames(dataset, out, every=every, progress=Console(quiet)), json)


@app.command()
def reference(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New folder.", show_default=False)],
    frames: Annotated[int, typer.Option(help="Of each video.")] = 128,
    fps: Annotated[float, typer.Option(help="At this rate.")] = 32.0,
    num: Annotated[int | None, typer.Option(help="Videos; default as published.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write TRAIN videos as folders of PNG, for StyleGAN-V's metrics."""
    from echosyn.pipeline.images import reference_images

    result = reference_images(dataset, out, frames=frames, fps=fps, num=num, seed=seed, progress=Console(quiet))
    show(result, json)


@app.command("update-split")
def update_split(
    csv: Annotated[Path, typer.Option(help="FileList.csv; it stays untouched.", show_default=False)],
    output: Annotated[Path, typer.Option(help="New file list.", show_default=False)],
    train: Annotated[int, typer.Option(help="Videos.", show_default=False)],
    val: Annotated[int, typer.Option(help="Videos.", show_default=False)],
    test: Annotated[int, typer.Option(help="Videos.", show_default=False)],
    json: Json = False,
) -> None:
    """Give the rows of a file list new splits, in their order; what is left over is EXTRA."""
    from echosyn.pipeline.images import update_splits

    show(update_splits(csv, output, {"TRAIN": train, "VAL": val, "TEST": test}), json)
