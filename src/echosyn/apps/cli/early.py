"""What is refused before torch is imported, which takes seconds: folders that are not there, and outputs that are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from echosyn.errors import DataError
from echosyn.files import refuse_existing

DATASET = "a dataset folder with FileList.csv and Videos/"
STILLS = "the folder of stills that `echosyn sample` or `echosyn filter` made"
MODEL = "a model folder (config.json and weights), e.g. OUT/model of `echosyn train`"
MODELS = "a folder with vae, lidm, lvdm and reid models"

EXPECTED: Mapping[str, str] = {
    "dataset": DATASET,
    "synthetic": DATASET,
    "real": DATASET,
    "ef_from": DATASET,
    "data": "a folder of a dataset or of latents",
    "src": "a folder with recordings",
    "kept": STILLS,
    "candidates": STILLS,
    "source": "stills of `echosyn sample` or `echosyn filter`, or images",
    "release": "a release made by `echosyn publish`",
    "reference": "latents of `echosyn encode`",
    "calibrated": "the folder that `echosyn calibrate` made",
    "models": MODELS,
    "vae": MODEL,
    "lidm": MODEL,
    "lvdm": MODEL,
    "reid": MODEL,
    "regressor": MODEL,
    "model": MODEL,
}
"""Arguments and options that name what must be there, and what is expected."""

NEW = frozenset(
    {
        "animate",
        "audit",
        "calibrate",
        "decode",
        "encode",
        "evaluate",
        "export",
        "filter",
        "generate",
        "import",
        "phantom",
        "reproduce",
        "run",
        "sample",
        "texture",
        "withdraw",
    }
)
"""Verbs that never write into a folder that is there."""

_SHIPPED = "shipped"


def refuse(verb: str, values: Mapping[str, Any]) -> None:
    """Refuse what a look at the disk can tell.

    Args:
        verb: its name.
        values: of its arguments and options, by name.

    Raises:
        DataError: a folder is not there, or the output is.
    """
    for name, expected in EXPECTED.items():
        value = values.get(name)
        path = Path(value) if isinstance(value, str) and name == "src" and "://" not in value else value
        if isinstance(path, Path) and str(path) != _SHIPPED and not path.exists():
            raise DataError(f"{path}: no such folder; expected {expected}")
    if verb in NEW and not values.get("dry_run") and isinstance(out := values.get("out"), Path):
        refuse_existing(out)
