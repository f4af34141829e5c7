"""The verb `import`: videos of another layout -> a dataset folder of square grey AVIs with their true frame rate."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from echosyn.data import filelist, layouts, table, twins, video
from echosyn.data.checking import FPS_TOLERANCE
from echosyn.data.layouts import Bad, Layout
from echosyn.data.open_data import camus, ev9v, nifti
from echosyn.data.records import Record
from echosyn.data.resizing import squared_size
from echosyn.data.surroundings import Verdict
from echosyn.data.video import Origin, Video
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.ingest.geometry import Box, Geometry, OutsideError, box_of
from echosyn.pipeline.ingest.mending import mended
from echosyn.pipeline.ingest.summary import Found, finish, listed
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import InProcess, Lost
from echosyn.pipeline.workers.shards import WHOLE
from echosyn.settings import given
from echosyn.settings.data import ImportSettings

Reader = Callable[..., Video]
"""``(path, fps=None) -> Video`` as `echosyn.data.video.read`, with an origin."""


@dataclass(frozen=True)
class _Done:
    """An imported video: its completed record, the part of the picture that was kept, what its source said wrong."""

    record: Record
    box: Box
    differs: tuple[str, ...]
    origin: Origin
    verdict: Verdict | None
    """What was done around the sector."""

    @property
    def stretched(self) -> bool:
        """Whether the kept part was not square, in square pixels."""
        if self.origin.view.pixel_aspect == 1:
            return self.box[2] != self.box[3]
        aspect = self.origin.view.pixel_aspect
        height, width = squared_size(self.box[3], self.box[2], aspect)
        return abs(width - height) > max(aspect, 1 / aspect)  # a stored pixel, which a square one is not longer than

    @property
    def mended(self) -> list[str]:
        """What was done to show the video as a player does."""
        return mended(self.origin, self.record.fps or 0, self.verdict)


def ingest(src: Path, out: Path, asked: ImportSettings, compute: Compute = HERE, *, size: int = 112) -> dict[str, Any]:
    """Read, crop, make grey and resize every video of ``src``; write the dataset folder ``out``. Resumable.

    Args:
        src: Folder in another layout; never changed.
        out: New dataset folder.
        asked: How ``src`` is laid out, and how it is read.
        compute: By whom, and which part of the videos.
        size: Height and width of the result in pixels.

    Returns:
        ``videos``, ``frames``, ``splits`` (counts), ``folds``, ``skipped`` (counts by reason), ``notes`` and ``left_out``
        (see `echosyn.data.leftovers`); they are also in the folder's provenance.

    Raises:
        ConfigError: A setting makes no sense.
        DataError: The source is not what was said, or videos are bad: all of them in one message, nothing written.
    """
    assert asked.source not in ("dicom", "dicomweb")
    if given(asked, "study", "query", "modality"):
        raise ConfigError("--study, --query and --modality have no effect without --from dicomweb: leave them out")
    if asked.private or asked.ocr:
        raise ConfigError(f"--private and --ocr have no effect with --from {asked.source}: leave them out")
    crop, fps, skip_bad, shard = box_of(asked.crop), asked.fps, asked.skip_bad, compute.shard
    _check_settings(src, out, asked, crop, size)
    layout = _layout(src, asked)
    rows = [entry for entry in layout.bad if entry.reason == "bad row"]
    _refuse(src, rows, none_left=not layout.items, skip_bad=skip_bad)  # before hours of decoding
    geometry = Geometry(crop, size, masked=asked.mask == "sector")
    settings: dict[str, Any] = {"source": asked.source, "crop": crop, "fps": fps, "size": size, "mask": asked.mask}
    settings |= {"seed": asked.seed, "skip_bad": skip_bad}
    if asked.view:
        settings["view"] = asked.view
    inputs = {"source": src} | ({"labels": asked.labels} if asked.labels else {})
    with new_folder(out, "import", settings, inputs, shard=shard) as folder:
        (folder / filelist.VIDEOS).mkdir(exist_ok=True)
        work = Ingest(folder, geometry, fps, nifti.read if asked.source == "camus" else video.read)
        items = [item for item in enumerate(layout.items) if shard.has(item[0])]
        done, bad = _all(items, work, compute)
        _refuse(src, [*layout.bad, *bad.values()], none_left=not done and shard == WHOLE, skip_bad=skip_bad)
        found = _found(layout, done, bad, geometry)
        summary = finish(folder, found, [folder] * len(found.records) if shard == WHOLE else None)
        if shard != WHOLE:
            found.write(folder)
    return summary


@dataclass(frozen=True)
class Ingest:
    """Work: imports a video, given as ``(position, (record, path))``."""

    folder: Path
    geometry: Geometry
    fps: float | None
    read: Reader
    device: str = "cpu"

    def start(self) -> Callable[[tuple[int, tuple[Record, Path]]], _Done | Bad]:
        """Nothing to load."""

        def run(item: tuple[int, tuple[Record, Path]]) -> _Done | Bad:
            record, path = item[1]
            try:
                return _one(self, record, path)
            except video.BadVideoError as error:
                return Bad(record.name, error.fault, str(error))
            except OutsideError as error:
                return Bad(record.name, "crop outside the picture", f"{path}: {error}")

        return run


def _all(
    items: Sequence[tuple[int, tuple[Record, Path]]], work: Ingest, compute: Compute
) -> tuple[dict[int, _Done], dict[int, Bad]]:
    """What became of the videos, by position and in this order."""
    found: dict[int, _Done | Bad] = {}
    for (i, (record, path)), result in (compute.executor or InProcess.of("cpu")).map([work], items):
        died = isinstance(result, Lost)
        found[i] = Bad(record.name, "decoder crashed", f"{path}: the decoder ended its process") if died else result
        compute.progress("import", len(found), len(items))
    in_order = [(i, found[i]) for i in sorted(found)]
    return {i: r for i, r in in_order if isinstance(r, _Done)}, {i: r for i, r in in_order if isinstance(r, Bad)}


def _one(work: Ingest, record: Record, path: Path) -> _Done:
    """Import one video, unless an earlier try has."""
    geometry, fps = work.geometry, work.fps
    out = work.folder / filelist.VIDEOS / f"{record.name}.avi"
    kept = twins.path(out)
    source = _asked(work.read, record, path, fps)
    assert source.origin is not None
    origin = source.origin
    box = geometry.box(origin.height, origin.width)
    frames, verdict = geometry.frames(source.frames, origin)
    if not (out.exists() and kept.exists()):
        twins.write(kept, twins.fingerprint(frames))
        video.write_avi(out, frames, _rate(record, origin, fps))
    rate = video.exact_fps(_rate(record, origin, fps))
    height, width = origin.height, origin.width
    said = {
        "FrameHeight or FrameWidth": (record.height or height, record.width or width)
        in ((height, width), origin.shown),
        "NumberOfFrames": record.num_frames in (None, origin.num_frames, origin.decoded),
        "FPS": record.fps is None or fps is not None or math.isclose(record.fps, rate, rel_tol=FPS_TOLERANCE),
    }
    complete = replace(record, height=geometry.size, width=geometry.size, fps=rate, num_frames=origin.num_frames)
    complete = replace(complete, extra={**record.extra, "Mask": verdict}) if verdict else complete
    return _Done(complete, box, tuple(column for column, right in said.items() if not right), origin, verdict)


def _rate(record: Record, origin: Origin, fps: float | None) -> float:
    """The container's frame rate counts, unless its clock is too coarse to contradict the labels'."""
    low, high = origin.times.coarse or (0.0, 0.0)
    return record.fps if fps is None and record.fps is not None and low < record.fps < high else origin.times.fps


def _asked(read: Reader, record: Record, path: Path, fps: float | None) -> Video:
    """The labels' frame rate counts where the container has none."""
    try:
        return read(path, fps=fps)
    except video.BadVideoError as error:
        if error.fault != "no frame rate" or record.fps is None:
            raise
        return read(path, fps=record.fps)


