"""Whole video files -> arrays of pixels, as a player shows them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from echosyn.data import timing
from echosyn.data.frames import Frames
from echosyn.data.timing import StampsError, Times
from echosyn.data.video import pixels
from echosyn.data.video.containers import BadVideoError, Fault, dropped_chunks, is_cut, machine_is_full, opened
from echosyn.data.video.view import View, ViewError, view


@dataclass(frozen=True)
class Origin:
    """What was in a file, before it was read as a player shows it."""

    decoded: int
    """Frames that were decoded."""
    height: int
    """Of the stored picture, turned upright."""
    width: int
    view: View
    times: Times

    @property
    def num_frames(self) -> int:
        """Frames at the constant rate."""
        return self.decoded if self.times.num_frames is None else self.times.num_frames

    @property
    def shown(self) -> tuple[int, int]:
        """``(height, width)`` of the upright picture with square pixels."""
        return replace(self.view, swapped=False).shown_size(self.height, self.width)


@dataclass(frozen=True, eq=False)
class Video:
    """A recording in memory."""

    frames: Frames
    fps: float
    origin: Origin | None = None
    """Of what was read from a file."""

    def grey(self) -> Frames:
        """Frames as ``(T, H, W)``: the mean over the channels, rounded to the nearest level."""
        return self.frames if self.frames.ndim == 3 else pixels.mean(self.frames)


def read(path: Path, *, grey: bool = True, fps: float | None = None) -> Video:
    """Decode a whole video file: upright, with square pixels, at one constant rate that keeps its time.

    Grey means the average of R, G and B, as in the published code. Where a frame carries no colour (no chroma sample
    further than 2 levels from neutral) that average is the luma plane, which is taken directly: faster, and up to
    1.7 dB nearer to what was written. Limited-range video is stretched to 0..255.

    Frames are shown when their time stamps say. Dropped or merged frames are repeated; a variable rate becomes the
    highest one that it sustains, see `echosyn.data.timing`.

    Args:
        path: A file in one of the containers that `EXTENSIONS` stand for.
        grey: Return ``(T, H, W)``; otherwise ``(T, H, W, 3)`` RGB.
        fps: Frame rate to use instead of the container's; frames that it repeats are repeated still.

    Raises:
        BadVideoError: The file is missing, no video, truncated or damaged, has no frames, or has no frame rate.
    """
    convert = pixels.grey if grey else pixels.rgb
    with opened(path) as (container, stream):
        decoding = _Decoding(path, container, stream)
        stored = np.stack([decoding.view.turned(convert(frame)) for frame in decoding])
        origin = decoding.origin(fps)
        frames = origin.times.hold(origin.view.squared(stored))
        return Video(frames, origin.times.fps, origin)


def survey(path: Path, *, fps: float | None = None, see: Callable[[Frames], None] | None = None) -> Origin:
    """What `read` finds in a video, by decoding it without keeping the frames; ``see`` is shown each, as for `probe`.

    Raises:
        BadVideoError: As `read`.
    """
    with opened(path) as (container, stream):
        decoding = _Decoding(path, container, stream)
        for frame in decoding:
            if see:
                see(pixels.grey(frame))
        return decoding.origin(fps)


def probe(path: Path, see: Callable[[Frames], None] | None = None) -> tuple[int, int, int, float]:
    """``(num_frames, height, width, fps)`` of what `read` returns, by decoding without keeping the frames.

    Args:
        path: As `read`.
        see: Shown each frame as it is stored, grey ``(H, W)``.

    Raises:
        BadVideoError: As `read`.
    """
    found = survey(path, see=see)
    return found.num_frames, *found.shown, found.times.fps


def size(path: Path) -> tuple[int, int]:
    """``(height, width)`` of what `read` returns, by decoding the first frame only.

    Raises:
        BadVideoError: The file is missing, no video, or its first frame cannot be decoded.
    """
    with opened(path) as (container, stream):
        decoding = _Decoding(path, container, stream)
        first = next(iter(decoding))
        return decoding.view.shown_size(first.height, first.width)


@dataclass
class _Decoding:
    """The decoded frames of a stream, and what is known once they have gone by."""

    path: Path
    container: Any
    stream: Any
    view: View = field(default_factory=View)
    size: tuple[int, int] | None = None
    count: int = 0
    hidden: int = 0
    stamps: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    """When packets are to be decoded, in ticks."""
    last: int = 0

    def __iter__(self) -> Iterator[Any]:
        try:
            for packet in self.container.demux(self.stream):
                if packet.is_corrupt:
                    raise self._truncated()
                self.hidden += packet.is_discard
                if packet.size and packet.dts is not None:
                    self.sent.append(packet.dts)
                for frame in packet.decode():
                    self._note(frame)
                    yield frame
                    self.count += 1
        except av.error.FFmpegError as error:
            if machine_is_full(error):
                raise
            raise self._truncated() from error
        self._require_whole()

    def origin(self, fps: float | None) -> Origin:
        """Once all frames have gone by."""
        assert self.size is not None
        return Origin(self.count, *self.view.upright_size(*self.size), self.view, self._times(fps))

    def _note(self, frame: Any) -> None:
        if self.size is None:
            self.size = (frame.height, frame.width)
            try:
                self.view = view(frame, self.stream)
            except ViewError as error:
                raise BadVideoError(self.path, "unreadable", f"{error}; convert it") from error
        if (frame.height, frame.width) != self.size:
            raise BadVideoError(self.path, "unreadable", f"the picture size changes at frame {self.count}; convert it")
        if frame.is_corrupt:
            raise self._truncated()
        if frame.pts is not None:
            self.stamps.append(frame.pts)
            self.last = frame.duration or 0

    def _require_whole(self) -> None:
        said = self.stream.frames
        if self.count == 0:
            detail = f"header says {said}" if said else "it holds none"
            raise BadVideoError(self.path, "zero frames", f"{detail}, nothing could be decoded; leave it out")
        missing = said - self.count - self.hidden if said else 0
        if missing > 0:
            missing -= dropped_chunks(self.path, self.container, self.stream)
        if missing or is_cut(self.path, self.container):
            raise self._truncated()

    def _truncated(self) -> BadVideoError:
        said = self.stream.frames
        fault: Fault = "wrong header" if 0 < said < self.count else "truncated"
        detail = f"header says {said} frames, {self.count} decoded" if said else f"damaged after {self.count} frames"
        return BadVideoError(self.path, fault, f"{detail}; copy it again from its source or leave it out")

    def _times(self, fps: float | None) -> Times:
        # What one frame's base rate says is a guess.
        rates = (self.stream.average_rate, self.stream.base_rate if self.count > 1 else None)
        said = [rate for rate in rates if rate]
        tick = self.stream.time_base or Fraction(0)
        stamps = self._stamps() if tick else []
        try:
            found = timing.steady(stamps, self._last(stamps), tick, said)
        except StampsError as error:
            detail = f"its time stamps are wrong: {error}; convert it to a constant frame rate"
            raise BadVideoError(self.path, "unreadable", detail) from error
        if found is not None and self.container.format.name == "gif":
            found = replace(found, coarse=_between(found.fps, tick))
        if fps is not None:
            return replace(found or Times(fps), fps=fps)
        if found is None:
            raise BadVideoError(self.path, "no frame rate", "the container has none; give it: --fps NUMBER")
        return found

    def _stamps(self) -> list[int]:
        """When the frames are shown, in ticks; none if the file does not say.

        An AVI numbers its chunks, whatever order a codec needs them in: decoders guess, the numbers are right.
        """
        if self.container.format.name == "avi" and len(self.sent) == self.count:
            return sorted(self.sent)
        return sorted(self.stamps) if len(self.stamps) == self.count else []

    def _last(self, stamps: list[int]) -> int:
        """How long the last frame is shown: chunks that were dropped after it count."""
        if stamps and self.container.format.name == "avi" and self.stream.frames > self.count:
            return int(self.stream.frames - stamps[-1])
        return self.last


def _between(fps: float, tick: Fraction) -> tuple[float, float]:
    """Between which rates the true one lies, if intervals were rounded to ticks."""
    interval, step = 1 / fps, float(tick)
    return 1 / (interval + step), (1 / (interval - step) if interval > step else float("inf"))
