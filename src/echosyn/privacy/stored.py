"""A calibrated screen in a folder, for the workers of one job. Private: it holds vectors and names of real patients."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echosyn.errors import DataError
from echosyn.files import link_or_copy, whole
from echosyn.privacy import vectors
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.closeness import Fusion
from echosyn.privacy.fingerprints import Prints
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.screen import Items, Screen
from echosyn.tensors import aligned

_SCREEN = "screen.safetensors"


def write(path: Path, screen: Screen[Any]) -> None:
    """Write a screen and the mean that its prints take off, whole or not at all, for its owner alone.

    Vectors that are in files already are linked, where the disk can.
    """
    said = {
        "spaces": list(screen.gallery.references),
        "fusion": asdict(screen.fusion),
        "threshold": asdict(screen.threshold),
        "held_out_patients": list(screen.held_out_patients),
    }
    tensors = {"centre": screen.prints.centre.contiguous(), "held_out": screen.held_out.contiguous()}
    shutil.rmtree(path, ignore_errors=True)
    with whole(path) as temporary:
        temporary.mkdir(mode=0o700, parents=True)
        for space, references in screen.gallery.references.items():
            file = temporary / f"{space}.safetensors"
            if references.file is None:
                vectors.write(file, references.rows, screen.gallery.owners[space])
            else:
                link_or_copy(references.file, file)
                file.chmod(0o600)
        save_file(tensors, temporary / _SCREEN, {"screen": json.dumps(said)})


def spaces(path: Path) -> list[str]:
    """In which a stored screen compares; none if nothing is stored there.

    Raises:
        DataError: It is damaged.
    """
    if not path.is_dir():
        return []
    with _opened(path) as (_, said):
        return list(said["spaces"])


def read(path: Path, prints: Callable[[Tensor], Prints[Items]]) -> Screen[Items]:
    """What `write` wrote, with equal verdicts; the vectors are mapped, so that processes of a machine share them.

    Args:
        path: Where it is.
        prints: Makes prints of the mean that they take off; `echosyn.privacy.fingerprints.Vectors` for items that are vectors.

    Raises:
        DataError: It is damaged.
    """
    with _opened(path) as (file, said):
        centre, held_out = (aligned(file.get_tensor(name)) for name in ("centre", "held_out"))
    return Screen(
        Gallery.stored([path / f"{space}.safetensors" for space in said["spaces"]]),
        Fusion(**said["fusion"]),
        Threshold(**said["threshold"]),
        held_out,
        said["held_out_patients"],
        prints(centre),
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The file of `write` and what it says of the screen."""
    try:
        with safe_open(path / _SCREEN, framework="pt") as file:
            yield file, json.loads(file.metadata()["screen"])
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not readable as a privacy screen ({error}); remove it and run again") from error
