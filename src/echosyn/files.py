"""Files that we write: their permissions, and copies that take no room where the disk can.

Safetensors keeps its files to their owner, a shared folder needs the usual permissions.
"""

import os
import shutil
from pathlib import Path


def usual_permissions(path: Path) -> None:
    """Give a file, or all files below a folder, the permissions that new files have (0666 less the umask)."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~umask)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file another name, or copy it where the disk cannot.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
