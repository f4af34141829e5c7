"""Draw a patient: everything about patient *i* follows from (seed, *i*) alone."""

from dataclasses import fields
from typing import TypeVar, get_args

import numpy as np

from echosyn import rng
from echosyn.data.phantom.parameters import Anatomy, Brightness, Look, Patient, Probe, View
from echosyn.data.phantom.ventricle import reference_length
from echosyn.errors import DataError

_CYCLES = 1.1
"""Every clip is at least this many mean heart beats long, so that it shows end-diastole and end-systole."""

_Drawn = TypeVar("_Drawn", Anatomy, Brightness, Probe)


def _draw(kind: type[_Drawn], look: Look, generator: np.random.Generator) -> _Drawn:
    asked = {f.name: f.metadata[look] for f in fields(kind)}
    return kind(**{n: float(generator.uniform(*x)) if isinstance(x, tuple) else x for n, x in asked.items()})


def _check(name: str, value: float | None, low: float, high: float, unit: str) -> None:
    if value is not None and not low <= value <= high:
        raise DataError(f"{name} {value:g}: expected {low:g}..{high:g} {unit}")


def patient(
    seed: int,
    index: int,
    *,
    view: View = "A4C",
    num_frames: int | None = None,
    ef: float | None = None,
    fps: float | None = None,
    heart_rate: float | None = None,
    look: Look = "plain",
) -> Patient:
    """Draw patient ``index``; an argument that is given replaces only that number, the anatomy stays the same.

    A clip must hold a whole heart beat: the frame rate that was drawn is lowered, or the heart rate that was drawn is
    raised, where a short clip would not.

    Args:
        seed: Seed of the whole dataset.
        index: Which patient.
        view: Which cut through the heart.
        num_frames: 64..200; drawn if None.
        ef: Ejection fraction in percent, 5..90; drawn uniformly from 10..85 if None.
        fps: Frames per second, 20..120; drawn from 30..60 if None.
        heart_rate: Beats per minute, 40..120; drawn from 45..110 if None.
        look: Which ranges the rest is drawn from. Equal numbers in both looks are equal hearts in EF, volume and rhythm alone.

    Raises:
        DataError: If an argument is out of its range, or the clip is too short for one heart beat.
    """
    if view not in get_args(View):
        raise DataError(f"phantom: view is {view!r}, expected one of {', '.join(get_args(View))}")
    if look not in get_args(Look):
        raise DataError(f"phantom: look is {look!r}, expected one of {', '.join(get_args(Look))}")
    _check("--frames", num_frames, 64, 200, "frames")
    _check("phantom: EF", ef, 5, 90, "percent")
    _check("--fps", fps, 20, 120, "frames per second")
    _check("phantom: heart_rate", heart_rate, 40, 120, "beats per minute")

    generator = rng.numpy_generator(seed, "phantom patient", index)
    drawn_ef, drawn_rate, drawn_fps = generator.uniform([10.0, 45.0, 30.0], [85.0, 110.0, 60.0])
    drawn_frames = int(generator.integers(64, 201))
    edv = float(np.exp(generator.uniform(np.log(60.0), np.log(250.0))))
    start, early, irregularity, drift = generator.uniform([0.0, 0.58, 0.0, 0.0], [1.0, 0.85, 0.03, 0.12])

    frames = num_frames or drawn_frames
    beats_per_minute_per_fps = 60 * _CYCLES / (frames - 1)
    rate = heart_rate or float(np.round(drawn_rate, 1))
    if fps is None:
        fps = float(min(np.round(drawn_fps, 1), np.floor(10 * rate / beats_per_minute_per_fps) / 10))
    elif heart_rate is None:
        rate = max(rate, float(np.ceil(fps * beats_per_minute_per_fps)))
    if not fps * beats_per_minute_per_fps <= rate <= 120:
        raise DataError(
            f"phantom: {frames} frames at {fps:g} fps and {rate:g} beats per minute hold less than {_CYCLES} heart "
            "beats; expected more frames, fewer fps or a faster heart (up to 120)"
        )
    anatomy = _draw(Anatomy, look, generator)
    brightness = _draw(Brightness, look, generator)
    probe = _draw(Probe, look, generator)
    edv = float(np.round(edv, 1))
    return Patient(
        seed=seed,
        index=index,
        view=view,
        ef=float(np.round(drawn_ef, 2)) if ef is None else float(ef),
        edv=edv,
        heart_rate=float(rate),
        fps=float(fps),
        num_frames=frames,
        start=float(start),
        early_filling=float(early),
        irregularity=float(irregularity),
        drift=float(drift),
        spacing=reference_length(view, anatomy, edv) / probe.heart_pixels,
        anatomy=anatomy,
        brightness=brightness,
        probe=probe,
        look=look,
    )
