"""The table of memorisers in docs/audits.md: does an audit fail sets with a few copies, and pass innocent ones? Prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/memorisers.py WORK --train 500 --held-out 200 --strangers 300

Phantoms of the apical four-chamber view, the shipped VAE and Re-ID model. A memoriser's set is 100 videos of strangers, of
whom the audit's own screen rejects none, as after `generate`; 10, 2 or 1 of them are replaced by copies of training videos,
disguised in one way. Each repetition draws held-out patients, the set and the copied patients anew and judges the findings as an
audit does, all but the weights. An innocent set knows nobody, so that each repetition also draws anew who is a training patient:
of the same few hundred patients, some are likelier than others in whatever set, and would stay on one side. Innocents are judged
first; tables that lie in WORK are not made again.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import phantom
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.pipeline.audit import criteria, membership, positive_controls
from echosyn.pipeline.audit.positive_controls import Caught
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import RealVideos, digest_of
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.privacy import permutation
from echosyn.privacy.attacks import singling_out
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.intervals import exact
from echosyn.privacy.patient_matches import Exposure, Sides
from echosyn.privacy.positive_controls import PositiveControl, in_pixels
from echosyn.privacy.screen import Calibration, Screen, video_screen
from echosyn.privacy.video_digests import VideoDigest

VIEW, SEED, STRANGE_SEED, UNSEEN = "A4C", 1, 20, 1500
"""The shipped models saw phantoms of seed 1 below 1500."""
KINDS = (
    "exact copy",
    "mirror",
    "shift 12",
    "shift 16",
    "rotation 20",
    "inverted",
    "crop 20",
    "crop -20",
    "gamma 0.5",
    "gamma 2",
)
KINDS += (
    "speed 125",
    "reversed",
    "half inverted",
    "quarters swapped",
    "tiled 2",
    "in a corner 50",
)
COPIED = (10, 2, 1)
VIDEOS, PLANTED = 100, 73
Array = NDArray[np.float64]


def patient(seed: int, index: int) -> phantom.Patient:
    """Of two seconds."""
    return phantom.patient(seed, index, view=VIEW, num_frames=64, fps=32.0)


def recordings(work: Path, name: str, seed: int, indices: Sequence[int]) -> NDArray[np.uint8]:
    """Phantoms of two seconds, 16 frames a second, ``(n, 32, 112, 112)``; drawn once."""
    path = work / f"{name}.npy"
    if not path.is_file():
        drawn = [phantom.render(patient(seed, i))[::2] for i in indices]
        np.save(path, np.stack(drawn).astype(np.uint8))
    return np.load(path, mmap_mode="r")


def look(frames: Tensor, encoder: LatentCodec) -> VideoDigest:
    """As an audit looks at a video."""
    return digest_of(frames[::2], encoder)


class Bench:
    """The screen, and what it says of everybody once."""

    def __init__(self, args: argparse.Namespace) -> None:
        models = weights.find_all(weights.shipped(), ("vae", "reid"), VIEW.lower())
        self.encoder: LatentCodec = codec(models["vae"], devices.resolve("cpu"))
        draw = {
            "train": (SEED, range(0, 2 * args.train, 2)),
            "held": (SEED, range(UNSEEN, UNSEEN + 2 * args.held_out, 2)),
            "strange": (STRANGE_SEED, range(args.strangers)),
        }
        self.frames = {name: recordings(args.work, name, *which) for name, which in draw.items()}
        digests = {
            name: [look(self.of(name, i), self.encoder) for i in range(len(x))] for name, x in self.frames.items()
        }
        self.names = [f"{name}{i:04d}" for name in ("held", "train") for i in range(len(digests[name]))]
        efs = {name: [patient(seed, i).ef for i in which] for name, (seed, which) in draw.items()}
        self.efs, self.strange_efs = efs["held"] + efs["train"], efs["strange"]
        real = digests["held"] + digests["train"]
        self.is_train = np.array([name.startswith("train") for name in self.names])
        embed = Screens.of(models).embed("cpu")
        self.screen: Screen[Sequence[VideoDigest]] = video_screen(
            real, self.names, self.is_train.tolist(), embed, Calibration()
        )
        self.alone = self.screen.judge(real, self.names).score.numpy()  # of each, were it held out
        self.archive = real
        self.strangers = digests["strange"]
        patients, table, _ = self.screen.by_patient(self.strangers)
        assert patients == self.names
        self.table: Array = table.numpy()
        self.work, self.known = args.work, dict[str, tuple[Array, float]]()
        self.planted = [control for control in in_pixels() if control.must is not None]

    def copies(self, control: PositiveControl) -> tuple[Array, float]:
        """Of `disguises`, once."""
        path, name = self.work / f"copies, {control}.npz", str(control)
        if name not in self.known:
            if not path.is_file():
                table, right = self.disguises(control)
                np.savez(path, table=table, right=right)
            kept = np.load(path)
            self.known[name] = kept["table"], float(kept["right"])
        return self.known[name]

    def of(self, name: str, i: int) -> Tensor:
        """Frames of one of them."""
        return torch.from_numpy(np.array(self.frames[name][i]))

    def disguises(self, control: PositiveControl) -> tuple[Array, float]:
        """Of copies of `PLANTED` training patients in a disguise: score against each patient, and the share named rightly."""
        chosen = evenly(torch.arange(int(self.is_train.sum())), PLANTED).tolist()
        table = self.screen.by_patient([self.disguised(control, i) for i in chosen])[1].numpy()
        own = [self.names.index(f"train{i:04d}") for i in chosen]
        return table, float(np.mean(table.argmax(axis=1) == own))

    def disguised(self, control: PositiveControl, i: int) -> VideoDigest:
        """A training video as a memoriser hides it."""
        generator = rng.generator(0, f"memoriser {control}", i)
        made = control.change(self.of("train", i), self.of("train", (i + 1) % len(self.frames["train"])), generator)
        return look(made, self.encoder)

    def conclusion(self, num_held_out: int, copies: Array | None, seed: int) -> tuple[str, list[str]]:
        """Of one set: what the audit concludes on the videos, and which lines it crosses."""
        draws = rng.numpy_generator(seed, f"memorisers {num_held_out}")
        sides = draws.permutation(self.is_train) if copies is None else self.is_train
        held = np.sort(draws.choice(np.flatnonzero(~sides), num_held_out, replace=False))
        people = np.sort(np.concatenate([held, np.flatnonzero(sides)]))
        names, is_train = [self.names[i] for i in people], sides[people]
        patients = [self.names[i] for i in held]
        threshold = threshold_from_scores(self.alone[held], patients)
        scores_held = torch.from_numpy(self.alone[held])
        screen = replace(self.screen, threshold=threshold, held_out=scores_held, held_out_patients=patients)
        strangers = self.table[:, people]
        if copies is not None and (copies[:, people].max() >= threshold.value):
            return "fail", ["copies"]  # whatever the other lines say
        kept = np.flatnonzero(strangers.max(axis=1) < threshold.value)
        chosen = draws.permutation(kept)[: VIDEOS - (0 if copies is None else len(copies))]
        scores = strangers[chosen] if copies is None else np.concatenate([strangers[chosen], copies[:, people]])
        thinned = Sides.drawn(is_train, seed=seed)
        exposure = Exposure.of(scores, thinned, threshold.value)
        split = {name: ("VAL", "TEST")[i % 2] for i, name in enumerate(patients)}
        records = [Record(self.names[i], ef=self.efs[i], split="TRAIN" if sides[i] else "TEST") for i in people]
        labels = [Record("", ef=self.strange_efs[i]) for i in chosen] + [None] * (len(scores) - len(chosen))
        archive = RealVideos(records, [self.archive[i] for i in people])
        attacks = membership.on_videos(
            archive, [self.strangers[i] for i in chosen], exposure.highest, self.screen.prints.centre[0], seed
        )
        found = criteria.Findings(
            num_videos=len(scores),
            flagged=int((scores.max(axis=1) >= threshold.value).sum()),
            threshold=threshold,
            false_rejection=positive_controls.false_rejection(screen, split, seed),
            published=None,
            controls=[self.caught(control, threshold.value) for control in self.planted if control.essential],
            risks={"singling-out": singling_out(exposure, thinned)},
            attacks=attacks,
            num_train=int(is_train.sum()),
            num_held_out=num_held_out,
            silent_models=0,
            guesses={criteria.LINKED: membership.linked(archive, [self.strangers[i] for i in chosen])}
            | membership.inferred(archive, exposure.nearest, labels),
            tails={"videos": membership.tails(attacks, dict(zip(names, is_train.tolist(), strict=True)))},
        )
        lines = criteria.checked(found)
        return criteria.conclusion(lines, criteria.exceptions(found.controls)), [
            line.name for line in lines if not line.holds
        ]

    def caught(self, control: PositiveControl, threshold: float) -> Caught:
        """With another threshold."""
        table, _ = self.copies(control)
        return Caught(control, exact(int((table.max(axis=1) >= threshold).sum()), len(table)))


def repeated(bench: Bench, num: int, repetitions: int, copies: Callable[[int], Array | None]) -> dict[str, object]:
    """Conclusions and crossed lines over repetitions."""
    said: Counter[str] = Counter()
    crossed: Counter[str] = Counter()
    for seed in range(repetitions):
        found, lines = bench.conclusion(num, copies(seed), seed)
        said[found.split(",")[0]] += 1
        crossed.update(lines)
    return {"said": dict(said), "crossed": dict(crossed)}


def remembered(gradients: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Gradients of thumbnails that stay where they are: an archive's are asked for in each repetition."""
    known: dict[tuple[int, int], Tensor] = {}

    def of(thumbnails: Tensor) -> Tensor:
        key = thumbnails.data_ptr(), len(thumbnails)
        if key not in known:
            known[key] = gradients(thumbnails)
        return known[key]

    return of


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--train", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--strangers", type=int, default=300)
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--innocents", type=int, default=200, help="repetitions without a copy")
    parser.add_argument("--sizes", type=int, nargs="*", default=[20, 50, 100, 200])
    args = parser.parse_args()
    membership.NUM_BOOTSTRAP = 20  # of intervals, on which no line depends
    permutation.MOST = positive_controls.PERMUTATIONS = 999
    membership.gradients = remembered(membership.gradients)
    args.work.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    bench = Bench(args)
    stranger = bench.table.max(axis=1)
    result: dict[str, object] = {"threshold": bench.screen.threshold.to_json()}
    divided = []
    for seed in range(args.repetitions):
        unseen = np.concatenate([bench.alone[~bench.is_train], stranger])
        order = rng.numpy_generator(seed, "calibrations").permutation(len(unseen))
        held, rest = unseen[order[: args.held_out]], unseen[order[args.held_out :]]
        limit = threshold_from_scores(held, [str(i) for i in range(len(held))]).value
        divided.append(float((rest >= limit).mean()))
    result["strangers rejected"] = {"mean": np.mean(divided), "of each calibration": np.round(divided, 3).tolist()}
    result["innocents"] = {num: repeated(bench, num, args.innocents, lambda seed: None) for num in args.sizes}
    print(json.dumps(result), file=sys.stderr, flush=True)
    kinds: dict[str, object] = {}
    for control in bench.planted:
        table, right = bench.copies(control)
        best = table.max(axis=1)
        kinds[str(control)] = {
            "caught": float((best >= bench.screen.threshold.value).mean()),
            "right patient": right,
            "lowest score": float(best.min()),
        }
    result["kinds"] = kinds

    def copied(kind: str, count: int, seed: int) -> Array:
        table, _ = bench.copies(next(control for control in bench.planted if str(control).startswith(kind)))
        return table[rng.numpy_generator(seed, f"copied {kind}").choice(len(table), count, replace=False)]

    result["memorisers"] = {
        num: {
            kind: {
                count: repeated(bench, num, args.repetitions, lambda seed, k=kind, c=count: copied(k, c, seed))["said"]
                for count in COPIED
            }
            for kind in KINDS
        }
        for num in args.sizes
    }
    print(json.dumps(result | {"cpu_s": round(time.process_time() - started)}))


if __name__ == "__main__":
    main()
