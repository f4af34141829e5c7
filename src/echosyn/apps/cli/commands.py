"""The verbs. torch and the pipeline are imported inside the commands, so that ``--help`` answers at once."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from echosyn import __version__
from echosyn.apps.cli.arguments import Dataset, Out, Synthetic
from echosyn.apps.cli.console import Console, show, show_import
from echosyn.apps.cli.executors import computing, executor
from echosyn.apps.cli.groups import Grouped
from echosyn.apps.cli.options import spelling
from echosyn.apps.cli.urls import Program
from echosyn.errors import ConfigError
from echosyn.settings import Spelled, given, settings
from echosyn.settings.data import ExportSettings, ImportSettings, PhantomSettings, ReviewSettings
from echosyn.settings.judging import (
    EvaluateSettings,
    FidelitySettings,
    GridSettings,
    PredictSettings,
    RegressorSettings,
    StepsSettings,
)
from echosyn.settings.running import DeviceSettings, OutputSettings, RunSettings, ShardedSettings, ShownSettings
from echosyn.settings.training import GroupSettings, PresetSettings, ResumeSettings, StageName
from echosyn.settings.whole import QuickstartSettings, WholeSettings

app = Program(
    name="echosyn",
    help="Turn private echocardiogram videos into a synthetic dataset, with a privacy audit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Grouped,
)

CALIBRATING = 400
"""Phantoms of which enough are held out to calibrate the privacy filter for a release."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _echosyn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@settings
class EvaluateOptions(EvaluateSettings, FidelitySettings, RegressorSettings):
    """What `evaluate` compares, if not numbers of steps."""


@settings
class StageSettings(PresetSettings):
    """How a stage is trained."""

    overrides: Annotated[tuple[str, ...], Spelled("--set")] = ()
    """NAME=VALUE, such as loop.learning_rate=1e-4."""
    steps: int | None = None
    """Shorthand for --set loop.steps=N."""
    seed: int | None = None
    """Shorthand for --set loop.seed=N."""
    also: tuple[str, ...] = ()
    """FOLDER or FOLDER=WEIGHT: further latents (lidm, lvdm).

    They are drawn WEIGHT times as often as DATA.
    """
    start: Annotated[str | None, Spelled("--from")] = None
    """Model folder to start from, or shipped.

    Shorthand for --set start=MODEL; without --preset the settings are those of adapt.
    """
    dry_run: bool = False
    """Estimate memory, time and disk from a few steps; no files."""

    def of_loop(self) -> list[str]:
        """All overrides."""
        short = {"loop.steps": self.steps, "loop.seed": self.seed, "start": self.start}
        return [*self.overrides, *(f"{name}={value}" for name, value in short.items() if value is not None)]

    @property
    def layer(self) -> str:
        """The preset."""
        return "adapt" if self.start is not None and not given(self, "preset") else self.preset


@app.command()
def phantom(out: Out, asked: PhantomSettings, shown: ShownSettings) -> None:
    """Make a phantom dataset with exactly known EF."""
    from echosyn.pipeline.ingest.phantom import make_phantom

    show(make_phantom(out, **vars(asked), progress=Console(shown.quiet)), shown.json)


@app.command("import")
def import_(
    src: Annotated[
        str, typer.Argument(help="Folder of videos, which stays untouched; or an address.", show_default=False)
    ],
    out: Out,
    asked: ImportSettings,
    run: ShardedSettings,
) -> None:
    """Import videos, DICOM or DICOMweb into a dataset folder.

    The result is grey, 112x112 pixels, with one split per patient.
    """
    from echosyn.pipeline.ingest.dicom import ingest_dicom
    from echosyn.pipeline.ingest.dicomweb import ingest_dicomweb
    from echosyn.pipeline.ingest.videos import ingest
    from echosyn.pipeline.workers.compute import Compute
    from echosyn.pipeline.workers.shards import part

    is_dicom = asked.source in ("dicom", "dicomweb")
    workers = 1 if run.workers is None and run.ray is None and is_dicom else run.workers
    with executor("cpu", workers, run.ray) as who:
        compute = Compute("cpu", who, part(run.shard), Console(run.quiet))
        if asked.source == "dicomweb":
            found = ingest_dicomweb(src, out, asked, compute)
        else:
            found = (ingest_dicom if is_dicom else ingest)(Path(src), out, asked, compute)
        show_import(found, run.json)


