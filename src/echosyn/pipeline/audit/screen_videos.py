"""Comparing the synthetic videos with every real patient, by workers: a block of videos after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.torch import save_file

from echosyn.errors import StoppedError
from echosyn.pipeline.workers.executors import Executor, Lost
from echosyn.privacy import stored
from echosyn.privacy.fingerprints import VECTORS, Vectors, Views
from echosyn.privacy.patient_matches import Exposure, Sides
from echosyn.privacy.screen import Screen, ScreeningResult
from echosyn.privacy.video_digests import VideoDigest
from echosyn.progress import Progress, silent
from echosyn.tensors import read_tensors

BLOCK = 64
"""Videos of a block; memory is bounded by a block times the patients."""

Found = tuple[ScreeningResult, Exposure]


def compared(
    screen: Screen[Sequence[VideoDigest]],
    digests: Sequence[VideoDigest],
    sides: Sides,
    executor: Executor,
    folder: Path,
    progress: Progress = silent,
) -> Found:
    """The verdict on videos, and what they say of each patient; equal in whatever blocks and by whatever workers.

    Args:
        screen: The calibrated check.
        digests: The videos, at least one; taken as they are needed.
        sides: Whom a video may single out.
        executor: Who compares, if there is more than one block.
        folder: That all workers see, for the vectors; they are private and are removed afterwards.
        progress: Told how many videos are done.

    Raises:
        StoppedError: Workers died at a block.
    """
    if len(digests) <= BLOCK:
        return found(screen.through(VECTORS), list(screen.prints.of_queries(digests)), sides)
    verdicts = _Verdicts(len(digests))
    exposure: Exposure | None = None
    with TemporaryDirectory(dir=folder) as name:
        references = Path(name) / "screen"
        stored.write(references, screen)
        for (first, path), result in executor.map([Compare(references, sides)], _blocks(screen, digests, Path(name))):
            if isinstance(result, Lost):
                raise StoppedError(
                    f"workers died on the videos from {first} on, perhaps out of memory; reduce "
                    "--workers and run the same command again"
                )
            judged, part = result
            verdicts.put(first, judged)
            exposure = part if exposure is None else exposure.joined(part)
            path.unlink()
            progress("compare with patients", exposure.num_videos, len(digests))
    assert exposure is not None
    return verdicts.joined(), exposure


def found(screen: Screen[Sequence[Views]], items: Sequence[Views], sides: Sides, first: int = 0) -> Found:
    """Of videos that lie side by side in the set from position ``first`` on, here and now."""
    _, scores, judged = screen.by_patient(items)
    return judged, Exposure.of(scores.numpy(), sides, screen.threshold.value, first=first)


@dataclass(frozen=True)
class Compare:
    """Work: compares a block of videos, ``(position of the first, file)``, with all patients."""

    screen: Path
    sides: Sides
    device: str = "cpu"

    def start(self) -> Callable[[tuple[int, Path]], Found]:
        """Map the real patients' vectors into memory."""
        screen = stored.read(self.screen, Vectors)
        return lambda block: found(screen, read(block[1]), self.sides, block[0])


class _Verdicts:
    """Room for the verdicts on all videos: parts that are kept would pin the memory of workers in between."""

    def __init__(self, num: int) -> None:
        self._kept, self._score = np.zeros(num, bool), np.zeros(num)
        self._space = [""] * num
        self._nearest: list[str | None] = [None] * num

    def put(self, first: int, part: ScreeningResult) -> None:
        some = slice(first, first + len(part.score))
        self._kept[some], self._score[some] = part.kept, part.score
        self._space[some], self._nearest[some] = part.space, part.nearest

    def joined(self) -> ScreeningResult:
        return ScreeningResult(torch.from_numpy(self._kept), torch.from_numpy(self._score), self._space, self._nearest)


def _blocks(
    screen: Screen[Sequence[VideoDigest]], digests: Sequence[VideoDigest], folder: Path
) -> Iterator[tuple[int, Path]]:
    for first in range(0, len(digests), BLOCK):
        path = folder / f"block-{first}.safetensors"
        write(path, list(screen.prints.of_queries(digests[first : first + BLOCK])))
        yield first, path


def write(path: Path, items: Sequence[Views]) -> None:
    """Write the views of at least one video, for their owner alone."""
    tensors = {space: torch.cat([item[space] for item in items]).contiguous() for space in items[0]}
    counts = {f"{space} of each": torch.tensor([len(item[space]) for item in items]) for space in items[0]}
    save_file(tensors | counts, path)


def read(path: Path) -> list[Views]:
    """What `write` wrote."""
    stored_views = read_tensors(path)
    spaces = [name for name in stored_views if f"{name} of each" in stored_views]
    parts = {space: stored_views[space].split(stored_views[f"{space} of each"].tolist()) for space in spaces}
    return [dict(zip(spaces, views, strict=True)) for views in zip(*parts.values(), strict=True)]
