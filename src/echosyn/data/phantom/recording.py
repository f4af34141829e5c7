"""A patient's recording: the video, and the truth about it."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from echosyn import rng
from echosyn.data.phantom import apical, cycle, fan, mesh, scanner, short_axis, ventricle
from echosyn.data.phantom.parameters import SIZE, Look, Patient
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import Split
from echosyn.errors import DataError

NUM_SCATTERERS: dict[Look, int] = {"plain": 14_000, "clinical": 30_000}


def render(patient: Patient, frames: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """The video: ``(num_frames, 112, 112)``, 0 outside of the fan.

    Args:
        patient: Whose recording.
        frames: Only these, in a fraction of the time; the noise of a frame is another than in the whole video.

    Raises:
        DataError: If a frame is not in ``0..num_frames - 1``.
    """
    motion = cycle.motion(patient) if frames is None else _at(patient, frames)
    generator = rng.numpy_generator(patient.seed, "phantom scatterers", patient.index)
    view = apical if patient.view == "A4C" else short_axis
    tissue = view.sheets(patient, _from_diastole(motion), generator)
    _, reach = fan.depths(patient)
    scatterers = mesh.scatter(
        tissue, NUM_SCATTERERS[patient.look], fan.half_angle(patient), reach, patient.brightness.streaks, generator
    )
    return scanner.scan(patient, mesh.stack_nodes(tissue)[1:], scatterers)


def volumes(patient: Patient) -> NDArray[np.float64]:
    """Volume of the left ventricle in ml at each frame: ``(num_frames,)``.

    Its largest value is the patient's EDV and its smallest the ESV. A4C: Simpson's rule over 20 discs. PSAX:
    area-length, whose length keeps its ratio to the diameter.
    """
    emptied = cycle.motion(patient).emptied
    return patient.edv * (1 - patient.ef / 100 * emptied)


def tracings(patient: Patient, name: str, frames: Sequence[int] | None = None) -> list[Tracing]:
    """The long axis and 20 chords of each traced frame, in pixels of the video.

    Args:
        patient: Whose recording.
        name: File name with extension.
        frames: Which are traced; end-diastole, then end-systole if None.

    Raises:
        DataError: If a frame is not in ``0..num_frames - 1``.
    """
    if frames is None:
        emptied = cycle.motion(patient).emptied
        frames = [int(emptied.argmin()), int(emptied.argmax())]
    motion = _at(patient, frames)
    chords = ventricle.to_pixels(
        patient, ventricle.chords(patient, ventricle.cavity(patient, motion.emptied)), motion
    ).round(4)
    return [
        Tracing(name, float(x1), float(y1), float(x2), float(y2), frame)
        for frame, rows in zip(frames, chords, strict=True)
        for (x1, y1), (x2, y2) in rows
    ]


def record(patient: Patient, name: str, split: Split = "TRAIN") -> Record:
    """The row of ``FileList.csv``.

    Args:
        patient: Whose recording.
        name: File name without extension.
        split: Part of the dataset.
    """
    return Record(
        name=name,
        ef=round(patient.ef, 2),
        esv=round(patient.esv, 2),
        edv=round(patient.edv, 2),
        height=SIZE,
        width=SIZE,
        fps=patient.fps,
        num_frames=patient.num_frames,
        split=split,
        extra={"View": patient.view, "HeartRate": f"{patient.heart_rate:g}"},
    )


def lv_mask(patient: Patient, frames: Sequence[int]) -> NDArray[np.bool_]:
    """Where the cavity of the left ventricle is in these frames: ``(len(frames), 112, 112)``.

    Papillary muscles and trabeculae count as cavity, as they do in tracings.

    Raises:
        DataError: If a frame is not in ``0..num_frames - 1``.
    """
    motion = _at(patient, frames)
    size = ventricle.cavity(patient, motion.emptied)
    return ventricle.inside(patient, size, ventricle.to_local(patient, motion)).reshape(-1, SIZE, SIZE)


def _at(patient: Patient, frames: Sequence[int]) -> cycle.Motion:
    if any(not 0 <= f < patient.num_frames for f in frames):
        raise DataError(f"phantom: frames {list(frames)}, expected numbers in 0..{patient.num_frames - 1}")
    motion = cycle.motion(patient)
    return cycle.Motion(*(getattr(motion, f.name)[list(frames)] for f in fields(motion)))


def _from_diastole(motion: cycle.Motion) -> cycle.Motion:
    """The motion with a reference in front: end-diastole, valve closed, no drift."""
    return cycle.Motion(*(np.concatenate([[0.0], getattr(motion, f.name)]) for f in fields(motion)))
