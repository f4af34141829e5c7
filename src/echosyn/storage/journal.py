"""What was transferred, line by line, so that a killed process forgets at most the file it was at."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from echosyn.files import whole


class Journal:
    """Facts by file name in a file of JSON lines; a later line replaces an earlier one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, list[object]] = {}
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                name, *facts = json.loads(line)
            except ValueError:  # cut off by a kill
                continue
            self.facts[name] = facts

    def __enter__(self) -> Self:
        with whole(self.path) as temporary:
            temporary.write_text("".join(json.dumps([name, *facts]) + "\n" for name, facts in self.facts.items()))
        self._file: TextIO = self.path.open("a")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, name: str, *facts: object) -> None:
        """Remember a file, at once and on disk."""
        self.facts[name] = list(facts)
        self._file.write(json.dumps([name, *facts]) + "\n")
        self._file.flush()
