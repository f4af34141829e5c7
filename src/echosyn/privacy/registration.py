"""Is one video another one that was moved, turned, zoomed, squeezed, flipped or inverted? Registration before comparison.

A video is reduced to its *picture*: mean and standard deviation over time of its thumbnails. They hardly depend on phase, speed
or direction of time. A picture is registered with that of a real video in two steps: the poses of `echosyn.privacy.poses` are
tried against all references on coarse pixels, and the best few references are then aligned on full thumbnails. What counts is the
partial correlation in the part of the reference that the pose shows, given a constant and the mean real picture: it is blind to
gain and offset, to inversion by its absolute value, and to what all patients have in common.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, pad

from echosyn.privacy.matching import Matches, Prepared
from echosyn.privacy.owners import Owners
from echosyn.privacy.poses import SIDES, STEP, grid_of, poses, trials, within
from echosyn.privacy.video_digests import THUMBNAIL

SPACE = "registered"
REFERENCES_AT_ONCE = 4096
CANDIDATES = (40, 20)
"""References that are aligned more finely: from the best of the usual poses, and from the best of the others."""
STAGES = ((sum(CANDIDATES), 1), (12, 2), (3, 8))
"""Of the alignment: how many references are left, and rounds of the search."""

SHRUNK = 0.72
"""Scale below which a picture has so few pixels for a reference that the finest of this one are softened."""
_LEAST = 1e-6


def picture(thumbnails: Tensor) -> Tensor:
    """The picture ``(2, side, side)`` of a video's thumbnails ``(T, side, side)``."""
    x = thumbnails.float()
    return torch.stack([x.mean(dim=0), x.std(dim=0, correction=0)])


def reference(thumbnails: Tensor) -> Tensor:
    """The vector of a real video, ``(1, 2 side^2)``; none if it is blank."""
    found = picture(thumbnails)
    return found.flatten()[None] if float(found[0].std()) > _LEAST else found.new_zeros(0, found.numel())


def query(thumbnails: Tensor, centre: Tensor) -> Tensor:
    """The vector of frames that are compared, their own and the mean real picture: ``(1, 4 side^2)``; none if they are blank."""
    found = reference(thumbnails)
    return torch.cat([found, centre.flatten().expand(len(found), -1)], dim=1)


def registered(
    queries: Tensor,
    references: Prepared,
    *,
    query_groups: Sequence[str] | None = None,
    reference_groups: Sequence[str] | None = None,
) -> Matches:
    """The reference that each picture is likest to after registration; see `echosyn.privacy.matching.nearest`."""
    return likest(aligned, queries, references, query_groups, reference_groups)


def registered_of_each(
    items: Sequence[Tensor], references: Prepared, reference_groups: Sequence[str]
) -> tuple[list[str], Tensor]:
    """As `echosyn.privacy.by_patient.nearest_of_each`; of patients who are no candidate of an item, -1."""
    return likest_of_each(aligned, items, references, reference_groups)


