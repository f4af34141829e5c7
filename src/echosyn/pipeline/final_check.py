"""The check of finished videos: read back from their files and compared with every real patient; what fails is replaced."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from echosyn import device as devices
from echosyn.data import filelist, stills
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError
from echosyn.pipeline.archive import VideoScreen, frames_of, from_latents, from_videos, load, look_at, video_screen
from echosyn.pipeline.filtering import embed, load_reid
from echosyn.pipeline.models import codec
from echosyn.pipeline.progress import Progress, silent

MAX_REJECTED_PER_VIDEO = 1
"""Give up when that many finished videos for each wanted one were too close."""


@dataclass(frozen=True, eq=False)
class FinalCheck:
    """A calibrated check of videos on disk."""

    screen: VideoScreen
    codec: LatentCodec
    compared_with: str

    def keeps(self, videos: list[Path]) -> list[bool]:
        """Whether each video may stay."""
        judged = self.screen.judge([look_at(frames_of(path), self.codec) for path in videos])
        kept: list[bool] = judged.kept.tolist()
        return kept


def calibrated(
    vae: Path,
    reid: Path,
    reference: Path,
    real: Path | None,
    false_rejection_rate: float,
    device: str = "auto",
    progress: Progress = silent,
) -> FinalCheck:
    """Build the check.

    Args:
        vae: model folder.
        reid: model folder.
        reference: latents folder of the real videos.
        real: their dataset folder; without it the latents are decoded.
        false_rejection_rate: of innocent videos.
        device: where to compute.
        progress: told what is done.
    """
    encoder, model = codec(vae, devices.resolve(device)), load_reid(reid, reference, device)
    read = from_videos(real, encoder) if real else from_latents(reference, encoder)
    archive = load(filelist.read(real or reference), read, progress)
    screen = video_screen(
        archive, lambda x: embed(model, x), false_rejection_rate=false_rejection_rate, progress=progress
    )
    return FinalCheck(screen, encoder, "videos" if real else "decoded latents")


def replaced(
    folder: Path,
    hearts: Any,
    num: int,
    check: FinalCheck | None,
    find: Callable[..., Any],
    write: Callable[[Any], None],
    *,
    complete: bool = False,
    fits: Callable[[list[Path]], list[bool]] | None = None,
) -> dict[str, Any]:
    """Write videos, throw away those that are too close to a patient or do not fit, and write others until ``num`` stay.

    Args:
        folder: Of the dataset.
        hearts: The first ``num`` hearts.
        num: How many videos are wanted.
        check: Tells who is too close; without it nobody is.
        find: ``(num=, known=)`` -> that many hearts, the same ones first.
        write: Writes the videos of some hearts and their file list.
        complete: Let rejected ones stay where there are no others; the set is then not releasable.
        fits: Whether the videos of some files are what was asked for; see `echosyn.pipeline.requirement`.

    Returns:
        What the provenance says about privacy.
    """
    kept: dict[int, bool] = {}
    distant: dict[int, bool] = {}
    most = MAX_REJECTED_PER_VIDEO * num + 2
    while True:
        new = _part(hearts, [i for i in hearts.indices if i not in kept])
        write(new)
        paths = [folder / filelist.VIDEOS / f"{stills.name(i)}.avi" for i in new.indices]
        apart = check.keeps(paths) if check else [True] * len(paths)
        fitting = fits(paths) if fits else [True] * len(paths)
        distant |= dict(zip(new.indices, apart, strict=True))
        kept |= {i: a and f for i, a, f in zip(new.indices, apart, fitting, strict=True)}
        good = [i for i in hearts.indices if kept[i]]
        failed = len(kept) - len(good)
        if len(good) >= num or (complete and ("completed_with_rejected" in hearts.facts or failed >= most)):
            break
        if failed >= most:
            near = len(distant) - sum(distant.values())
            raise DataError(
                f"{near} of {len(kept)} finished videos are too close to real patients, {num} are needed; train the models "
                "on more patients or for fewer steps, or ask for fewer videos"
                if near >= failed - near
                else f"{failed} of {len(kept)} finished videos do not pass what --require asks, {num} are needed; require less, "
                "ask for EFs within the range of the training videos, or train the video model longer"
            )
        hearts = find(num=num + failed, known=hearts.candidates)
    stay = (good + [i for i in hearts.indices if not kept[i]])[:num]
    for i in set(kept) - set(stay):
        (folder / filelist.VIDEOS / f"{stills.name(i)}.avi").unlink()
    write(_part(hearts, sorted(stay)))
    if check is None:
        return dict(hearts.facts)
    too_close = sum(not distant[i] for i in stay)
    facts = {
        "videos_checked": len(kept),
        "videos_rejected": len(distant) - sum(distant.values()),
        "videos_too_close": too_close,
        "compared_with": check.compared_with,
        "threshold": check.screen.screen.threshold.to_json(),
    }
    vouched = bool(hearts.facts["releasable"]) and too_close == 0 and check.screen.screen.threshold.enough
    return {**hearts.facts, "final_check": facts, "releasable": vouched, "audit": "none; publishing asks for one"}


def _part(hearts: Any, indices: list[int]) -> Any:
    """The hearts of some indices."""
    rows = [hearts.indices.index(i) for i in indices]
    return replace(hearts, indices=indices, latents=hearts.latents[rows])
