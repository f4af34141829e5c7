"""Whether an invented heart is somebody's, in numbers and in words."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from echosyn.privacy.screen import Screen

NUM_QUANTILES = 41


@dataclass(frozen=True)
class Verdict:
    """Whether a heart is somebody's. Whose it comes nearest to is not in it."""

    status: Literal["kept", "rejected", "unchecked"]
    score: float | None = None
    """Closeness to the nearest training heart: 0 is typical of an unseen patient, higher is closer."""
    threshold: float | None = None
    """From there on a heart is rejected."""
    closer: float | None = None
    """Share of the held-out hearts that come closer to the training set than this one, 0..1."""
    num_train: int = 0
    num_held_out: int = 0
    enough: bool = False
    """There are enough held-out hearts for the promised rate of false rejections."""
    strangers: tuple[float, ...] = ()
    """Scores of the held-out hearts at 41 evenly spaced quantiles, lowest first."""

    @property
    def words(self) -> str:
        """In a sentence or two."""
        if self.status == "unchecked":
            return (
                "Not checked: the server was started without references (--reference), so this sample may be a "
                "copy of a real patient. Do not share it."
            )
        closer = f"{self.closer:.0%} of the {self.num_held_out} held-out patients, unseen by the models, come closer"
        enough = "" if self.enough else " There are too few held-out patients for the requested false rejection rate."
        if self.status == "kept":
            near = f"No closer to any of the {self.num_train} training patients than an unseen patient would be."
            return f"{near} {closer}.{enough}"
        near = f"Too close to one of the {self.num_train} training patients: it may be a copy."
        return f"{near} {closer}. It will not be animated.{enough}"


def verdict_on(screen: Screen[Tensor] | None, latent: Tensor) -> Verdict:
    """The verdict of a screen on a latent still ``(1, C, h, w)``; without a screen there is none."""
    if screen is None:
        return Verdict("unchecked")
    found = screen.judge(latent)
    score, strangers = float(found.score[0]), screen.held_out.double()
    spread = torch.quantile(strangers, torch.linspace(0, 1, NUM_QUANTILES, dtype=torch.float64))
    return Verdict(
        "kept" if bool(found.kept[0]) else "rejected",
        score,
        screen.threshold.value,
        float((strangers > score).double().mean()),
        len(screen.gallery.patients),
        screen.threshold.num_patients,
        screen.threshold.enough,
        tuple(spread.tolist()),
    )
