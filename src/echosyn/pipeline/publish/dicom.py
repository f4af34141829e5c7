"""``echosyn export --to dicom``: a synthetic dataset as ultrasound objects that viewers and archives open."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from echosyn.data import filelist, lineage, video
from echosyn.data.dicom import writing
from echosyn.data.records import Record
from echosyn.data.video import Frames
from echosyn.extras import require
from echosyn.hashing import folder_hash
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder
from echosyn.progress import Progress, silent
from echosyn.storage import dicomweb


def export_dicom(
    dataset: Path, out: Path, *, mark: bool = False, send: str | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """Write every video of a synthetic dataset as ``OUT/NAME.dcm``, and send it if asked. Resumable.

    ``OUT`` is there when all are written and sent; it does not say where to.

    Args:
        dataset: Dataset folder made by `generate`, `animate` or `phantom`, or a release of it.
        out: New folder.
        mark: Burn the word SYNTHETIC into every frame.
        send: Root of a DICOMweb server.
        progress: Told how many videos are done.

    Raises:
        ConfigError: ``send`` is no address of a server.
        DataError: The dataset is not known to be synthetic: real patients must not be labelled so; or the server refuses.
        MissingExtraError: pydicom or dicomweb-client is not installed.
        StoppedError: The server cannot be reached; what it has got is not sent again.
    """
    require("pydicom", extra="dicom")
    records = filelist.read(dataset)
    lineage.required(dataset, (*lineage.VIDEOS, "publish"), "label as synthetic")
    index = filelist.VideoIndex(dataset)
    series = folder_hash(dataset)
    server, settings = dicomweb.Server(send) if send else None, {"to": "dicom", "mark": mark}
    with (
        new_folder(out, "export", settings, {"dataset": dataset}, keep=server is not None) as folder,
        Finished(folder) as done,
    ):
        sent = {name for entry in done.entries if send and entry.said.get("sent") == send for name in entry.files}
        for number, record in enumerate(records, start=1):
            path = folder / f"{record.name}.dcm"
            if not done.has(path):
                _write(path, record, index.path(record), series, mark=mark)
                done.add(path)
            if server and path.name not in sent:
                server.store(path)
                done.add(path, sent=send)
            progress("export", number, len(records))
    return {"folder": str(out), "videos": len(records)} | ({"sent to": send} if send else {})


def _write(path: Path, record: Record, source: Path, series: str, *, mark: bool) -> None:
    recording = video.read(source)
    frames = recording.grey()
    spacing = [float(record.extra[name]) for name in ("CmPerPixelX", "CmPerPixelY") if record.extra.get(name)]
    subject = writing.Subject(
        record.name,
        series,
        record.ef,
        (spacing[0], spacing[1]) if len(spacing) == 2 else None,
        frames.size / source.stat().st_size,
    )
    writing.write(path, _marked(frames) if mark else frames, recording.fps, subject, marked=mark)


def _marked(frames: Frames) -> Frames:
    """The word in the lower left corner of every frame."""
    image = Image.new("L", (frames.shape[2], frames.shape[1]))
    ImageDraw.Draw(image).text((1, frames.shape[1] - 11), writing.SYNTHETIC, 255)
    return np.asarray(np.maximum(frames, np.asarray(image)))
