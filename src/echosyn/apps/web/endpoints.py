"""The calls as gradio sees them: functions with types, defaults and a line of help, run one at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echosyn.apps.web.server import Running

MODELS, FILES = "models", "files"
"""Queues: one call computes at a time, and one reads files."""
WAIT_S = 120.0
"""A call that comes while the models are being loaded waits that long."""


def endpoints(
    gradio: Any, running: "Running", said: Callable[[Callable[[], Any]], Any]
) -> list[tuple[Callable[..., Any], str]]:
    """Each call and its queue."""

    def quick(name: str, *given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = said(lambda: getattr(running.wait(WAIT_S), name)(*given))
        return answer

    def call(name: str, *given: Any) -> dict[str, Any]:
        progress = gradio.Progress()
        return quick(name, *given, lambda share, what: progress(share, desc=what))

    def invent(view: str, seed: int, job: str = "") -> dict[str, Any]:
        """Invent the heart of a seed and say whether it is somebody's."""
        return call("invent", view, seed, job)

    def beat(
        view: str,
        seed: int,
        ef: float,
        frames: int = 64,
        steps: int = 0,
        scheduler: str = "",
        job: str = "",
    ) -> dict[str, Any]:
        """Make the heart of a seed beat with an EF in percent; steps 0 and no scheduler are what suits the model."""
        return call("beat", view, seed, ef, frames, steps, scheduler, job)

    def look(upload: str) -> dict[str, Any]:
        """Read an upload (the name that POST /upload answered with); the file is gone afterwards."""
        return quick("look", upload)

    def animate(
        clip: str,
        crop: list[int],
        view: str,
        ef: float,
        frames: int = 64,
        steps: int = 0,
        scheduler: str = "",
        seed: int = 0,
        job: str = "",
    ) -> dict[str, Any]:
        """Make a brought frame beat; crop is left, top and side of a square. The result is not de-identified."""
        return call("animate", clip, crop, view, ef, frames, steps, scheduler, seed, job)

    def reproduce(clip: str, crop: list[int], view: str, seed: int = 0, job: str = "") -> dict[str, Any]:
        """Show a brought clip beside the video that its frame and EF make. The result is not de-identified."""
        return call("reproduce", clip, crop, view, seed, job)

    def dataset(
        folder: int, split: str = "", low: float = 0.0, high: float = 100.0, text: str = "", first: int = 0
    ) -> dict[str, Any]:
        """Show videos of a dataset that the server was started with."""
        return quick("dataset", folder, split, low, high, text, first)

    computing = [(f, MODELS) for f in (invent, beat, animate, reproduce)]
    return [*computing, (look, FILES), (dataset, FILES)]
