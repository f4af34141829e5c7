"""Who was in the training set? Attacks on the models and on the videos alone, with their controls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import rankdata  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from echosyn import rng, weights
from echosyn.data import filelist, groups
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.diffusion.conditions import Schema
from echosyn.diffusion.denoiser import needs_course, predict
from echosyn.diffusion.objective import Call, errors_of, is_flow, same_time
from echosyn.errors import ConfigError
from echosyn.estimate import Estimate
from echosyn.metrics.roc import area_with_interval, roc, true_positive_rate_with_interval
from echosyn.pipeline.audit import attack_inputs, shadows
from echosyn.pipeline.privacy_filter.real_videos import RealVideos
from echosyn.privacy import shadow_attacks
from echosyn.privacy.attacks import (
    Excess,
    Proximal,
    attribute_inferred,
    density_ratio,
    gradients,
    halves_linked,
    loss_scores,
    nearest_by_far,
    proximal_scores,
)
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.one_run import Bound, bound, paired
from echosyn.privacy.patient_matches import Array, Counts
from echosyn.privacy.permutation import area_p_value, tail_p_value
from echosyn.privacy.video_digests import VideoDigest
from echosyn.progress import Progress, silent
from echosyn.training.verification import FEW_FALSE_ALARMS

Promise = Mapping[str, float]
"""``epsilon`` and ``delta`` of adding a patient, see `echosyn.weights.Facts`."""
CLIP_PATIENTS = 50
"""Patients a side on whom the video model is attacked, evenly chosen."""
CLIP_FRAMES = 64
NUM_BOOTSTRAP = 1000
FALSE_POSITIVES = 100
"""Held-out patients below which nothing is said of 1 % of them."""
ATTRIBUTES = ("EF band", "sex", "age band", "site")
"""What is inferred, of `echosyn.data.groups.COLUMNS`."""
COHORTS = (5, 20, 50, 100)
"""Sizes of groups of people who are looked for together."""


@dataclass(frozen=True, eq=False)
class Attack:
    """What an attack achieves: training patients against held-out ones, and against nothing."""

    name: str
    needs: str
    """What the attacker has: ``weights`` or ``videos``."""
    auc: Estimate
    tpr: Estimate
    """True positive rate at 1 % false positives, of scores turned round where half of the patients say so, on the other half."""
    control_auc: Estimate
    """The same scores, one random half of the training patients against the other: nobody can tell these apart."""
    members: int
    others: int
    p_value: float
    """Of the area, two-sided: a score that is *lower* for training patients gives them away as well."""
    cohorts: Mapping[int, float]
    """Chance that the presence of so many people together is noticed, at 5 % false alarms."""
    scores: Mapping[str, float]
    """Of each patient. Private."""

    def to_json(self) -> dict[str, Any]:
        """Plain values under the fields' names, but for the scores."""
        return {name: value for name, value in asdict(self).items() if name != "scores"}


