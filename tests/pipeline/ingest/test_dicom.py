"""An archive goes in, nothing that names anybody comes out; every file has a row; a kill costs nothing."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest

import dying
import hospital
from echosyn.data import checking, filelist, video
from echosyn.data.dicom import deidentify, item, pseudonyms
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.ingest import review
from echosyn.pipeline.merge import merge
from echosyn.pipeline.workers.executors import Processes
from echosyn.pipeline.workers.shards import Shard
from hospital import tiny
from importing import ingest_dicom


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def spellings(word: str) -> list[bytes]:
    return [word.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "latin-1")]


def planted(folder: Path, count: int, first: int = 100) -> tuple[list[str], dict[str, np.ndarray]]:
    """An archive of phantoms with identifying tags, file names and screens; what must not get out; the true sectors."""
    words: set[str] = set()
    sectors = {}
    for i in range(count):
        number = first + i
        who = hospital.person(number)
        words |= set(who.strings)
        screen = hospital.screen(number, who, num_frames=32, inside=(None, None, "some", "all")[i % 4])
        uid = f"1.2.826.0.1.{number}"
        save = hospital.save_jpeg if i % 2 else hospital.save
        save(folder / who.name.split("^")[0] / f"{who.id}.dcm", hospital.tags(who, uid), screen.frames)
        sectors[f"{who.name.split('^')[0]}/{who.id}.dcm"] = screen.sector
    return sorted(words), sectors


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_no_planted_string_survives(count: int, tmp_path: Path) -> None:
    words, sectors = planted(tmp_path / "src", count)
    out = tmp_path / "out"
    ingest_dicom(tmp_path / "src", out)
    assert checking.check(out).ok
    found = {
        (word, name) for name, data in contents(out).items() for word in words for s in spellings(word) if s in data
    }
    assert not found
    assert not [name for name in contents(out) for word in words if word in name]
    overlaps = []
    for name, sector in list(sectors.items())[:10]:
        cine = deidentify.cine(tmp_path / "src" / name)
        truth, (y, x) = placed(sector, cine.sector)
        overlaps.append((truth & cine.sector).sum() / (sector | placed_back(cine.sector, y, x)).sum())
        outside = cine.frames[:, ~truth]
        assert (outside > 200).sum() == 0, "something as bright as text outside of the sector"
    print(f"sector IoU: min {min(overlaps):.3f}, mean {np.mean(overlaps):.3f}, n {len(overlaps)}")  # noqa: T201
    assert min(overlaps) >= 0.95


def placed(sector: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The true sector in the coordinates of the cut-out: where the mask overlaps it most."""
    from scipy import signal as scipy_signal

    side = mask.shape[0]
    padded = np.pad(sector, side).astype(np.float32)
    match = scipy_signal.fftconvolve(padded, mask[::-1, ::-1].astype(np.float32), mode="valid")
    y, x = (int(i) for i in np.unravel_index(match.argmax(), match.shape))
    return padded[y : y + side, x : x + side] > 0, (y - side, x - side)


