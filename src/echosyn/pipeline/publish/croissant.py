"""Croissant (JSON-LD of mlcommons.org, version 1.0): what a release holds, for machines."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from echosyn.data import filelist
from echosyn.hashing import file_hash
from echosyn.pipeline.publish.layout import METADATA, MP4

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "equivalentProperty": "cr:equivalentProperty",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {"EF": "Float", "ESV": "Float", "EDV": "Float", "FPS": "Float"} | dict.fromkeys(
    ("FrameHeight", "FrameWidth", "NumberOfFrames"), "Integer"
)
MEANING = {
    "FileName": "video file in Videos, without extension",
    "EF": "ejection fraction in percent",
    "ESV": "end-systolic volume in ml, empty if unknown",
    "EDV": "end-diastolic volume in ml, empty if unknown",
    "FrameHeight": "pixels",
    "FrameWidth": "pixels",
    "FPS": "frames per second",
    "NumberOfFrames": "number of frames",
    "Split": "TRAIN, VAL, TEST or EXTRA",
}


_AUDITED = {
    True: "These videos passed an audit for likeness to real patients: audit.json.",
    False: "These videos were not audited for likeness to real patients.",
}


def describe(
    folder: Path, *, title: str, description: str, licence: str, date: str, audited: bool, address: str | None
) -> dict[str, Any]:
    """The JSON-LD of a release whose tables are written.

    Every table carries its SHA-256, and the tables below ``mp4/`` that of every video.

    Args:
        folder: the release.
        title: name of the dataset.
        description: one paragraph.
        licence: identifier or address of the licence.
        date: day of the release, ISO 8601.
        audited: whether it rests on an audit.
        address: where it will be on the hub, if known.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": title,
        "description": description,
        "license": licence,
        "version": "1.0.0",
        "datePublished": date,
        "isLiveDataset": False,
        "citeAs": title,
        "rai:dataCollection": "Generated, not recorded; see provenance.json for its origin.",
        "rai:personalSensitiveInformation": _AUDITED[audited],
        "distribution": list(_distribution(folder)),
        "recordSet": [_records()],
    } | ({"url": address} if address else {})


def _distribution(folder: Path) -> Iterator[dict[str, Any]]:
    tables = [filelist.FILE_LIST, *sorted(p.relative_to(folder).as_posix() for p in folder.glob(f"{MP4}/*/{METADATA}"))]
    for name in tables:
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": "text/csv",
            "contentSize": f"{(folder / name).stat().st_size} B",
            "sha256": file_hash(folder / name),
        }
    kinds: Sequence[tuple[str, str, str]] = (
        ("videos-avi", "video/x-msvideo", f"{filelist.VIDEOS}/**/*.avi"),
        ("videos-mp4", "video/mp4", f"{MP4}/**/*.mp4"),
    )
    for name, encoding, pattern in kinds:
        yield {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": encoding, "includes": pattern}


def _records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "videos",
        "name": "videos",
        "description": "One row per video, in EchoNet-Dynamic's format.",
        "key": {"@id": "videos/FileName"},
        "field": [_field(column) for column in filelist.COLUMNS],
    }


def _field(column: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"videos/{column}",
        "name": column,
        "description": MEANING[column],
        "dataType": f"sc:{TYPES.get(column, 'Text')}",
        "source": {"fileObject": {"@id": filelist.FILE_LIST}, "extract": {"column": column}},
    }
