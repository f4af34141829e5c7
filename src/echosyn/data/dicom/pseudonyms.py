"""Names that tell nobody apart from the keeper of a secret key: the same patient has the same one, always."""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from echosyn.errors import DataError

KEY_FILE = "pseudonym.key"
_KEY_BYTES = 32
_CHARACTERS = 16  # 80 bits: no two of a million patients collide


@dataclass(frozen=True)
class Pseudonyms:
    """Keyed names (HMAC-SHA-256): without the key, not even somebody who knows all patient ids finds whose they are."""

    key: bytes

    def of(self, kind: str, identity: str) -> str:
        """The pseudonym of an identity among those of its kind: 16 lower-case letters and digits."""
        digest = hmac.new(self.key, f"{kind}\0{identity}".encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
        return base64.b32encode(digest).decode().lower()[:_CHARACTERS]


def open_key(folder: Path) -> Pseudonyms:
    """The key in ``folder``; a new one is drawn where there is none. Only its owner can read the folder and the file.

    Raises:
        DataError: The file is no key of ours, or others may read it.
    """
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, secrets.token_hex(_KEY_BYTES))
    if path.stat().st_mode & 0o077:
        raise DataError(f"{path}: this key is readable by others; restrict it: chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise DataError(f"{path}: not a key; expected {2 * _KEY_BYTES} hexadecimal digits: restore it from your backup")
    return Pseudonyms(key)


def _write(path: Path, text: str) -> None:
    """Create a file whole, for its owner's eyes from the first byte, unless another process was faster."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # no links on this disk
        temporary.replace(path)
    temporary.unlink(missing_ok=True)
