"""What may be asked of the verbs that evaluate, audit and withdraw."""

from pathlib import Path
from typing import Annotated

from echosyn.settings import Spelled, settings
from echosyn.settings.making import RateSettings, SolverSettings, VariantSettings, VideoSettings
from echosyn.settings.training import PresetSettings


@settings
class StatisticsSettings:
    """Randomness of the figures."""

    seed: int = 0
    """Random seed of bootstrap, subsampling and --steps' videos."""


@settings
class ProtocolSettings(StatisticsSettings):
    """How the fidelity of a set is measured."""

    protocol: str = "echosyn-v3"
    """Protocol of the fidelity metrics: name or YAML file."""
    metrics: str | None = None
    """Of the fidelity figures only these, such as FID,IS.

    StyleGAN-V's names are known too: ``fid50k_full,is50k``. Networks that none of them needs are not loaded.
    """


@settings
class FidelitySettings:
    """Whether to measure nothing but fidelity, and with which weights."""

    only: str | None = None
    """`fidelity`: those metrics alone; nothing is trained."""
    weights: Path | None = None
    """Folder that `weights fetch` filled, for Inception and I3D."""


@settings
class GridSettings:
    """Trainings on more sets than the two."""

    grid: bool = False
    """Train on reconstructed (--vae) and on mixed sets, too."""
    seeds: int | None = None
    """With --grid: trainings of each set; default 3."""
    relabel: bool = False
    """With --grid: also train on labels by the real regressor.

    That is the regressor trained on real videos.
    """
    also: tuple[str, ...] = ()
    """With --grid: NAME=FOLDER of a further set, repeatable."""


@settings
class DecoderSettings:
    """The VAE of an evaluation."""

    vae: Path | None = None
    """VAE to report reconstruction of, or to decode --steps with."""


@settings
class EvaluateSettings(ProtocolSettings, DecoderSettings):
    """How a synthetic dataset is compared with a real one."""

    made_by: tuple[Path, ...] = ()
    """Model that made SYNTHETIC; repeatable.

    Refused if it was trained on REAL's VAL or TEST.

    A test on videos that they, or the VAE, were trained on is refused; those that do not say are listed in the report as
    ``training_unknown``.
    """
    track: int = 16
    """Videos of each set in which the ventricle is tracked.

    They are spread over the set.

    0.3 s a video.
    """
    public: bool = False
    """Leave real videos out of the page."""
    utility: str = "echosyn-v1"
    """EF utility protocol: echosyn-v1 or echonet-synthetic-v1.

    The latter is the published evaluation: the preset ``dynamic`` unless another is named, weights chosen on real VAL videos, a
    test on all clips of real TEST videos, period 1 on synthetic and 2 on real videos.
    """


@settings
class RegressorSettings(PresetSettings):
    """How the EF regressors of an evaluation are trained."""

    overrides: Annotated[tuple[str, ...], Spelled("--set")] = ()
    """NAME=VALUE setting of the EF regressors."""


@settings
class StepsSettings(VideoSettings, SolverSettings, DecoderSettings, StatisticsSettings):
    """How numbers of sampling steps of one model are compared: the same hearts, noise and EFs at each."""

    steps: str | None = None
    """Numbers of sampling steps to compare, e.g. 1,2,4,8."""
    lvdm: Path | None = None
    """With --steps: the video model."""
    regressor: Path | None = None
    """With --steps: EF regressor, for its view and the FD.

    Without it there is no Fréchet distance.
    """
    num: int | None = None
    """With --steps: number of stills."""
    num_frames: Annotated[int, Spelled("--frames")] = 64


@settings
class PredictSettings(VariantSettings):
    """How the EF is read off videos."""

    model: Path | None = None
    """EF regressor, or a folder that has one; default built-in.

    What is built in was trained on the phantom.
    """
    clips: str = "4"
    """Clips to average over in each video, or all (slow).

    All is how EchoNet-Dynamic tests.
    """
    fps: float | None = None
    """Frame rate in Hz, in place of what the files say."""


@settings
class AuditSettings(RateSettings):
    """How hard an audit looks."""

    canaries: int = 73
    """Disguised training videos planted as positive controls.

    73 of 73 caught show that 95 % are; at least 36 are needed to show 90 %, which a pass requires.
    """
    shadow_models: int = 0
    """Shadow models to train for LiRA and RMIA; even, 0 for none.

    Each learns half of the patients. With 8, three further attacks on the image model cost minutes to an hour on a CPU.
    """
    seed: int = 0
    """Random seed of disguises, attacks and intervals."""
    false_rejection_rate: float = 0.05


@settings
class ModelsOfSet(VariantSettings):
    """The models that made a set."""

    models: Path | None = None
    """Folder with vae and reid; its lidm and lvdm are attacked."""


@settings
class AttackedSettings(ModelsOfSet):
    """What an audit may attack."""

    videos_only: bool = False
    """Skip attacks on LIDM and LVDM: weights are not released."""


@settings
class WithdrawSettings:
    """What is taken out of a set."""

    exclude: tuple[str, ...] = ()
    """Patient who withdrew; may be given again."""
    too_close: bool = False
    """Remove videos that an audit finds too close to a patient."""
    rate: float = 0.05
    """Accepted share of unrelated videos that go as well."""
    decoys: int = 0
    """Other patients per withdrawn one whose videos go as well.

    A published set and its successor show who withdrew; decoys hide who of them it was.
    """


@settings
class CompareSettings:
    """How two reports are compared."""

    anyway: bool = False
    """Warn where the protocols differ, instead of refusing."""
