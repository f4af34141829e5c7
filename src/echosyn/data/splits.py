"""Which patients a model may learn from: the names of splits and folds in a list, and splits drawn where there are none."""

from collections.abc import Mapping, Sequence
from typing import Literal

Split = Literal["TRAIN", "VAL", "TEST", "EXTRA"]
SPLITS: tuple[Split, ...] = ("TRAIN", "VAL", "TEST")
EXTRA: Split = "EXTRA"
"""More videos than the asked splits need, as EchoNet-Synthetic marks them; they are read only when asked for."""

FOLDS: Mapping[str, Split] = {**dict.fromkeys("01234567", "TRAIN"), "8": "VAL", "9": "TEST"}
"""How EchoNet-Pediatric's ten folds are used."""
FOLD = "Fold"
"""The column in which a fold number is kept once its split has taken its place."""
EXPECTED = f"one of {', '.join(SPLITS)} or a fold 0..9"
"""What a cell of the column Split should hold."""


def named(cell: str) -> tuple[Split | None, str | None]:
    """The split that a cell of the column Split names, in any case, and the fold number that stood for it; None if neither."""
    text = cell.upper().removesuffix(".0")
    for split in (*SPLITS, EXTRA):
        if text == split:
            return split, None
    return FOLDS.get(text), text if text in FOLDS else None


def split_by_order(num: int) -> list[Split]:
    """Splits of items 0..num-1, about as EchoNet-Dynamic's: 3/4 TRAIN, 1/8 VAL, 1/8 TEST, from three items one each."""
    held_out = max(1, round(num * 0.125)) if num >= 3 else 0
    counts: dict[Split, int] = {"TRAIN": num - 2 * held_out, "VAL": held_out, "TEST": held_out}
    return [split for split, count in counts.items() for _ in range(count)]


def split_patients(patients: Sequence[str], seed: int) -> dict[str, Split]:
    """Draw a split per patient, in the shares of `split_by_order`, from the seed and the set of ids alone.

    Args:
        patients: Ids, one per video or one per patient; order and repetitions do not matter.
        seed: Of the draw.
    """
    from echosyn import rng  # brings torch, which reading a list does without

    drawn = sorted(set(patients), key=lambda patient: (rng.key(seed, f"split\0{patient}"), patient))
    splits = sorted(split_by_order(len(drawn)), key=lambda split: split == "TRAIN")
    return dict(zip(drawn, splits, strict=True))
