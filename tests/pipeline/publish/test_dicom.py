"""Synthetic videos become DICOM objects that are complete, say what they are, and come back as they were."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

import hospital
from archive import Archive, serving
from echosyn.data import filelist, video
from echosyn.data.dicom import pixels, reading, timing
from echosyn.errors import ConfigError, DataError, StoppedError
from echosyn.pipeline.folder import write_json
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.publish.dicom import export_dicom
from echosyn.storage import dicomweb
from importing import ingest_dicom

REQUIRED = {
    "Patient": ["PatientName", "PatientID", "PatientBirthDate", "PatientSex"],
    "General Study": [
        "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
    ],
    "General Series": ["Modality", "SeriesInstanceUID", "SeriesNumber"],
    "General Equipment": ["Manufacturer"],
    "General Image": ["InstanceNumber", "PatientOrientation"],
    "Cine and Multi-frame": ["NumberOfFrames", "FrameIncrementPointer", "FrameTime"],
    "Image Pixel": [
        "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
        "PhotometricInterpretation", "PixelData",
    ],
    "US Image": ["ImageType", "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"],
    "SOP Common": ["SOPClassUID", "SOPInstanceUID"],
}  # fmt: skip
"""Type 1 and 2 attributes of the Ultrasound Multi-frame Image (PS3.3 A.7), by module."""


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "synthetic"
    make_phantom(out, num=2, seed=5, num_frames=64)
    return out


def test_objects_are_complete_and_say_what_they_are(synthetic: Path, tmp_path: Path) -> None:
    export_dicom(synthetic, tmp_path / "a")
    export_dicom(synthetic, tmp_path / "b")
    seen = set()
    for record in filelist.read(synthetic):
        path = tmp_path / "a" / f"{record.name}.dcm"
        ds = pydicom.dcmread(path)
        assert not [name for names in REQUIRED.values() for name in names if name not in ds]
        assert ds.ImageComments.startswith("SYNTHETIC")
        assert str(ds.PatientName).startswith("SYNTHETIC")
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        source = video.read(filelist.video_path(synthetic, record))
        assert np.array_equal(np.stack(list(pixels.frames(reading.cine(path)))), source.grey())
        assert timing.frame_rate(ds)[0] == pytest.approx(source.fps, rel=1e-6)
        seen |= {ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID}
    assert len(seen) == 6


def test_a_mark_is_burned_in_on_demand(synthetic: Path, tmp_path: Path) -> None:
    export_dicom(synthetic, tmp_path / "plain")
    export_dicom(synthetic, tmp_path / "marked", mark=True)
    name = f"{filelist.read(synthetic)[0].name}.dcm"
    plain, marked = (pydicom.dcmread(tmp_path / kind / name) for kind in ("plain", "marked"))
    assert (plain.BurnedInAnnotation, marked.BurnedInAnnotation) == ("NO", "YES")
    assert (marked.pixel_array[:, 100:] > 200).sum(axis=(1, 2)).min() > 20
    assert np.array_equal(marked.pixel_array[:, :100], plain.pixel_array[:, :100])


def test_an_export_can_be_imported(synthetic: Path, tmp_path: Path) -> None:
    export_dicom(synthetic, tmp_path / "dicom")
    result = ingest_dicom(tmp_path / "dicom", tmp_path / "back")
    assert (result["videos"], result["patients"], result["failed"]) == (2, 2, 0)
    back = sorted((r.num_frames, round(r.fps or 0, 3)) for r in filelist.read(tmp_path / "back"))
    assert back == sorted((r.num_frames, round(r.fps or 0, 3)) for r in filelist.read(synthetic))


def test_real_videos_are_not_labelled_as_synthetic(synthetic: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "Videos").mkdir(parents=True)
    filelist.write(real, filelist.read(synthetic))
    write_json(real / "provenance.json", {"call": {"command": "import"}})
    with pytest.raises(DataError, match="may show patients"):
        export_dicom(real, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Archive]:
    pytest.importorskip("dicomweb_client", reason="needs echosyn[dicomweb]")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with serving() as found:
        yield found


def stored(archive: Archive) -> int:
    return sum(line.startswith("POST") for line in archive.asked)


def test_what_is_sent_is_what_is_written_and_says_not_where_to(
    archive: Archive, synthetic: Path, tmp_path: Path
) -> None:
    result = export_dicom(synthetic, tmp_path / "sent", send=archive.url)
    assert result["sent to"] == archive.url
    assert sorted(archive.files.values()) == sorted(p.read_bytes() for p in (tmp_path / "sent").glob("*.dcm"))
    export_dicom(synthetic, tmp_path / "written")
    contents = {p.name: p.read_bytes() for p in (tmp_path / "sent").iterdir()}
    assert contents == {p.name: p.read_bytes() for p in (tmp_path / "written").iterdir()}
    assert not [name for name, data in contents.items() if b"127.0.0.1" in data]


def test_a_stopped_export_goes_on_and_sends_nothing_twice(
    archive: Archive, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = dicomweb.Server.store

    def once(server: dicomweb.Server, path: Path) -> None:
        if archive.files:
            raise StoppedError("gone")
        store(server, path)

    monkeypatch.setattr(dicomweb.Server, "store", once)
    with pytest.raises(StoppedError):
        export_dicom(synthetic, tmp_path / "out", send=archive.url)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(dicomweb.Server, "store", store)
    export_dicom(synthetic, tmp_path / "out", send=archive.url)
    assert len(archive.files) == 2 == stored(archive)


def test_a_recording_laid_into_a_stopped_export_is_not_sent(archive: Archive, synthetic: Path, tmp_path: Path) -> None:
    archive.token = "x"
    with pytest.raises(DataError, match="401"):
        export_dicom(synthetic, tmp_path / "out", send=archive.url)
    archive.token = None
    for record in filelist.read(synthetic):
        hospital.tiny(tmp_path / "out.partial" / f"{record.name}.dcm", 7)
    with pytest.warns(UserWarning, match="made anew"):
        export_dicom(synthetic, tmp_path / "out", send=archive.url)
    assert {str(pydicom.dcmread(p).PatientName)[:9] for p in (tmp_path / "out").glob("*.dcm")} == {"SYNTHETIC"}
    assert all(header["PatientID"].startswith("SYNTHETIC") for header in archive.headers.values())


def test_nothing_is_sent_that_may_show_patients(archive: Archive, synthetic: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    shutil.copytree(synthetic, real)
    write_json(real / "provenance.json", {"call": {"command": "import"}})
    with pytest.raises(DataError, match="may show patients"):
        export_dicom(real, tmp_path / "out", send=archive.url)
    assert archive.asked == []


def test_a_server_that_refuses_and_an_address_that_is_none(archive: Archive, synthetic: Path, tmp_path: Path) -> None:
    export_dicom(synthetic, tmp_path / "first", send=archive.url)
    archive.refused = dict.fromkeys(archive.files, 0xA900)
    with pytest.raises(DataError, match=r"does not take .*\.dcm \(failure reason 0xa900"):
        export_dicom(synthetic, tmp_path / "second", send=archive.url)
    with pytest.raises(ConfigError, match="readable on the way"):
        export_dicom(synthetic, tmp_path / "third", send="http://pacs.example/dicom-web")
    assert not (tmp_path / "third.partial").exists()
