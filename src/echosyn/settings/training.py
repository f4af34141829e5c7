"""What may be asked of the verbs that train."""

from pathlib import Path
from typing import Annotated, Literal

from echosyn.settings import Spelled, settings

StageName = Literal["vae", "lidm", "lvdm", "reid", "ef", "outline"]
"""What `train` trains."""


@settings
class PresetSettings:
    """The settings of the stages, in layers."""

    preset: str = "phantom"
    """Settings of the package to start from."""
    config: Path | None = None
    """Settings in YAML or JSON, also EchoNet-Synthetic's own."""


@settings
class ResumeSettings:
    """Whether a training may go on."""

    resume: bool = False
    """Continue from the last checkpoint in OUT, if there is one."""
    accept_changes: bool = False
    """Resume although settings or data have changed.

    ``run.json`` keeps what was before.
    """
    reviewed: Annotated[bool, Spelled("--i-reviewed")] = False
    """Train on a DICOM import that has not been signed off."""


@settings
class GroupSettings:
    """Workers of Ray that train together."""

    ray: str | None = None
    """Ray cluster to train on: local, HOST:PORT or auto.

    `--ray` alone means auto. Workers that die are replaced.
    """
    workers: str = "1"
    """Ray: number of workers, N or MIN:MAX."""
    cpus_per_worker: int = 1
    """Ray: CPUs per worker."""
    gpus_per_worker: int = 0
    """Ray: GPUs per worker."""
    restarts: int = 3
    """Ray: worker deaths to recover from before giving up."""


@settings
class FinetuneSettings:
    """How an image model is trained with differential privacy."""

    epsilon: float = 8.0
    """Privacy budget (epsilon) per patient."""
    delta: float | None = None
    """Delta of the guarantee; default 1 / (10 x patients)."""
    steps: int = 500
    """Optimizer steps."""
    batch_size: int = 64
    """Expected patients per step."""
    learning_rate: float = 5e-4
    """Learning rate of AdamW."""
    max_grad_norm: Annotated[float, Spelled()] = 1.0
    """Norm to which each patient's gradient is clipped."""
    canaries: int = 0
    """Patients in or out by a coin, for a lower bound of epsilon.

    Who was in is guessed from the weights; the guesses show how much has leaked at least (Steinke et al. 2023). Half of these
    patients are lost for the training.
    """


@settings
class TextureFitSettings:
    """What the texture of recordings is learned from."""

    videos: int = 120
    """Most TRAIN videos, one of each patient."""
    frames: int = 48
    """First frames of each; at least 34."""
    fps: float = 32.0
    """Frame rate of the videos to come: the video model's."""
    steps: int = 1500
    """Training steps of its network."""
    seed: int = 0
    """Random seed."""
