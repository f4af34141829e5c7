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
from echosyn.storage.journal import Journal
from echosyn.storage.place import MARKER, Place, Progress, Stat, cached, locked, together

WORK, SENT = "work.json", "sent.jsonl"


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


def has_work(entry: Path) -> bool:
    """Whether a URL's folder of the cache holds something that is to be sent."""
    return (entry / WORK).exists()


@contextmanager
def output(
    url: str, call: Mapping[str, object], progress: Progress = lambda what, done, total: None
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
    if not is_old:
        (entry / SENT).unlink(missing_ok=True)
    _refuse_others(place, work, place.listing(), Journal(entry / SENT))
    if work.finished is None and target.exists():
        _take_up(target, target.with_name(target.name + ".partial")) if is_old else _remove(target)
    if not is_old:
        (entry / "mirror.jsonl").unlink(missing_ok=True)
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


def _refuse_others(place: Place, work: Work, files: Mapping[str, Stat], sent: Journal) -> None:
    """Raise `DataError` unless there is nothing, or only what this work has sent."""
    if MARKER in files:
        if place.read(MARKER) != work.token:
            raise DataError(
                f"{place.url}: another upload to it has not ended; wait for it, or choose another name or remove what it left"
            )
        return
    if others := [name for name, stat in files.items() if not _is_sent(stat, sent.facts.get(name))]:
        raise DataError(
            f"{place.url}: exists already (it holds {others[0] or 'a file'}); expected a new folder: choose another name "
            "or remove it"
        )


def _send(place: Place, work: Work, target: Path, progress: Progress) -> None:
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    with Journal(target.parent / SENT) as journal:
        there = place.listing()
        _refuse_others(place, work, there, journal)
        if MARKER not in there:
            place.write(MARKER, work.token)
        missing = [n for n in names if n not in there or not _is_sent(there[n], journal.facts.get(n))]
        done = len(names) - len(missing)

        def put(name: str) -> Stat:
            stat = place.put(target / name, name)
            if stat.size != (size := (target / name).stat().st_size):
                raise DataError(
                    f"{place.url}/{name}: {stat.size} bytes arrived, expected {size}; run the same command again"
                )
            return stat

        def arrived(name: str, stat: Stat) -> None:
            nonlocal done
            journal.add(name, *stat)
            done += 1
            progress("upload", done, len(names))

        together(put, [name for name in missing if name != PROVENANCE], arrived)
        together(put, [name for name in missing if name == PROVENANCE], arrived)
        _compare(place, {name: Stat(*journal.facts[name]) for name in names})  # type: ignore[arg-type]
    place.remove(MARKER)


def _compare(place: Place, sent: Mapping[str, Stat]) -> None:
    """Raise `DataError` unless a new listing says what was sent, and nothing else."""
    there = {name: stat for name, stat in place.listing().items() if name != MARKER}
    wrong = sorted(name for name in there.keys() | sent.keys() if there.get(name) != sent.get(name))
    if wrong:
        raise DataError(
            f"{place.url}: {len(wrong)} file(s) are not what was sent, first {wrong[0]}: somebody else writes there; "
            "run the same command again when nobody does"
        )


def _is_sent(stat: Stat, known: list[object] | None) -> bool:
    return stat.tag is not None and known == [*stat]


def _read(entry: Path) -> Work | None:
    if not has_work(entry):
        return None
    found = json.loads((entry / WORK).read_text())
    finished = found.pop("finished")
    return Work(**found, finished=Finished(**finished) if finished else None)


def _write(entry: Path, work: Work) -> None:
    with whole(entry / WORK) as temporary:
        temporary.write_text(json.dumps(asdict(work)))