class Compare(Protocol):
    """How pictures are compared with references; see `aligned`."""

    def __call__(
        self, queries: Tensor, references: Prepared, own: NDArray[np.int32] | None = None, owners: Owners | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each picture: rows of references, none of its own patient's, and the likeness to each, -1..1."""


def likest(
    compare: Compare,
    queries: Tensor,
    references: Prepared,
    query_groups: Sequence[str] | None,
    reference_groups: Sequence[str] | None,
) -> Matches:
    """The reference that each picture is likest to."""
    owners = None if reference_groups is None else Owners.of(reference_groups)
    own = None if owners is None or query_groups is None else owners.numbers(query_groups)
    best = torch.full((len(queries),), -1.0)
    index = torch.zeros(len(queries), dtype=torch.int64)
    for i, (rows, found) in enumerate(compare(queries, references, own, owners)):
        if len(rows):
            best[i], k = found.max(dim=0)
            index[i] = rows[k]
    return Matches(best, index)


def likest_of_each(
    compare: Compare, items: Sequence[Tensor], references: Prepared, reference_groups: Sequence[str]
) -> tuple[list[str], Tensor]:
    """The patients, and how like each item is to each of them; -1 where none of its pictures was compared with theirs."""
    owners = Owners.of(reference_groups).present()
    of_row = torch.from_numpy(owners.codes).long()
    best = torch.full((len(items), len(owners.names)), -1.0)
    whose = [i for i, item in enumerate(items) for _ in item]
    if whose:
        for i, (rows, found) in zip(whose, compare(torch.cat(list(items)), references), strict=True):
            best[i].scatter_reduce_(0, of_row[rows], found, "amax")
    return list(owners.names), best


@torch.no_grad()
def aligned(
    queries: Tensor, references: Prepared, own: NDArray[np.int32] | None = None, owners: Owners | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The candidates of each picture, as many as `CANDIDATES` at most, and the likeness to each, -1..1.

    They are rows of references; some are there twice, from two poses.

    Args:
        queries: Of `query`, all with the same mean real picture, ``(n, 2 d)``.
        references: Pictures of real videos, at least one.
        own: The patient of each query, by number; references of that patient are skipped.
        owners: Whose the references are.
    """
    rows = references.rows
    pictures, centres = queries.float().cpu().view(len(queries), 2, 2, THUMBNAIL, THUMBNAIL).unbind(dim=1)
    frame = _Frame(centres[0])
    found: list[list[list[tuple[Tensor, Tensor, Tensor]]]] = [[[] for _ in CANDIDATES] for _ in pictures]
    for start in range(0, len(rows), REFERENCES_AT_ONCE):
        compare = frame.coarsely(rows[start : start + REFERENCES_AT_ONCE].float())
        for i, one in enumerate(pictures):
            for kind, (score, pose) in enumerate(compare(one)):
                if own is not None and owners is not None:
                    score[torch.from_numpy(owners.codes[start : start + len(score)] == own[i])] = -torch.inf
                found[i][kind].append(_best(score, torch.arange(start, start + len(score)), pose, CANDIDATES[kind]))
    for one, kinds in zip(pictures, found, strict=True):
        chosen = []
        for parts, num in zip(kinds, CANDIDATES, strict=True):
            score, row, pose = (torch.cat(part) for part in zip(*parts, strict=True))
            chosen.append(_best(score, row, pose, num))
        candidates, begin = (torch.cat(part) for part in list(zip(*chosen, strict=True))[1:])
        yield candidates, frame.finely(one, rows[candidates].float(), begin)


def _best(score: Tensor, row: Tensor, pose: Tensor, num: int) -> tuple[Tensor, Tensor, Tensor]:
    """At most ``num`` references of highest score, with their rows and poses; none that are skipped."""
    top = score.topk(min(num, len(score))).indices
    top = top[score[top] > -torch.inf]
    return score[top], row[top], pose[top]


@dataclass(frozen=True)
class _Frame:
    """Compares pictures beside the mean real picture ``(2, side, side)``."""

    centre: Tensor

    def coarsely(self, references: Tensor) -> "_Coarse":
        """With references ``(m, d)``, in all trials."""
        small = avg_pool2d(references.view(-1, 2, THUMBNAIL, THUMBNAIL), 2).flatten(2)
        return _Coarse(small, _basis(avg_pool2d(self.centre[None], 2)[0].flatten(1), trials().shown))

    def finely(self, one: Tensor, references: Tensor, start: Tensor) -> Tensor:
        """Likeness of a picture ``(2, side, side)`` to references ``(k, d)``, from the numbers of the trials ``(k,)`` on.

        A compass search: the best of nine poses around the present one; where that is the best, the steps are halved.
        """
        views = trials()
        pose, side = poses()[views.pose[start]], SIDES[views.side[start]]
        step, best = torch.ones(len(start)), torch.full((len(start),), -1.0)
        real = references.view(len(start), 2, THUMBNAIL, THUMBNAIL)
        shrunk = pose[:, 3] < SHRUNK
        real = torch.where(shrunk[:, None, None, None], _softened(real), real).flatten(2)
        real = real - real.mean(dim=-1, keepdim=True)
        ways = torch.eye(4, 5)
        around = torch.cat([torch.zeros(1, 5), ways, -ways]) * torch.tensor(STEP)
        for num, rounds in STAGES:
            some = best.topk(min(num, len(best))).indices
            for _ in range(rounds if len(some) else 0):
                around_it = pose[some, None] + step[some, None, None] * around
                best[some], place = self._likeness(one, real[some], around_it, side[some]).max(dim=1)
                pose[some] = around_it[torch.arange(len(some)), place]
                step[some] = torch.where(place == 0, step[some] / 2, step[some])
        return best.clamp(-1.0, 1.0)

    def _likeness(self, one: Tensor, real: Tensor, tried: Tensor, side: Tensor) -> Tensor:
        """Of centred references ``(k, 2, pixels)`` in poses ``(k, p, 5)`` of each on sides ``(k, 2, 2)``: ``(k, p)``."""
        sides = side.repeat_interleave(tried.shape[1], dim=0)
        grid = grid_of(tried.flatten(0, 1), sides, THUMBNAIL)
        shown = within(grid).unflatten(0, tried.shape[:2]).flatten(2)
        seen = grid_sample(one.expand(len(grid), -1, -1, -1), grid, align_corners=False)
        seen = seen.unflatten(0, tried.shape[:2]).flatten(3)
        seen = seen.sub_(one.mean(dim=(1, 2))[:, None]).mul_(shown[:, :, None])
        still, motion = _partial_correlations(seen, real, self.centre.flatten(1), shown)
        return (still.abs_() + motion) / 2


class _Coarse:
    """Likeness of a picture to each of some references, in the best of all poses."""

    def __init__(self, references: Tensor, basis: Tensor) -> None:
        self.references, self.basis = references.unbind(dim=1), basis
        shown = trials().shown
        self.scale = []
        for channel, x in enumerate(self.references):
            squares = shown @ x.T.square() - sum((basis[:, channel, k] @ x.T).square() for k in range(basis.shape[2]))
            self.scale.append(squares.clamp(min=_LEAST).rsqrt())

    def __call__(self, one: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Of the references: the likeness, and which one of `trials` it has; in the usual ones, then in the others."""
        views = trials()
        smooth = avg_pool2d(one[None], 2, 1)  # its pixels lie between those of `one`
        scaled = views.grid * (THUMBNAIL / (THUMBNAIL - 1))
        seen = grid_sample(smooth.expand(len(scaled), -1, -1, -1), scaled, align_corners=False).flatten(2)
        seen = seen * views.shown[views.pose][:, None]
        left = [_without(seen[:, channel], self.basis[views.pose, channel]) for channel in range(2)]
        left = [x / x.norm(dim=-1, keepdim=True).clamp(min=_LEAST) for x in left]
        for blocks in (views.usual, views.others):
            best = torch.full((len(self.references[0]),), -torch.inf)
            which = torch.zeros(len(best), dtype=torch.int64)
            for part, of in blocks:
                still, motion = (
                    (x[part] @ y.T).mul_(scale[of])
                    for x, y, scale in zip(left, self.references, self.scale, strict=True)
                )
                value, place = still.abs_().add_(motion).max(dim=0)
                which = torch.where(value > best, place + part.start, which)
                best = best.maximum(value)
            yield best / 2, which


def _basis(centre: Tensor, shown: Tensor) -> Tensor:
    """Orthonormal vectors of what is no likeness, in what is shown: a constant and the centre, ``(n, channels, 2, pixels)``."""
    constant = shown / shown.norm(dim=1, keepdim=True).clamp(min=_LEAST)
    masked = shown[:, None] * centre
    rest = masked - (masked * constant[:, None]).sum(dim=-1, keepdim=True) * constant[:, None]
    rest = rest / rest.norm(dim=-1, keepdim=True).clamp(min=_LEAST)
    return torch.stack([constant[:, None].expand_as(rest), rest], dim=2)


def _partial_correlations(x: Tensor, y: Tensor, centre: Tensor, shown: Tensor) -> list[Tensor]:
    """Of each channel in what is shown, given a constant and the centre, ``(k, p)``; 0 where nothing is left of one.

    Args:
        x: In each pose, less a constant, 0 where nothing is shown: ``(k, p, channels, pixels)``.
        y: Centred, ``(k, channels, pixels)``.
        centre: ``(channels, pixels)``.
        shown: 0 or 1, ``(k, p, pixels)``.
    """
    channels = y.shape[1]
    c = (centre - centre.mean(dim=-1, keepdim=True)).expand_as(y)
    constant = torch.ones_like(y[:, :1])
    of_x = x.flatten(1, 2) @ torch.cat([constant, c, y], dim=1).mT
    of_x = of_x.double().unflatten(1, x.shape[1:3])
    of_shown = (shown @ torch.cat([constant, c, c * c, y, y * c, y * y], dim=1).mT).double()
    n, (m, cc, y1, yc, yy) = of_shown[..., 0] + _LEAST, of_shown[..., 1:].unflatten(-1, (5, channels)).unbind(dim=-2)
    x_squares = x.square().sum(dim=-1).double()
    found = []
    for k in range(channels):
        x1, xc, xy = of_x[:, :, k, 0], of_x[:, :, k, 1 + k], of_x[:, :, k, 1 + channels + k]
        given = _Explained(n, m[..., k], cc[..., k] + _LEAST)
        of_y = y1[..., k], yc[..., k]
        left = (x_squares[:, :, k] - given(x1, xc, x1, xc)) * (yy[..., k] - given(*of_y, *of_y))
        found.append(((xy - given(x1, xc, *of_y)) / left.clamp(min=_LEAST).sqrt()).float())
    return found


class _Explained:
    """What a constant and the centre explain of a product of two pictures, by sums over what is shown.

    Args:
        n: Pixels.
        m: Sum of the centre.
        cc: Of its squares.
    """

    def __init__(self, n: Tensor, m: Tensor, cc: Tensor) -> None:
        self.n, self.m, self.cc, self.inverse = n, m, cc, 1.0 / (n * cc - m * m)

    def __call__(self, a1: Tensor, ac: Tensor, b1: Tensor, bc: Tensor) -> Tensor:
        """By the sums of two pictures, and of their products with the centre."""
        return (self.cc * a1 * b1 - self.m * (a1 * bc + ac * b1) + self.n * ac * bc) * self.inverse


def _softened(pictures: Tensor) -> Tensor:
    """Pictures ``(n, channels, side, side)`` without what half as many pixels do not show: weights 1, 2, 1 along each axis."""
    kernel = torch.tensor([1.0, 2.0, 1.0])
    padded = pad(pictures, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    soft: Tensor = conv2d(padded, (kernel[:, None] * kernel / 16)[None, None])[:, 0].unflatten(0, pictures.shape[:2])
    return soft


def _without(values: Tensor, basis: Tensor) -> Tensor:
    """Values ``(..., n, pixels)`` less what the basis ``(n, k, pixels)`` explains."""
    for vector in basis.unbind(dim=1):
        values = values - (values * vector).sum(dim=-1, keepdim=True) * vector
    return values
