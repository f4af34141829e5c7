"""Both privacy screens of some real recordings: made through two models, stored in a folder, and loaded from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from echosyn import __version__, weights
from echosyn import device as devices
from echosyn.data import filelist, groups, latents
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.hashing import content_hash
from echosyn.pipeline.folder import PARTIAL, read_provenance
from echosyn.pipeline.models import check_same_vae, embed
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.privacy_filter.real_videos import Reading, RealVideos, gathered
from echosyn.pipeline.workers.compute import Compute
from echosyn.privacy import parts, rejections, stored
from echosyn.privacy.fingerprints import Embed, StillPrints, VideoPrints
from echosyn.privacy.matching import nearest
from echosyn.privacy.rejections import GroupRate
from echosyn.privacy.screen import Calibration, References, Screen, scale_videos, still_screen, video_screen
from echosyn.privacy.video_digests import VideoDigest

COMMAND = "calibrate"
PRIVATE = "private"
"""Folder of the screens: they hold vectors and names of real patients."""
GROUPS = "groups.csv"
STILLS, VIDEOS, RULES = "stills.screen", "videos.screen", "rules.json"
RATE = 0.05
"""False rejection rate, unless another one is asked for."""


@dataclass(frozen=True)
class Screens:
    """Makes, stores and loads the screens of stills and of finished videos; cheap to hand to workers."""

    reid: Path
    vae: Path | None = None
    """None where only stills are compared."""
    rate: float = RATE
    """False rejection rate."""
    folder: Path | None = None
    """Private, with `STILLS`, `VIDEOS` and, written last, `RULES`; None if nothing is stored."""
    hashes: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Of recordings (``reference``, ``real``) and screens (``calibrated``), if `echosyn calibrate` made them."""

    @classmethod
    def of(cls, models: Mapping[str, Path], reference: Path | None = None, rate: float | None = None) -> "Screens":
        """Screens to be made.

        Args:
            models: model folders: ``reid`` and, for videos, ``vae``.
            reference: latents folder of the real videos, if they are compared with.
            rate: false rejection rate; default `RATE`.

        Raises:
            ModelError: there is no such model, or the two do not belong together.
            DataError: the latents come from another VAE than those that ``reid`` was trained on.
        """
        reid, vae = weights.resolve(models["reid"]), weights.resolve(models["vae"]) if "vae" in models else None
        weights.load(reid, "reid")
        if reference is not None:
            check_latents(models["reid"], latents.info(reference, sparse=True).get("vae"), reference)
        if vae is not None:
            check_same_vae(reid, weights.load_facts(reid).vae, vae)
        return cls(reid, vae, RATE if rate is None else rate)

    @classmethod
    def opened(cls, out: Path, models: Mapping[str, Path]) -> "Screens":
        """The screens in a folder of ``echosyn calibrate``.

        Args:
            out: the folder.
            models: folders of those models that will use them: ``reid`` and, for videos, ``vae``.

        Raises:
            DataError: it is no such folder, is unfinished or damaged, or another version made it.
            ModelError: it was calibrated for other models.
        """
        said = read_provenance(out)
        call = said.get("call", {})
        if call.get("command") != COMMAND or "screens" not in said or out.name.endswith(PARTIAL):
            raise DataError(f"{out}: not a finished folder of `echosyn calibrate`; run that first, or give --reference")
        if (made := call["versions"]["echosyn"]) != __version__:
            raise DataError(f"{out}: was calibrated by echosyn {made}, this is {__version__}; calibrate again")
        folders = {stage: weights.resolve(folder) for stage, folder in models.items()}
        for stage, folder in folders.items():
            if content_hash(folder) != call["inputs"][stage]:
                raise ModelError(
                    f"{out}: was calibrated for another {stage} than {models[stage]}; give the models it was calibrated "
                    "for, or calibrate again"
                )
        found = content_hash(out / PRIVATE)
        if found != said["screens"]:
            raise DataError(f"{out}: its screens are not those that were calibrated; calibrate again")
        if parts.SPACE not in stored.spaces(out / PRIVATE / VIDEOS):
            raise DataError(
                f"{out}: was calibrated by an earlier echosyn, which did not compare parts of a picture; calibrate "
                "again"
            )
        hashes = {name: call["inputs"][name] for name in ("reference", "real") if name in call["inputs"]}
        rate = call["settings"]["rate"]
        return cls(folders["reid"], folders.get("vae"), rate, out / PRIVATE, hashes | {"calibrated": found})

    def embed(self, device: str = "auto") -> Embed:
        """The re-identification network, the one way in for real and synthetic frames."""
        return partial(embed, weights.load(self.reid, "reid").to(devices.resolve(device)))

    def stills(self, device: str = "auto") -> Screen[Tensor]:
        """The stored screen of stills."""
        return stored.read(self.path(STILLS), partial(StillPrints, self.embed(device)))

    def videos(self, device: str = "auto") -> Screen[Sequence[VideoDigest]]:
        """The stored screen of finished videos."""
        return stored.read(self.path(VIDEOS), partial(VideoPrints, self.embed(device)))

    def path(self, name: str) -> Path:
        """Where one of `STILLS`, `VIDEOS` and `RULES` is or will be."""
        assert self.folder is not None, "no folder was given to store screens in"
        return self.folder / name

    def of_stills(self, references: References, compute: Compute, files: Path | None = None) -> Screen[Tensor]:
        """Calibrate the screen of stills.

        Args:
            references: frames of the real videos.
            compute: where, and who compares.
            files: private folder for the vectors, as long as the screen is used; None keeps them in memory.
        """
        return still_screen(references, self.embed(compute.device), self._calibration(files, compute))

    def of_videos(
        self, real: Path | None, reference: Path | None, files: Path, compute: Compute
    ) -> tuple[RealVideos, Screen[Sequence[VideoDigest]]]:
        """Read the real videos and calibrate the screen of finished videos.

        Args:
            real: dataset folder; without it the latents are decoded.
            reference: latents folder.
            files: private folder, for what is kept of the videos, as long as the two are used.
            compute: where, and who reads and compares.
        """
        source = real or reference
        assert source is not None
        assert self.vae is not None
        records = filelist.read(source)
        owners, is_train = [r.patient for r in records], [r.split == "TRAIN" for r in records]
        every = frozenset(scale_videos(is_train))
        reading = Reading(self.vae, real, None if real else reference, compute.device, every)
        archive = gathered(records, reading, compute.workers(), files, compute.progress)
        how = self._calibration(files, compute)
        return archive, video_screen(archive.digests, owners, is_train, self.embed(compute.device), how)

    def _calibration(self, files: Path | None, compute: Compute) -> Calibration:
        match = Matcher(compute.workers(), files, compute.progress) if files else nearest
        return Calibration(self.rate, files, match, compute.progress)


