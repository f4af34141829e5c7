"""Sets that other software made: somebody states so by name, and the release says that it was stated, not verified (ADR 84)."""

import re
from pathlib import Path

from echosyn.data import lineage
from echosyn.errors import ConfigError, DataError
from echosyn.hashing import PROVENANCE
from echosyn.settings.sharing import PublishSettings

COMMAND = "other software"
"""In the place of the verb that made a dataset."""
_LINE = re.compile(r"\w[\w .,;:()/+'&@-]{1,199}")


def statement(dataset: Path, asked: PublishSettings) -> dict[str, str] | None:
    """What made the set and who says so; None where its own record is to say it.

    Raises:
        ConfigError: half of a statement, words that would change the card's layout, or no audit.
        DataError: the folder has a record of its own, which a statement does not replace.
    """
    if asked.origin is None and asked.stated_by is None:
        return None
    said = {"origin": asked.origin or "", "by": asked.stated_by or ""}
    for option, text in zip(("--origin", "--stated-by"), said.values(), strict=True):
        if not _LINE.fullmatch(text):
            raise ConfigError(
                f"{option} {text!r}: expected 2 to 200 letters, digits and plain punctuation on one line; "
                "give --origin and --stated-by together"
            )
    if asked.audit is None:
        raise ConfigError(
            "--origin: a set of other software leaves only with an audit: run `echosyn audit` against the recordings "
            "that it was trained on, and give --audit"
        )
    if not lineage.unrecorded(dataset):
        raise DataError(
            f"{dataset}: has a {PROVENANCE}, which says where it is from; --origin is for sets of other software: leave "
            "it out"
        )
    return said
