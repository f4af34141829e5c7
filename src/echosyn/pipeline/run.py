"""``echosyn run``: the whole picture on a user's folder: train what is missing, generate, evaluate."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echosyn import weights
from echosyn.data import checking, filelist, table
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.files import refuse_existing
from echosyn.pipeline import starting
from echosyn.pipeline.evaluate.evaluate import evaluate
from echosyn.pipeline.evaluate.fidelity import protocols
from echosyn.pipeline.evaluate.page import headline
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.privacy_filter.reference_frames import REFERENCE_STRIDE
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.train.texture import learned_or_kept
from echosyn.pipeline.train.train import discard_checkpoints, train
from echosyn.pipeline.trained_on import refuse_both_sides, refuse_seen
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.judging import EvaluateSettings
from echosyn.settings.making import EncodeSettings, GenerateSettings
from echosyn.settings.training import ResumeSettings, TextureFitSettings
from echosyn.settings.whole import WholeSettings
from echosyn.texture.texture import file_of
from echosyn.training.stage import StageSettings
from echosyn.training.stages.denoiser import DenoiserSettings
from echosyn.training.stages.reid import ReIDSettings


def run(dataset: Path, out: Path, asked: WholeSettings, compute: Compute = HERE) -> dict[str, Any]:
    """From a dataset folder to a synthetic one with its report.

    Trainings start from the models that ship, unless others or none are asked for, see `echosyn.pipeline.starting`.
    ``OUT`` holds ``models/``, ``latents/`` (private), ``synthetic/`` (the dataset) and ``report/`` (private: it shows real
    videos). A stopped run continues when the same command is given again. When the set is too small for the privacy filter
    to let enough hearts pass, the synthetic set is completed with rejected ones and marked as not releasable.

    Args:
        dataset: dataset folder with TRAIN and VAL or TEST videos with EF.
        out: new folder.
        asked: what is trained and generated.
        compute: where, and who is told.
    """
    models, variant, num, num_frames = asked.models, asked.variant, asked.num, asked.num_frames
    records = filelist.read(dataset)
    given = {stage: path for stage in starting.TRAINED if (path := _given(models, stage, variant)) is not None}
    start = None if len(given) == len(starting.TRAINED) else starting.folder(asked)
    settings = starting.settings(asked, start, records)
    refuse_existing(out)
    if min(num, num_frames) < 1:
        raise ConfigError(f"--num {num} --frames {num_frames}: expected at least 1")
    _check(dataset, records)
    found = ({} if start is None else starting.kept(asked, start, records)) | given
    for stage, model in found.items():
        weights.load(model, stage)  # a wrong folder is refused before minutes of training
        refuse_seen([model], [r for r in records if r.split != "TRAIN"])
    call: dict[str, Any] = {stage: s.model_dump(mode="json") for stage, s in settings.items()}
    call |= {"num": num, "frames": num_frames, "seed": asked.seed, "protocol": protocols.load(asked.protocol).sha256}
    if variant is not None:
        call["variant"] = variant
    inputs = {"dataset": dataset} | ({"models": models} if models else {}) | ({"start": start} if start else {})
    with new_folder(out, "run", call, inputs, keep=True) as folder:
        _complete(found, dataset, folder, settings, compute)
        synthetic, report = folder / "synthetic", folder / "report"
        if not synthetic.exists():
            wanted = GenerateSettings(
                num=num,
                seed=asked.seed,
                reference=folder / "latents",
                real=dataset,
                num_frames=num_frames,
                ef_from=dataset,
                complete_with_rejected=True,
            )
            generate(synthetic, found, wanted, compute)
        if not report.exists():
            judged = EvaluateSettings(vae=found["vae"], made_by=tuple(found.values()), protocol=asked.protocol)
            evaluate(synthetic, dataset, report, judged, compute, ef_settings=settings["ef"])
    return result(out)


def result(out: Path) -> dict[str, Any]:
    """Where a finished run put things, and its headline numbers."""
    numbers, vae = json.loads((out / "report" / "report.json").read_text()), out / "models" / "vae" / "model"
    return {
        "synthetic": str(out / "synthetic"),
        "page": str(out / "report" / "index.html"),
        "releasable": bool((numbers["privacy"] or {}).get("releasable")),
        **({"texture": "none"} if vae.is_dir() and file_of(vae) is None else {}),
        **headline(numbers),
    }


def _complete(
    found: dict[str, Path], dataset: Path, folder: Path, settings: Mapping[str, StageSettings], compute: Compute
) -> None:
    """Train the stages of which no model folder was found; encodes the latents on the way."""
    latents = folder / "latents"
    for stage in starting.TRAINED:
        if stage not in found:
            run_folder = folder / "models" / stage
            if not (run_folder / "model").is_dir():
                data, values = _input(stage, dataset, latents, settings[stage], found)
                train(stage, data, run_folder, settings=values, resume=ResumeSettings(resume=True), compute=compute)
                discard_checkpoints(run_folder)
            found[stage] = run_folder / "model"
            if stage == "vae" and file_of(found[stage]) is None:
                _add_texture(dataset, found[stage], settings[stage], compute)
        if stage == "vae" and not latents.exists():
            missing = [s for name, s in settings.items() if name in starting.TRAINED and name not in found]
            courses = any(isinstance(s, DenoiserSettings) and s.courses for s in missing)
            every = 1 if missing else REFERENCE_STRIDE  # the screen of stills looks at no other frames
            encode(dataset, latents, found["vae"], EncodeSettings(mean=True, courses=courses, every=every), compute)


def _add_texture(dataset: Path, vae: Path, settings: StageSettings, compute: Compute) -> None:
    """The recordings' speckle for the VAE that was trained on them, or the speckle of the VAE that it started from."""
    loop = settings.loop
    asked = TextureFitSettings(steps=min(TextureFitSettings().steps, loop.steps), seed=loop.seed)
    start = None if settings.start is None else weights.start(settings.start, "vae", settings.only)
    if (found := learned_or_kept(dataset, vae, start, asked, compute)) is not None:
        found.save(vae)


