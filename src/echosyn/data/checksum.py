"""What an audit, a dataset and its release have in common: one hash of all videos."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from echosyn.data import filelist
from echosyn.hashing import file_hash


def videos_hash(dataset: Path) -> str:
    """SHA-256 over names and contents of a dataset's AVIs, wherever below ``Videos/`` they lie.

    It is over sorted lines of ``NAME.avi``, NUL, SHA-256, newline.
    """
    return hash_of_videos({path.name: file_hash(path) for path in filelist.VideoIndex(dataset).files})


def hash_of_videos(digests: Mapping[str, str]) -> str:
    """The same from the files' SHA-256 by name."""
    lines = (f"{name}\0{digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
