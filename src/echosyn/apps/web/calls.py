"""What the page can ask for, the same for gradio's clients: plain values in, plain values out, mistakes in one sentence."""

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from echosyn.errors import ConfigError, EchosynError
from echosyn.pipeline.demo import uploads
from echosyn.pipeline.demo.browse import Collection, Filters
from echosyn.pipeline.demo.session import Asked, Beat, Pixels, Studio, measured_area
from echosyn.pipeline.demo.temporary_files import Item, Shelf

Report = Callable[[float, str], None]
"""Told the share that is done, 0..1, and what is being done."""
Answer = dict[str, Any]
WARNING = (
    "Not de-identified. This video shows the heart in the frame it was made from: do not share it as synthetic data."
)
JOBS_KEPT = 1000


class StoppedError(EchosynError):
    """Somebody asked to stop."""


class Jobs:
    """Which calls are to stop, by the names that their callers chose."""

    def __init__(self) -> None:
        self._stopped: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def stop(self, job: str) -> None:
        """Stop a call at its next step, or before its first."""
        with self._lock:
            self._stopped[job[:64]] = None
            while len(self._stopped) > JOBS_KEPT:
                self._stopped.popitem(last=False)

    def steps(self, job: object, report: Report, what: str) -> Callable[[int, int], None]:
        """Tell of every step, or raise `StoppedError`."""

        def on_step(done: int, total: int) -> None:
            if isinstance(job, str) and job and job[:64] in self._stopped:
                raise StoppedError("stopped")
            report(done / max(total, 1), f"{what}, step {done} of {total}" if total > 1 else what)

        on_step(0, 1)
        return on_step


