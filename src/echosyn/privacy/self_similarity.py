"""Is one video another one whose pixels were rearranged: warped, cut up, inverted in part, tiled, or set into another video?

How far the frames of a video are from one another (temporal self-similarity, Junejo et al. 2011) does not change when pixels
change places or signs, in all frames alike: no pose has to be tried. A video shorter than `FRAMES` has no such vector.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from echosyn.privacy.video_digests import THUMBNAIL

SPACE = "self-similarity"
FRAMES = 15
"""Of a window, at `echosyn.privacy.video_digests.RATE`: 1.75 s, more than a beat."""
_HALF = THUMBNAIL // 2
_CORNERS = [(0, 0), (0, _HALF), (_HALF, 0), (_HALF, _HALF), (_HALF // 2, _HALF // 2)]
"""Of the quarters of a frame, and of its middle."""


def self_similarities(thumbnails: Tensor, num: int | None = None) -> Tensor:
    """Squared distances between the frames of every window, in the whole frame and in five parts of half its side.

    All have the resolution of a part, so that the whole of one video can be found in a quarter of another.

    Args:
        thumbnails: ``(T, side, side)``.
        num: So many windows, evenly chosen; None for all.

    Returns:
        ``(6 windows, FRAMES (FRAMES - 1) / 2)``, empty for a short video.
    """
    frames = thumbnails.double()
    parts = [avg_pool2d(frames[:, None], 2)[:, 0]]
    parts += [frames[:, y : y + _HALF, x : x + _HALF] for y, x in _CORNERS]
    x = torch.stack(parts).flatten(2)
    products = x @ x.mT
    squares = products.diagonal(dim1=1, dim2=2)
    apart = (squares[:, :, None] + squares[:, None] - 2 * products).clamp(min=0)
    starts = torch.arange(max(0, len(frames) - FRAMES + 1))
    if num is not None and len(starts) > num:
        starts = starts[torch.linspace(0, len(starts) - 1, num).round().long()]
    one, other = torch.triu_indices(FRAMES, FRAMES, 1)
    return apart[:, starts[:, None] + one, starts[:, None] + other].flatten(0, 1).float()