@app.command()
def review(
    dataset: Annotated[Path, typer.Argument(help="Dataset imported from DICOM.", show_default=False)],
    asked: ReviewSettings,
    output: OutputSettings,
) -> None:
    """Sign off the contact sheets of a DICOM import.

    `train` requires it.
    """
    from echosyn.pipeline.ingest.review import sign_off

    show(sign_off(dataset, by=asked.by, drop=asked.drop), output.json)


@app.command()
def export(dataset: Synthetic, out: Out, asked: ExportSettings, shown: ShownSettings) -> None:
    """Export synthetic videos in the form of other software.

    As DICOM ultrasound objects (also sent to a DICOMweb server), in nnU-Net's raw layout, or as WebDataset's shards.
    """
    from echosyn.pipeline.publish.dicom import export_dicom
    from echosyn.pipeline.publish.nnunet import export_nnunet
    from echosyn.pipeline.publish.webdataset import export_webdataset

    for option, target in (("mark", "dicom"), ("send", "dicom"), ("per_shard", "webdataset")):
        if asked.target != target:
            _refuse(asked, option, without=f"--to {target}", give=f"--to {target}")
    tell = Console(shown.quiet)
    if asked.target == "nnunet":
        show(export_nnunet(dataset, out, progress=tell), shown.json)
    elif asked.target == "webdataset":
        show(export_webdataset(dataset, out, per_shard=asked.per_shard, progress=tell), shown.json)
    else:
        show(export_dicom(dataset, out, mark=asked.mark, send=asked.send, progress=tell), shown.json)


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="Folder with a FileList.csv.", show_default=False)],
    shown: ShownSettings,
) -> None:
    """Check a dataset folder against its files.

    Every video is decoded and every problem listed; exit code 2 if there is any.
    """
    from echosyn.data import checking

    report = checking.check(dataset, Console(shown.quiet))
    if shown.json:
        show(report.to_json(), as_json=True)
    else:
        typer.echo(report.table())
    if not report.ok:
        raise typer.Exit(2)


@app.command()
def train(
    stage: Annotated[StageName, typer.Argument(help="Stage to train.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="Dataset (vae, ef) or latents (lidm, lvdm, reid).", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New run folder; OUT/model is the model.", show_default=False)],
    asked: StageSettings,
    resume: ResumeSettings,
    group: GroupSettings,
    run: DeviceSettings,
) -> None:
    """Train one stage on the TRAIN videos of a folder.

    For several processes run it under `accelerate launch -m echosyn`.
    """
    from echosyn.pipeline.train import mixture
    from echosyn.pipeline.train.train import dry_run as try_stage
    from echosyn.pipeline.train.train import train as train_stage
    from echosyn.pipeline.workers.compute import Compute
    from echosyn.training import catalog

    values = catalog.settings(stage, asked.layer, asked.config, asked.of_loop())
    sources = [mixture.parse(text) for text in asked.also]
    if asked.dry_run and group.ray is not None:
        raise ConfigError("--ray has no effect with --dry-run, which measures this machine: leave one out")
    if asked.dry_run:
        show(try_stage(stage, data, settings=values, also=sources, device=run.device), run.json)
        return
    is_main = os.environ.get("RANK", "0") == "0"
    compute = Compute(run.device, progress=Console(run.quiet or not is_main))
    how: dict[str, Any] = {"also": sources, "resume": resume, "settings": values, "compute": compute}
    if group.ray is not None:
        from echosyn.apps.ray import train

        show(train.train(stage, data, out, asked=group, **how), run.json)
        return
    if given(group, "workers", "cpus_per_worker", "gpus_per_worker", "restarts"):
        raise ConfigError("--workers, --cpus-per-worker, --gpus-per-worker and --restarts need --ray: leave them out")
    result = train_stage(stage, data, out, **how)
    if is_main:
        show(result, run.json)


