"""How much of what it should catch the screen catches, and how many unseen patients it rejects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn import rng
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import is_flow, noised
from echosyn.pipeline.models import image_pipeline
from echosyn.pipeline.privacy_filter.real_videos import RealVideos, digest_of
from echosyn.privacy import positive_controls
from echosyn.privacy.calibration import threshold_value
from echosyn.privacy.fingerprints import Embed, evenly, thumbnails
from echosyn.privacy.intervals import Rate, exact
from echosyn.privacy.patient_matches import Array, Counts
from echosyn.privacy.permutation import Mask
from echosyn.privacy.positive_controls import PositiveControl, Redraw, Relay
from echosyn.privacy.published_rule import PublishedRule
from echosyn.privacy.rejections import share, share_of
from echosyn.privacy.screen import Screen
from echosyn.privacy.video_digests import REFERENCE_EVERY, VideoDigest
from echosyn.progress import Progress, silent
from echosyn.texture import Texture

FOLDS = 5
"""Parts of the held-out patients, where they are of one split: the threshold of four is tried on the fifth."""
PERMUTATIONS = 1999
FEW = 20
"""Controls of each kind of which nothing is asked."""
SHOWN = 0.9
"""Share of copies that those caught must show to be caught: 36 of 36 (`echosyn.pipeline.publish.audit_gate.CANARIES`), 55 of 56;
73 of 73 show 95 %."""
REDRAW_STEPS = 8
LATENT_FRAMES = 16
"""Frames of the controls made of latents: two seconds."""


@dataclass(frozen=True)
class Caught:
    """Rejected controls of one disguise and strength."""

    control: PositiveControl
    rate: Rate

    @property
    def enough(self) -> bool | None:
        """Whether as many were caught as must be; None where nothing is asked."""
        return None if self.control.must is None else self.rate.value >= self.control.must

    @property
    def shown(self) -> bool:
        """Whether so many were planted that they show a share of `SHOWN`."""
        return self.rate.low >= SHOWN


def plant(
    screen: Screen[Sequence[VideoDigest]],
    recordings: Sequence[Tensor],
    codec: LatentCodec,
    *,
    redraw: Redraw | None = None,
    relay: Relay | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Caught]:
    """Disguise training videos in every way and see which are rejected.

    Args:
        screen: The calibrated check.
        recordings: Frames of training videos, `echosyn.privacy.positive_controls.DENSE` a second, uint8 ``(T, H, W)``.
        codec: The VAE.
        redraw: The image model's img2img, for controls of its own making.
        relay: The VAE's texture, for the same latents with another one.
        seed: Of noise.
        progress: Told how many disguises are done.
    """
    dense = [codec.encode(r[::2][:LATENT_FRAMES]) for r in recordings]
    disguises = [*positive_controls.in_pixels(relay), *positive_controls.in_latents(redraw)]
    found = []
    for done, control in enumerate(disguises, start=1):
        digests = []
        every = torch.arange(len(recordings))
        planted = (every if control.must else evenly(every, FEW)).tolist()
        for i in planted:
            generator = rng.generator(seed, f"canary {control.kind} {control.strength:g}", i)
            source, other = (dense if control.latent else recordings)[i], recordings[(i + 1) % len(recordings)]
            made = control.change(source, other, generator)
            digests.append(_decoded(made, codec) if control.latent else digest_of(made[::2], codec))
        found.append(Caught(control, exact(int(screen.rejects(digests).sum()), len(planted))))
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


def relaying(vae: Path, codec: LatentCodec) -> Relay | None:
    """Another texture for what a VAE makes of frames; None if its model folder has none."""
    texture = Texture.load(vae)
    if texture is None:
        return None

    def relay(frames: Tensor, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**31, (), generator=generator))
        return torch.from_numpy(texture.lay(codec.reconstruct(frames).numpy(), seed, 0))

    return relay


@dataclass(frozen=True)
class Trial:
    """The threshold of some held-out patients, tried on others."""

    rate: Rate
    """Rejected, with an interval over patients."""
    p_value: float | None
    """Of an exchange of patients between VAL and TEST, by which their rates would differ as much; None without both splits."""


def false_rejection(
    screen: Screen[Any], split: Mapping[str, str | None] = MappingProxyType({}), seed: int = 0
) -> Trial:
    """The threshold of VAL patients tried on TEST patients; with one split only, of folds.

    Folds are dealt at random, so that no difference between patients can show in them: VAL and TEST may differ.

    Args:
        screen: With the scores of held-out items.
        split: Of each patient.
        seed: Of the permutations.
    """
    names, codes = np.unique(np.asarray(screen.held_out_patients, dtype=str), return_inverse=True)
    scores, rate = screen.held_out.numpy(), screen.threshold.requested_rate
    is_test = np.array([split.get(name) == "TEST" for name in names.tolist()], dtype=bool)
    if len(names) < FOLDS:
        return Trial(exact(0, 0), None)
    if 0 < is_test.sum() < len(names):
        rejected = _rejected(scores, codes, ~is_test, rate)
        found = share(rejected, scores, codes, is_test, rate)
        draws, shares = rng.numpy_generator(seed, "calibration permutations"), []
        for _ in range(PERMUTATIONS):
            other = draws.permutation(is_test)
            shares.append(share_of(_rejected(scores, codes, ~other, rate), codes, other))
        tails = [
            (1 + int((np.sign(np.array(shares) - found.value) * s >= 0).sum())) / (1 + PERMUTATIONS) for s in (1, -1)
        ]
        return Trial(found, min(1.0, 2 * min(tails)))
    rejected = np.zeros(len(scores), bool)
    for k in range(FOLDS):
        tried = np.arange(len(names)) % FOLDS == k
        rejected |= _rejected(scores, codes, ~tried, rate) & tried[codes]
    return Trial(share(rejected, scores, codes, np.ones(len(names), bool), rate), None)


def _rejected(scores: Array, codes: Counts, setting: Mask, rate: float) -> Mask:
    """Items at or above the threshold that some of the patients set."""
    chosen = setting[codes]
    result: Mask = scores >= threshold_value(scores[chosen], codes[chosen], rate)
    return result


def published_rule(archive: RealVideos, embed: Embed) -> PublishedRule | None:
    """EchoNet-Synthetic's rule on the same patients; None if a split is missing."""
    splits, patients = [r.split for r in archive.records], [r.patient for r in archive.records]
    return PublishedRule.of(splits, patients, lambda i: archive.digests[i].latents[0].clone(), embed)


def chosen(archive: RealVideos, num: int) -> list[int]:
    """Training videos to disguise, evenly, one a patient."""
    first = {archive.records[i].patient: i for i in reversed(archive.train)}
    found: list[int] = evenly(torch.tensor(sorted(first.values())), num).tolist()
    return found


def _decoded(latents: Tensor, codec: LatentCodec) -> VideoDigest:
    """As a generated video is seen: decoded, and encoded again."""
    frames = grey(codec.decode(latents))
    return VideoDigest(thumbnails(frames), codec.encode(frames[::REFERENCE_EVERY]))
