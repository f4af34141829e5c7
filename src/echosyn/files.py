"""Permissions of what we write: safetensors keeps its files to their owner, a shared folder needs the usual ones."""

import os
from pathlib import Path


def usual_permissions(path: Path) -> None:
    """Give a file, or all files below a folder, the permissions that new files have (0666 less the umask)."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~umask)
