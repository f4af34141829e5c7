"""The audit that a release rests on: of exactly these videos, passed, and only its public part leaves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from echosyn.config import Settings, build
from echosyn.errors import DataError
from echosyn.pipeline.publish.checksums import AUDIT
from echosyn.pipeline.publish.figures import rounded

PUBLIC = (
    "verdict",
    "conclusions",
    "exceptions",
    "num_videos",
    "patients",
    "lines",
    "warnings",
    "filter",
    "canaries",
    "risks",
    "guesses",
    "attacks",
    "image_model_epsilon",
    "models_that_do_not_say_what_they_saw",
    "attackers",
    "assumptions",
    "limits",
)
"""Parts of an audit's public summary that leave, with three digits: a threshold in full is the score of one patient."""

RATE, CANARIES = 0.05, 36
"""An audit that a release rests on rejects at least so many strangers, and plants at least so many copies of a kind: 36 of 36
caught show that 90 % are."""

WITHOUT = "I know that nobody audited these videos"
"""What must be said, in so many words, to publish without an audit."""
UNFILTERED = f"{WITHOUT}, and that they have not passed a privacy filter"
"""The same of a set whose record says so."""


class Audit(Settings):
    """What `publish` reads of an audit; further entries of the file are private and stay."""

    videos: str
    """`echosyn.data.checksum.videos_hash` of the audited dataset."""
    verdict: Literal["pass", "fail"]
    public: dict[str, Any] = Field(default_factory=dict)
    """The summary that may be shared."""

    @property
    def concluded(self) -> str:
        """What the audit concludes on the videos, in words; empty in an audit of an earlier version."""
        conclusions = self.public.get("conclusions")
        return str(conclusions.get("videos", "")) if isinstance(conclusions, dict) else ""

    def released(self) -> dict[str, Any]:
        """What the release says of it."""
        told = {name: rounded(self.public[name]) for name in PUBLIC if name in self.public}
        if "attacks" in told:
            told["weights_attacked"] = any(attack.get("needs") == "weights" for attack in told["attacks"])
        return {"videos": self.videos, "verdict": self.verdict, "public": told}


def required(path: Path | None, without: str | None, videos: str, *, filtered: bool = True) -> Audit | None:
    """The audit of exactly these videos, or None where its absence was asked for in so many words.

    Args:
        path: the audit.
        without: the words.
        videos: `echosyn.data.checksum.videos_hash` of the dataset.
        filtered: whether its record does not say that it has not passed a privacy filter.

    Raises:
        DataError: there is no audit and the words were not said; it is of other videos; it did not pass.
    """
    if path is None:
        words = WITHOUT if filtered else UNFILTERED
        if without is None or without.strip().casefold() != words.casefold():
            raise DataError(
                f'--audit is missing: run `echosyn audit` and give its audit.json, or give --without-audit "{words}"'
            )
        return None
    if without is not None:
        raise DataError(f"--audit {path} and --without-audit exclude one another: give one of them")
    audit = _read(path)
    if audit.videos != videos:
        raise DataError(
            f"{path}: audit of other videos (hash {audit.videos[:12]}..., expected {videos[:12]}...); run `echosyn "
            "audit` on this dataset"
        )
    if audit.verdict != "pass":
        raise DataError(
            f"{path}: the audit could not say whether these videos are safe, for want of patients or canaries; audit again "
            "with more"
            if audit.concluded == "cannot say"
            else f"{path}: these videos failed their audit; do not publish them"
        )
    if "conclusions" not in audit.public:
        raise DataError(f"{path}: an audit of an earlier version, which missed disguised copies; audit again")
    if weak := _weaker(audit.public):
        raise DataError(
            f"{path}: looked less hard than a release needs ({weak}); audit again with the default settings"
        )
    return audit


def _weaker(public: Mapping[str, Any]) -> str | None:
    """What makes an audit easier to pass than the default one."""
    asked = public.get("filter", {}).get("threshold", {}).get("requested_rate", RATE)
    if asked < RATE:
        return f"false rejection rate {asked:g}, expected at least {RATE:g}"
    planted = min((c["planted"] for c in public.get("canaries", []) if c.get("must")), default=CANARIES)
    return f"{planted} canaries of a kind, expected at least {CANARIES}" if planted < CANARIES else None


def _read(path: Path) -> Audit:
    path = path / AUDIT if path.is_dir() else path
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path}: no such file; expected the audit.json of `echosyn audit`") from error
    except ValueError as error:
        raise DataError(
            f"{path}: not JSON ({error}); expected the audit.json of `echosyn audit`: run the audit again"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: not an audit; expected the audit.json of `echosyn audit`")
    return build(Audit, {name: content[name] for name in Audit.model_fields if name in content}, str(path))