def _input(
    stage: str, dataset: Path, latents: Path, settings: StageSettings, found: Mapping[str, Path]
) -> tuple[Path, StageSettings]:
    """What a stage learns from; a contrastive re-identification model sees pixels that are changed and then encoded."""
    if stage == "vae":
        return dataset, settings
    if isinstance(settings, ReIDSettings) and settings.objective == "contrastive":
        return dataset, settings.model_copy(update={"vae": str(found["vae"])})
    return latents, settings


def _given(models: Path | None, stage: str, variant: str | None) -> Path | None:
    """The folder of a stage among given models, if there is one; of several none is taken for missing."""
    if models is None or not weights.candidates(models, stage, variant):
        return None
    return weights.find(models, stage, variant)


def _check(dataset: Path, records: Sequence[Record]) -> None:
    """All that would stop the run after minutes of training, before it starts."""
    report = checking.check(dataset)
    if not report.ok:
        counts = ", ".join(f"{count} {reason}" for reason, count in report.counts.items())
        head = f"{dataset}: {len(report.problems)} problem(s): {counts}; fix them, or import the folder with --skip-bad"
        raise DataError(table.listing(head, [f"  {p.name}: {p.detail}" for p in report.problems]))
    refuse_both_sides(dataset, records)
    train_videos = sum(r.split == "TRAIN" and r.ef is not None for r in records)
    held_out = sum(r.split != "TRAIN" and r.ef is not None for r in records)
    if train_videos < 2 or held_out < 1:
        raise DataError(
            f"{dataset}: {train_videos} TRAIN and {held_out} held-out (VAL, TEST) videos with an EF; expected at least 2 and 1"
        )
