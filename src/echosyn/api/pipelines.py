"""Models, loaded once: sample a still, see whether it passes the privacy filter, animate it with an EF."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echosyn import weights
from echosyn.api import display
from echosyn.api.datasets import EchoVideo
from echosyn.pipeline.demo.session import Asked, Studio


@dataclass(frozen=True, eq=False)
class Still:
    """A sampled still."""

    seed: int
    image: NDArray[np.uint8]
    """``(H, W)``."""
    status: str
    """``kept`` or ``rejected`` by the privacy filter, ``unchecked`` where there is none."""

    def __repr__(self) -> str:
        return f"Still(seed {self.seed}, {self.image.shape[1]}x{self.image.shape[0]}, {self.status})"

    def _repr_html_(self) -> str:
        return display.moving(self.image[None], 1.0, repr(self)) + f"<br>{display.escaped(repr(self))}"


class EchoPipeline:
    """The models of a folder and their privacy filter.

    Equal arguments give equal arrays. The same still beats with any EF: change ``ef`` and keep ``seed``.
    """

    def __init__(self, studio: Studio, view: str | None) -> None:
        self._studio, self.view = studio, view

    def sample(self, seed: int = 0) -> Still:
        """A still, screened by the privacy filter."""
        heart = self._studio.invent(self.view, seed)
        return Still(seed, heart.picture, heart.verdict.status)

    def __call__(self, ef: float = 55.0, *, seed: int = 0, num_frames: int = 64, steps: int | None = None) -> EchoVideo:
        """A video of the still of ``seed``, beating with an EF.

        Args:
            ef: requested ejection fraction in percent.
            seed: of still and motion.
            num_frames: length; the models that ship make 32 frames a second.
            steps: sampling steps of the video model; default what suits it.

        Raises:
            ConfigError: the privacy filter rejected this still: take another seed.
        """
        made = self._studio.beat(self.view, seed, Asked(ef, num_frames, steps))
        return EchoVideo(f"seed-{seed}", made.frames, made.fps, made.requested_ef, made.measured_ef)

    def __repr__(self) -> str:
        return f"EchoPipeline(view {self.view!r}, models {self._studio.models})"


def load_pipeline(
    models: str | Path | None = None,
    view: str | None = None,
    *,
    reference: str | Path | None = None,
    device: str = "auto",
) -> EchoPipeline:
    """Load models for sampling.

    Args:
        models: folder with ``vae``, ``lidm``, ``lvdm`` and ``reid``; default the phantom models that ship.
        view: which image model where there are several, such as ``a4c`` or ``psax``; default the first.
        reference: latents of the real videos the models were trained on, for the privacy filter; default what the folder has.
        device: ``auto``, ``cpu``, ``cuda``.

    Raises:
        ModelError: a model is missing or cannot be loaded.
        ConfigError: there is no such view.
    """
    studio = Studio(
        weights.shipped() if models is None else Path(models), None if reference is None else Path(reference), device
    )
    chosen = studio.variants[0] if view is None else view
    studio.view(chosen)
    return EchoPipeline(studio, chosen)