@app.command()
def evaluate(
    synthetic: Annotated[
        Path, typer.Argument(help="Synthetic dataset folder; with --steps a folder of stills.", show_default=False)
    ],
    real: Annotated[Path, typer.Argument(help="Real dataset folder.", show_default=False)],
    out: Out,
    asked: EvaluateOptions,
    grid: GridSettings,
    steps: StepsSettings,
    run: RunSettings,
) -> None:
    """Compare a synthetic dataset with a real one.

    Writes OUT/report.json and a page. With --steps it compares numbers of sampling steps and draws a plot.
    """
    if steps.steps is not None:
        _evaluate_steps(synthetic, real, out, steps, run)
        return
    _refuse(
        steps, "lvdm", "regressor", "num", "ef", "scheduler", "hop", "blend", without="--steps", give="--steps 1,2,4,8"
    )
    from echosyn.pipeline.evaluate.fidelity.feature_spaces import Places

    places = Places(fetched=asked.weights, device=run.device)
    if asked.only is not None:
        if asked.only != "fidelity":
            raise ConfigError(f"--only {asked.only}: expected fidelity")
        from echosyn.pipeline.evaluate.fidelity import tables
        from echosyn.pipeline.evaluate.fidelity.fidelity import evaluate_fidelity

        with computing(run) as compute:
            result = evaluate_fidelity(synthetic, real, out, asked, compute, places=places)
        for reason in tables.missing(json.loads(Path(result["report"]).read_text())["fidelity"]["numbers"]):
            typer.echo(f"warning: {reason}", err=True)
        show(result, run.json)
        return
    from echosyn.pipeline.evaluate.evaluate import evaluate as evaluate_sets
    from echosyn.pipeline.evaluate.utility.protocols import regressor_settings

    if not grid.grid:
        _refuse(grid, "seeds", "relabel", "also", without="--grid", give="--grid")
    ef = regressor_settings(asked.utility, asked.preset, asked.config, asked.overrides)
    with computing(run) as compute:
        result = evaluate_sets(
            synthetic, real, out, asked, compute, ef_settings=ef, places=places, grid=_grid(grid) if grid.grid else None
        )
    show(result, run.json)


def _grid(asked: GridSettings) -> Any:
    """The trainings on more sets, with ``--also NAME=FOLDER`` by name."""
    from echosyn.pipeline.evaluate.utility.grid import Grid

    found = {}
    for text in asked.also:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ConfigError(f"--also {text}: expected NAME=FOLDER, such as as-real=synthetic-2")
        found[name] = Path(folder)
    return Grid(3 if asked.seeds is None else asked.seeds, asked.relabel, found)


@app.command("predict-ef")
def predict_ef(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.", show_default=False)],
    asked: PredictSettings,
    run: DeviceSettings,
) -> None:
    """Estimate the EF of video files, in percent.

    Prints one line per file. Bad files are named and left out; exit code 2 if there are any.
    """
    from echosyn import weights
    from echosyn.pipeline.evaluate.predict_ef import predict_files, video_files

    files, readings, problems = video_files(videos), [], 0
    warned = asked.model is not None
    how: dict[str, Any] = {"num_clips": _clips(asked.clips), "fps": asked.fps, "device": run.device}
    if asked.dataset is not None and asked.model is None:
        raise ConfigError(
            f"--dataset {asked.dataset} chooses among several models: give --model with the folder of models"
        )
    model = asked.model or weights.shipped()
    if asked.dataset is not None:
        model = weights.find(model, "ef", asked.dataset)
    for reading in predict_files(files, model, progress=Console(run.quiet), **how):
        if reading.problem is not None:
            problems += 1
            typer.echo(f"error: {reading.problem}", err=True)
            continue
        if not warned:
            warned = True
            typer.echo(
                "warning: no --model given: the bundled EF regressor was trained on phantoms only; for patient "
                "recordings give a model folder from `echosyn train ef`",
                err=True,
            )
        if reading.resized_from is not None and not run.quiet:
            height, width = reading.resized_from
            typer.echo(f"warning: {reading.path}: {width}x{height} as a whole became 112x112", err=True)
        if reading.too_short is not None and not run.quiet:
            typer.echo(f"warning: {reading.path}: {reading.too_short}", err=True)
        if run.json:
            readings.append({"file": str(reading.path), "ef": reading.ef, "clips": reading.num_clips})
        else:
            typer.echo(f"{reading.ef:5.1f}  {reading.path}")
    if run.json:
        show({"videos": readings, "problems": problems}, as_json=True)
    if problems:
        raise typer.Exit(2)


