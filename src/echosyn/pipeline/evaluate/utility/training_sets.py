"""The training sets that are compared: folders of equally many videos, in the layout of every dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from echosyn import rng
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError
from echosyn.files import link_or_copy
from echosyn.pipeline.folder import new_folder
from echosyn.progress import Progress, silent

REAL, SYNTHETIC = "real", "synthetic"
THROUGH_VAE, BOTH = "real through the VAE", "real and synthetic"
RELABELLED, RECALIBRATED = "synthetic, relabelled", "synthetic, recalibrated"
Relabel = Literal["no", "each", "trend"]


@dataclass(frozen=True)
class Arm:
    """A training set: TRAIN videos to learn from, VAL videos of the same kind to choose weights by."""

    name: str
    dataset: Path
    relabel: Relabel = "no"
    """``each``: labels are what the regressor of the arm ``real``, trained with the same seed, says of each video; ``trend``: the
    line by which its readings follow the requested EFs, one for each view."""


def standard(
    folder: Path,
    sets: Mapping[str, Path],
    *,
    codec: LatentCodec | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Arm]:
    """The arms of the utility grid, equal in number, written into ``folder``; what is there already stays.

    Args:
        folder: where they go.
        sets: dataset folders by name, ``real`` and ``synthetic`` among them; each gives an arm. The last arms are ``real and
            synthetic`` (both, so twice as many videos), ``synthetic, relabelled`` and ``synthetic, recalibrated``.
        codec: of the VAE, for the arm ``real through the VAE``; without it there is none.
        seed: of the draws of videos.
        progress: told what is done.

    Raises:
        DataError: a set has no labelled TRAIN or no labelled VAL video.
    """
    known = {name: filelist.read(path) for name, path in sets.items()}
    count = counts(sets, known)
    chosen = {name: equal(records, count["TRAIN"], count["VAL"], seed) for name, records in known.items()}
    folders = dict(sets)
    if codec is not None:
        folders[THROUGH_VAE], chosen[THROUGH_VAE] = folder / "reconstructed", chosen[REAL]
        if not folders[THROUGH_VAE].exists():
            reconstructed(folders[THROUGH_VAE], sets[REAL], chosen[REAL], codec, progress)

    def arm(name: str, *parts: str) -> Arm:
        out = folder / slug(name)
        if not out.exists():
            join(out, {slug(part): folders[part] for part in parts}, {slug(part): chosen[part] for part in parts})
        return Arm(name, out)

    found = [arm(name, name) for name in folders]
    both = arm(BOTH, REAL, SYNTHETIC)
    plain = folder / slug(SYNTHETIC)
    return [*found, both, Arm(RELABELLED, plain, "each"), Arm(RECALIBRATED, plain, "trend")]


def counts(sets: Mapping[str, Path], known: Mapping[str, Sequence[Record]]) -> dict[str, int]:
    """How many TRAIN and VAL videos every set can give.

    Raises:
        DataError: a set has no labelled TRAIN or no labelled VAL video.
    """
    count = {split: min(_labelled(records, split) for records in known.values()) for split in ("TRAIN", "VAL")}
    if not all(count.values()):
        lacking = next(n for n, r in known.items() if not (_labelled(r, "TRAIN") and _labelled(r, "VAL")))
        raise DataError(
            f"{sets[lacking]}: no TRAIN or no VAL video with an EF; each training set needs both, VAL to choose weights by"
        )
    return count


def _labelled(records: Sequence[Record], split: str) -> int:
    return sum(r.split == split and r.ef is not None for r in records)


def slug(name: str) -> str:
    """A name as a folder is called: ``real through the VAE`` -> ``real-through-the-vae``."""
    return "-".join(name.lower().replace(",", "").split())


def join(out: Path, parts: Mapping[str, Path], records: Mapping[str, Sequence[Record]] | None = None) -> list[Record]:
    """Write several datasets as one; names of videos get the part's name in front, and no video is copied where links work."""
    chosen = records or {name: filelist.read(part) for name, part in parts.items()}
    joined: list[Record] = []
    with new_folder(out, "join", {"videos": {n: [str(r) for r in c] for n, c in chosen.items()}}) as folder:
        (folder / filelist.VIDEOS).mkdir(exist_ok=True)
        for name, dataset in parts.items():
            index = filelist.VideoIndex(dataset)
            for record in chosen[name]:
                source = index.path(record)
                renamed = replace(record, name=f"{name}_{record.name}")
                target = folder / filelist.VIDEOS / f"{renamed.name}{source.suffix.lower()}"
                target.unlink(missing_ok=True)
                link_or_copy(source, target)
                joined.append(renamed)
        filelist.write(folder, joined)
    return joined


def equal(
    records: Sequence[Record], num_train: int, num_val: int, seed: int, num_frames: int | None = None
) -> list[Record]:
    """Some labelled TRAIN and VAL videos, drawn by ``seed``; of each view (column ``View``) its share.

    Args:
        records: all of a dataset, of any order.
        num_train: how many TRAIN videos.
        num_val: how many VAL videos, at most.
        seed: of the draw.
        num_frames: only so many frames of each are known to the file list; default all.

    Raises:
        DataError: there are fewer TRAIN videos.
    """
    chosen: list[Record] = []
    for split, wanted in (("TRAIN", num_train), ("VAL", num_val)):
        usable = sorted((r for r in records if r.split == split and r.ef is not None), key=lambda r: r.name)
        if split == "TRAIN" and len(usable) < wanted:
            raise DataError(f"{len(usable)} labelled TRAIN videos, {wanted} were asked for: ask for fewer")
        order = rng.numpy_generator(seed, f"arm {split}").permutation(len(usable))
        chosen += [usable[i] for i in np.sort(_spread_over_views([usable[j] for j in order], order)[:wanted])]
    return [r if num_frames is None else replace(r, num_frames=num_frames) for r in chosen]


def _spread_over_views(shuffled: Sequence[Record], order: np.ndarray) -> np.ndarray:
    """The order with views in turn, so that any beginning of it holds them equally."""
    turn: dict[str, int] = {}
    ranks = []
    for record in shuffled:
        view = record.extra.get("View", "")
        turn[view] = turn.get(view, -1) + 1
        ranks.append(turn[view])
    spread: np.ndarray = order[np.argsort(ranks, kind="stable")]
    return spread


def reconstructed(
    out: Path, dataset: Path, records: Sequence[Record], codec: LatentCodec, progress: Progress = silent
) -> None:
    """Write the given videos after a round trip through the VAE: what is lost by its blur alone."""
    index = filelist.VideoIndex(dataset)
    with new_folder(out, "reconstruct", {"videos": [str(r) for r in records]}) as folder:
        (folder / filelist.VIDEOS).mkdir(exist_ok=True)
        for i, record in enumerate(records):
            path = folder / filelist.VIDEOS / f"{record.name}.avi"
            if not path.exists():
                recording = video.read(index.path(record))
                frames = torch.from_numpy(recording.grey()[: record.num_frames])
                video.write_avi(path, codec.reconstruct(frames).numpy(), recording.fps)
            progress("through the VAE", i + 1, len(records))
        filelist.write(folder, records)
