"""The verb `import --from dicom`: a hospital's files -> a dataset folder that names nobody, and a private report beside it."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from echosyn.data import filelist, table
from echosyn.data.dicom import finding, item, pseudonyms
from echosyn.data.dicom.finding import Source
from echosyn.data.dicom.item import Identity, Outcome
from echosyn.data.dicom.labels import Labels
from echosyn.data.dicom.pseudonyms import Pseudonyms
from echosyn.data.records import Record
from echosyn.data.splits import split_patients
from echosyn.errors import ConfigError, DataError
from echosyn.extras import require
from echosyn.files import journal, journal_of, refuse_existing
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.ingest import review, twinning
from echosyn.pipeline.ingest.summary import REPORT, finish_dicom, listed
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Executor, Lost, Processes
from echosyn.pipeline.workers.processes import Limited
from echosyn.pipeline.workers.shards import WHOLE, Shard
from echosyn.progress import Progress
from echosyn.settings import given
from echosyn.settings.data import ImportSettings

_JOURNAL = "import.jsonl"
_LIMIT_S = 900.0
_CRASHED = f"it ended the process, or took longer than {_LIMIT_S / 60:.0f} minutes"
_COLUMNS = ("Item", "Status", "Reason", "Detail", "FileName", "PatientId")


@dataclass(frozen=True)
class _Planned:
    """A file that should become a video."""

    source: Source
    item: str
    name: str
    patient: str
    identity: Identity


@dataclass(frozen=True)
class Fetched:
    """Files that were fetched from a server."""

    files: Sequence[Source]
    host: str


def ingest_dicom(
    src: Path,
    out: Path,
    asked: ImportSettings,
    compute: Compute = HERE,
    *,
    size: int = 112,
    fetched: Fetched | None = None,
) -> dict[str, Any]:
    """Import every ultrasound cine below ``src``. Resumable file by file; the result does not depend on the executor.

    Args:
        src: Folder or DICOMDIR; never changed.
        out: New dataset folder: videos under keyed pseudonyms, ``import.csv`` (what became of every file, without its
            name), ``review/`` (contact sheets to look at).
        asked: How they are read. What is in ``private`` must never be shared.
        compute: By whom (default one other process, since a damaged file may end the process that decodes it), and which
            part: all files of an instance, by its pseudonym. ``private`` must be given for a part, and have the same key for
            all. Every part reads the headers of all files; the contact sheets are made when the parts are merged, and the
            splits drawn.
        size: Height and width of the result in pixels.
        fetched: The files below ``src``, if they were fetched from a server.

    Raises:
        ConfigError: A setting makes no sense.
        DataError: ``src`` is no source, ``labels`` are wrong, or nothing could be imported.
        MissingExtraError: pydicom (or rapidocr) is not installed.
    """
    check_settings(asked)
    private, labels, fps, seed, ocr = asked.private, asked.labels, asked.fps, asked.seed, asked.ocr
    shard, progress = compute.shard, compute.progress
    if private is None and shard != WHOLE:
        raise ConfigError(
            f"--shard {shard.number}/{shard.count} without --private: each part would draw its own key and give a "
            "patient several pseudonyms; give all parts the same folder, or copies with the same key"
        )
    private = private or keeper(out)
    _check(src, out, private, fps, size)
    for module, extra in (("pydicom", "dicom"), *([("rapidocr", "deid")] if ocr else [])):
        require(module, extra=extra)
    refuse_existing(out)
    sources = fetched.files if fetched else finding.sources(src)
    known = Labels.read(labels) if labels else Labels({}, {}, {})
    keyed = pseudonyms.open_key(private)
    settings = {"source": "dicom", "fps": fps, "size": size, "seed": seed, "ocr": ocr, "key": keyed.of("key", "")}
    who: AbstractContextManager[Executor] = nullcontext(compute.executor) if compute.executor else Processes(1)
    with new_folder(out, "import", settings, shard=shard) as folder, who as executor:
        (folder / filelist.VIDEOS).mkdir(exist_ok=True)
        candidates, outcomes = _part(shard, *_plan(sources, keyed, executor, progress))
        run = partial(_imported, folder, size=size, fps=fps, ocr=ocr, executor=executor, progress=progress)
        plan = _in_turn(candidates, outcomes, run)
        done = [planned for planned in plan if outcomes[planned.item].status == "imported"]
        names = {keyed.of("item", source.state): source.name for source in sources}
        _report(private / f"{out.name}.csv", plan, outcomes, names)
        if not done and shard == WHOLE:
            reasons = listed(outcome.reason for outcome in outcomes.values())
            raise DataError(f"{src}: nothing to import: {reasons}; see {private / f'{out.name}.csv'}")
        records = _records(done, outcomes, known, size, seed)
        _keep_only(folder, records)
        notes: list[str] = []
        if shard == WHOLE:
            records, notes = twinning.together(records, [folder] * len(records))
        _report(folder / REPORT, plan, outcomes)
        sheets = review.write_sheets(folder, records, progress) if shard == WHOLE else 0
        (folder / _JOURNAL).unlink(missing_ok=True)
        if shard == WHOLE:
            twinning.forget(folder)
        became = [(outcome.status, outcome.reason) for outcome in outcomes.values()]
        summary = finish_dicom(folder, records, became, keyed.of("source", "\n".join(sorted(names))), sheets, notes)
        facts = {"part": {"files": len(names)}} if shard != WHOLE else {}
        note(folder, **facts, **({"server": fetched.host} if fetched else {}))
    look = {"look at": f"{out / review.FOLDER}, then sign off with `echosyn review`"} if sheets else {}
    return {"dataset": str(out), "private": str(private), **summary, **look}


def keeper(out: Path) -> Path:
    """The folder for key and report of an import into ``out``, where none is named."""
    return out.with_name(f"{out.name}-private")


def check_settings(asked: ImportSettings) -> None:
    """Raise `ConfigError` for a setting that an import of DICOM takes no notice of."""
    if asked.crop or asked.skip_bad:
        raise ConfigError(
            f"--crop and --skip-bad have no effect with --from {asked.source}, which finds the sector itself and reports bad "
            "files: leave them out"
        )
    if asked.mask != "sector":
        raise ConfigError(f"--mask none has no effect with --from {asked.source}, which always blackens: leave it out")
    if asked.view:
        raise ConfigError(
            f"--view {asked.view}: no effect with --from {asked.source}, whose files do not say it: leave it out"
        )
    if asked.source != "dicomweb" and given(asked, "study", "query", "modality"):
        raise ConfigError("--study, --query and --modality have no effect without --from dicomweb: leave them out")


def _check(src: Path, out: Path, private: Path, fps: float | None, size: int) -> None:
    root = (src if src.is_dir() else src.parent).resolve()
    for folder in (out, private):
        if folder.resolve().is_relative_to(root):
            raise DataError(f"{folder}: lies in the source {src}, which stays untouched: choose a folder elsewhere")
    if private.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"--private {private}: lies in {out}, which others may see: choose a folder elsewhere")
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"--fps {fps}: expected a positive number of frames per second")
    if size < 1:
        raise ConfigError(f"--size {size}: expected at least 1 pixel")


def _plan(
    sources: Sequence[Source], keyed: Pseudonyms, executor: Executor, progress: Progress
) -> tuple[dict[str, list[_Planned]], dict[str, Outcome]]:
    """The files of each instance by its pseudonym, in the order of their names, and what became of the other files."""
    identities: dict[Path, Identity | None] = {}
    for path, identity in executor.map([Limited(item.identify, _LIMIT_S)], [s.path for s in sources if not s.fault]):
        identities[path] = None if isinstance(identity, Lost) else identity
        progress("look", len(identities), len(sources))
    candidates: dict[str, list[_Planned]] = {}
    outcomes: dict[str, Outcome] = {}
    for source in sources:
        key = keyed.of("item", source.state)
        crashed = Identity(fault=source.fault or "decoder crashed", detail=source.detail if source.fault else _CRASHED)
        known = identities.get(source.path) or crashed
        name = keyed.of("video", known.instance or source.name)
        if known.fault:
            outcomes[key] = item.failure(known.fault, known.detail)
        else:
            planned = _Planned(source, key, name, keyed.of("patient", known.patient or name), known)
            candidates.setdefault(name, []).append(planned)
    return candidates, outcomes


def _part(
    shard: Shard, candidates: dict[str, list[_Planned]], outcomes: dict[str, Outcome]
) -> tuple[dict[str, list[_Planned]], dict[str, Outcome]]:
    """Those of a shard: by pseudonym, so that it depends on no other file."""

    def has(name: str) -> bool:
        return shard.has(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))

    own = {name: same for name, same in candidates.items() if has(name)}
    return own, {key: outcome for key, outcome in outcomes.items() if has(key)}


def _in_turn(
    candidates: Mapping[str, list[_Planned]],
    outcomes: dict[str, Outcome],
    run: Callable[[Sequence[_Planned]], Mapping[str, Outcome]],
) -> list[_Planned]:
    """Import one file of each instance: the first that can be read, as a transfer that broke off leaves half a copy.

    Adds to ``outcomes``; returns what was tried.
    """
    tried: list[_Planned] = []
    turn = [same.pop(0) for same in candidates.values()]
    while turn:
        tried += turn
        outcomes |= run(turn)
        again = [planned.name for planned in turn if outcomes[planned.item].status == "failed"]
        turn = [candidates[name].pop(0) for name in again if candidates[name]]
    for planned in (planned for same in candidates.values() for planned in same):
        outcomes[planned.item] = item.failure("duplicate", "has the SOP instance UID of another file")
    return tried


def _imported(
    folder: Path,
    plan: Sequence[_Planned],
    *,
    size: int,
    fps: float | None,
    ocr: bool,
    executor: Executor,
    progress: Progress,
) -> dict[str, Outcome]:
    """Import what an earlier try has not; every file's outcome is on disk before the next is asked for."""
    videos = folder / filelist.VIDEOS
    tasks = {p.item: item.Task(p.source.path, videos / f"{p.name}.avi", size, fps, ocr) for p in plan}
    before = {entry.pop("item"): Outcome(**entry) for entry in journal_of(folder / _JOURNAL)}
    outcomes = {k: o for k, o in before.items() if k in tasks and (o.status != "imported" or tasks[k].out.exists())}
    keys = {task.path: key for key, task in tasks.items()}
    waiting = [task for key, task in tasks.items() if key not in outcomes]
    with journal(folder / _JOURNAL) as remember:
        for task, result in executor.map([Limited(item.run, _LIMIT_S)], waiting):
            key = keys[task.path]
            outcomes[key] = item.failure("decoder crashed", _CRASHED) if isinstance(result, Lost) else result
            remember({"item": key} | asdict(outcomes[key]))
            progress("import", len(outcomes), len(plan))
    return outcomes


