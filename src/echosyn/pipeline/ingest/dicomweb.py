"""The verb `import --from dicomweb`: what a server has is copied into the keeper's folder and imported as DICOM from there."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from echosyn.data.dicom import pseudonyms, reading
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.finding import Source
from echosyn.errors import ConfigError, DataError
from echosyn.extras import require
from echosyn.files import refuse_existing
from echosyn.pipeline.folder import disk_is_full
from echosyn.pipeline.ingest import dicom
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.shards import WHOLE
from echosyn.progress import Progress
from echosyn.settings.data import ImportSettings
from echosyn.storage.dicomweb import Instance, NotRetrievedError, Server

_UID = re.compile(r"[0-9][0-9.]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9.]+")
_OURS = ("limit", "offset", "includefield", "modalitiesinstudy")


def ingest_dicomweb(
    url: str, out: Path, asked: ImportSettings, compute: Compute = HERE, *, size: int = 112, pause_s: float = 1.0
) -> dict[str, Any]:
    """Import every ultrasound cine that a server has of the studies asked for; the rest is `ingest_dicom`.

    An instance is written as it arrives. Copies lie in the private folder until the import has ended, and only those that
    are missing are asked for when the same command is given again. One that cannot be had is named in the report like a
    damaged file.

    Args:
        url: Root of the DICOMweb server.
        out: New dataset folder. Its provenance names the host, and neither studies nor query.
        asked: Which studies, and how they are read.
        compute: By whom the copies are read.
        size: Height and width of the result in pixels.
        pause_s: Wait before a request is made again, doubled each time.

    Raises:
        ConfigError: A setting makes no sense.
        DataError: The server refuses, has no such study, or nothing could be imported.
        MissingExtraError: dicomweb-client (or rapidocr) is not installed.
        StoppedError: The server cannot be reached.
    """
    dicom.check_settings(asked)
    studies, query = _wanted(asked)
    if compute.shard != WHOLE:
        raise ConfigError(
            "--shard has no effect with --from dicomweb: each part would fetch everything; leave it out, or import "
            "different studies into different folders"
        )
    server = Server(url, pause_s=pause_s)
    refuse_existing(out)
    private = asked.private or dicom.keeper(out)
    found = list({each.name: each for each in server.instances(studies, query, asked.modality)}.values())
    if not found:
        raise DataError(
            f"{server.url}: no matching instance of modality {asked.modality}; check --study, --query and --modality"
        )
    pseudonyms.open_key(private)
    copies = private / f"{out.name}-copies"
    copies.mkdir(mode=0o700, exist_ok=True)
    fetched = dicom.Fetched(_copied(server, found, copies, compute.progress), server.host)
    summary = dicom.ingest_dicom(copies, out, replace(asked, private=private), compute, size=size, fetched=fetched)
    shutil.rmtree(copies)
    return summary


def _wanted(asked: ImportSettings) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Studies and attributes that are asked for."""
    if asked.study and asked.query is not None:
        raise ConfigError("--study and --query exclude one another: give one of them")
    if wrong := [uid for uid in asked.study if not _UID.fullmatch(uid)]:
        raise ConfigError(f"--study {wrong[0]}: expected a StudyInstanceUID, digits and dots, at most 64")
    if asked.query is None:
        return asked.study, {}
    try:
        pairs = parse_qsl(asked.query, strict_parsing=True)
    except ValueError:
        pairs = []
    query = dict(pairs)
    if not pairs or len(query) != len(pairs) or not all(_NAME.fullmatch(name) for name in query):
        raise ConfigError(
            "--query: expected NAME=VALUE&NAME=VALUE, such as StudyDate=20240101-20241231, each name once"
        )
    if own := [name for name in query if name.lower() in _OURS]:
        raise ConfigError(f"--query: {own[0]} is set by the import itself (--modality, all results): leave it out")
    return (), query


def _copied(server: Server, found: list[Instance], folder: Path, progress: Progress) -> list[Source]:
    """Every instance as a file below ``folder``, or what is wrong with it, in the order of their names."""
    sources = []
    for done, instance in enumerate(found, start=1):
        path = folder / instance.name
        source = Source(path, instance.name)
        try:
            if not path.exists():
                _check_kind(instance)
                _copy(server, instance, path)
        except BadDicomError as error:
            source = Source(path, instance.name, error.fault, error.detail)
        except NotRetrievedError as error:
            source = Source(path, instance.name, "not retrieved", str(error))
        sources.append(source)
        progress("fetch", done, len(found))
    return sorted(sources, key=lambda source: source.name)


def _copy(server: Server, instance: Instance, path: Path) -> None:
    """The time of every copy is the same, so that a file fetched again is the same file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        server.retrieve(instance, path)
        os.utime(path, (0, 0))
    except OSError as error:
        if not disk_is_full(error):
            raise
        raise DataError(
            f"{path}: the disk is full; free some space and run the same command again to continue, or fetch fewer studies "
            "at once with --study or --query"
        ) from error


def _check_kind(instance: Instance) -> None:
    """Raise `BadDicomError` for what need not be fetched, as the server says what it is."""
    if instance.kind:
        found = require("pydicom", extra="dicomweb").Dataset()
        found.SOPClassUID, found.Modality, found.Rows = instance.kind, "US", 1
        reading.check_kind(found)