class Calls:
    """The calls of one server.

    Args:
        studio: makes it.
        shelf: keeps what was made.
        collection: what may be read.
        given: folder of models that the user named, for the command lines; none for what ships.
    """

    def __init__(self, studio: Studio, shelf: Shelf, collection: Collection, given: Path | None = None) -> None:
        self.studio, self.shelf, self.collection, self.given = studio, shelf, collection, given
        self.limits, self.jobs = studio.limits, Jobs()
        self.clips = uploads.Clips(self.limits)

    def invent(self, view: str, seed: int, job: str, report: Report) -> Answer:
        """A heart and the verdict on it."""
        seed = self.limits.whole("seed", seed)
        heart = self.studio.invent(self._variant(view), seed, self.jobs.steps(job, report, "inventing"))
        return {
            "view": view,
            "seed": seed,
            "picture": png(heart.picture),
            "verdict": asdict(heart.verdict) | {"words": heart.verdict.words},
        }

    def beat(
        self, view: str, seed: int, ef: float, frames: int, steps: int, scheduler: str, job: str, report: Report
    ) -> Answer:
        """The heart of a seed, beating."""
        asked, variant = self._asked(ef, frames, steps, scheduler), self._variant(view)
        on_step = self.jobs.steps(job, report, "animating")
        made = self.studio.beat(variant, self.limits.whole("seed", seed), asked, on_step)
        report(1.0, "writing")
        return self._made(made, self.shelf.put(made)) | {"view": view, "seed": seed}

    def look(self, upload: str) -> Answer:
        """Read an upload, once: the file is gone afterwards."""
        path = self.shelf.uploaded(upload)
        try:
            clip = uploads.read_apart(uploads.Task(path, 32.0, self.limits.frames[1], self.limits))
        finally:
            path.unlink(missing_ok=True)
        height, width = clip.size
        return {
            "clip": self.clips.add(clip),
            "kind": clip.kind,
            "frames": len(clip.frames),
            "fps": clip.fps,
            "width": width,
            "height": height,
            "crop": asdict(clip.middle),
            "picture": png(clip.frames[0]),
        }

    def animate(
        self, clip: str, crop: list[int], view: str, ef: float, frames: int, steps: int, scheduler: str, seed: int,
        job: str, report: Report,
    ) -> Answer:  # fmt: skip
        """A brought frame, or the end-diastolic one of a brought clip, with a requested EF."""
        asked = self._asked(ef, frames, steps, scheduler)
        cut, kind = self._cut(clip, crop), self.studio.view(self._variant(view))
        on_step = self.jobs.steps(job, report, "animating")
        still = cut[uploads.end_diastole(cut, kind)]
        made = self.studio.animate(still, asked, kind, self.limits.whole("seed", seed), on_step)
        report(1.0, "writing")
        return self._made(made, self.shelf.put(made, deidentified=False)) | {"still": png(still)}

    def reproduce(self, clip: str, crop: list[int], view: str, seed: int, job: str, report: Report) -> Answer:
        """A brought clip beside the video that its end-diastolic frame and its EF make."""
        cut, kind = self._cut(clip, crop), self.studio.view(self._variant(view))
        fps = self.clips.get(clip).fps
        if len(cut) < 16:
            raise ConfigError(
                f"the clip has {len(cut)} frames at {fps:g} a second; expected 16 or more to reproduce it"
            )
        on_step = self.jobs.steps(job, report, "reproducing")
        areas, ef = measured_area(cut, kind)
        if ef is None:
            raise ConfigError(
                "no left ventricle was found in this clip; move the crop, choose the other view, or give an EF"
            )
        asked = Asked(round(min(max(ef, self.limits.ef[0]), self.limits.ef[1]), 1), max(16, len(cut)))
        still = cut[uploads.end_diastole(cut, kind)]
        made = self.studio.animate(still, asked, kind, self.limits.whole("seed", seed), on_step)
        real = {"video": _url("video/mp4", self.shelf.mp4(cut, fps)), "ef": ef, "areas": list(areas), "fps": fps}
        return self._made(made, self.shelf.put(made, deidentified=False)) | {"real": real}

    def dataset(self, folder: int, split: str, low: float, high: float, text: str, first: int) -> Answer:
        """Some videos of a dataset that the server was started with."""
        if not all(type(value) in (int, float) for value in (low, high, first)):
            raise ConfigError("low, high and first: expected numbers")
        return self.collection.dataset(folder, Filters(str(split), low, high, str(text)[:80]), int(first))

    def _variant(self, view: str) -> str | None:
        found = {str(variant or ""): variant for variant in self.studio.variants}
        if not isinstance(view, str) or view not in found:
            raise ConfigError(f"view {str(view)[:40]!r}: expected one of {', '.join(found)}")
        return found[view]

    def _asked(self, ef: float, frames: int, steps: int, scheduler: str) -> Asked:
        """Within the limits; steps 0 and no scheduler are what suits the model."""
        if scheduler and scheduler not in self.studio.solvers:
            raise ConfigError(f"scheduler {str(scheduler)[:40]!r}: expected one of {', '.join(self.studio.solvers)}")
        return Asked(
            self.limits.number("ef", ef),
            self.limits.whole("frames", frames),
            None if steps == 0 else self.limits.whole("steps", steps),
            scheduler or None,
        )

    def _cut(self, clip: str, crop: list[int]) -> Pixels:
        if not isinstance(crop, list) or len(crop) != 3 or not all(type(c) is int and abs(c) < 1e6 for c in crop):
            raise ConfigError("crop: expected three whole numbers, left, top and side of a square in pixels")
        return self.clips.get(str(clip)).cut(uploads.Box(*crop))

    def _made(self, made: Beat, item: Item) -> Answer:
        return {
            "files": {kind: f"/made/{item.name}.{kind}" for kind in ("avi", "mp4", "gif", "json")},
            "requested_ef": made.requested_ef,
            "measured_ef": made.measured_ef,
            "areas": list(made.areas),
            "fps": made.fps,
            "frames": len(made.frames),
            "command": made.recipe.command(self.given) if made.recipe else None,
            "warning": None if made.recipe else WARNING,
        }


def png(picture: Pixels) -> str:
    """A grey picture ``(H, W)`` as a URL."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return _url("image/png", buffer.getvalue())


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
