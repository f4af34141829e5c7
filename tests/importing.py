"""Imports as tests ask for them: settings by name."""

from pathlib import Path
from typing import Any

from echosyn.pipeline.ingest import dicom, videos
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.data import ImportSettings

WHERE = ("executor", "shard", "progress")


def ingest(
    src: Path, out: Path, *, size: int = 112, crop: tuple[int, ...] | None = None, **named: Any
) -> dict[str, Any]:
    compute = Compute("cpu", **{name: named.pop(name) for name in WHERE if name in named})
    asked = ImportSettings(crop=",".join(map(str, crop)) if crop else None, **named)
    return videos.ingest(src, out, asked, compute, size=size)


def ingest_dicom(src: Path, out: Path, *, size: int = 112, **named: Any) -> dict[str, Any]:
    compute = Compute("cpu", **{name: named.pop(name) for name in WHERE if name in named})
    return dicom.ingest_dicom(src, out, ImportSettings(source="dicom", **named), compute, size=size)