def by_group(screen: Screen[Any], records: Sequence[Record]) -> list[GroupRate]:
    """False rejections of a screen by what the file list says of its held-out patients: site, scanner, sex, year and the like."""
    scores, limit = screen.held_out.numpy(), screen.threshold
    of = {kind: groups.of_patients(records, kind) for kind in groups.COLUMNS}
    return rejections.by_group(scores >= limit.value, scores, screen.held_out_patients, limit.requested_rate, of)


def check_latents(reid: Path, vae: object, whose: Path) -> None:
    """Refuse latents in ``whose``, which the VAE with this hash made, if the Re-ID model was trained on those of another.

    Raises:
        DataError: it was.
    """
    if weights.load_facts(weights.resolve(reid)).vae not in (None, vae):
        raise DataError(
            f"{whose}: its latents come from another VAE than those that {reid} was trained on; encode the dataset with "
            "the VAE of the same models"
        )


def refuse_both(calibrated: Path | None, **given: object) -> None:
    """Refuse options that a calibrated folder has decided already.

    Args:
        calibrated: the folder, if there is one.
        **given: values of options by name; None where they are left out.

    Raises:
        ConfigError: some are given besides.
    """
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if calibrated is not None and names:
        raise ConfigError(
            f"{', '.join(names)} and --calibrated {calibrated}: the folder already fixes the reference and the rejection "
            "rate; leave one of the two out"
        )