def _layout(src: Path, asked: ImportSettings) -> Layout:
    found = {
        "folder": lambda: layouts.folder(src, asked.labels, asked.seed),
        "dynamic": lambda: layouts.dynamic(src),
        "pediatric": lambda: layouts.pediatric(src),
        "camus": lambda: camus.camus(src, asked.seed),
        "ev9v": lambda: ev9v.ev9v(src),
    }[asked.source]()
    return found.of_view(asked.view, src) if asked.view else found


def _check_settings(src: Path, out: Path, asked: ImportSettings, crop: Box | None, size: int) -> None:
    fps = asked.fps
    if asked.labels and asked.source != "folder":
        raise ConfigError(
            f"--labels {asked.labels}: no effect with --from {asked.source}; leave it out, or give --from folder"
        )
    if crop and asked.source == "camus":
        raise ConfigError("--crop has no effect with --from camus, whose pictures differ in size: leave it out")
    if crop and (min(crop) < 0 or min(crop[2:]) < 1):
        raise ConfigError(f"--crop {','.join(map(str, crop))}: expected X,Y of at least 0 and W,H of at least 1 pixel")
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"--fps {fps}: expected a positive number of frames per second")
    if size < 1:
        raise ConfigError(f"--size {size}: expected at least 1 pixel")
    if out.resolve().is_relative_to(src.resolve()):
        raise DataError(f"{out}: lies in the source {src}, which stays untouched: choose a folder elsewhere")


def _refuse(src: Path, bad: Sequence[Bad], *, none_left: bool, skip_bad: bool) -> None:
    if not bad or (skip_bad and not none_left):
        return
    cure = "none is left" if none_left else "fix them, or leave them out with --skip-bad"
    if any(entry.reason == "bad row" for entry in bad):
        cure += "; a video whose EF is left empty stays, without a label"
    head = f"{src}: {len(bad)} bad video(s): {listed(entry.reason for entry in bad)}; {cure}"
    raise DataError(table.listing(head, [f"  {entry.message}" for entry in bad]))


def _found(layout: Layout, done: Mapping[int, _Done], bad: Mapping[int, Bad], geometry: Geometry) -> Found:
    by_name = {entry.record.name.casefold(): entry for entry in done.values()}
    traced = [by_name.get(filelist.stem(tracing.name).casefold()) for tracing in layout.tracings]
    rows = [(row, one, to) for row, (one, to) in enumerate(zip(layout.tracings, traced, strict=True)) if to]
    return Found(
        layout.notes,
        layout.folds,
        len(layout.tracings),
        {i: entry.record for i, entry in done.items()},
        [i for i, entry in done.items() if entry.stretched],
        {i: list(entry.differs) for i, entry in done.items()},
        {i: entry.reason for i, entry in bad.items()},
        {
            row: geometry.tracing(one, to.record.name, to.box, to.origin)
            for row, one, to in rows
            if one.frame < to.origin.decoded
        },
        {i: entry.mended for i, entry in done.items() if entry.mended},
        {row: to.record.name for row, one, to in rows if one.frame >= to.origin.decoded},
        {i: entry.name for i, entry in bad.items()},
        [(entry.name, entry.reason) for entry in layout.bad],
        layout.left_out,
    )
