"""What an import did to a video so that it is as a player shows it, in words that are counted."""

from echosyn.data.surroundings import Verdict
from echosyn.data.video import Origin


def mended(origin: Origin, fps: float, verdict: Verdict | None) -> list[str]:
    """Phrases that follow "N video(s)"; none for a video that was taken as it is stored."""
    phrases = []
    times = origin.times
    if times.variable:
        phrases.append(f"of variable frame rate were resampled by their time stamps to {fps:.4g} frames a second")
    elif times.repeats is not None:
        phrases.append(
            f"had dropped, merged or paused frames, which were repeated at {fps:.4g} frames a second: no time is lost"
        )
    if not origin.view.upright:
        phrases.append("were turned upright as their container says")
    if origin.shown != (origin.height, origin.width):
        phrases.append("had pixels that are not square, which were made square")
    if verdict == "sector":
        phrases.append("had marks around their sector, which are black now (--mask none keeps them)")
    elif verdict == "none":
        phrases.append("show no sector that could be told from what is around it: kept as they are")
    return phrases
