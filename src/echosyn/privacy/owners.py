"""Whose each vector is, for millions of them: the patients once, and a number for each row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Owners(Sequence[str]):
    """The patient of each row, as a list of names would say it."""

    names: Sequence[str]
    """Sorted, each once; some may own no row."""
    codes: NDArray[np.int32]
    """Of each row: which of the names."""

    @classmethod
    def of(cls, patients: Sequence[str]) -> "Owners":
        """From the patient of each row."""
        if isinstance(patients, Owners):
            return patients
        names, codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
        return cls(names.tolist(), codes.astype(np.int32))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> "Owners": ...
    def __getitem__(self, row: int | slice) -> "str | Owners":
        if isinstance(row, slice):
            return Owners(self.names, self.codes[row])
        return self.names[int(self.codes[row])]

    def present(self) -> "Owners":
        """Without the names that own nothing."""
        used, codes = np.unique(self.codes, return_inverse=True)
        return Owners([self.names[i] for i in used.tolist()], codes.astype(np.int32))

    def rows(self, name: str) -> NDArray[np.int64]:
        """The rows of a patient."""
        return np.flatnonzero(self.codes == self.numbers([name])[0])

    def numbers(self, patients: Iterable[str]) -> NDArray[np.int32]:
        """The codes of some names; -1 for those who are not here."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place.get(name, -1) for name in patients], np.int32)
