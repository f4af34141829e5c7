"""Outputs: made in a folder of the cache, then sent; ``provenance.json`` comes last and the marker goes when all is there."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from echosyn.errors import DataError
from echosyn.files import whole
from echosyn.hashing import PROVENANCE
from echosyn.progress import Progress, silent
from echosyn.storage.place import MARKER, Place, cached, explained, locked

WORK = "work.json"


@dataclass(frozen=True)
class Finished:
    """How a command ended that has made its folder."""

    code: int = 0
    stdout: str = ""


@dataclass
class Work:
    """What is made for a URL on this computer."""

    call: Mapping[str, object]
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Stands in the marker: this upload, no other."""
    finished: Finished | None = None
    sent: bool = False
    """All is there; only the marker may be left."""


def has_work(entry: Path) -> bool:
    """Whether a URL's folder of the cache holds something that is to be sent."""
    return (entry / WORK).exists()


@contextmanager
def output(
    url: str, call: Mapping[str, object], progress: Progress = silent
) -> Iterator[Callable[[Callable[[Path], Finished]], Finished]]:
    """Yield ``do(make)``: it calls ``make(folder)`` and sends what it made to ``url``.

    ``make`` writes its folder as it would write a local one. If an earlier try of the same call has made it already, it
    is not called, and the upload goes on with what is missing there. The local copy is removed when all is there.

    Args:
        url: where nothing is yet.
        call: what tells this call from others; JSON.
        progress: told how many files are there.

    Raises:
        DataError: something is at ``url`` already, the finished folder of another call waits to be sent there, another
            process is writing it, or the storage cannot be written.
        ConfigError: the scheme is unknown.
        MissingExtraError: its package is not installed.
    """
    place, target = Place(url), cached(url)
    entry = target.parent
    with locked(entry, place.url, wait_for_it=False):
        work = _claimed(place, target, call)

        def do(make: Callable[[Path], Finished]) -> Finished:
            if work.finished is None:
                finished = make(target)
                if not target.exists():
                    return finished
                work.finished = finished
                _write(entry, work)
            with explained(place.url):
                _send(place, work, target, progress)
            (entry / WORK).unlink()  # first: half a copy without it is only something to tidy
            shutil.rmtree(entry)
            return work.finished

        try:
            yield do
        finally:
            if entry.exists() and work.finished is None and not any(p.is_dir() for p in entry.iterdir()):
                shutil.rmtree(entry)


def _claimed(place: Place, target: Path, call: Mapping[str, object]) -> Work:
    """The work that an earlier try of this call left, or a new one, if nothing else is at the URL."""
    entry, left = target.parent, _read(target.parent)
    new = Work(json.loads(json.dumps(dict(call))))
    is_old = left is not None and left.call == new.call
    if left and left.finished and not is_old:
        raise DataError(
            f"{place.url}: the finished folder of another command waits in {target} to be sent there; run that command "
            f"again, or remove {entry}"
        )
    work = left if left and is_old else new
    with explained(place.url):
        _refuse_others(place, work, target)
    if work.finished is None and target.exists():
        _take_up(target, target.with_name(target.name + ".partial")) if is_old else _remove(target)
    if not is_old:
        _write(entry, work)
    return work


def _take_up(target: Path, partial: Path) -> None:
    """A stop between the end of the folder and its record: as if it had come a moment earlier."""
    if (target / PROVENANCE).is_file() and not partial.exists():
        target.rename(partial)
    else:
        _remove(target)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _refuse_others(place: Place, work: Work, target: Path) -> dict[str, int]:
    """Bytes of each file there; raises `DataError` unless there is nothing, or only what this work has sent."""
    there = {name: stat.size for name, stat in place.listing().items()}
    if MARKER in there:
        if place.read(MARKER) != work.token:
            raise DataError(
                f"{place.url}: another upload to it has not ended; wait for it, or choose another name or remove what it left"
            )
    elif there and not (work.sent and there == _sizes(target)):
        raise DataError(
            f"{place.url}: exists already (it holds {next(iter(there)) or 'a file'}); expected a new folder: choose another "
            "name or remove it"
        )
    return there


def _sizes(target: Path) -> dict[str, int]:
    """Bytes of each file of the local folder."""
    return {p.relative_to(target).as_posix(): p.stat().st_size for p in sorted(target.rglob("*")) if p.is_file()}


def _send(place: Place, work: Work, target: Path, progress: Progress) -> None:
    sizes, there = _sizes(target), _refuse_others(place, work, target)
    missing = {name: target / name for name, size in sizes.items() if there.get(name) != size}
    if not missing and work.sent and MARKER not in there:
        return
    if MARKER not in there:
        place.write(MARKER, work.token)
    done = len(sizes) - len(missing)

    def arrived(name: str) -> None:
        nonlocal done
        done += 1
        progress("upload", done, len(sizes))

    last = {name: path for name, path in missing.items() if name == PROVENANCE}
    place.put({name: path for name, path in missing.items() if name not in last}, arrived)
    place.put(last, arrived)
    _compare(place, work, sizes)
    work.sent = True
    _write(target.parent, work)
    place.remove(MARKER)


def _compare(place: Place, work: Work, sent: Mapping[str, int]) -> None:
    """Raise `DataError` unless a new listing says what was sent, and nothing else."""
    there = {name: stat.size for name, stat in place.listing().items()}
    expected = {**sent, MARKER: len(work.token)}
    wrong = sorted(name for name in there.keys() | expected.keys() if there.get(name) != expected.get(name))
    if wrong or place.read(MARKER) != work.token:
        raise DataError(
            f"{place.url}: {len(wrong) or 1} file(s) are not what was sent, first {(wrong or [MARKER])[0]}: somebody else "
            "writes there; run the same command again when nobody does"
        )


def _read(entry: Path) -> Work | None:
    if not has_work(entry):
        return None
    found = json.loads((entry / WORK).read_text())
    finished = found.pop("finished")
    return Work(**found, finished=Finished(**finished) if finished else None)


def _write(entry: Path, work: Work) -> None:
    with whole(entry / WORK) as temporary:
        temporary.write_text(json.dumps(asdict(work)))
