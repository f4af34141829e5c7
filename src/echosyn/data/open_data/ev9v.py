"""EV9V (Gou et al. 2026): cines of nine views, without EF, as ``*_labeled.txt`` and the unpacked ``Videos.tar``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from echosyn.data import filelist, leftovers
from echosyn.data.layouts import Bad, Layout
from echosyn.data.records import Record
from echosyn.data.splits import Split
from echosyn.errors import DataError

LISTS: Mapping[str, Split] = {
    "train_labeled.txt": "TRAIN",
    "validation_labeled.txt": "VAL",
    "test_labeled.txt": "TEST",
}
"""In the order in which they win: what was trained on must not be held out."""
STILLS = "Images"
"""The same recordings as single frames, hundreds of thousands of files."""
SESSION = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
"""Date and time with which names begin: of one session at the scanner."""
UNKNOWN = "EF is unknown for every video"


def ev9v(src: Path) -> Layout:
    """The videos that the published lists name; column View is the published code, PatientId the session.

    Raises:
        DataError: The folder is another one, or its videos are not unpacked. Single wrong lines are in ``bad``.
    """
    lists = [name for name in LISTS if (src / name).is_file()]
    if not lists:
        raise DataError(f"{src}: none of {', '.join(LISTS)}; expected EV9V: pass the folder that holds these lists")
    videos = {path.stem: path for path in sorted((src / filelist.VIDEOS).rglob("*")) if filelist.is_video(path)}
    if not videos:
        raise DataError(f"{src / filelist.VIDEOS}: no videos; expected those of EV9V: unpack Videos.tar in {src}")
    items: list[tuple[Record, Path]] = []
    bad: list[Bad] = []
    seen: set[str] = set()
    for name in lists:
        for line, text in enumerate((src / name).read_text(encoding="utf-8-sig").splitlines(), 1):
            one = _item(text, LISTS[name], videos, seen)
            if isinstance(one, Bad):
                bad.append(replace(one, message=f"{src / name}: line {line}: {one.message}"))
            elif one is not None:
                items.append(one)
    items, notes = _by_session(items)
    missing = [name for name in LISTS if name not in lists]
    notes += [f"no {name}: its videos are left out" for name in missing]
    unlisted = [path.name for stem, path in videos.items() if stem not in seen]
    left_out = [
        *leftovers.of("video", "in none of the lists", unlisted),
        *leftovers.of("folder", "the frames of the videos as pictures", [STILLS] if (src / STILLS).is_dir() else []),
        *leftovers.files(src, {*videos.values(), *(src / name for name in lists)}, [src / STILLS]),
    ]
    return Layout(items, notes=[UNKNOWN, *notes], bad=bad, left_out=left_out)


def _item(text: str, split: Split, videos: Mapping[str, Path], seen: set[str]) -> tuple[Record, Path] | Bad | None:
    """The video of a line like ``2022-07-27_14-06-42_320x240_2 PMPALA``; None for an empty line."""
    words = text.split()
    if not words:
        return None
    if len(words) != 2:
        return Bad(words[0], "bad row", f"{text.strip()!r}, expected a name and a view")
    name, view = words
    if name in seen:
        return Bad(name, "bad row", f"{name} is listed twice; keep one of them")
    seen.add(name)
    if name not in videos:
        return Bad(name, "missing file", f"no video {name} in {filelist.VIDEOS}: unpack Videos.tar again")
    session = SESSION.match(name)
    return Record(name, split=split, extra={"PatientId": session[0] if session else name, "View": view}), videos[name]


def _by_session(items: Sequence[tuple[Record, Path]]) -> tuple[list[tuple[Record, Path]], list[str]]:
    """All videos of a session in one split, and words about it."""
    first: dict[str, Split] = {}
    for record, _ in items:
        first.setdefault(record.patient, record.split)
    moved = [record.name for record, _ in items if record.split != first[record.patient]]
    notes = [
        f"videos whose names begin with the same date and time are kept as one patient: {len(first)} for {len(items)} "
        "video(s); whether somebody came twice is not known"
    ]
    if moved:
        shown = ", ".join(moved[:3]) + (", ..." if len(moved) > 3 else "")
        notes.append(f"split of {len(moved)} video(s) changed, as others of the session are in another list: {shown}")
    return [(replace(record, split=first[record.patient]), path) for record, path in items], notes
