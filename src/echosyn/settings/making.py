"""What may be asked of the verbs from videos to latents, stills and a synthetic dataset."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from echosyn.settings import Spelled, settings

Variant = Literal["dynamic", "ped_a4c", "ped_psax", "a4c", "psax"]
"""The datasets that EchoNet-Synthetic publishes models for, and the views of the models that ship."""
Rule = Literal["calibrated", "published"]
"""How `filter` decides."""


@settings
class SeedSettings:
    """Randomness."""

    seed: int = 0
    """Item i depends on (seed, i) alone."""


@settings
class GreySettings:
    """How the grey of a video is read."""

    grey: Literal["luma", "rgb"] = "luma"
    """rgb: mean of R, G and B in every video, as OpenCV reads.

    Grey Motion-JPEGs of OpenCV's writer, such as EchoNet-Dynamic's, have chroma one level off neutral: they are then 0.8 levels
    darker than their luma, on average.
    """


@settings
class EncodeSettings(SeedSettings, GreySettings):
    """How videos become latents."""

    mean: bool = False
    """Posterior means instead of samples."""
    every: Annotated[int, Spelled()] = 1
    """Encode every n-th frame only, for a folder that stills are compared with."""
    any_scale: bool = False
    """Accept latents far from unit variance."""
    courses: bool = False
    """Also track when the ventricle contracts in each video.

    Models that learn from it (`echosyn.nn.mode_unet.ModeUNet`) need it; the view is that of column ``View``, A4C without one.
    """


@settings
class SolverSettings:
    """Which solver a diffusion model is sampled with."""

    scheduler: str | None = None
    """ddpm, ddim, dpm++, unipc, heun, euler; default the model's."""


@settings
class SamplerSettings(SolverSettings):
    """How a diffusion model is sampled."""

    steps: int | None = None
    """Sampling steps; default the model's."""


@settings
class SchedulerFileSettings:
    """Where the noise schedule is read from."""

    config: Path | None = None
    """Settings file whose noise schedule wins over the model's.

    EchoNet-Synthetic's ``config.yaml``; a folder ``unet_ema`` of a running training has none of its own. A numeric
    ``globals.target_fps`` is the frame rate of the videos.
    """


@settings
class BatchSettings:
    """How many at a time."""

    batch_size: int = 8
    """Items per batch; does not affect the result.

    On a GPU it moves single pixels by a grey level, or the last digits of a latent; fewer are taken where its memory is too
    small. A CPU makes one video after the other, and stills in blocks of its own.
    """


@settings
class SampleSettings(SeedSettings, SamplerSettings, SchedulerFileSettings, BatchSettings):
    """How the LIDM samples stills."""

    num: int = 16
    """Stills to sample."""
    batch_size: int = 32
    save_as: str | None = None
    """Also images or latents of the stills: png,jpg,pt.

    ``OUT/images/NAME.png`` (needs ``vae``), ``OUT/latents/NAME.pt``.
    """
    vae: Path | None = None
    """Model folder of the VAE, for images."""


@settings
class WindowSettings:
    """How a long video is made of windows."""

    hop: int | None = None
    """Frames between windows; default half a window."""
    blend: str = "cut"
    """How windows are joined: cut, linear, cosine, alternate."""


@settings
class VideoSettings(WindowSettings):
    """Which videos are made of stills."""

    num_frames: Annotated[int, Spelled("--frames")] = 192
    """Frames of a video."""
    ef: str | None = None
    """Requested EFs, in percent: 10..90 or 55.

    Drawn uniformly; default 10..90. Item i's depends on (seed, i) alone.
    """


@settings
class GuidanceSettings:
    """How far a video model exaggerates."""

    guidance_scale: Annotated[float | None, Spelled("--guidance")] = None
    """Guidance scale; default the model's."""


@settings
class TextureSettings:
    """Whether decoded videos get the grain of recordings."""

    no_texture: bool = False
    """Videos as decoded, without speckle.

    Without it, videos of a VAE that `echosyn texture` has fitted are laid with the texture of (seed, i).
    """


