"""Which videos a model was trained on, so that no test on them passes for one on strangers.

``trained_on.json`` is a list of members and stays in the house: it has keyed hashes (HMAC-SHA-256) of the names of videos and
patients, with the key, so who can guess a name (a running number) can find out whether it is in. No release takes it along. A
model with differential privacy has it beside its folder, in ``private/``, since a promise about members and a list of them
exclude one another.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echosyn import weights
from echosyn.data.records import Record
from echosyn.errors import DataError, ModelError
from echosyn.files import whole

TRAINED_ON = "trained_on.json"
RUN = "run.json"
PRIVATE = "private"
"""Folder beside a model's that stays in the house."""


@dataclass(frozen=True)
class Seen:
    """The videos and patients of a training, as keyed hashes."""

    key: str
    videos: frozenset[str]
    patients: frozenset[str]
    before: "Seen | None" = None
    """Of the model that the training started from."""
    is_complete: bool = True
    """Whether nothing else was trained on; false where the training started from a model that does not say."""

    def has(self, record: Record) -> bool:
        """Whether this video, or another one of its patient, was trained on."""
        known = _hash(self.key, record.name) in self.videos or _hash(self.key, record.patient) in self.patients
        return known or (self.before is not None and self.before.has(record))


def write(model: Path, records: Sequence[Record], data: str, start: Path | None = None) -> None:
    """Say in a model folder what its weights were trained on.

    Args:
        model: model folder.
        records: the videos.
        data: hash of the data; equal trainings write equal files, the key of each dataset is its own.
        start: model folder that the training started from: who is in that is in this one, too.
    """
    key = hashlib.sha256(f"echosyn trained on\0{data}".encode()).hexdigest()
    content: dict[str, Any] = {
        "key": key,
        "videos": sorted({_hash(key, r.name) for r in records}),
        "patients": sorted({_hash(key, r.patient) for r in records}),
    }
    if start is not None:
        before = seen(start)
        content["before"] = None if before is None else _said(before)
    with whole(model / TRAINED_ON) as temporary:
        temporary.write_text(json.dumps(content, indent=0) + "\n")


def seen(model: Path) -> Seen | None:
    """What a model was trained on: its ``trained_on.json``, in ``private/`` or not, or ``run.json``; None without.

    Raises:
        ModelError: the file cannot be understood.
    """
    folder = weights.resolve(model)
    path, beside = folder / TRAINED_ON, folder.parent / RUN
    path = path if path.is_file() else folder.parent / PRIVATE / TRAINED_ON
    try:
        if path.is_file():
            return _understood(json.loads(path.read_text()))
        if beside.is_file():
            said = json.loads(beside.read_text())
            return Seen("", _hashes(said["videos"]), _hashes(said.get("patients", said["videos"])))
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        shown = path if path.is_file() else beside
        raise ModelError(
            f"{shown}: does not list the training videos; copy the model again or remove the file"
        ) from error
    return None


def refuse_seen(models: Iterable[Path], records: Sequence[Record]) -> list[Path]:
    """Refuse a test on videos or patients that one of the models was trained on.

    Args:
        models: model folders, or run folders with ``model/`` in them.
        records: the videos of the test.

    Returns:
        The models that do not say what they were trained on (others' weights): nothing is known about those.

    Raises:
        DataError: a model was trained on some of them.
    """
    silent = []
    for model in models:
        training = seen(model)
        if training is None or not training.is_complete:
            silent.append(model)
        if training is not None and (known := [r.name for r in records if training.has(r)]):
            raise DataError(
                f"{model}: was trained on {len(known)} of the {len(records)} test videos or on their patients, first "
                f"{known[0]}; test on patients unseen in training, or train it again without them (Split VAL or TEST)"
            )
    return silent


def refuse_both_sides(dataset: Path, records: Sequence[Record]) -> None:
    """Refuse a dataset with patients who are in TRAIN and held out (VAL, TEST) as well.

    Raises:
        DataError: there are some.
    """
    trained = {r.patient for r in records if r.split == "TRAIN"}
    both = sorted({r.patient for r in records if r.split != "TRAIN"} & trained)
    if both:
        raise DataError(
            f"{dataset}: {len(both)} patient(s) are in TRAIN and in VAL or TEST, first {both[0]}; give all videos of a patient "
            "the same Split"
        )


def _said(seen: Seen) -> dict[str, Any]:
    content: dict[str, Any] = {"key": seen.key, "videos": sorted(seen.videos), "patients": sorted(seen.patients)}
    if seen.before is not None or not seen.is_complete:
        content["before"] = None if seen.before is None else _said(seen.before)
    return content


def _understood(said: dict[str, Any]) -> Seen:
    before = _understood(said["before"]) if said.get("before") is not None else None
    is_complete = "before" not in said or (before is not None and before.is_complete)
    return Seen(str(said["key"]), frozenset(said["videos"]), frozenset(said["patients"]), before, is_complete)


def _hashes(names: Iterable[Any]) -> frozenset[str]:
    return frozenset(_hash("", str(name)) for name in names)


def _hash(key: str, name: str) -> str:
    # macOS writes accents in two characters, Windows does not care for case
    same = unicodedata.normalize("NFC", name).casefold()
    return hmac.new(key.encode(), same.encode(), hashlib.sha256).hexdigest()[:32]
