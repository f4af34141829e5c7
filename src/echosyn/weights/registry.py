"""What can be fetched: one table of names, places, SHA-256, licences and sizes; nothing else opens a connection."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from pydantic import Field

from echosyn.config import Settings, build, near_miss, read_yaml
from echosyn.errors import ModelError

HUB = "https://huggingface.co"
"""Where hub entries are fetched from; ``HF_ENDPOINT`` names a mirror."""


class Source(Settings):
    """One model folder or file that others publish."""

    name: str
    about: str
    folder: str
    """Where its files lie below the folder that is fetched into, and below a mirror."""
    files: Mapping[str, str | None]
    """SHA-256 by file name; a prefix of at least 8 digits, or None where nobody published one."""
    licence: str
    size_mb: int | None = Field(default=None, ge=0)
    hub: str | None = None
    url: str | None = None
    query: str | None = None

    def address(self, file: str) -> str:
        """Where a file is fetched from, unless a mirror is given."""
        if self.hub:
            endpoint = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
            return f"{endpoint}/{self.hub}/resolve/main/{self.folder}/{file}"
        return f"{self.url}/{file}" + (f"?{self.query}" if self.query else "")

    @property
    def unknown(self) -> list[str]:
        """Files without a published hash."""
        return [file for file, digest in self.files.items() if digest is None]


@cache
def sources() -> Mapping[str, Source]:
    """The table of the package, by name."""
    with resources.as_file(resources.files("echosyn.weights") / "registry.yaml") as path:
        return {
            name: build(Source, {"name": name, **entry}, f"{path.name}: {name}")
            for name, entry in read_yaml(path).items()
        }


def select(names: Sequence[str]) -> list[Source]:
    """Sources by name, or all of a group by the part before the slash.

    Raises:
        ModelError: a name is unknown.
    """
    chosen: dict[str, Source] = {}
    for name in names:
        found = {n: s for n, s in sources().items() if name in (n, n.partition("/")[0])}
        if not found:
            known = sorted({*sources(), *(n.partition("/")[0] for n in sources())})
            raise ModelError(f"weights {name!r} are unknown{near_miss(name, known)}; see `echosyn weights list`")
        chosen |= found
    return list(chosen.values())
