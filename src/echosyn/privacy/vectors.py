"""Vectors of real patients in a file: written as they come, and mapped into memory, which all processes of a machine share.

A safetensors file whose header has a fixed size, so that the number of rows need not be known when it is begun. Private.
"""

import json
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from safetensors import SafetensorError, safe_open
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy.matching import Prepared, prepared
from echosyn.privacy.owners import Owners
from echosyn.tensors import ALIGNMENT, aligned

_DIGITS = 20
"""Characters kept free for each number of the header."""


class Writer:
    """Appends vectors to a new file, which is readable once it is left without an error, for its owner alone.

    Args:
        path: of the file.
        dimensions: of a vector.
        names: whose they may be, sorted, each once; none if it is not said.
        what: name of a row in messages.
    """

    def __init__(self, path: Path, dimensions: int, names: Sequence[str] = (), what: str = "reference") -> None:
        self.path, self.dimensions, self.names, self.what = path, dimensions, list(names), what
        self._place = {name: i for i, name in enumerate(self.names)}
        self._norms, self._codes = array("f"), array("i")  # not many small tensors, which fragment the memory
        self._largest = 1.0
        self._size = -(-(8 + len(self._header(0)) + 8 * _DIGITS) // ALIGNMENT) * ALIGNMENT - 8  # vectors begin aligned
        path.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._file.seek(8 + self._size)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._finish()

    def __len__(self) -> int:
        return len(self._norms)

    def add(self, rows: Tensor, owner: str | Sequence[str] | None = None) -> None:
        """Append vectors ``(k, d)`` of one patient, or of the patient named for each.

        Raises:
            DataError: NaN or infinity, or a constant row: it has no correlation.
        """
        rows = rows.float().contiguous().cpu()
        known = prepared(rows, what=self.what, first=len(self))
        if self.names:
            of_each = [owner] * len(rows) if isinstance(owner, str) else list(owner or ())
            self._codes.extend(self._place[name] for name in of_each)
        self._norms.frombytes(known.norm.numpy().tobytes())
        self._largest = max(self._largest, known.largest)
        self._file.write(rows.numpy().tobytes())

    def _finish(self) -> None:
        for part in (self._norms, self._codes):
            part.tofile(self._file)
        header = self._header(len(self))
        self._file.seek(0)
        self._file.write(self._size.to_bytes(8, "little") + header.ljust(self._size))

    def _header(self, rows: int) -> bytes:
        ends = [0, 4 * rows * self.dimensions]
        ends += [ends[-1] + 4 * rows]
        said: dict[str, object] = {
            "__metadata__": {"largest": repr(self._largest), "names": json.dumps(self.names)},
            "vectors": {"dtype": "F32", "shape": [rows, self.dimensions], "data_offsets": ends[:2]},
            "norm": {"dtype": "F32", "shape": [rows], "data_offsets": ends[1:]},
        }
        if self.names:
            said["codes"] = {"dtype": "I32", "shape": [rows], "data_offsets": [ends[2], ends[2] + 4 * rows]}
        return json.dumps(said).encode()


def write(path: Path, vectors: Tensor, owners: Sequence[str] | None = None, what: str = "reference") -> None:
    """Write vectors ``(n, d)`` and whose each is."""
    of = None if owners is None else Owners.of(owners)
    with Writer(path, vectors.shape[1], of.names if of else (), what) as file:
        file.add(vectors, of)


def read(path: Path, rows: tuple[int, int] | None = None) -> tuple[Prepared, Owners | None]:
    """What was written: mapped, not read; or some rows ``(start, stop)`` of it, of which only those are read.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata()
            names = json.loads(said["names"])
            parts = ["vectors", "norm", *(["codes"] if names else [])]
            if rows is None:
                found = [aligned(file.get_tensor(part)) for part in parts]  # vectors are: they stay mapped
            else:
                found = [aligned(file.get_slice(part)[rows[0] : rows[1]]) for part in parts]
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not readable as vectors ({error}); remove it and run again") from error
    known = Prepared(found[0], found[1], float(said["largest"]), path if rows is None else None)
    return known, Owners(names, found[2].numpy()) if names else None
