"""A calibrated screen in a file, for the workers of one job. Private: it holds vectors and names of real patients."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.screening import Fusion, Gallery, Screen

_CENTRE, _HELD_OUT, _SPACE = "centre", "held_out", "space "


def write(path: Path, screen: Screen, centre: Tensor) -> None:
    """Write a screen and the mean that was taken off what it compares, whole or not at all, for its owner alone."""
    tensors = {_CENTRE: centre.contiguous(), _HELD_OUT: screen.held_out.contiguous()}
    tensors |= {_SPACE + name: vectors.contiguous() for name, vectors in screen.gallery.vectors.items()}
    said = {
        "owners": {name: list(owners) for name, owners in screen.gallery.owners.items()},
        "fusion": asdict(screen.fusion),
        "threshold": asdict(screen.threshold),
        "held_out_patients": list(screen.held_out_patients),
    }
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, {"screen": json.dumps(said)})
    temporary.replace(path)


def read(path: Path) -> tuple[Screen, Tensor]:
    """What `write` wrote, with equal verdicts.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads(file.metadata()["screen"])
            # in the order of the owners: equal scores go to the first space
            vectors = {name: file.get_tensor(_SPACE + name) for name in said["owners"]}
            centre, held_out = file.get_tensor(_CENTRE), file.get_tensor(_HELD_OUT)
    except (SafetensorError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not readable as a privacy screen ({error}); remove it and run again") from error
    gallery = Gallery(vectors, said["owners"])
    screen = Screen(
        gallery, Fusion(**said["fusion"]), Threshold(**said["threshold"]), held_out, said["held_out_patients"]
    )
    return screen, centre
