"""Which frames of a video differ, so that none hides between others: all are looked at, and those alike are compared once."""

import torch
from torch import Tensor

ALIKE = 0.9
"""Correlation from which on one frame stands for another."""
SCENE = 0.4
"""Correlation below which two frames do not show the same view: frames of a beating heart are more alike."""
SCENES = 3
"""Of a video, at most: those of the most frames."""


def distinct(frames: Tensor, first: Tensor) -> Tensor:
    """Positions of frames that stand for all: each frame has a correlation of `ALIKE` or more with one of them.

    Args:
        frames: Less what all patients have in common, ``(n, h, w)``; of a blank one nothing is asked.
        first: Positions that are chosen anyway, ``(k,)``, at least one if there is a frame.

    Returns:
        ``first``, and those that lack: few if frames are alike, up to ``n`` if none is.
    """
    return _leaders(_unit(frames), first, ALIKE)


def scenes(frames: Tensor) -> list[Tensor]:
    """Positions ``(k,)`` of the frames of each view that a video shows; all frames come first, alone if there is one view.

    Somebody's frames between those of others are a scene of their own unless they look alike.

    Args:
        frames: Less what all patients have in common, ``(n, h, w)``.
    """
    whole = torch.arange(len(frames))
    unit = _unit(frames)
    leaders = _leaders(unit, whole[:1], SCENE)
    if len(leaders) < 2:
        return [whole]
    nearest = (unit @ unit[leaders].T).argmax(dim=1)
    largest = nearest.bincount(minlength=len(leaders)).argsort(descending=True, stable=True)[:SCENES]
    return [whole, *((nearest == scene).nonzero()[:, 0] for scene in largest)]


def _leaders(unit: Tensor, first: Tensor, least: float) -> Tensor:
    """The frame that is least like those chosen is chosen next, until all are alike enough (Gonzalez 1985)."""
    chosen = first.tolist()
    blank = unit.square().sum(dim=1) < 0.5
    nearest = (unit @ unit[first].T).amax(dim=1).masked_fill(blank, 1.0) if chosen else torch.ones(0)
    while len(nearest) and float(nearest.min()) < least:
        chosen.append(int(nearest.argmin()))
        nearest = nearest.maximum(unit @ unit[chosen[-1]])
    return torch.tensor(chosen, dtype=torch.int64)


def _unit(frames: Tensor) -> Tensor:
    """Centred rows of length 1, so that products are correlations; 0 of a blank frame."""
    rows = frames.flatten(1)
    rows = rows - rows.mean(dim=1, keepdim=True)
    norm = rows.norm(dim=1, keepdim=True)
    return torch.where(norm > 1e-3, rows / norm.clamp(min=1e-3), 0.0)
