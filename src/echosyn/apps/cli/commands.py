"""The verbs. torch and the pipeline are imported inside the commands, so that ``--help`` answers at once."""

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from echosyn import __version__
from echosyn.apps.cli.console import Console, show, show_import
from echosyn.apps.cli.executors import RayAddress, ShardOption, Workers, executor
from echosyn.apps.cli.remote import Program
from echosyn.errors import ConfigError

app = Program(
    name="echosyn",
    help="A folder of echo videos in, a synthetic dataset out, with proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class View(StrEnum):
    """What the phantom's probe looks at."""

    A4C = "A4C"
    PSAX = "PSAX"
    both = "both"


class Source(StrEnum):
    """What `import` reads."""

    folder = "folder"
    dynamic = "dynamic"
    pediatric = "pediatric"
    dicom = "dicom"


class Target(StrEnum):
    """What `export` writes."""

    dicom = "dicom"


class StageName(StrEnum):
    """What `train` trains."""

    vae = "vae"
    lidm = "lidm"
    lvdm = "lvdm"
    reid = "reid"
    ef = "ef"


Out = Annotated[Path, typer.Argument(help="New folder.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Item i depends on (seed, i) alone.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
Preset = Annotated[str, typer.Option(help="Settings of the package to start from.")]
Config = Annotated[
    Path | None, typer.Option(help="YAML or JSON settings; EchoNet-Synthetic's are accepted as they are.")
]
Frames = Annotated[int, typer.Option(help="Frames of a video.")]
Steps = Annotated[int | None, typer.Option(help="Sampling steps; default what suits the model.", show_default=False)]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Solver: ddpm, ddim, dpm++, unipc, heun, euler; default the model's own.", show_default=False),
]
Hop = Annotated[
    int | None,
    typer.Option(help="Frames between windows of a long video; default half a window.", show_default=False),
]
Blending = Annotated[str, typer.Option("--blend", help="How windows become one: cut, linear, cosine, alternate.")]
Guidance = Annotated[
    float | None, typer.Option(help="Guidance scale; default what suits the model.", show_default=False)
]
Batch = Annotated[int, typer.Option(help="Items at a time; does not change them.")]
EF = Annotated[str | None, typer.Option("--ef", help="Requested EFs, in percent: 10..90 or 55.", show_default=False)]
EFFrom = Annotated[
    Path | None, typer.Option("--ef-from", help="Draw EFs like a dataset's TRAIN labels.", show_default=False)
]
Condition = Annotated[
    list[str] | None,
    typer.Option("--condition", help="NAME=VALUE of a further condition of the video model, such as heart_rate=70."),
]
Rate = Annotated[float, typer.Option("--false-rejection-rate", help="How often an innocent heart may be rejected.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _echosyn(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def phantom(
    out: Out,
    num: Annotated[int, typer.Option(help="Videos, one a patient.")] = 100,
    seed: Seed = 0,
    view: Annotated[View, typer.Option(help="Apical four-chamber, parasternal short-axis or both in turn.")] = View.A4C,
    frames: Annotated[
        int | None, typer.Option(help="64..200; drawn per patient if left out.", show_default=False)
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="20..120; drawn per patient if left out.", show_default=False)
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make a dataset of procedural hearts with exactly known EF."""
    from echosyn.pipeline.phantom import make_phantom

    console = Console(quiet)
    show(make_phantom(out, num=num, seed=seed, view=view.value, num_frames=frames, fps=fps, progress=console), json)


@app.command("import")
def import_(
    src: Annotated[Path, typer.Argument(help="Folder of videos; it stays untouched.", show_default=False)],
    out: Out,
    source: Annotated[Source, typer.Option("--from", help="Its layout.")],
    crop: Annotated[str | None, typer.Option(help="X,Y,W,H in pixels.", show_default=False)] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with FileName (DICOM: or SOPInstanceUID, PatientID) and EF.", show_default=False),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Frame rate, whatever the files say (DICOM: where they do not say it).", show_default=False),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out damaged videos and those with a wrong row; they are listed.")
    ] = False,
    private: Annotated[
        Path | None,
        typer.Option(help="DICOM: folder for the secret key and the report; default OUT-private.", show_default=False),
    ] = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="DICOM: leave out videos with text over the tissue.")] = False,
    workers: Workers = None,
    ray: RayAddress = None,
    shard: ShardOption = None,
    seed: Annotated[int, typer.Option(help="Of the splits, where there are none.")] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Read other people's folders into a dataset folder: grey, 112x112, one split a patient."""
    from echosyn.pipeline.ingest import ingest
    from echosyn.pipeline.ingest_dicom import ingest_dicom
    from echosyn.pipeline.sharding import part

    console = Console(quiet)
    if source is Source.dicom:
        if crop or skip_bad:
            raise ConfigError(
                "--crop and --skip-bad have no effect with --from dicom, which finds the sector itself and reports bad "
                "files: leave them out"
            )
        with executor("cpu", workers or (None if ray else 1), ray) as who:
            result = ingest_dicom(
                src,
                out,
                private=private,
                labels=labels,
                fps=fps,
                seed=seed,
                ocr=ocr,
                executor=who,
                shard=part(shard),
                progress=console,
            )
        show_import(result, json)
        return
    if private or ocr:
        raise ConfigError(f"--private and --ocr have no effect with --from {source.value}: leave them out")
    with executor("cpu", workers, ray) as who:
        result = ingest(
            src,
            out,
            source=cast(Any, source.value),
            crop=_box(crop),
            labels=labels,
            fps=fps,
            seed=seed,
            skip_bad=skip_bad,
            executor=who,
            shard=part(shard),
            progress=lambda done, total: console("import", done, total),
        )
    show_import(result, json)


@app.command()
def review(
    dataset: Annotated[Path, typer.Argument(help="Dataset imported from DICOM.", show_default=False)],
    by: Annotated[str, typer.Option(help="Who has looked at every sheet in DATASET/review.")],
    drop: Annotated[
        list[str] | None, typer.Option(help="Name of a video to remove for good; may be given again.")
    ] = None,
    json: Json = False,
) -> None:
    """Sign off the contact sheets of a DICOM import; `train` asks for it."""
    from echosyn.pipeline.review import sign_off

    show(sign_off(dataset, by=by, drop=drop or []), json)


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(help="Synthetic dataset folder.", show_default=False)],
    out: Out,
    target: Annotated[Target, typer.Option("--to", help="Its format.")] = Target.dicom,
    mark: Annotated[bool, typer.Option("--mark", help="Burn the word SYNTHETIC into every frame.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write synthetic videos as DICOM ultrasound objects that viewers and archives open."""
    from echosyn.pipeline.export import export_dicom

    show(export_dicom(dataset, out, mark=mark, progress=Console(quiet)), json)


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="Folder with a FileList.csv.", show_default=False)],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Decode every video of a dataset folder and list all that is wrong; exit code 2 if anything is."""
    from echosyn.data import checking

    console = Console(quiet)
    report = checking.check(dataset, progress=lambda done, total: console("check", done, total))
    if json:
        show(report.to_json(), as_json=True)
    else:
        typer.echo(report.table())
    if not report.ok:
        raise typer.Exit(2)


@app.command()
def train(
    stage: Annotated[StageName, typer.Argument(help="What to train.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="Dataset (vae, ef) or latents (lidm, lvdm, reid).", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New run folder; OUT/model is the model.", show_default=False)],
    preset: Preset = "phantom",
    config: Config = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, such as loop.learning_rate=1e-4.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Short for --set loop.steps=N.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set loop.seed=N.", show_default=False)] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", help="FOLDER or FOLDER=WEIGHT: more latents, WEIGHT times as often as DATA (lidm, lvdm)."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint in OUT; begin if there is none.")
    ] = False,
    i_reviewed: Annotated[
        bool, typer.Option("--i-reviewed", help="Train on a DICOM import that nobody has signed off.")
    ] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Resume although settings or data have changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take: memory, time, disk; a few steps, no files.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            help="On workers of Ray: local, HOST:PORT or auto, as without a word; dead ones are replaced.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[str, typer.Option(help="Ray: processes, N or LEAST:MOST.")] = "1",
    cpus_per_worker: Annotated[int, typer.Option(help="Ray: CPUs of each.")] = 1,
    gpus_per_worker: Annotated[int, typer.Option(help="Ray: GPUs of each.")] = 0,
    restarts: Annotated[int, typer.Option(help="Ray: deaths of workers that are made good.")] = 3,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train one stage on the TRAIN videos of a folder; with several processes under `accelerate launch -m echosyn`."""
    from echosyn.pipeline import mixtures
    from echosyn.pipeline.train import dry_run as try_stage
    from echosyn.pipeline.train import train as train_stage
    from echosyn.training import catalog

    overrides = list(set_ or [])
    overrides += [f"loop.steps={steps}"] if steps is not None else []
    overrides += [f"loop.seed={seed}"] if seed is not None else []
    settings = catalog.settings(stage.value, preset, config, overrides)
    sources = [mixtures.parse(text) for text in also or []]
    if dry_run and ray is not None:
        raise ConfigError("--ray has no effect with --dry-run, which measures this machine: leave one out")
    if dry_run:
        show(try_stage(stage.value, data, settings=settings, also=sources, device=device), json)
        return
    is_main = os.environ.get("RANK", "0") == "0"
    how: dict[str, Any] = {"also": sources, "resume": resume, "accept_changes": accept_changes, "device": device}
    how |= {"reviewed": i_reviewed, "settings": settings, "progress": Console(quiet or not is_main)}
    per_worker = {"cpus": cpus_per_worker, "gpus": gpus_per_worker, "restarts": restarts}
    if ray is not None:
        from echosyn.apps import ray_train

        group = ray_train.workers(workers, **per_worker)
        show(ray_train.train(stage.value, data, out, address=ray, group=group, **how), json)
        return
    if (workers, *per_worker.values()) != ("1", 1, 0, 3):
        raise ConfigError("--workers, --cpus-per-worker, --gpus-per-worker and --restarts need --ray: leave them out")
    result = train_stage(stage.value, data, out, **how)
    if is_main:
        show(result, json)


@app.command()
def evaluate(
    synthetic: Annotated[
        Path, typer.Argument(help="Synthetic dataset folder; with --steps a folder of stills.", show_default=False)
    ],
    real: Annotated[Path, typer.Argument(help="Real dataset folder.", show_default=False)],
    out: Out,
    vae: Annotated[
        Path | None,
        typer.Option(
            help="VAE whose reconstruction to report; with --steps the one to decode with.", show_default=False
        ),
    ] = None,
    made_by: Annotated[
        list[Path] | None,
        typer.Option(
            "--made-by",
            help="Model that made SYNTHETIC, repeatable; refused if it was trained on REAL's VAL or TEST.",
            show_default=False,
        ),
    ] = None,
    preset: Preset = "phantom",
    config: Config = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of the EF regressors.")] = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="Train on more sets too: through the VAE (--vae), real and synthetic.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(help="With --grid: trainings of each set; default 3.")] = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="With --grid: also with labels of the regressor trained on real videos.")
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", help="With --grid: NAME=FOLDER of a further set, repeatable.", show_default=False),
    ] = None,
    track: Annotated[
        int | None, typer.Option(help="Videos of each side whose ventricle is tracked; default 16.", show_default=False)
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="The page shows no real video.")] = False,
    steps: Annotated[
        str | None,
        typer.Option(help="Compare numbers of sampling steps of one model, such as 1,2,4,8.", show_default=False),
    ] = None,
    lvdm: Annotated[Path | None, typer.Option(help="With --steps: the video model.", show_default=False)] = None,
    regressor: Annotated[
        Path | None, typer.Option(help="With --steps: EF regressor, for its view and the FD.", show_default=False)
    ] = None,
    num: Annotated[int | None, typer.Option(help="With --steps: so many stills.", show_default=False)] = None,
    frames: Annotated[int, typer.Option(help="With --steps: frames of a video.")] = 64,
    ef: EF = None,
    scheduler: Scheduler = None,
    hop: Hop = None,
    blend: Blending = "cut",
    protocol: Annotated[str, typer.Option(help="Of the fidelity figures: name or YAML file.")] = "echosyn-v2",
    only: Annotated[
        str | None,
        typer.Option(help="fidelity: nothing else, and nothing is trained.", show_default=False),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder that `weights fetch` filled, for Inception and I3D.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of bootstrap and subsampling; with --steps also of the videos.")] = 0,
    device: Device = "auto",
    workers: Workers = None,
    ray: RayAddress = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare a synthetic dataset with a real one, or numbers of sampling steps: OUT/report.json and a page or plot."""
    if steps is not None:
        asked = {
            "num": num,
            "num_frames": frames,
            "ef": efs(ef, None),
            "scheduler": scheduler,
            "hop": hop,
            "blend": blend,
        }
        _evaluate_steps(synthetic, real, out, steps, lvdm, vae, json, regressor=regressor, seed=seed, device=device,
                        progress=Console(quiet), **asked)  # fmt: skip
        return
    blending = blend if blend != "cut" else None
    if ignored := _given(lvdm=lvdm, regressor=regressor, num=num, ef=ef, scheduler=scheduler, hop=hop, blend=blending):
        raise ConfigError(f"{ignored} has no effect without --steps: give --steps 1,2,4,8 or leave it out")
    from echosyn.pipeline.evaluating.features import Places

    places = Places(fetched=weights, device=device)
    if only is not None:
        if only != "fidelity":
            raise ConfigError(f"--only {only}: expected fidelity")
        from echosyn.pipeline.evaluating.fidelity import evaluate_fidelity

        options: dict[str, Any] = {"places": places, "seed": seed, "progress": Console(quiet)}
        with executor(device, workers, ray) as who:
            show(evaluate_fidelity(synthetic, real, out, protocol, executor=who, **options), json)
        return
    from echosyn.pipeline.evaluate import NUM_TRACKED
    from echosyn.pipeline.evaluate import evaluate as evaluate_sets
    from echosyn.pipeline.evaluating.grid import Grid
    from echosyn.training import catalog

    if not grid and (ignored := _given(seeds=seeds, relabel=relabel or None, also=also)):
        raise ConfigError(f"{ignored} has no effect without --grid: give --grid or leave it out")
    settings = catalog.settings("ef", preset, config, set_ or [])
    progress = Console(quiet)
    with executor(device, workers, ray) as who:
        result = evaluate_sets(
            synthetic,
            real,
            out,
            ef_settings=settings,
            vae=vae,
            made_by=made_by or [],
            protocol=protocol,
            places=places,
            grid=Grid(3 if seeds is None else seeds, relabel, _named(also or [])) if grid else None,
            num_tracked=NUM_TRACKED if track is None else track,
            public=public,
            seed=seed,
            device=device,
            executor=who,
            progress=progress,
        )
    show(result, json)


def _named(texts: Sequence[str]) -> dict[str, Path]:
    """``["tuned=folder"]`` by name."""
    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ConfigError(f"--also {text}: expected NAME=FOLDER, such as as-real=synthetic-2")
        found[name] = Path(folder)
    return found


@app.command("predict-ef")
def predict_ef(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.", show_default=False)],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model folder of the EF regressor, or a folder with ef in it; default: what ships, for the phantom.",
            show_default=False,
        ),
    ] = None,
    clips: Annotated[
        str, typer.Option(help="Average over so many clips of a video, or all (EchoNet-Dynamic's test; slow).")
    ] = "4",
    fps: Annotated[float | None, typer.Option(help="Frame rate, whatever the files say.", show_default=False)] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Read the EF off video files, in percent: a line a file. Bad files are named and left out; exit code 2 if there are any."""
    from echosyn import weights
    from echosyn.pipeline.predict import predict_files, video_files

    if model is None:
        model = weights.shipped()
        typer.echo(
            "warning: no --model: the network that ships has learned from phantoms of both views, never from patients; for "
            "recordings give the model folder of `echosyn train ef`",
            err=True,
        )
    files, readings, problems = video_files(videos), [], 0
    for reading in predict_files(
        files, model, num_clips=_clips(clips), fps=fps, device=device, progress=Console(quiet)
    ):
        if reading.problem is not None:
            problems += 1
            typer.echo(f"error: {reading.problem}", err=True)
            continue
        if reading.resized_from is not None and not quiet:
            height, width = reading.resized_from
            typer.echo(f"warning: {reading.path}: {width}x{height} as a whole became 112x112", err=True)
        if reading.too_short is not None and not quiet:
            typer.echo(f"warning: {reading.path}: {reading.too_short}", err=True)
        if json:
            readings.append({"file": str(reading.path), "ef": reading.ef, "clips": reading.num_clips})
        else:
            typer.echo(f"{reading.ef:5.1f}  {reading.path}")
    if json:
        show({"videos": readings, "problems": problems}, as_json=True)
    if problems:
        raise typer.Exit(2)


@app.command()
def run(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)],
    out: Out,
    preset: Preset = "phantom",
    models: Annotated[
        Path | None, typer.Option(help="Trained models; what is missing is trained.", show_default=False)
    ] = None,
    num: Annotated[int, typer.Option(help="Videos to generate.")] = 16,
    frames: Frames = 128,
    seed: Seed = 0,
    config: Config = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="STAGE.NAME=VALUE, such as vae.loop.steps=500.")
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Do everything on a dataset folder: train, generate, evaluate. Given again after a stop, it continues."""
    from echosyn.pipeline.run import run as run_all

    result = run_all(
        dataset,
        out,
        preset=preset,
        models=models,
        num=num,
        num_frames=frames,
        seed=seed,
        config=config,
        overrides=set_ or [],
        device=device,
        progress=Console(quiet),
    )
    show(result, json)
    _warn_unless_releasable(result)


@app.command()
def quickstart(
    out: Annotated[Path, typer.Argument(help="Folder.")] = Path("quickstart"),
    patients: Annotated[int, typer.Option(help="Phantom patients.")] = 112,
    num: Annotated[int, typer.Option(help="Videos to generate.")] = 24,
    train: Annotated[
        bool, typer.Option("--train", help="Train small models instead of using those that ship.")
    ] = False,
    seed: Seed = 0,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="STAGE.NAME=VALUE, such as vae.loop.steps=500.")
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Do everything on the phantom, with nothing but this package: under three minutes on a laptop."""
    from echosyn.pipeline.quickstart import quickstart as run_quickstart

    result = run_quickstart(
        out,
        patients=patients,
        num=num,
        seed=seed,
        train=train,
        overrides=set_ or [],
        device=device,
        progress=Console(quiet),
    )
    show(result, json)
    _warn_unless_releasable(result)


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this installation can do; exit code 2 if something needed does not work."""
    from echosyn.pipeline.doctor import doctor as examine

    report = examine()
    show(report | report.pop("versions"), json)
    for problem in report["problems"]:
        typer.echo(f"problem: {problem}", err=True)
    if not report["ok"]:
        sys.exit(2)


def _evaluate_steps(
    kept: Path, real: Path, out: Path, steps: str, lvdm: Path | None, vae: Path | None, json: bool, **asked: Any
) -> None:
    from echosyn.pipeline.steps import as_text, compare_steps, steps_of

    if lvdm is None or vae is None:
        raise ConfigError(f"evaluate --steps {steps}: needs the model to compare: give --lvdm and --vae")
    result = compare_steps(kept, real, out, lvdm=lvdm, vae=vae, steps=steps_of(steps), **asked)
    table = result.pop("table")
    if json:
        show(result, as_json=True)
        return
    typer.echo(as_text(table))
    show(result, as_json=False)


def _given(**options: object) -> str:
    """The first option that was given, as the user spells it."""
    return next((f"--{name}" for name, value in options.items() if value is not None), "")


def efs(text: str | None, dataset: Path | None) -> Any:
    """What ``--ef`` and ``--ef-from`` ask for; None is the default."""
    from echosyn.pipeline.motion import ef_from, ef_range

    if text is not None and dataset is not None:
        raise ConfigError("--ef and --ef-from exclude one another: give one of them")
    if dataset is not None:
        return ef_from(dataset)
    return ef_range(text) if text is not None else None


def _clips(text: str) -> Any:
    if text == "all":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--clips {text}: expected a number from 1 on, or all")
    return int(text)


def _box(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--crop {text}: expected X,Y,W,H, four whole numbers such as 0,0,112,112") from error
    return x, y, width, height


def _warn_unless_releasable(result: dict[str, Any]) -> None:
    if not result["releasable"]:
        typer.echo(
            "warning: the privacy filter does not vouch for this set: do not share it (the page says why)", err=True
        )