@settings
class AnimationSettings(VideoSettings, SamplerSettings, BatchSettings, GuidanceSettings, TextureSettings):
    """How the LVDM animates stills."""

    ef_from: Path | None = None
    """Draw EFs like a dataset's TRAIN labels.

    Of the labels only the counts of patients in ten bins are used.
    """
    ef_epsilon: float | None = None
    """Privacy budget (epsilon) of the counts of --ef-from."""
    conditions: Annotated[tuple[str, ...], Spelled("--condition")] = ()
    """NAME=VALUE of a further condition, e.g. heart_rate=70."""


@settings
class AnimateSettings(SeedSettings, AnimationSettings, SchedulerFileSettings):
    """How a folder of stills is animated."""

    num: int | None = None
    """Number of videos; stills repeat if there are fewer.

    A repeated still gets another EF and other noise, as published; default one video per still.
    """
    save_as: str | None = None
    """Also in these formats beside AVI: mp4,gif,jpg,png,pt."""


@settings
class DecodeSettings(BatchSettings):
    """How stills become images."""

    image_format: Annotated[Literal["png", "jpg"], Spelled("--format")] = "png"
    """png is lossless, jpg of quality 100."""
    batch_size: int = 32


@settings
class ReproduceSettings(
    SeedSettings, WindowSettings, SamplerSettings, GuidanceSettings, SchedulerFileSettings, TextureSettings
):
    """How real videos are reproduced from one frame and their EF."""

    num: int = 4
    """Videos, spread by EF."""
    split: Literal["TRAIN", "VAL", "TEST"] = "TEST"
    """Split that they are of."""
    frame: int = 0
    """Number of the frame that the reproduction begins with."""
    num_frames: Annotated[int, Spelled("--frames")] = 64
    """Frames of a reproduction."""


@settings
class ReferenceSettings:
    """Whom stills are compared with."""

    reference: Path | None = None
    """Latents of the real videos, for the filter."""


@settings
class RateSettings:
    """How strict a privacy screen is."""

    false_rejection_rate: float | None = None
    """False rejection rate of the filter; default 0.05."""


@settings
class ScreenSettings(ReferenceSettings, RateSettings):
    """The privacy screen of stills: calibrated now, or earlier."""

    calibrated: Path | None = None
    """Folder of `echosyn calibrate`, in place of --reference.

    It also knows ``real`` and ``false_rejection_rate``. The videos are those that a run with these makes, byte by byte.
    """


@settings
class FilterSettings(ScreenSettings):
    """How stills are filtered."""

    rule: Rule = "calibrated"
    """`published`: EchoNet-Synthetic's, with its measured rate."""
    percentile: float | None = None
    """Of --rule published: percentile; default 95."""


@settings
class RealSettings:
    """Whom finished videos are compared with."""

    real: Path | None = None
    """Real videos, to check the finished videos against.

    The dataset folder that ``reference`` was made from; without it videos are compared with the decoded reference.
    """


@settings
class GenerateSettings(SeedSettings, ScreenSettings, RealSettings, AnimationSettings):
    """What `generate` makes: how many videos, compared with whom, how animated and how checked.

    Without ``reference`` and ``calibrated`` nothing is filtered, and the provenance says so.
    """

    num: int = 16
    """Videos."""
    require: tuple[str, ...] = ()
    """Required: contrast, motion, cavity, smooth, rhythm, ef, all.

    Repeatable. Videos that fail a check are replaced; measured labels are added.

    See `echosyn.pipeline.tracking.measure.CHECKS`; 0.6 s a video.
    """
    complete_with_rejected: Annotated[bool, Spelled()] = False
    """If too few hearts pass, take the least similar rejected ones.

    The provenance then says that the set must not be shared. Only `run` asks for it.
    """


@settings
class CalibrateSettings(ReferenceSettings, RealSettings, RateSettings):
    """What both privacy screens are calibrated on."""

    reference: Path = field()
    false_rejection_rate: float = 0.05


@settings
class VariantSettings:
    """Which of several models of a stage."""

    dataset: Variant | None = None
    """Dataset or view of the models, if a stage has several."""


@settings
class ModelsSettings(VariantSettings):
    """Where the models are."""

    models: Path | None = None
    """Folder with the models; default built-in (for the phantom).

    That is vae, lidm, lvdm and reid, or their published names.
    """
