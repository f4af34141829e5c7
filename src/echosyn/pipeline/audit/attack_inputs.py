"""What attacks on a model's weights look at: a patient's recording as the model was shown its training videos."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn.data import clips, filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.pipeline.privacy_filter.real_videos import RealVideos
from echosyn.pipeline.tracking.course import course_of
from echosyn.privacy.fingerprints import evenly

STILLS = 4
"""Frames of a patient on which the image model is attacked."""


@dataclass(frozen=True, eq=False)
class Clip:
    """The beginning of a recording."""

    latents: Tensor
    """``(C, T, h, w)``."""
    still: Tensor
    """``(C, h, w)``, its first frame; at end-diastole where there is a course."""
    course: Tensor | None
    """``(T,)``, when the heart contracts, for a model that is told."""


def stills(
    archive: RealVideos, position: int, index: filelist.VideoIndex, codec: LatentCodec, diastole: bool
) -> Tensor:
    """Latent frames ``(STILLS, C, h, w)`` of a patient: the emptiest part of the course, else spread over the recording."""
    record, digest = archive.records[position], archive.digests[position]
    if diastole:
        frames = video.read(index.path(record)).grey()
        if (course := course_of(frames, record)) is not None:
            fullest: NDArray[np.intp] = np.argsort(course, kind="stable")[:STILLS]
            return codec.encode(torch.from_numpy(frames[np.sort(fullest)]))
    return evenly(digest.latents, STILLS)


def clip(
    record: Record, index: filelist.VideoIndex, fps: float, num_frames: int, codec: LatentCodec, with_course: bool
) -> Clip | None:
    """The beginning of a recording at the model's rate; None if it is shorter, or untracked where a course is asked for."""
    recording = video.read(index.path(record))
    rows = clips.resampled(len(recording.frames), recording.fps, fps)
    if len(rows) < num_frames:
        return None
    frames = recording.grey()[rows]
    latents = codec.encode(torch.from_numpy(frames[:num_frames])).transpose(0, 1)
    if not with_course:
        return Clip(latents, latents[:, 0], None)
    course = course_of(frames, record)
    if course is None:
        return None
    still = codec.encode(torch.from_numpy(frames[[int(course.argmin())]]))[0]
    return Clip(latents, still, torch.from_numpy(course[:num_frames]).float())
