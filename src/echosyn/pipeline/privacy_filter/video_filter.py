"""The check of finished videos: read back from their files and compared with every real patient; what fails is replaced."""

from dataclasses import dataclass
from pathlib import Path

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist
from echosyn.diffusion.codec import LatentCodec
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.privacy_filter.real_videos import Reading, VideoScreen, frames_of, gathered, look_at, video_screen
from echosyn.pipeline.privacy_filter.still_filter import embed, load_reid
from echosyn.pipeline.workers.executors import Executor, InProcess
from echosyn.privacy import stored
from echosyn.privacy.fingerprints import VideoPrints
from echosyn.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class FinalCheck:
    """A calibrated check of videos on disk."""

    screen: VideoScreen
    codec: LatentCodec

    def keeps(self, videos: list[Path]) -> list[bool]:
        """Whether each video may stay."""
        judged = self.screen.judge([look_at(frames_of(path), self.codec) for path in videos])
        kept: list[bool] = judged.kept.tolist()
        return kept

    def write(self, path: Path) -> None:
        """For workers, see `read`."""
        stored.write(path, self.screen.screen, self.screen.prints.centre)


def read(path: Path, vae: Path, reid: Path, device: str = "auto") -> FinalCheck:
    """The check that `FinalCheck.write` wrote."""
    found, centre = stored.read(path)
    where = devices.resolve(device)
    encoder, model = codec(vae, where), weights.load(reid, "reid").to(where)
    return FinalCheck(VideoScreen(found, VideoPrints(lambda x: embed(model, x), centre)), encoder)


def calibrated(
    vae: Path,
    reid: Path,
    reference: Path,
    real: Path | None,
    false_rejection_rate: float,
    device: str = "auto",
    executor: Executor | None = None,
    progress: Progress = silent,
    *,
    folder: Path,
) -> FinalCheck:
    """Build the check.

    Args:
        vae: model folder.
        reid: model folder.
        reference: latents folder of the real videos.
        real: their dataset folder; without it the latents are decoded.
        false_rejection_rate: of innocent videos.
        device: where to compute.
        executor: who reads the videos and compares them; default this process.
        progress: told what is done.
        folder: private, for what is kept of the videos, as long as the check is used.
    """
    encoder, model = codec(vae, devices.resolve(device)), load_reid(reid, reference, device)
    executor = executor or InProcess.of(device)
    reading = Reading(vae, real, None if real else reference, device)
    archive = gathered(filelist.read(real or reference), reading, executor, folder, progress)
    screen = video_screen(
        archive,
        lambda x: embed(model, x),
        folder,
        false_rejection_rate=false_rejection_rate,
        match=Matcher(executor, folder, progress),
        progress=progress,
    )
    return FinalCheck(screen, encoder)
