"""The training sets that are compared: folders of equally many videos, in the layout of every dataset."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from echosyn import rng
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.errors import DataError
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.progress import Progress, silent


def slug(name: str) -> str:
    """A name as a folder is called: ``real through the VAE`` -> ``real-through-the-vae``."""
    return "-".join(name.lower().replace(",", "").split())


def join(out: Path, parts: Mapping[str, Path], records: Mapping[str, Sequence[Record]] | None = None) -> list[Record]:
    """Write several datasets as one; names of videos get the part's name in front, and no video is copied where links work.

    Args:
        out: new dataset folder.
        parts: dataset folders by name.
        records: which of their videos, with what labels; default all.
    """
    chosen = records or {name: filelist.read(part) for name, part in parts.items()}
    joined: list[Record] = []
    with new_folder(out, "join", {"videos": {n: [str(r) for r in c] for n, c in chosen.items()}}) as folder:
        (folder / filelist.VIDEOS).mkdir(exist_ok=True)
        for name, dataset in parts.items():
            index = filelist.VideoIndex(dataset)
            for record in chosen[name]:
                source = index.path(record)
                renamed = replace(record, name=f"{name}_{record.name}")
                _link(source, folder / filelist.VIDEOS / f"{renamed.name}{source.suffix.lower()}")
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
                video.write_avi(path, grey(codec.decode(codec.encode(frames))).numpy(), recording.fps)
            progress("through the VAE", i + 1, len(records))
        filelist.write(folder, records)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
