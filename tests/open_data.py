"""Folders of open data as they are published, made in a moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

CAMUS_CFG: Mapping[str, str] = {
    "ED": "1",
    "ES": "10",
    "NbFrame": "10",
    "Sex": "F",
    "Age": "56",
    "ImageQuality": "Good",
    "EF": "57",
    "FrameRate": "53.3",
}


@dataclass(frozen=True)
class Heart:
    """An elliptic cavity in its wall, an atrium below, all in mm."""

    long: float = 80.0
    """Of the cavity."""
    short: float = 44.0
    tilt: float = 0.0
    """Of the long axis to the vertical, in radians."""
    x: float = 60.0
    y: float = 60.0
    """Middle of the cavity."""

    def labels(self, width: int, height: int, spacing: tuple[float, float], scale: float = 1.0) -> NDArray[np.uint8]:
        """Mask ``(width, height)`` as CAMUS stores it; ``scale`` shrinks the cavity about its middle."""
        x, y = np.meshgrid(np.arange(width) * spacing[0], np.arange(height) * spacing[1], indexing="ij")
        along = np.cos(self.tilt) * (y - self.y) - np.sin(self.tilt) * (x - self.x)
        across = np.cos(self.tilt) * (x - self.x) + np.sin(self.tilt) * (y - self.y)
        inside = np.hypot(2 * along / self.long, 2 * across / self.short)
        atrium = np.hypot(along - self.long * 0.5 - 15, across) < 18
        mask = np.zeros((width, height), np.uint8)
        mask[atrium] = 3
        mask[(inside < 1.3) & ~atrium] = 2
        mask[inside < scale] = 1
        return mask


def write_nifti(path: Path, array: NDArray[np.generic], spacing: tuple[float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.diag([-spacing[0], -spacing[1], 1.0, 1.0]))
    image.header.set_zooms((*spacing, *[1.0] * (array.ndim - 2)))
    nibabel.save(image, path)


def write_cfg(path: Path, **changed: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = {**CAMUS_CFG, **changed}
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items() if value is not None))


def patient(
    folder: Path,
    heart: Heart = Heart(),
    *,
    views: Sequence[str] = ("2CH", "4CH"),
    shape: tuple[int, int] = (72, 96),
    spacing: tuple[float, float] = (1.7, 1.3),
    seed: int = 0,
) -> Path:
    """One patient of CAMUS: cavity dark, tissue bright, ten frames from end-diastole to end-systole."""
    rng = np.random.default_rng(seed)
    beats = np.linspace(0, 1, 10) ** rng.uniform(0.5, 2)
    for number, view in enumerate(views):
        masks = [heart.labels(*shape, spacing, 1 - 0.3 * beat) for beat in beats]
        grain = rng.integers(0, 60, shape)
        film = np.stack([np.choose(mask, (20, 30, 150, 40)) + grain for mask in masks], axis=-1).astype(np.uint8)
        stem = folder / f"{folder.name}_{view}"
        write_nifti(Path(f"{stem}_half_sequence.nii.gz"), np.roll(film, number, axis=0), spacing)
        for phase, at in (("ED", 0), ("ES", -1)):
            write_nifti(Path(f"{stem}_{phase}.nii.gz"), film[..., at], spacing)
            write_nifti(Path(f"{stem}_{phase}_gt.nii.gz"), masks[at], spacing)
        write_cfg(folder / f"Info_{view}.cfg")
    return folder


def camus(src: Path, patients: int = 3, splits: Mapping[str, Sequence[int]] | None = None) -> Path:
    """CAMUS as published; ``splits`` are the numbers of the patients in each list."""
    for number in range(1, patients + 1):
        heart = Heart(70 + 5 * number, 52 - 4 * number, 0.5 - 0.15 * number, 50 + 4 * number)
        patient(src / "database_nifti" / f"patient{number:04}", heart, seed=number)
    for name, numbers in (splits or {}).items():
        path = src / "database_split" / f"subgroup_{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"patient{number:04}\n" for number in numbers))
    return src