@app.command()
def run(dataset: Dataset, out: Out, asked: WholeSettings, where: DeviceSettings) -> None:
    """Train, generate and evaluate on a dataset folder.

    The same command resumes a stopped run.
    """
    from echosyn.pipeline.run import run as run_all

    with computing(where) as compute:
        result = run_all(dataset, out, asked, compute)
    show(result, where.json)
    _warn_unless_releasable(result)


@app.command()
def quickstart(
    asked: QuickstartSettings,
    run: DeviceSettings,
    out: Annotated[Path, typer.Argument(help="Folder.")] = Path("quickstart"),
) -> None:
    """Run everything on the phantom, in about three minutes.

    Needs nothing but this package.
    """
    from echosyn.pipeline.workers import processes

    if not (asked.train or (out / "run").exists()):  # its regressors have processes of their own, minutes from now
        processes.prepare("echosyn.training.catalog", "echosyn.pipeline.tracking.measure")
    from echosyn.pipeline.quickstart import quickstart as run_quickstart

    with computing(run) as compute:
        result = run_quickstart(out, asked, compute)
    show(result, run.json)
    _warn_unless_releasable(result)
    if not result["releasable"] and asked.patients < CALIBRATING:
        typer.echo(
            "note: that is expected of this demo: a quarter of its phantoms is held out, too few to calibrate the privacy filter "
            f"for a release; `echosyn quickstart FOLDER --patients {CALIBRATING}` holds out enough; then `echosyn audit`",
            err=True,
        )


@app.command()
def doctor(output: OutputSettings) -> None:
    """Check this installation.

    Exit code 2 if something required does not work.
    """
    from echosyn.pipeline.doctor import doctor as examine

    report = examine()
    show(report | report.pop("versions"), output.json)
    for problem in report["problems"]:
        typer.echo(f"problem: {problem}", err=True)
    if not report["ok"]:
        sys.exit(2)


def _evaluate_steps(kept: Path, real: Path, out: Path, asked: StepsSettings, run: RunSettings) -> None:
    from echosyn.pipeline.evaluate.sampling_steps import as_text, compare_steps

    result = compare_steps(kept, real, out, asked, run.device, Console(run.quiet))
    table = result.pop("table")
    if run.json:
        show(result, as_json=True)
        return
    typer.echo(as_text(table))
    show(result, as_json=False)


def _refuse(asked: object, *names: str, without: str, give: str) -> None:
    """Raise `ConfigError` if one of the named fields was given."""
    for name in given(asked, *names):
        option = spelling(type(asked))[name]
        raise ConfigError(f"{option} has no effect without {without}: give {give} or leave it out")


def _clips(text: str) -> Any:
    if text == "all":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--clips {text}: expected a whole number of at least 1, or all")
    return int(text)


def _warn_unless_releasable(result: dict[str, Any]) -> None:
    if result.get("texture") == "none":
        typer.echo(
            "warning: fewer than 8 TRAIN patients with 34 frames at 32 a second: the videos have no texture", err=True
        )
    if not result["releasable"]:
        typer.echo("warning: do not share this set: the report's first lines say why", err=True)
