"""The videos of a synthetic set as the privacy screen sees them: read back from their files, frame by frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from echosyn import device as devices
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import digest_of, digests_of
from echosyn.pipeline.workers.compute import Compute
from echosyn.privacy.fingerprints import thumbnails
from echosyn.privacy.video_digests import VideoDigest

COLOUR = 8.0
"""Grey levels by which the channels of a thumbnail's pixel may differ: the loss of encoders stays below."""


def files_of(synthetic: Path) -> list[Path]:
    """Every video file of a dataset folder.

    Raises:
        DataError: there is none.
    """
    files: list[Path] = filelist.VideoIndex(synthetic).files
    if not files:
        raise DataError(f"{synthetic}: no video to audit; expected at least one in {filelist.VIDEOS}/, generate some")
    return files


def refuse_other_size(files: Sequence[Path], real: Path) -> None:
    """Copies are looked for at the size of the recordings, and would not be seen at another one.

    Raises:
        DataError: a video is not as high and wide as the first recording.
    """
    like = video.size(filelist.video_path(real, filelist.read(real)[0]))
    others = {path.name: found for path in files if (found := video.size(path)) != like}
    if others:
        name, (height, width) = next(iter(others.items()))
        raise DataError(
            f"{files[0].parents[1]}: {len(others)} video(s) are not {like[1]}x{like[0]} as those of {real}, first {name} "
            f"({width}x{height}); resize them"
        )


def labels_of(synthetic: Path, files: Sequence[Path]) -> list[Record | None]:
    """What the file list says of each video; None of one that it does not list."""
    entries = filelist.parse(synthetic) if (synthetic / filelist.FILE_LIST).is_file() else []
    said = {entry.record.name: entry.record for entry in entries if entry.record}
    return [said.get(path.stem) for path in files]


def read_digests(files: Sequence[Path], vae: Path, folder: Path, compute: Compute) -> Sequence[VideoDigest]:
    """Digests of the videos, in a file of a private folder.

    Raises:
        DataError: workers died at one, its time stamps hide frames, or its channels differ.
    """
    tell = partial(compute.progress, "read synthetic videos")
    return digests_of(DigestVideos(vae, compute.device), files, compute.workers(), folder / "finished digests", tell)


@dataclass(frozen=True)
class DigestVideos:
    """Work: reads a finished video, given as ``(position, file)``."""

    vae: Path
    device: str = "auto"

    def start(self) -> Callable[[tuple[int, Path]], VideoDigest]:
        """Load the VAE."""
        encoder = codec(self.vae, devices.resolve(self.device))
        return lambda item: _digest(item[1], encoder)

    def name(self, path: Path) -> str:
        """Of a video, in messages."""
        return str(path)


def _digest(path: Path, encoder: LatentCodec) -> VideoDigest:
    """Of every frame that the file has."""
    recording = video.read(path)
    assert recording.origin is not None
    hidden = (recording.origin.times.repeats or ()).count(0)
    if hidden:
        raise DataError(
            f"{path}: {hidden} frame(s) are shown for no time, so that nobody would look at them; expected a constant frame "
            "rate: convert it"
        )
    _refuse_colour(path)
    return digest_of(torch.from_numpy(recording.grey()), encoder, recording.fps)


def _refuse_colour(path: Path) -> None:
    """Frames are compared in grey; what is hidden in the difference of their channels would not be seen."""
    channels = torch.from_numpy(video.read(path, grey=False).frames).movedim(-1, 0).float()
    apart = max(float(thumbnails(channels[c] - channels[1]).abs().max()) for c in (0, 2))
    if apart > COLOUR:
        raise DataError(
            f"{path}: its colour channels differ by up to {apart:.0f} grey levels, which nobody would look at; expected a grey "
            "video: convert it"
        )
