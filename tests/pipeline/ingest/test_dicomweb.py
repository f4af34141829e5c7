"""An import from a server is an import of its files: the same set, the same report, nothing more of the hospital in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hospital
from archive import Archive, serving
from echosyn.apps.cli import main
from echosyn.data import checking, table
from echosyn.errors import ConfigError, DataError, StoppedError
from echosyn.pipeline.folder import read_provenance
from echosyn.pipeline.ingest import review
from echosyn.pipeline.ingest.dicomweb import ingest_dicomweb
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.executors import InProcess
from echosyn.pipeline.workers.shards import Shard
from echosyn.settings.data import ImportSettings
from echosyn.storage import dicomweb
from importing import ingest_dicom

pytest.importorskip("dicomweb_client", reason="needs echosyn[dicomweb]")

VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(dicomweb.TOKEN, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Four files of two patients."""
    with serving() as found:
        for number in range(4):
            found.add(hospital.tiny(tmp_path / "src" / f"{number}.dcm", number, patient=f"P{number % 2}").read_bytes())
        yield found


def bring(archive: Archive, out: Path, **asked: Any) -> dict[str, Any]:
    compute = Compute("cpu", InProcess.of("cpu"), **{n: asked.pop(n) for n in ("shard", "progress") if n in asked})
    return ingest_dicomweb(archive.url, out, ImportSettings(source="dicomweb", **asked), compute, size=32, pause_s=0)


def rows(path: Path) -> list[dict[str, str]]:
    return [dict(row.cells) for row in table.read(path, required=()).rows]


def became(out: Path) -> dict[str, str]:
    """What the private report says of each instance."""
    report = out.with_name(f"{out.name}-private") / f"{out.name}.csv"
    return {row["source"].rpartition("/")[2].removesuffix(".dcm"): row["reason"] for row in rows(report)}


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_it_is_an_import_of_the_same_files(archive: Archive, tmp_path: Path) -> None:
    for uid, data in archive.files.items():
        header = archive.headers[uid]
        path = tmp_path / "files" / header["StudyInstanceUID"] / header["SeriesInstanceUID"] / f"{uid}.dcm"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        os.utime(path, (0, 0))
    result = bring(archive, tmp_path / "web" / "set")
    assert (result["videos"], result["patients"], result["failed"]) == (4, 2, 0)
    private = tmp_path / "folder" / "set-private"
    shutil.copytree(tmp_path / "web" / "set-private", private)
    ingest_dicom(tmp_path / "files", tmp_path / "folder" / "set", size=32, executor=InProcess.of("cpu"))
    web, folder = contents(tmp_path / "web" / "set"), contents(tmp_path / "folder" / "set")
    provenance = "provenance.json"
    assert {n: b for n, b in web.items() if n != provenance} == {n: b for n, b in folder.items() if n != provenance}
    said = read_provenance(tmp_path / "web" / "set")
    assert said.pop("server") == "127.0.0.1"
    assert said == read_provenance(tmp_path / "folder" / "set")
    assert contents(tmp_path / "web" / "set-private") == contents(private)