def judged(
    name: str, needs: str, scores: Array, patients: Sequence[str], is_train: NDArray[np.bool_], seed: int
) -> Attack:
    """The worth of scores, one a patient."""
    known = np.zeros(len(scores), bool)
    draws = rng.numpy_generator(seed, f"halves of {name}")
    members, others = np.flatnonzero(is_train), np.flatnonzero(~is_train)
    for side in (members, others):
        known[draws.permutation(side)[: len(side) // 2]] = True
    of_members = [patients[i] for i in members.tolist()]
    sign = 1.0
    if len(np.unique(is_train[known])) == 2 and roc(scores[known], is_train[known]).area < 0.5:
        sign = -1.0
    left = np.flatnonzero(~known)
    tried_on = int((~is_train[left]).sum())
    return Attack(
        name,
        needs,
        area_with_interval(scores, is_train, patients, num_bootstrap=NUM_BOOTSTRAP, seed=seed),
        Estimate(None, reason=f"{tried_on} held-out patients to count false positives on, expected {FALSE_POSITIVES}")
        if tried_on < FALSE_POSITIVES
        else true_positive_rate_with_interval(
            sign * scores[left],
            is_train[left],
            [patients[i] for i in left.tolist()],
            false_positive_rate=FEW_FALSE_ALARMS,
            num_bootstrap=NUM_BOOTSTRAP,
            seed=seed,
        ),
        Estimate(None, reason="fewer than two training patients")
        if len(members) < 2
        else area_with_interval(scores[members], known[members], of_members, num_bootstrap=NUM_BOOTSTRAP, seed=seed),
        len(members),
        len(others),
        area_p_value(scores, is_train, seed),
        cohorts(sign * scores, is_train),
        dict(zip(patients, scores.tolist(), strict=True)),
    )


def cohorts(scores: Array, is_train: NDArray[np.bool_]) -> dict[int, float]:
    """Chance that somebody who knows the held-out patients' scores notices that a group of training patients is in, by its mean.

    Means of ranks, taken for normal; false alarms in 5 % of groups of others.

    Args:
        scores: One a patient, higher for those that are in.
        is_train: Of each.
    """
    ranks = rankdata(scores) / len(scores)
    inside, outside = ranks[is_train], ranks[~is_train]
    if min(len(inside), len(outside)) < 3:
        return {}
    reach = float(inside.mean() - outside.mean())
    spread = max(float(inside.std()), 1e-6)
    return {
        size: round(float(ndtr((reach * size**0.5 - ndtri(0.95) * float(outside.std())) / spread)), 3)
        for size in COHORTS
        if size <= len(inside)
    }


def tails(attacks: Sequence[Attack], is_train: Mapping[str, bool]) -> dict[int, float]:
    """Are a few training patients known by heart? p-values, by the held-out patients that may score as high.

    Each attack's scores are put on the scale of all patients' median and absolute deviation; each patient's largest counts.
    Only attacks on the most patients take part, so that everybody is attacked as often.
    """
    if not attacks:
        return {}
    most = max(len(attack.scores) for attack in attacks)
    whole = [attack.scores for attack in attacks if len(attack.scores) == most]
    names = sorted(name for name in whole[0] if all(name in scores for scores in whole))
    table = np.array([[scores[name] for name in names] for scores in whole])
    middle = np.median(table, axis=1, keepdims=True)
    spread = np.median(np.abs(table - middle), axis=1, keepdims=True)
    strongest = ((table - middle) / np.maximum(spread, 1e-12)).max(axis=0)
    of = np.array([is_train[name] for name in names])
    return {k: tail_p_value(strongest, of, k) for k in (0, 1)} if 0 < of.sum() < len(of) else {}


def leaked(
    attacks: Sequence[Attack], is_train: Mapping[str, bool], promise: Promise | None, seed: int = 0
) -> Bound | None:
    """At least which epsilon, of the replacement of a patient, the image model's weights have, by its most telling loss attack.

    Args:
        attacks: On the image model.
        is_train: Of each patient; the split must be random.
        promise: What the model says of its differential privacy; its delta, or else one tenth of a patient, counts.
        seed: Of the pairs.
    """
    by_name = {attack.name: attack.scores for attack in attacks}
    scores = next(
        (by_name[name] for name in (f"image model, {x}" for x in ("calibrated loss", "loss")) if name in by_name), None
    )
    if scores is None:
        return None
    of = np.array([is_train[name] for name in scores])
    delta = promise["delta"] * (1 + np.exp(promise["epsilon"])) if promise else 1 / (10 * int(of.sum()))
    return bound(*paired(np.array(list(scores.values())), of, seed), min(1.0, float(delta)))


def by_patient(archive: RealVideos) -> tuple[list[str], NDArray[np.bool_], list[int]]:
    """Patients in order, whether each is in TRAIN, and the position of each one's first video."""
    first = {record.patient: i for i, record in reversed(list(enumerate(archive.records)))}
    names = sorted(first)
    positions = [first[name] for name in names]
    return names, np.array([archive.records[i].split == "TRAIN" for i in positions]), positions


def on_videos(
    archive: RealVideos, digests: Sequence[VideoDigest], exposure: Array, centre: Tensor, seed: int = 0
) -> list[Attack]:
    """Attacks of somebody who has the synthetic videos and nothing else.

    Args:
        archive: The real patients.
        digests: The synthetic videos.
        exposure: Score of the synthetic video nearest to each patient, in the order of `by_patient`.
        centre: Mean thumbnail.
        seed: Of halves and bootstrap.
    """
    names, is_train, positions = by_patient(archive)
    edges = _gradients(archive.digests[i] for i in positions), _gradients(digests)
    found = [
        judged("nearest synthetic video", "videos", exposure, names, is_train, seed),
        judged("rank of the source by gradients", "videos", nearest_by_far(*edges), names, is_train, seed),
    ]
    vectors = _mean_frames((archive.digests[i] for i in positions), centre)
    known = np.flatnonzero(~is_train)[::2]
    targets = np.setdiff1d(np.arange(len(names)), known)
    if len(known) >= 3 and len(digests) >= 3 and (~is_train[targets]).any():
        scores = density_ratio(vectors[targets], _mean_frames(digests, centre), vectors[known])
        of = [names[i] for i in targets]
        found.append(judged("density ratio", "videos", scores, of, is_train[targets], seed))
    return found


def linked(archive: RealVideos, digests: Sequence[VideoDigest]) -> Excess:
    """Whether somebody who has two halves of a recording finds that they are one patient's, through the synthetic videos."""
    _, is_train, positions = by_patient(archive)
    seen = [archive.digests[i].thumbnails for i in positions]
    halves = [[gradients(part)[None] for part in x.tensor_split(2)] for x in seen]
    first, second = (torch.cat([pair[k] for pair in halves]).double().numpy() for k in (0, 1))
    return halves_linked(first, second, _gradients(digests), is_train)


def inferred(archive: RealVideos, nearest: Counts, labels: Sequence[Record | None]) -> dict[str, Excess]:
    """What the labels of the synthetic videos say of the patients they are nearest to, for each attribute that both sides have.

    Args:
        archive: The real patients.
        nearest: The synthetic video nearest to each patient, in the order of `by_patient`.
        labels: What the set says of each of its videos.
    """
    names, is_train, _ = by_patient(archive)
    found = {}
    for kind in ATTRIBUTES:
        truth = groups.of_patients(archive.records, kind)
        said = [None if r is None else groups.group(r, kind) for r in labels]
        if any(said) and (excess := attribute_inferred([truth.get(n) for n in names], nearest, said, is_train)):
            found[kind] = excess
    return found


def on_images(
    lidm: Path,
    real: Path,
    archive: RealVideos,
    codec: LatentCodec,
    device: torch.device,
    seed: int = 0,
    shadow_models: int = 0,
    progress: Progress = silent,
) -> list[Attack]:
    """Attacks of somebody who has the image model's weights, on frames such as it was taught.

    Args:
        lidm: Model folder.
        real: Dataset folder of the patients.
        archive: The same.
        codec: The VAE.
        device: Where.
        seed: Of noises, halves, bootstrap and shadow models.
        shadow_models: To train for three further attacks, see `echosyn.privacy.shadow_attacks`; 0 leaves these out.
        progress: Told how many shadow models are trained.
    """
    names, is_train, positions = by_patient(archive)
    index, diastole = filelist.VideoIndex(real), weights.load_facts(weights.resolve(lidm)).courses
    frames = [attack_inputs.stills(archive, i, index, codec, diastole) for i in positions]
    items, owner = torch.cat(frames)[:, :, None], np.repeat(np.arange(len(names)), [len(f) for f in frames])
    network, scheduler = _denoiser(lidm, "lidm", device)
    found = on_stills(network, scheduler, items, owner, device, seed, shadow_models, progress)
    return [judged(f"image model, {name}", "weights", scores, names, is_train, seed) for name, scores in found.items()]


def on_stills(
    network: Any,
    scheduler: Any,
    items: Tensor,
    owner: Counts,
    device: torch.device,
    seed: int = 0,
    shadow_models: int = 0,
    progress: Progress = silent,
) -> dict[str, Array]:
    """Scores ``(patients,)`` of the attacks of `on_images` on any image model.

    Args:
        network: The model, on the device.
        scheduler: Its scheduler.
        items: Latent stills ``(n, C, 1, h, w)``.
        owner: The patient 0, 1, ... of each.
        device: Where.
        seed: As there.
        shadow_models: As there.
        progress: As there.
    """

    def calling(network: Any) -> Call:
        return lambda x_t, t, rows: predict(network, x_t, t, None, None, None)

    def mean(scores: Array) -> Array:
        of_patients: Array = np.bincount(owner, scores) / np.bincount(owner)
        return of_patients

    def loss(network: Any) -> Array:
        return -mean(loss_scores(items, errors_of(calling(network), scheduler, device), seed=seed))

    found = {name: mean(scores) for name, scores in _white_box(items, calling(network), scheduler, device, seed)}
    if shadow_models:
        inside, target = shadow_attacks.drawn(shadow_models, len(np.unique(owner)), seed), -found["loss"]
        others = shadows.losses(items, owner, inside, scheduler, loss, device, seed, progress)
        found["calibrated loss"] = shadow_attacks.calibrated(target, others, inside)
        found["LiRA"] = shadow_attacks.lira(target, others, inside)
        found["RMIA"] = shadow_attacks.rmia(target, others)
    return found


def on_motion(
    lvdm: Path, real: Path, archive: RealVideos, codec: LatentCodec, device: torch.device, seed: int = 0
) -> list[Attack]:
    """Attacks of somebody who has the video model's weights, on clips of up to `CLIP_PATIENTS` patients a side."""
    names, is_train, positions = by_patient(archive)
    sides = [np.flatnonzero(is_train), np.flatnonzero(~is_train)]
    picked = np.concatenate([evenly(torch.from_numpy(side), CLIP_PATIENTS).numpy() for side in sides])
    facts = weights.load_facts(weights.resolve(lvdm))
    network, scheduler = _denoiser(lvdm, "lvdm", device)
    num_frames = min(CLIP_FRAMES, facts.num_frames or CLIP_FRAMES, int(network.config.num_frames))
    index, schema = filelist.VideoIndex(real), Schema(facts.conditions)
    clips_of = [
        attack_inputs.clip(archive.records[positions[i]], index, facts.fps, num_frames, codec, needs_course(network))
        for i in picked
    ]
    whole = [k for k, clip in enumerate(clips_of) if clip is not None]
    kept, picked = [clip for clip in clips_of if clip is not None], picked[whole]
    if not is_train[picked].any() or is_train[picked].all():
        return []
    labels = {
        c.name: torch.tensor([_label(archive.records[positions[i]], c) for i in picked]) for c in schema.conditions
    }
    conditions, given = schema.encode(labels, None)
    items, stills = torch.stack([clip.latents for clip in kept]), torch.stack([clip.still for clip in kept])
    courses = None if kept[0].course is None else torch.stack([c.course for c in kept if c.course is not None])

    def call(x_t: Tensor, t: Tensor, rows: Sequence[int]) -> Tensor:
        part = list(rows)
        course = None if courses is None else courses[part].to(device)
        return predict(
            network, x_t, t, stills[part].to(device), conditions[part].to(device), given[part].to(device), course
        )

    of = [names[i] for i in picked]
    return [
        judged(f"video model, {name}", "weights", scores, of, is_train[picked], seed)
        for name, scores in _white_box(items, call, scheduler, device, seed, batch_size=8)
    ]


def _label(record: Record, condition: Any) -> float:
    try:
        return float(condition.number(record.cell(condition.column or condition.name)))
    except ConfigError:
        return float("nan")


def _denoiser(folder: Path, stage: str, device: torch.device) -> tuple[Any, Any]:
    folder = weights.resolve(folder)
    return weights.load(folder, stage).to(device), weights.load_scheduler(folder)


def _white_box(
    items: Tensor,
    call: Call,
    scheduler: Any,
    device: torch.device,
    seed: int,
    batch_size: int = 64,
) -> list[tuple[str, Array]]:
    """Both attacks on a denoiser."""
    found = errors_of(call, scheduler, device)

    def proximal(x0: Tensor, rows: Sequence[int]) -> Tensor:
        x0 = x0.to(device)
        t = same_time(x0, 0.0, scheduler)
        return _noise_seen(call(x0, t, rows), x0, scheduler).cpu()

    near: Proximal = proximal
    return [
        ("loss", loss_scores(items, found, seed=seed, batch_size=batch_size)),
        ("proximal", proximal_scores(items, found, near, batch_size=batch_size)),
    ]


def _noise_seen(prediction: Tensor, x0: Tensor, scheduler: Any) -> Tensor:
    """The noise that a prediction in clean latents stands for: a flow's ``v + x0``; near t = 0 ``v`` is the noise itself."""
    if is_flow(scheduler):
        eps = prediction + x0
    elif scheduler.config.prediction_type == "sample":
        eps = x0 - prediction
    else:
        eps = prediction
    scale = eps.flatten(1).std(dim=1).clamp(min=1e-6)
    return eps / scale.view(-1, *[1] * (eps.ndim - 1))


def _gradients(digests: Iterable[VideoDigest]) -> Array:
    vectors: Array = torch.stack([gradients(digest.thumbnails) for digest in digests]).double().numpy()
    return vectors


def _mean_frames(digests: Iterable[VideoDigest], centre: Tensor) -> Array:
    vectors: Array = (
        torch.stack([(digest.thumbnails.mean(dim=0) - centre).flatten() for digest in digests]).double().numpy()
    )
    return vectors
