"""How much of what it should catch the screen catches, and how many unseen patients it rejects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn import rng
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import is_flow, noised
from echosyn.pipeline.models import image_pipeline
from echosyn.pipeline.privacy_filter.real_videos import RealVideos, digest_of
from echosyn.privacy import positive_controls
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.fingerprints import Embed, evenly
from echosyn.privacy.intervals import Rate, wilson
from echosyn.privacy.positive_controls import PositiveControl, Redraw
from echosyn.privacy.published_rule import PublishedRule
from echosyn.privacy.screen import Screen
from echosyn.privacy.video_digests import VideoDigest
from echosyn.progress import Progress, silent

FOLDS = 5
"""Parts of the held-out patients: the threshold of four is tried on the fifth."""
REDRAW_STEPS = 8
LATENT_FRAMES = 16
"""Frames of the controls made of latents: two seconds."""


@dataclass(frozen=True)
class Caught:
    """Rejected controls of one disguise and strength."""

    control: PositiveControl
    rate: Rate
    right_patient: int
    """Of how many the original was named."""

    @property
    def enough(self) -> bool | None:
        """Whether as many were caught as must be; None where nothing is asked."""
        return None if self.control.must is None else self.rate.value >= self.control.must


def plant(
    screen: Screen[Sequence[VideoDigest]],
    records: Sequence[Record],
    recordings: Sequence[Tensor],
    codec: LatentCodec,
    *,
    redraw: Redraw | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Caught]:
    """Disguise training videos in every way and see which are rejected.

    Args:
        screen: The calibrated check.
        records: Training videos.
        recordings: Their frames, `echosyn.privacy.positive_controls.DENSE` a second, uint8 ``(T, H, W)``.
        codec: The VAE.
        redraw: The image model's img2img, for controls of its own making.
        seed: Of noise.
        progress: Told how many disguises are done.
    """
    dense = [codec.encode(r[::2][:LATENT_FRAMES]) for r in recordings]
    disguises = [*positive_controls.in_pixels(), *positive_controls.in_latents(redraw)]
    found = []
    for done, control in enumerate(disguises, start=1):
        digests = []
        for i in range(len(records)):
            generator = rng.generator(seed, f"canary {control.kind} {control.strength:g}", i)
            source, other = (dense if control.latent else recordings)[i], recordings[(i + 1) % len(recordings)]
            made = control.change(source, other, generator)
            digests.append(digest_of(grey(codec.decode(made)) if control.latent else made[::2], codec))
        judged = screen.judge(digests)
        right = sum(name == record.patient for name, record in zip(judged.nearest, records, strict=True))
        found.append(Caught(control, wilson(int((~judged.kept).sum()), len(records)), right))
        progress("canaries", done, len(disguises))
    return found


def redrawing(lidm: Any, device: torch.device, seed: int = 0) -> Redraw:
    """The image model's own version of latent frames: noised part of the way and denoised; all frames share their noise."""
    pipeline = image_pipeline(lidm, device)
    network, scheduler = pipeline.unet, pipeline.scheduler

    @torch.no_grad()
    def redraw(latents: Tensor, share: float) -> Tensor:
        scheduler.set_timesteps(REDRAW_STEPS)
        total = scheduler.config.num_train_timesteps
        steps = [t for t in scheduler.timesteps if float(t) <= share * total]
        if not steps:
            return latents
        x0 = latents[:, :, None].to(device)
        eps = rng.normal(tuple(x0.shape[1:]), seed, "redraw", [0]).to(x0).expand_as(x0)
        first = steps[0].expand(len(x0)).to(device)
        x, _ = noised(x0, eps, first if is_flow(scheduler) else first.long(), scheduler)
        for t in steps:
            x = scheduler.step(predict(network, x, t, None, None, None), t, x).prev_sample
        return x[:, :, 0].cpu()

    return redraw


def false_rejection(screen: Screen[Any], rate: float) -> Rate:
    """Held-out videos rejected by thresholds that other held-out patients set; each patient is tried once."""
    patients = np.asarray(screen.held_out_patients, dtype=str)
    names = np.unique(patients)
    if len(names) < FOLDS:
        return wilson(0, 0)
    fold = np.searchsorted(names, patients) % FOLDS
    scores, rejected = screen.held_out.numpy(), 0
    for k in range(FOLDS):
        rest = fold != k
        threshold = threshold_from_scores(
            scores[rest], patients[rest].tolist(), false_rejection_rate=rate, num_bootstrap=0
        )
        rejected += int((scores[~rest] >= threshold.value).sum())
    return wilson(rejected, len(scores))


def published_rule(archive: RealVideos, embed: Embed) -> PublishedRule | None:
    """EchoNet-Synthetic's rule on the same patients; None if a split is missing."""
    splits, patients = [r.split for r in archive.records], [r.patient for r in archive.records]
    return PublishedRule.of(splits, patients, lambda i: archive.digests[i].latents[0].clone(), embed)


def chosen(archive: RealVideos, num: int) -> list[int]:
    """Training videos to disguise, evenly, one a patient."""
    first = {archive.records[i].patient: i for i in reversed(archive.train)}
    found: list[int] = evenly(torch.tensor(sorted(first.values())), num).tolist()
    return found