def test_nothing_of_the_hospital_is_in_the_set_but_its_host(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.token = "s3cret-token"
    monkeypatch.setenv(dicomweb.TOKEN, archive.token)
    bring(archive, tmp_path / "set", query="PatientID=P1")
    assert sorted(path.name for path in (tmp_path / "set-private").iterdir()) == ["pseudonym.key", "set.csv"]
    words = {word for header in archive.headers.values() for word in header.values() if len(word) > 3}
    words |= {archive.url, archive.token, "PatientID", *(w for n in range(4) for w in hospital.person(n).strings)}
    for name, data in contents(tmp_path / "set").items():
        assert not [word for word in words if word.encode() in data], name
    assert archive.token.encode() not in (tmp_path / "set-private" / "set.csv").read_bytes()
    assert review.is_open(tmp_path / "set")
    review.sign_off(tmp_path / "set", by="A. Reader")
    assert not review.is_open(tmp_path / "set")
    assert checking.check(tmp_path / "set").ok


def test_bad_instances_are_named_and_the_rest_is_imported(archive: Archive, tmp_path: Path) -> None:
    gone, broken, damaged, good = archive.files
    archive.fails[gone] = 404
    archive.cut.add(broken)
    archive.files[damaged] = archive.files[damaged][:-5000]
    volume = archive.add(hospital.tiny(tmp_path / "volume.dcm", 9).read_bytes())
    archive.headers[volume]["SOPClassUID"] = VOLUME
    result = bring(archive, tmp_path / "set")
    assert became(tmp_path / "set") == {
        gone: "not retrieved",
        broken: "not retrieved",
        damaged: "truncated",
        volume: "no 2-D tissue region",
        good: "",
    }
    assert (result["videos"], result["failed"], result["skipped"]) == (1, 3, 1)
    assert volume not in archive.fetched()
    details = {row["detail"] for row in rows(tmp_path / "set-private" / "set.csv")}
    assert {"the server says 404", "the transfer broke off 4 times"} <= details


def test_what_was_fetched_is_not_fetched_again(archive: Archive, tmp_path: Path) -> None:
    last = sorted(archive.files)[-1]
    archive.fails[last] = 503
    with pytest.raises(StoppedError, match="503"):
        bring(archive, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    copies = tmp_path / "set-private" / "set-copies"
    assert len([path for path in copies.rglob("*") if path.is_file()]) == 3
    assert copies.stat().st_mode & 0o077 == 0
    archive.fails.clear()
    archive.asked.clear()
    assert bring(archive, tmp_path / "set")["videos"] == 4
    assert archive.fetched() == [last]
    assert not copies.exists()


def test_an_instance_has_been_written_before_the_next_is_asked_for(archive: Archive, tmp_path: Path) -> None:
    seen: list[int] = []

    def look(what: str, done: int, total: int) -> None:
        if what == "fetch":
            seen.append(len(archive.fetched()))

    bring(archive, tmp_path / "set", progress=look)
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"query": "PatientID=nobody"}, DataError, "no matching instance of modality US"),
        ({"study": ("1.2.3",)}, DataError, "no matching instance"),
        ({"modality": "CT"}, DataError, "no matching instance of modality CT"),
        ({"study": ("../x",)}, ConfigError, "--study ../x: expected a StudyInstanceUID"),
        ({"query": "x"}, ConfigError, "--query: expected NAME=VALUE"),
        ({"query": "a=1&a=2"}, ConfigError, "each name once"),
        ({"query": "limit=3"}, ConfigError, "--query: limit is set by the import itself"),
        ({"query": "a=1", "study": ("1.2",)}, ConfigError, "exclude one another"),
        ({"crop": "0,0,1,1"}, ConfigError, "no effect with --from dicomweb"),
        ({"shard": Shard(1, 2)}, ConfigError, "--shard has no effect with --from dicomweb"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    archive: Archive, tmp_path: Path, asked: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        bring(archive, tmp_path / "set", **asked)
    assert "\n" not in str(raised.value)
    assert "nobody" not in str(raised.value)
    assert archive.fetched() == []
    assert not list(tmp_path.glob("set*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "dicomweb"], "expected the root of a DICOMweb server"),
        (["--from", "dicom", "--study", "1.2"], "no effect without --from dicomweb"),
        (["--from", "folder", "--modality", "CT"], "no effect without --from dicomweb"),
    ],
)
def test_the_verb_refuses_what_has_no_effect(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["import", str(tmp_path), str(tmp_path / "out"), *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_the_verb_takes_an_address(archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["import", archive.url, str(tmp_path / "out"), "--from", "dicomweb", "--modality", "CT"])
    assert archive.url in capsys.readouterr().err
    assert archive.asked
