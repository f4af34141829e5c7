"""``echosyn verify``: is a release still what was published?"""

from pathlib import Path
from typing import Any

from echosyn.data import table
from echosyn.errors import DataError
from echosyn.pipeline.publish import checksums


def verify(folder: Path) -> dict[str, Any]:
    """Recompute the provenance chain of a release: record, hash of every file, videos, audit and Croissant.

    The seal says that nothing changed *within* the folder; compare it with the one its publisher announced to know that it
    is the same folder.

    Raises:
        DataError: it is no release, or something changed: everything in one message.
    """
    record = checksums.record_of(folder)
    if found := checksums.problems(folder, record):
        head = f"{folder}: differs from the release as published, {len(found)} problem(s); download it again"
        raise DataError(table.listing(head, [f"  {problem}" for problem in found]))
    made = record.get("synthetic", {})
    call, said = made.get("call", {}), made.get("stated")
    return {
        "release": str(folder),
        "files": len(checksums.files(folder)),
        "videos": record["videos"],
        "seal": record["seal"],
        "made by": f"{said['origin']} (stated by {said['by']}, not verified)" if said else call.get("command"),
        "audit": "passed" if (folder / checksums.AUDIT).is_file() else "none",
    }
