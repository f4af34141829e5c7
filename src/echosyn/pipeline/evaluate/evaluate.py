"""``echosyn evaluate``: how good is a synthetic dataset? Numbers with intervals and floors, and a page to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import device as devices
from echosyn import weights
from echosyn.data import clips, filelist, table, video
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.metrics.area import SIZE
from echosyn.metrics.image import psnr, ssim
from echosyn.pipeline.evaluate import ef_adherence, page
from echosyn.pipeline.evaluate.ef_adherence import agreement
from echosyn.pipeline.evaluate.fidelity import fidelity, protocols
from echosyn.pipeline.evaluate.fidelity.feature_spaces import Places
from echosyn.pipeline.evaluate.predict_ef import predict_ef
from echosyn.pipeline.evaluate.utility import protocols as utility_protocols
from echosyn.pipeline.evaluate.utility import utility
from echosyn.pipeline.evaluate.utility.grid import Grid
from echosyn.pipeline.evaluate.utility.protocols import UtilityProtocol
from echosyn.pipeline.folder import new_folder, read_provenance, write_json
from echosyn.pipeline.models import codec
from echosyn.pipeline.tracking import measure
from echosyn.pipeline.trained_on import refuse_both_sides, refuse_seen
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.judging import EvaluateSettings
from echosyn.training.stage import StageSettings

VAE_FRAMES = 256

VIDEOS_CSV = "videos.csv"


@dataclass(frozen=True, eq=False)
class Sets:
    """The two sides of every comparison."""

    synthetic: Path
    real: Path
    synthetic_records: list[Record]
    real_records: list[Record]

    @property
    def held_out(self) -> list[Record]:
        """Real videos that no model was trained on: VAL and TEST."""
        return [r for r in self.real_records if r.split != "TRAIN" and r.ef is not None]


def evaluate(
    synthetic: Path,
    real: Path,
    out: Path,
    asked: EvaluateSettings,
    compute: Compute = HERE,
    *,
    ef_settings: StageSettings,
    places: Places | None = None,
    grid: Grid | None = None,
) -> dict[str, Any]:
    """Write ``OUT/report.json``, ``OUT/videos.csv`` (a line for each tracked video) and ``OUT/index.html``.

    Two EF regressors are trained alike, on the TRAIN videos of each set, and tested on held-out real videos, as the protocol
    ``asked.utility`` says. The one trained on real videos also measures the EF of the synthetic ones.

    Args:
        synthetic: dataset folder.
        real: dataset folder with TRAIN and VAL or TEST videos.
        out: new folder.
        asked: what is reported and measured.
        compute: where, and by whom features are extracted.
        ef_settings: of the EF stage.
        places: where the weights of the protocol's feature networks are.
        grid: train on further sets, too; see `echosyn.pipeline.evaluate.utility.grid`.
    """
    vae, seed, device, progress = asked.vae, asked.seed, compute.device, compute.progress
    sets = Sets(synthetic, real, filelist.read(synthetic), filelist.read(real))
    fidelity_protocol = protocols.load(asked.protocol)
    fidelity.check(fidelity_protocol, real, synthetic, places, asked.metrics)
    _check(sets, asked.track)
    protocol = utility_protocols.load(asked.utility)
    protocol.check(real, sets.held_out, ef_settings)
    if grid is not None and protocol.chooses_on_val:
        raise ConfigError(f"--grid chooses weights in its own way: leave it out, or --utility {protocol.id}")
    if grid is not None:
        grid.check(synthetic, real, sets.held_out)
    silent_models = refuse_seen(dict.fromkeys([*asked.made_by, *([vae] if vae else [])]), sets.held_out)
    if vae is not None:
        codec(vae, devices.resolve(device))  # a wrong folder is refused before minutes of training
    inputs = {"synthetic": synthetic, "real": real} | ({"vae": weights.resolve(vae)} if vae else {})
    settings: dict[str, Any] = {"ef": ef_settings.model_dump(mode="json"), "seed": seed, "tracked": asked.track}
    settings |= {"protocol": fidelity_protocol.sha256, "utility": protocol.id}
    settings |= {"metrics": asked.metrics} if asked.metrics else {}
    if grid is not None:
        inputs |= {f"arm {name}": path for name, path in grid.also.items()}
        settings["grid"] = {"seeds": grid.seeds, "relabel": grid.relabel}
    with new_folder(out, "evaluate", settings, inputs, keep=True) as folder:
        models = _regressors({"real": real, "synthetic": synthetic}, folder / "models", protocol, ef_settings, compute)
        numbers: dict[str, Any] = {
            "counts": _counts(sets),
            "provenance": read_provenance(folder),
            "privacy": read_provenance(synthetic).get("privacy"),
            "training_unknown": [weights.load_facts(weights.resolve(m)).stage or m.name for m in silent_models],
        }
        reading: dict[str, Any] = {"num_clips": protocol.clips, "device": device, "progress": progress}
        of_synthetic = predict_ef(
            synthetic,
            sets.synthetic_records,
            models["real"],
            period=(protocol.periods or {}).get("synthetic"),
            **reading,
        )
        predicted = {side: predict_ef(real, sets.held_out, model, **reading) for side, model in models.items()}
        is_tested = np.array([r.split in protocol.splits for r in sets.held_out])
        tested = [r for r in sets.held_out if r.split in protocol.splits]
        numbers["utility_protocol"] = {"id": protocol.id, "words": protocol.words}
        numbers["utility"] = {
            f"train on {side}": agreement(p.ef[is_tested], tested, seed, details=True) for side, p in predicted.items()
        }
        if protocol.chooses_on_val:
            chose = [r for r in sets.held_out if r.split == "VAL"]
            numbers["utility_on_val"] = {
                f"train on {side}": agreement(p.ef[~is_tested], chose, seed) for side, p in predicted.items()
            }
        numbers["ef_adherence"] = agreement(of_synthetic.ef, sets.synthetic_records, seed, details=True)
        tracked = {
            side: [records[i] for i in clips.spaced(len(records), asked.track)]
            for side, records in (("synthetic", sets.synthetic_records), ("real", sets.held_out))
        }
        rows = {
            side: measure.measure_all(data, tracked[side], compute)
            for side, data in (("synthetic", synthetic), ("real", real))
        }
        numbers["ef_by_area"] = {side: ef_adherence.of_rows(rows[side], tracked[side], seed) for side in rows}
        numbers["physiology"] = {side: measure.summary(found) for side, found in rows.items()}
        measure.write_csv(folder / VIDEOS_CSV, rows["synthetic"])
        if grid is not None:
            numbers["grid"] = grid.run(synthetic, real, sets.held_out, vae, folder / "grid", ef_settings, seed, compute)
        numbers["fidelity"] = fidelity.in_folder(
            real,
            synthetic,
            folder,
            fidelity_protocol,
            places=places,
            metrics=asked.metrics,
            seed=seed,
            executor=compute.executor,
            progress=progress,
        )
        if vae is not None:
            numbers["vae"] = reconstruction(vae, real, sets.held_out, device)
        write_json(folder / "report.json", numbers)
        readings = page.Readings(
            sets,
            of_synthetic.ef,
            tested,
            {side: p.ef[is_tested] for side, p in predicted.items()},
            rows["synthetic"],
        )
        page.write_page(folder / "index.html", numbers, readings, public=asked.public, progress=progress)
    return {"report": str(out / "report.json"), "page": str(out / "index.html"), **page.headline(numbers)}


def _regressors(
    data: Mapping[str, Path], folder: Path, protocol: UtilityProtocol, settings: StageSettings, compute: Compute
) -> dict[str, Path]:
    """Model folders of the regressors that learned from each side."""
    trainings = [
        (path, folder / f"ef_{side}", protocol.settings(side, settings, data["real"])) for side, path in data.items()
    ]
    return dict(zip(data, utility.regressors(trainings, compute), strict=True))


def reconstruction(vae: Path, dataset: Path, records: Sequence[Record], device: str = "auto") -> dict[str, Any]:
    """PSNR and SSIM of held-out frames after the VAE, on frames spread evenly over the given videos."""
    index = filelist.VideoIndex(dataset)
    per_video = max(1, VAE_FRAMES // max(1, len(records)))
    recordings = (video.read(index.path(r)).grey() for r in records[:VAE_FRAMES])
    frames = np.concatenate([one[clips.spaced(len(one), per_video)] for one in recordings])
    autoencoder = codec(vae, devices.resolve(device))
    back = autoencoder.reconstruct(torch.from_numpy(frames)).numpy()
    return {"psnr": psnr(frames, back).mean, "ssim": ssim(frames, back).mean, "frames": len(frames)}


def _counts(sets: Sets) -> dict[str, int]:
    def train(records: Sequence[Record]) -> int:
        return sum(r.split == "TRAIN" and r.ef is not None for r in records)

    return {
        "synthetic": len(sets.synthetic_records),
        "synthetic_train": train(sets.synthetic_records),
        "real_train": train(sets.real_records),
        "real_held_out": len(sets.held_out),
    }


def _check(sets: Sets, track: int) -> None:
    for where, records in ((sets.real, sets.real_records), (sets.synthetic, sets.synthetic_records)):
        if not any(r.split == "TRAIN" and r.ef is not None for r in records):
            raise DataError(
                f"{where}: no TRAIN video with an EF; an EF regressor is trained on each set: fill the EF column of "
                "FileList.csv, or give --only fidelity"
            )
    if not sets.held_out:
        raise DataError(
            f"{sets.real}: no VAL or TEST video with an EF; evaluation needs patients unseen in training: give some "
            "videos Split VAL or TEST and an EF"
        )
    refuse_both_sides(sets.real, sets.real_records)
    _check_videos(sets.synthetic, sets.synthetic_records, track)
    _check_videos(sets.real, sets.real_records, track)


def _check_videos(dataset: Path, records: Sequence[Record], track: int) -> None:
    """Decode all that will be looked at, so that no training of minutes ends at a damaged file."""
    index, problems = filelist.VideoIndex(dataset), []
    for record in records:
        try:
            _, height, width, _ = video.probe(index.path(record))
            if track and (height, width) != (SIZE, SIZE):
                problems.append(
                    f"  {record.name}: {width}x{height}, but ventricles are tracked at {SIZE}x{SIZE}: resize it or give "
                    "--track 0"
                )
        except DataError as error:
            problems.append(f"  {error}")
    if problems:
        raise DataError(table.listing(f"{dataset}: {len(problems)} bad video(s)", problems))
