"""How good the models are that ship, on phantoms that none of them saw; prints JSON.

    python benchmarks/shipped_models.py --num 200 --seed 9200

VAE: PSNR of frames. LIDM: Fréchet distance of invented end-diastolic frames to real ones beside the distance of real ones to
real ones, and how many held-out hearts they cover; features are principal components of thumbnails of frames that went
through the VAE, so that its blur is on both sides. With --stills DIR, whose ``stills_a4c`` and ``stills_psax``
docs/recipes/stills.py made, also whether the LIDM's loss tells hearts it was taught from others. Re-ID: can it tell one
patient's frames from another's. EF: error on videos.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist

from echosyn import weights
from echosyn.data import filelist, latents, phantom
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.metrics.frechet import frechet_distance
from echosyn.metrics.image import psnr
from echosyn.metrics.moments import moments
from echosyn.metrics.regression import regression_report
from echosyn.metrics.roc import area_with_interval
from echosyn.pipeline.audit.membership import on_stills
from echosyn.pipeline.evaluate.predict_ef import ef_reader
from echosyn.pipeline.generate.sample import invent
from echosyn.pipeline.models import codec, image_pipeline
from echosyn.training.verification import verify

FPS = 32.0
VIEWS = ("A4C", "PSAX")
NUM_COMPONENTS = 32
NEIGHBOURS = 5


def hearts(seed: int, view: str, first: int, num: int) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Patients, an end-diastolic frame of each and one of half a beat later: ``(num, 112, 112)``."""
    patients = [phantom.patient(seed, i, view=view, num_frames=64, fps=FPS) for i in range(first, first + num)]
    early, late = [], []
    for patient in patients:
        frames, volumes = phantom.render(patient), phantom.volumes(patient)
        early.append(frames[volumes.argmax()])
        late.append(frames[volumes.argmin()])
    return patients, np.stack(early), np.stack(late)


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """``(n, 112, 112)`` -> ``(n, 784)``: means of blocks of 4 x 4."""
    return frames.reshape(len(frames), 28, 4, 28, 4).mean(axis=(2, 4)).reshape(len(frames), -1)


def coverage(real: np.ndarray, made: np.ndarray) -> float:
    """Share of real points with a made one among their `NEIGHBOURS` nearest (Naeem et al. 2020, eq. 9)."""
    own = np.sort(cdist(real, real), axis=1)[:, NEIGHBOURS]
    return float((cdist(real, made).min(axis=1) <= own).mean())


def images(lidm: Path, autoencoder: LatentCodec, view: str, seed: int, num: int) -> dict[str, Any]:
    """The image model of one view against two samples of real hearts of equal size."""
    first, second = (hearts(seed, view, start, num)[1] for start in (0, num))
    real = [autoencoder.reconstruct(torch.from_numpy(x)).numpy() for x in (first, second)]
    folder = weights.resolve(lidm)
    stills = invent(
        image_pipeline(folder, torch.device("cpu")), range(num), seed, weights.load_facts(folder).num_inference_steps
    )
    synthetic = grey(autoencoder.decode(stills)).numpy()
    basis = thumbnails(real[0])
    centre = basis.mean(axis=0)
    components = np.linalg.svd(basis - centre, full_matrices=False)[2][:NUM_COMPONENTS]
    left, right, made = ((thumbnails(x) - centre) @ components.T for x in (*real, synthetic))
    nearest_made, nearest_real = cdist(right, made).min(axis=1), cdist(right, left).min(axis=1)
    return {
        "n": num,
        "frechet": frechet_distance(moments(made), moments(right)),
        "frechet_floor": frechet_distance(moments(left), moments(right)),
        "coverage": coverage(right, made),
        "coverage_of_real_by_real": coverage(right, left),
        "nearest_is_synthetic_not_real": float((nearest_made < nearest_real).mean()),
    }


def loss_attack(lidm: Path, stills: Path) -> dict[str, Any]:
    """How well the loss tells the first TRAIN hearts of a latents folder from as many held-out ones."""
    records = filelist.read(stills)
    outside = [r for r in records if r.split != "TRAIN"]
    chosen = [*[r for r in records if r.split == "TRAIN"][: len(outside)], *outside]
    items = [latents.read(stills, r) for r in chosen]
    owner = np.repeat(np.arange(len(chosen)), [len(x) for x in items])
    folder = weights.resolve(lidm)
    network, scheduler = weights.load(folder, "lidm"), weights.load_scheduler(folder)
    found = on_stills(network, scheduler, torch.cat(items)[:, :, None], owner, torch.device("cpu"))
    is_train, names = np.arange(len(chosen)) < len(outside), [r.name for r in chosen]
    areas = {name: area_with_interval(scores, is_train, names, seed=0) for name, scores in found.items()}
    return {"n": len(outside)} | {name: [area.value, area.low, area.high] for name, area in areas.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=weights.shipped())
    parser.add_argument("--stills", type=Path, help="folder with the stills that the LIDMs learned")
    parser.add_argument("--num", type=int, default=200, help="hearts of each view")
    parser.add_argument("--seed", type=int, default=9200)
    args = parser.parse_args()
    autoencoder = codec(args.models / "vae", torch.device("cpu"))
    reid = weights.load(weights.find(args.models, "reid"), "reid")
    result: dict[str, Any] = {"vae": {}, "reid": {}, "ef": {}}
    read = ef_reader(args.models / "ef")
    for view in VIEWS:
        name = f"lidm_{view.lower()}"
        result[name] = images(args.models / name, autoencoder, view, args.seed, args.num)
        if args.stills is not None:
            result[name]["attacks"] = loss_attack(args.models / name, args.stills / f"stills_{view.lower()}")
        patients, early, late = hearts(args.seed, view, 2 * args.num, args.num)
        both = torch.from_numpy(np.stack([early, late])).flatten(0, 1)
        latents = autoencoder.encode(both)
        result["vae"][view] = {"n": len(both), "psnr": psnr(grey(autoencoder.decode(latents)), both).mean}
        with torch.no_grad():
            a, b = reid.embed(latents).unflatten(0, (2, -1))
        similarity = torch.corrcoef(torch.cat([a, b]))[: len(a), len(a) :]
        auc = verify(similarity, [str(p.index) for p in patients]).auc
        result["reid"][view] = {"n": len(patients), "auc": auc.value, "interval": [auc.low, auc.high]}
        efs = [read(phantom.render(p), FPS).ef for p in patients]
        result["ef"][view] = regression_report(np.array(efs), np.array([p.ef for p in patients])).to_json()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
