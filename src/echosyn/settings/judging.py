"""What may be asked of the verbs that evaluate, audit and withdraw."""

from pathlib import Path
from typing import Annotated

from echosyn.settings import Spelled, settings
from echosyn.settings.making import RateSettings, SolverSettings, VideoSettings
from echosyn.settings.training import PresetSettings


@settings
class StatisticsSettings:
    """Randomness of the figures."""

    seed: int = 0
    """Of bootstrap and subsampling; with --steps also of the videos."""


@settings
class ProtocolSettings(StatisticsSettings):
    """How the fidelity of a set is measured."""

    protocol: str = "echosyn-v3"
    """Of the fidelity figures: name or YAML file."""


@settings
class FidelitySettings:
    """Whether to measure nothing but fidelity, and with which weights."""

    only: str | None = None
    """fidelity: nothing else, and nothing is trained."""
    weights: Path | None = None
    """Folder that `weights fetch` filled, for Inception and I3D."""


@settings
class GridSettings:
    """Trainings on more sets than the two."""

    grid: bool = False
    """Train on more sets too: through the VAE (--vae), real and synthetic."""
    seeds: int | None = None
    """With --grid: trainings of each set; default 3."""
    relabel: bool = False
    """With --grid: also with labels of the regressor trained on real videos."""
    also: tuple[str, ...] = ()
    """With --grid: NAME=FOLDER of a further set, repeatable."""


@settings
class DecoderSettings:
    """The VAE of an evaluation."""

    vae: Path | None = None
    """VAE whose reconstruction to report; with --steps the one to decode with."""


@settings
class EvaluateSettings(ProtocolSettings, DecoderSettings):
    """How a synthetic dataset is compared with a real one."""

    made_by: tuple[Path, ...] = ()
    """Model that made SYNTHETIC, repeatable; refused if it was trained on REAL's VAL or TEST.

    A test on videos that they, or the VAE, were trained on is refused; those that do not say are listed in the report as
    ``training_unknown``.
    """
    track: int = 16
    """Videos of each side whose ventricle is tracked, spread over the set.

    0.3 s a video.
    """
    public: bool = False
    """The page shows no real video."""


@settings
class RegressorSettings(PresetSettings):
    """How the EF regressors of an evaluation are trained."""

    overrides: Annotated[tuple[str, ...], Spelled("--set")] = ()
    """NAME=VALUE of the EF regressors."""


@settings
class StepsSettings(VideoSettings, SolverSettings, DecoderSettings, StatisticsSettings):
    """How numbers of sampling steps of one model are compared: the same hearts, noise and EFs at each."""

    steps: str | None = None
    """Compare numbers of sampling steps of one model, such as 1,2,4,8."""
    lvdm: Path | None = None
    """With --steps: the video model."""
    regressor: Path | None = None
    """With --steps: EF regressor, for its view and the FD.

    Without it there is no Fréchet distance.
    """
    num: int | None = None
    """With --steps: so many stills."""
    num_frames: Annotated[int, Spelled("--frames")] = 64


@settings
class PredictSettings:
    """How the EF is read off videos."""

    model: Path | None = None
    """Model folder of the EF regressor, or a folder with ef in it; default: what ships, for the phantom."""
    clips: str = "4"
    """Average over so many clips of a video, or all (EchoNet-Dynamic's test; slow)."""
    fps: float | None = None
    """Frame rate, whatever the files say."""


@settings
class AuditSettings(RateSettings):
    """How hard an audit looks."""

    canaries: int = 20
    """Training videos that are disguised to see what is caught."""
    seed: int = 0
    """Of disguises, attacks and intervals."""
    false_rejection_rate: float = 0.05


@settings
class ModelsOfSet:
    """The models that made a set."""

    models: Path | None = None
    """Folder with vae and reid; lidm and lvdm in it are attacked too."""


@settings
class AttackedSettings(ModelsOfSet):
    """What an audit may attack."""

    videos_only: bool = False
    """The weights stay in the house: do not attack the LIDM and the LVDM."""


@settings
class WithdrawSettings:
    """What is taken out of a set."""

    exclude: tuple[str, ...] = ()
    """Patient who withdrew; may be given again."""
    too_close: bool = False
    """Take out what an audit finds too close to anybody."""
    rate: float = 0.05
    """Share of videos that have nothing to do with them and go as well."""


@settings
class CompareSettings:
    """How two reports are compared."""

    anyway: bool = False
    """Warn where the protocols differ, instead of refusing."""