def placed_back(mask: np.ndarray, y: int, x: int) -> np.ndarray:
    whole = np.zeros((hospital.HEIGHT, hospital.WIDTH), bool)
    rows_, columns = np.nonzero(mask)
    inside = (rows_ + y >= 0) & (rows_ + y < hospital.HEIGHT) & (columns + x >= 0) & (columns + x < hospital.WIDTH)
    whole[rows_[inside] + y, columns[inside] + x] = True
    return whole


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files of two patients, and one of everything that goes wrong."""
    src = tmp_path_factory.mktemp("archive")
    for i in range(4):
        tiny(src / f"study{i % 2}" / f"good{i}.dcm", i, patient=f"patient {i % 2}")
    tiny(src / "zz_again.dcm", 0, patient="patient 0")
    whole = (src / "study0" / "good0.dcm").read_bytes()
    (src / "cut.dcm").write_bytes(whole[:-5000])
    (src / "letter.txt").write_text("dear colleague")
    (src / "secret.p7m").write_bytes(bytes.fromhex("308006092a864886f70d010703a080") + whole)
    bomb = pydicom.dcmread(src / "study0" / "good0.dcm")
    bomb.NumberOfFrames, bomb.SOPInstanceUID = 2**31 - 1, "1.2.9"
    hospital.write(src / "bomb.dcm", bomb)
    ct = pydicom.dcmread(src / "study0" / "good0.dcm")
    ct.SOPClassUID, ct.Modality, ct.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "CT", "1.2.10"
    hospital.write(src / "ct.dcm", ct)
    index = pydicom.Dataset()
    index.file_meta = pydicom.dataset.FileMetaDataset()
    index.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    index.SOPClassUID, index.SOPInstanceUID, index.DirectoryRecordSequence = "1.2.840.10008.1.3.10", "1.2.11", []
    for name in (["study0", "good0.dcm"], ["..", "..", "etc", "passwd"], ["gone.dcm"]):
        entry = pydicom.Dataset()
        entry.ReferencedFileID = name
        index.DirectoryRecordSequence.append(entry)
    hospital.write(src / "DICOMDIR", index)
    return src


def test_every_file_has_a_row_with_its_reason(archive: Path, tmp_path: Path) -> None:
    result = ingest_dicom(archive, tmp_path / "out", private=tmp_path / "mine")
    reasons = {row["Source"]: row["Reason"] or row["Status"] for row in rows(tmp_path / "mine" / "out.csv")}
    assert reasons == {
        "../../etc/passwd": "outside the source",
        "DICOMDIR": "DICOMDIR",
        "bomb.dcm": "truncated",
        "ct.dcm": "not ultrasound",
        "cut.dcm": "truncated",
        "gone.dcm": "missing file",
        "letter.txt": "not DICOM",
        "secret.p7m": "encrypted",
        "study0/good0.dcm": "imported",
        "study0/good2.dcm": "imported",
        "study1/good1.dcm": "imported",
        "study1/good3.dcm": "imported",
        "zz_again.dcm": "duplicate",
    }
    public = rows(tmp_path / "out" / "import.csv")
    assert len(public) == len(reasons)
    assert "Source" not in public[0]
    assert (result["patients"], checking.check(tmp_path / "out").ok) == (2, True)
    shares = [float(record.extra["BlackenedPercent"]) for record in filelist.read(tmp_path / "out")]
    (said,) = (note for note in result["notes"] if "blackened" in note)
    assert f"at most {max(shares):.1f} %" in said
    split_of: dict[str, set[str]] = {}
    for record in filelist.read(tmp_path / "out"):
        split_of.setdefault(record.patient, set()).add(record.split)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "mine").iterdir())


@pytest.mark.slow
def test_a_decoder_that_dies_is_a_row_and_costs_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, name in enumerate(("a", "killer", "b", "header", "c")):
        tiny(tmp_path / "src" / f"{name}.dcm", i)
    monkeypatch.setattr(item, "run", dying.run)
    monkeypatch.setattr(item, "identify", dying.identify)
    result = ingest_dicom(tmp_path / "src", tmp_path / "out", private=tmp_path / "mine", executor=Processes(2))
    reasons = {row["Source"]: row["Reason"] or row["Status"] for row in rows(tmp_path / "mine" / "out.csv")}
    good = dict.fromkeys(("a.dcm", "b.dcm", "c.dcm"), "imported")
    assert reasons == good | dict.fromkeys(("killer.dcm", "header.dcm"), "decoder crashed")
    assert (result["videos"], result["failed"]) == (3, 2)


def test_half_a_copy_does_not_keep_out_the_whole_file(tmp_path: Path) -> None:
    whole = tiny(tmp_path / "src" / "whole.dcm", 0)
    again = tiny(tmp_path / "src" / "z.dcm", 0)
    (tmp_path / "src" / "a_half.dcm").write_bytes(whole.read_bytes()[:-5000])
    ingest_dicom(tmp_path / "src", tmp_path / "out", private=tmp_path / "mine")
    reasons = {row["Source"]: row["Reason"] or row["Status"] for row in rows(tmp_path / "mine" / "out.csv")}
    assert reasons == {"a_half.dcm": "truncated", "whole.dcm": "imported", again.name: "duplicate"}


@pytest.mark.slow
def test_the_number_of_workers_and_a_known_key_change_nothing(archive: Path, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        ingest_dicom(archive, tmp_path / name, private=tmp_path / "mine", executor=Processes(workers))
    one, two = (contents(tmp_path / name) for name in ("one", "two"))
    assert one == two


def keeper(folder: Path, digit: str = "0") -> Path:
    """A private folder with a key that is always the same."""
    folder.mkdir(mode=0o700)
    (folder / pseudonyms.KEY_FILE).touch(0o600)
    (folder / pseudonyms.KEY_FILE).write_text(digit * 64)
    return folder


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)])
def test_merged_parts_are_the_whole(archive: Path, tmp_path: Path, count: int) -> None:
    """Bad files, copies of an instance, and patients whose videos are in several parts."""
    table = tmp_path / "labels.csv"
    table.write_text("PatientID,EF\npatient 1,44.5\n")
    how = {"private": keeper(tmp_path / "mine"), "labels": table, "executor": Processes(1), "seed": 4}
    ingest_dicom(archive, tmp_path / "whole", **how)
    parts = [tmp_path / f"part-{number}" for number in range(1, count + 1)]
    for number, path in enumerate(parts, 1):
        ingest_dicom(archive, path, **how, shard=Shard(number, count))
    assert all(review.is_open(path) for path in parts), "nobody learns from a part that nobody has looked at"
    merge(parts[::-1], tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    private = [row for path in parts for row in rows(tmp_path / "mine" / f"{path.name}.csv")]
    assert sorted(private, key=lambda row: row["Source"]) == rows(tmp_path / "mine" / "whole.csv")
    filled = [path for path in parts if rows(path / "FileList.csv")]
    assert len(filled) > 1
    assert count < 5 or len(filled) < count, "a part without a video is one, too"


@pytest.mark.slow
def test_parts_need_one_key_and_the_same_files(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--shard 1/2 without --private: each part would draw its own key"):
        ingest_dicom(archive, tmp_path / "a", shard=Shard(1, 2))
    assert not list(tmp_path.glob("a*"))
    ingest_dicom(archive, tmp_path / "a", private=keeper(tmp_path / "mine"), shard=Shard(1, 2))
    ingest_dicom(archive, tmp_path / "b", private=keeper(tmp_path / "other", "1"), shard=Shard(2, 2))
    with pytest.raises(DataError, match=r"\(settings: key differs\)"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    copied = shutil.copytree(archive, tmp_path / "archive")
    (copied / "letter.txt").unlink()
    ingest_dicom(copied, tmp_path / "c", private=tmp_path / "mine", shard=Shard(2, 2))
    with pytest.raises(DataError, match=r"c: was made from other files than .*a"):
        merge([tmp_path / "a", tmp_path / "c"], tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.slow
def test_a_file_that_only_some_could_read_is_noticed(archive: Path, tmp_path: Path) -> None:
    parts, private = [tmp_path / f"part-{number}" for number in (1, 2)], keeper(tmp_path / "mine")
    for number, path in enumerate(parts, 1):
        ingest_dicom(archive, path, private=private, shard=Shard(number, 2))
    report = parts[0] / "import.csv"
    report.write_text("".join(report.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match=r"the parts have 12 rows of 13 files: one could be read by some"):
        merge(parts, tmp_path / "out")


def test_processes_that_begin_together_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: pseudonyms.open_key(tmp_path / "mine").key, range(64)))
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [pseudonyms.KEY_FILE]


def test_pseudonyms_need_the_key_and_the_key_needs_its_owner(tmp_path: Path) -> None:
    mine, other = pseudonyms.open_key(tmp_path / "a"), pseudonyms.open_key(tmp_path / "b")
    assert mine.of("patient", "7") == pseudonyms.open_key(tmp_path / "a").of("patient", "7")
    assert len({mine.of("patient", "7"), other.of("patient", "7"), mine.of("video", "7"), mine.of("patient", "8")}) == 4
    (tmp_path / "a" / pseudonyms.KEY_FILE).chmod(0o644)
    with pytest.raises(DataError, match="this key is readable by others"):
        pseudonyms.open_key(tmp_path / "a")


def test_the_private_folder_lies_outside(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="others may see"):
        ingest_dicom(archive, tmp_path / "out", private=tmp_path / "out" / "mine")
    with pytest.raises(DataError, match="stays untouched"):
        ingest_dicom(archive, tmp_path / "out", private=archive / "mine")


def test_labels_by_instance_file_and_patient(tmp_path: Path) -> None:
    for i in range(3):
        tiny(tmp_path / "src" / f"{i}.dcm", i, patient="p")
    table = tmp_path / "labels.csv"
    table.write_text("SOPInstanceUID,FileName,PatientID,EF\n1.2.826.0.1.1,,,55\n,1.dcm,,44.5\n,,p,33\n")
    ingest_dicom(tmp_path / "src", tmp_path / "out", labels=table)
    assert sorted(record.ef or 0 for record in filelist.read(tmp_path / "out")) == [33, 44.5, 55]
    table.write_text("PatientID,EF\np,155\n")
    with pytest.raises(DataError, match="EF is 155"):
        ingest_dicom(tmp_path / "src", tmp_path / "other", labels=table)
    assert not list(tmp_path.glob("other*"))


def test_training_asks_for_a_sign_off_that_fits_the_videos(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest_dicom(archive, out)
    assert list((out / review.FOLDER).glob("sheet-*.png"))
    with pytest.raises(DataError, match="not signed off"):
        review.require_signed(out, reviewed=False)
    review.require_signed(out, reviewed=True)
    first, second = (record.name for record in filelist.read(out)[:2])
    review.sign_off(out, by="somebody", drop=[first])
    review.require_signed(out, reviewed=False)
    assert first not in {record.name for record in filelist.read(out)}
    video.write_avi(out / "Videos" / f"{second}.avi", np.zeros((8, 112, 112), np.uint8), 40)
    with pytest.raises(DataError, match="not signed off"):
        review.require_signed(out, reviewed=False)


def killed_and_repeated(src: Path, out: Path, private: Path, workers: int) -> int:
    """Import in a process that is killed in the middle, then again; the peak memory of the second in bytes."""
    code = (
        "import sys, resource\nfrom pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    from echosyn.pipeline.workers.executors import Processes\n"
        "    from echosyn.pipeline.workers.compute import Compute\n"
        "    from echosyn.pipeline.ingest.dicom import ingest_dicom\n"
        "    from echosyn.settings.data import ImportSettings\n"
        "    src, out, private = map(Path, sys.argv[1:4])\n"
        "    compute = Compute('cpu', Processes(int(sys.argv[4])))\n"
        "    ingest_dicom(src, out, ImportSettings(source='dicom', private=private), compute)\n"
        "    status = Path('/proc/self/status')  # getrusage counts what the parent had, too\n"
        "    own = int(status.read_text().partition('VmHWM:')[2].split()[0]) if status.is_file() else 0\n"
        "    print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024)\n"
    )
    script = out.parent / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(src), str(out), str(private), str(workers)]
    process = subprocess.Popen(command, start_new_session=True)
    videos = out.with_name(f"{out.name}.partial") / "Videos"
    total = sum(1 for _ in src.rglob("*.dcm"))
    while process.poll() is None and (not videos.is_dir() or len(list(videos.iterdir())) < total // 2):
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("count", [12, 2000])
def test_a_kill_in_the_middle_loses_nothing_and_makes_nothing_twice(count: int, tmp_path: Path) -> None:
    for i in range(count):
        tiny(tmp_path / "src" / f"{i % 10}" / f"{i}.dcm", i, patient=f"p{i // 3}")
    peak = killed_and_repeated(tmp_path / "src", tmp_path / "out", tmp_path / "mine", workers=2)
    print(f"peak memory {peak / 2**20:.0f} MiB for {count} files")  # noqa: T201
    assert peak < 2 << 30
    records = filelist.read(tmp_path / "out")
    assert len(records) == len({record.name for record in records}) == count
    assert len(list((tmp_path / "out" / "Videos").iterdir())) == count
    assert [row["Status"] for row in rows(tmp_path / "mine" / "out.csv")] == ["imported"] * count
    if count < 100:
        ingest_dicom(tmp_path / "src", tmp_path / "again", private=tmp_path / "mine")
        whole, again = contents(tmp_path / "out"), contents(tmp_path / "again")
        assert whole == again
