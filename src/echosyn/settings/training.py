"""What may be asked of the verbs that train."""

from pathlib import Path
from typing import Annotated, Literal

from echosyn.settings import Spelled, settings

StageName = Literal["vae", "lidm", "lvdm", "reid", "ef"]
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
    """Train on a DICOM import that nobody has signed off."""


@settings
class GroupSettings:
    """Workers of Ray that train together."""

    ray: str | None = None
    """Ray cluster to train on: local, HOST:PORT or auto.

    `--ray` alone means auto. Workers that die are replaced.
    """
    workers: str = "1"
    """Ray: processes, N or LEAST:MOST."""
    cpus_per_worker: int = 1
    """Ray: CPUs of each."""
    gpus_per_worker: int = 0
    """Ray: GPUs of each."""
    restarts: int = 3
    """Ray: deaths of workers that are made good."""


@settings
class FinetuneSettings:
    """How an image model is trained with differential privacy."""

    epsilon: float = 8.0
    """Largest privacy loss of a patient."""
    delta: float | None = None
    """Chance that it is larger; default 1/(10 patients)."""
    steps: int = 500
    """Optimizer steps."""
    batch_size: int = 64
    """Patients a step, on average."""
    learning_rate: float = 5e-4
    """Learning rate of AdamW."""
    max_grad_norm: Annotated[float, Spelled()] = 1.0
    """Norm to which each patient's gradient is clipped."""
    seed: int = 0
    """Of draws and noise; keep it secret."""
