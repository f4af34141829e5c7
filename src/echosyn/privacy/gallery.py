"""The real patients, as vectors in several spaces, in memory or in files."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy import vectors
from echosyn.privacy.fingerprints import Views
from echosyn.privacy.matching import Prepared, prepared
from echosyn.privacy.owners import Owners

NOBODY = "there is no real video to compare with, expected at least one"


@dataclass(frozen=True, eq=False)
class Gallery:
    """The real patients: vectors by space, looked at once for many comparisons, and whose each is."""

    references: Mapping[str, Prepared]
    owners: Mapping[str, Owners]

    @classmethod
    def of(cls, views: Iterable[Views], patients: Sequence[str], folder: Path | None = None) -> "Gallery":
        """Join the vectors of many videos.

        Args:
            views: Of each video.
            patients: Of each video.
            folder: See `filed`; None keeps them in memory.

        Raises:
            DataError: There is no video, or a vector is broken or constant.
        """
        if folder is not None:
            return cls.filed(views, patients, folder)
        views = list(views)
        if not views:
            raise DataError(NOBODY)
        spaces = [name for name in views[0] if any(len(v[name]) for v in views)]
        owners = {name: [p for v, p in zip(views, patients, strict=True) for _ in v[name]] for name in spaces}
        return cls.joined({name: torch.cat([v[name] for v in views]) for name in spaces}, owners)

    @classmethod
    def joined(cls, rows: Mapping[str, Tensor], owners: Mapping[str, Sequence[str]]) -> "Gallery":
        """Of vectors ``(n, d)`` by space, and whose each is."""
        references = {name: prepared(these) for name, these in rows.items()}
        return cls(references, {name: Owners.of(owners[name]) for name in rows})

    @classmethod
    def filed(cls, views: Iterable[Views], patients: Sequence[str], folder: Path) -> "Gallery":
        """As `of`, for archives that are larger than the memory: the vectors go to files and are mapped.

        Args:
            views: Of each video, taken one by one.
            patients: Of each video.
            folder: A private place that stays for as long as the gallery is used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        writers: dict[str, vectors.Writer | None] = {}
        names = sorted(set(patients))
        with ExitStack() as stack:
            for view, patient in zip(views, patients, strict=True):
                for space, rows in view.items():
                    writer = writers.setdefault(space, None)
                    if writer is None and len(rows):
                        writer = vectors.Writer(folder / f"{space}.safetensors", rows.shape[1], names)
                        writers[space] = stack.enter_context(writer)
                    if writer is not None:
                        writer.add(rows, patient)
        if not writers:
            raise DataError(NOBODY)
        return cls.stored([writer.path for writer in writers.values() if writer is not None])

    @classmethod
    def stored(cls, files: Sequence[Path]) -> "Gallery":
        """Of files that `echosyn.privacy.vectors` wrote, named after the spaces.

        Raises:
            DataError: One is damaged.
        """
        references: dict[str, Prepared] = {}
        owners: dict[str, Owners] = {}
        for path in files:
            references[path.stem], whose = vectors.read(path)
            if whose is None:
                raise DataError(f"{path}: does not say whose its vectors are; remove it and run again")
            owners[path.stem] = whose
        return cls(references, owners)

    @property
    def patients(self) -> list[str]:
        """All of them, sorted."""
        return sorted({name for owners in self.owners.values() for name in owners.present().names})
