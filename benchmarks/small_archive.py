"""What a small archive of real recordings gives, with image models that start from those that ship; prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/small_archive.py FOLDER WORK --held-out 100
    OMP_NUM_THREADS=1 python benchmarks/small_archive.py FOLDER WORK2 --held-out 15 --look-only

FOLDER has GIFs, or PNGs ``NAME_4CH_ED.png`` and ``NAME_4CH_ES.png``, of one patient each, apical four-chamber. The VAE (its
decoder alone with --look-only), the re-identification and, without --look-only, the image model are adapted (preset ``adapt``).
Marks around the sector of GIFs are blackened, as by `import`. Then hearts are invented and judged: how many the filter rejects
(calibrated at 5 % on the held-out patients), how many held-out patients they cover, whether more are nearer to TRAIN patients
than by chance (a permutation test over patients; beside it hearts of the model before), and whether a linear classifier tells
them from held-out patients. ``WORK/sheet.png`` is to look at. WORK shows patients.
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from looks import SIZE, lite0, power, spectra, still
from PIL import Image, ImageSequence
from scipy.spatial.distance import cdist

from echosyn import rng, weights
from echosyn.data import filelist, latents, surroundings, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import grey
from echosyn.metrics import spectrum
from echosyn.metrics.image import psnr
from echosyn.metrics.two_sample import classifier_auc_with_interval
from echosyn.nn import efficientnet_lite
from echosyn.pipeline.generate.sample import invent
from echosyn.pipeline.models import codec, image_pipeline
from echosyn.pipeline.privacy_filter.reference_frames import of_latents
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.train.texture import learned_or_kept
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.privacy.intervals import wilson
from echosyn.privacy.nearer_side import nearer_side
from echosyn.settings.making import EncodeSettings
from echosyn.settings.training import ResumeSettings, TextureFitSettings
from echosyn.training import catalog
from echosyn.training.verification import opposite_frames, verify

HERE = Compute("cpu")
NEIGHBOURS = 5


def recordings(folder: Path) -> dict[str, np.ndarray]:
    """Frames ``(T, 112, 112)`` of each patient."""
    found = {}
    for path in sorted(folder.glob("*.gif")):
        with Image.open(path) as file:
            frames = np.stack([still(frame) for frame in ImageSequence.Iterator(file)])
        found[path.stem] = surroundings.blackened(frames)[0]
    for path in sorted(folder.glob("*_4CH_ED.png")):
        pair = [Image.open(path.with_name(path.name.replace("_ED", f"_{phase}"))) for phase in ("ED", "ES")]
        found[path.name.split("_")[0]] = np.stack([still(picture) for picture in pair])
    return found


def dataset(out: Path, folder: Path, held_out: int) -> Path:
    """The recordings as a dataset folder; patients are held out by chance."""
    if out.exists():
        return out
    (out / filelist.VIDEOS).mkdir(parents=True)
    shown = recordings(folder)
    names = rng.numpy_generator(0, "held out").permutation(sorted(shown)).tolist()
    records = []
    for i, name in enumerate(names):
        frames = shown[name]
        video.write_avi(out / filelist.VIDEOS / f"{name}.avi", frames, 8.33)
        split = "VAL" if i < held_out else "TRAIN"
        records.append(Record(name, split=split, fps=8.33, num_frames=len(frames), height=SIZE, width=SIZE, ef=50.0))
    filelist.write(out, records)
    return out


def adapted(data: Path, work: Path, look_only: bool, overrides: Mapping[str, list[str]]) -> dict[str, Path]:
    """The model folders."""
    models = {"vae": work / "vae" / "model", "reid": work / "reid" / "model", "lidm": work / "lidm" / "model"}

    def step(stage: str, source: Path, *more: str) -> None:
        if not models[stage].is_dir():
            given = [f"start=shipped{'/lidm_a4c' if stage == 'lidm' else ''}", *more, *overrides.get(stage, [])]
            settings = catalog.settings(stage, "adapt", overrides=given)
            train(stage, source, work / stage, settings=settings, resume=ResumeSettings(resume=True), compute=HERE)

    step("vae", data, *(["freeze_encoder=true"] if look_only else []), "frame_stride=1")
    if not (work / "latents").exists():
        encode(data, work / "latents", models["vae"], EncodeSettings(mean=True), HERE)
    step("reid", data, f"vae={models['vae']}")
    if look_only:
        models["lidm"] = weights.shipped() / "lidm_a4c"
    else:
        step("lidm", work / "latents", "courses=false", "fps=original")
    return models


def features(frames: np.ndarray, lite: Any) -> dict[str, np.ndarray]:
    """Of each frame ``(n, 112, 112)``."""
    return {"efficientnet-lite0": lite0(frames, lite), "spectrum": spectra(alone(frames))}


def alone(frames: np.ndarray) -> list[np.ndarray]:
    """Each frame as a clip of its own."""
    return [frame[None] for frame in frames]


def told(real: np.ndarray, made: np.ndarray, lite: Any) -> dict[str, Any]:
    """How well a linear classifier tells two sets of frames, one a patient."""
    one, two = features(real, lite), features(made, lite)
    codes = np.arange(len(real)), np.arange(len(made))
    return {name: classifier_auc_with_interval(one[name], two[name], *codes, seed=0).to_json() for name in one}


def shares(counts: tuple[int, int]) -> dict[str, float]:
    """A share with its interval."""
    found = wilson(*counts)
    return {"share": counts[0] / counts[1], "low": found.low, "high": found.high, "n": counts[1]}


def pooled(x: torch.Tensor) -> np.ndarray:
    """Latents ``(n, C, h, w)`` as vectors."""
    return x.flatten(1).double().numpy()


def judged(data: Path, work: Path, models: Mapping[str, Path], num: int) -> dict[str, Any]:
    """All figures."""
    records = filelist.read(data)
    sides = {side: [r for r in records if (r.split == "TRAIN") == (side == "train")] for side in ("train", "held out")}
    encoder = codec(models["vae"], torch.device("cpu"))
    index = filelist.VideoIndex(data)
    first = {side: np.stack([video.read(index.path(r)).grey()[0] for r in rows]) for side, rows in sides.items()}
    of = {side: torch.stack([latents.read(work / "latents", r)[0] for r in rows]) for side, rows in sides.items()}
    facts = weights.load_facts(weights.resolve(models["lidm"]))
    made = invent(image_pipeline(models["lidm"], torch.device("cpu")), range(num), 0, facts.num_inference_steps)
    shown = grey(encoder.decode(made)).numpy()
    screens = Screens.of({"vae": models["vae"], "reid": models["reid"]})
    screen = screens.of_stills(of_latents(work / "latents"), HERE)
    verdict = screen.judge(made)
    unseen, taught = pooled(of["held out"]), pooled(of["train"])
    own = np.sort(cdist(unseen, unseen), axis=1)[:, min(NEIGHBOURS, len(unseen) - 1)]
    strangers = invent(
        image_pipeline(weights.shipped() / "lidm_a4c", torch.device("cpu")), range(num), 0, facts.num_inference_steps
    )
    reid = weights.load(models["reid"], "reid")
    pairs = opposite_frames(sides["held out"], lambda r: latents.read(work / "latents", r))
    with torch.no_grad():
        a, b = reid.embed(pairs.a), reid.embed(pairs.b)
    similarity = torch.corrcoef(torch.cat([a, b]))[: len(a), len(a) :]
    lite = efficientnet_lite.load()
    through = grey(encoder.decode(of["held out"])).numpy()
    texture = learned_or_kept(data, models["vae"], weights.shipped() / "vae", TextureFitSettings())
    assert texture is not None
    textured, laid = (
        np.stack([texture.lay(x[None], 0, i)[0] for i, x in enumerate(side)]) for side in (shown, through)
    )
    rows = {"real": first["held out"], "through the VAE": through, "with texture": laid, "invented": shown}
    sheet(work / "sheet.png", rows | {"invented, with texture": textured})
    said = [json.loads(line) for line in (work / "lidm" / "metrics.jsonl").open()] if (work / "lidm").is_dir() else []
    looks = [x["validation/nearer_to_train"] for x in said if "validation/nearer_to_train" in x]
    best = (
        json.loads((work / "lidm" / "best.json").read_text())["step"]
        if (work / "lidm" / "best.json").is_file()
        else None
    )
    return {
        "nearer_to_train_while_training": looks,
        "best_step": best,
        "patients": {side: len(rows) for side, rows in sides.items()},
        "psnr": psnr(torch.from_numpy(through), torch.from_numpy(first["held out"])).mean,
        "reid_auc": verify(similarity, pairs.patients).auc.to_json(),
        "rejected": shares((int((~verdict.kept).sum()), num)),
        "coverage": shares((int((cdist(unseen, pooled(made)).min(axis=1) <= own).sum()), len(unseen))),
        "coverage_by_train": shares((int((cdist(unseen, taught).min(axis=1) <= own).sum()), len(unseen))),
        "nearer_to_train": asdict(nearer_side(pooled(made), taught, unseen)),
        "nearer_to_train_before": asdict(nearer_side(pooled(strangers), taught, unseen)),
        "auc_invented": told(first["held out"], shown[: len(unseen)], lite),
        "auc_invented_with_texture": told(first["held out"], textured[: len(unseen)], lite),
        "auc_reconstructed": told(first["train"][: len(unseen)], through, lite),
        "auc_reconstructed_with_texture": told(first["train"][: len(unseen)], laid, lite),
        "auc_real_against_real": told(first["held out"], first["train"][: len(unseen)], lite),
        "power_ratio": power_ratio(first["held out"], shown),
        "power_ratio_with_texture": power_ratio(first["held out"], textured),
        "power_ratio_reconstructed_with_texture": power_ratio(first["held out"], laid),
    }


def power_ratio(real: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """Of each octave, made over real."""
    one, two = (power(alone(side)) for side in (real, made))
    return {
        name: float(np.mean(two[slice(*ends)]) / np.mean(one[slice(*ends)])) for name, ends in spectrum.OCTAVES.items()
    }


def sheet(path: Path, rows: Mapping[str, np.ndarray], columns: int = 12) -> None:
    """Two rows of pictures of each kind."""
    lines = [np.concatenate(list(x[i : i + columns]), axis=1) for x in rows.values() for i in (0, columns)]
    width = max(line.shape[1] for line in lines)
    Image.fromarray(np.concatenate([np.pad(x, ((0, 6), (0, width - x.shape[1]))) for x in lines])).save(path)


def main() -> None:
    """Adapt, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--held-out", type=int, default=15, help="patients")
    parser.add_argument("--num", type=int, default=200, help="invented hearts")
    parser.add_argument("--look-only", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.NAME=VALUE")
    args = parser.parse_args()
    started = time.process_time()
    overrides: dict[str, list[str]] = {}
    for text in args.set:
        stage, _, rest = text.partition(".")
        overrides.setdefault(stage, []).append(rest)
    args.work.mkdir(parents=True, exist_ok=True)
    data = dataset(args.work / "data", args.folder, args.held_out)
    models = adapted(data, args.work, args.look_only, overrides)
    minutes = (time.process_time() - started) / 60
    print(json.dumps({"cpu_minutes": round(minutes, 1), **judged(data, args.work, models, args.num)}))


if __name__ == "__main__":
    main()