def _records(
    done: Sequence[_Planned], outcomes: Mapping[str, Outcome], labels: Labels, size: int, seed: int
) -> list[Record]:
    """Rows in the order of the pseudonyms, which says nothing about the source's."""
    splits = split_patients([planned.patient for planned in done], seed)
    records = []
    for planned in sorted(done, key=lambda planned: planned.name):
        outcome = outcomes[planned.item]
        ef, esv, edv = labels.of(planned.identity, planned.source.name)
        records.append(
            Record(
                planned.name,
                ef=ef,
                esv=esv,
                edv=edv,
                height=size,
                width=size,
                fps=outcome.fps,
                num_frames=outcome.num_frames,
                split=splits[planned.patient],
                extra={"PatientId": planned.patient} | outcome.columns,
            )
        )
    return records


def _keep_only(folder: Path, records: Sequence[Record]) -> None:
    """Remove what an interrupted import of files that have gone since has left."""
    names = {f"{record.name}.avi" for record in records}
    for path in (folder / filelist.VIDEOS).iterdir():
        if path.name not in names:
            path.unlink()


def _report(
    path: Path, plan: Sequence[_Planned], outcomes: Mapping[str, Outcome], names: Mapping[str, str] | None = None
) -> None:
    """A row per file. With ``names`` it says which file, and is for its keeper only."""
    planned = {p.item: p for p in plan}
    rows = []
    for key, outcome in outcomes.items():
        row = [key, outcome.status, outcome.reason, outcome.detail]
        row += [planned[key].name, planned[key].patient] if outcome.status == "imported" else ["", ""]
        rows.append([*row, names[key]] if names else row)
    columns = [*_COLUMNS, *(["Source"] if names else [])]
    rows.sort(key=lambda row: row[-1 if names else 0])
    table.write(path, columns, rows, mode=0o600 if names else 0o666)
