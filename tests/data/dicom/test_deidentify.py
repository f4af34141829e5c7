"""Only tissue inside the sector is left, frame rate and pixel size are what the tags say, the rest has a named reason."""

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

import hospital
from echosyn.data.dicom import deidentify, finding, item, overlay, reading, regions, sector, text, timing
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.phantom import View


def region(found: Dataset) -> Any:
    return np.s_[
        found.RegionLocationMinY0 : found.RegionLocationMaxY1 + 1,
        found.RegionLocationMinX0 : found.RegionLocationMaxX1 + 1,
    ]


def found_sector(screen: hospital.Screen, tags: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The mask and the truth, both in the region's pixels."""
    cut = region(tags.SequenceOfUltrasoundRegions[0])
    frames = screen.frames[:, *cut]
    colour = np.stack([overlay.coloured(frame) for frame in frames])
    active = sector.activity(frames.astype(np.float32).mean(-1).round().astype(np.uint8), colour)
    return sector.find(active, alone=True)[0], screen.sector[cut]


def overlap(number: int, seed: int = 0, view: View = "A4C") -> float:
    """IoU of the found sector with the phantom's fan."""
    who = hospital.person(number)
    screen = hospital.screen(number, who, seed=seed, view=view, inside="some")
    mask, truth = found_sector(screen, hospital.tags(who, "1.2"))
    return float((mask & truth).sum() / (mask | truth).sum())


def test_the_sector_is_the_fan_of_the_phantom() -> None:
    assert overlap(201) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("view", ["A4C", "PSAX"])
def test_the_sector_is_the_fan_of_phantoms_on_which_nothing_was_tuned(view: View) -> None:
    found = [overlap(number, seed=7919, view=view) for number in range(16)]
    print(f"{view}: sector IoU min {min(found):.3f}, median {np.median(found):.3f}, n {len(found)}")  # noqa: T201
    assert min(found) >= 0.95


def test_text_that_stands_over_moving_tissue_leaves_no_outline() -> None:
    g = np.random.default_rng(0)
    frames = g.integers(60, 160, (12, 120, 120)).astype(np.uint8)
    everywhere = np.ones((120, 120), bool)
    frames[:, 50:60, 30:90:4] = 220
    clean, blackened = overlay.without_marks(frames, everywhere, everywhere, None)
    assert blackened == pytest.approx((clean == 0).mean())
    assert not clean[:, 50:60, 30:87].any()
    assert (clean[:, :40] > 0).all()


def real_cine() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey frames of pydicom's cine, its sector and what moves of it."""
    path = Path(str(get_testdata_file("examples_ybr_color.dcm")))
    found = reading.opened(path)[0]
    frames, colour = deidentify._region(found, regions.tissue(found))
    return frames, *sector.find(sector.activity(frames, colour), alone=False)


@pytest.mark.parametrize("level", [90, 120, 255])
@pytest.mark.parametrize("size", [9, 14])
def test_text_that_stands_over_real_tissue_and_clutter_goes(level: int, size: int) -> None:
    frames, mask, moving = real_cine()
    for x, y in ((135, 34), (150, 60), (120, 110), (180, 170)):  # clutter near the probe, septum, cavity, atrium
        words = Image.new("L", frames.shape[:0:-1])
        font = ImageFont.truetype(str(hospital.FONTS[0]), size)
        ImageDraw.Draw(words).text((x, y), "4915220", 255, font)
        alpha = np.asarray(words) / 255
        written = (frames * (1 - alpha) + level * alpha).round().astype(np.uint8)
        written = np.stack([jpeg(frame) for frame in written])
        clean, _ = overlay.without_marks(written, mask, moving, None)
        letters = (alpha > 0.5) & mask
        assert (clean[:, letters] > 0).mean() <= 0.05, (x, y)


def jpeg(frame: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=85)
    return np.asarray(Image.open(buffer))


def test_what_is_drawn_goes_and_what_fades_stays() -> None:
    """A solid sign, thicker than a stroke, against a blob that stands as still and is as bright."""
    g = np.random.default_rng(0)
    y, x = np.mgrid[:240, :240]
    blob = 170 * np.exp(-((y - 60) ** 2 + (x - 120) ** 2) / (2 * 20**2))
    frames = (blob + g.integers(0, 9, (16, 240, 240)) + g.integers(20, 60, (16, 240, 240)) * (y > 120)).astype(np.uint8)
    frames[:, 150:180, 100:130] = 230
    everywhere = np.ones((240, 240), bool)
    clean, _ = overlay.without_marks(frames.copy(), everywhere, everywhere, None)
    assert not clean[:, 150:180, 100:130].any()
    assert (clean[:, 20:100, 60:180] == frames[:, 20:100, 60:180]).all()


def test_coloured_traces_are_blackened_and_flow_is_refused() -> None:
    everywhere = np.ones((60, 60), bool)
    colour = np.zeros((10, 60, 60), bool)
    colour[:, 30, :20] = True
    overlay.refuse_flow(colour, everywhere)
    clean, _ = overlay.without_marks(np.full((10, 60, 60), 30, np.uint8), everywhere, everywhere, colour)
    assert not clean[:, 30, :20].any()
    colour[:, 20:40, 20:40] = True
    with pytest.raises(BadDicomError, match="colour Doppler"):
        overlay.refuse_flow(colour, everywhere)


def test_the_real_cine_of_pydicom() -> None:
    cine = deidentify.cine(Path(str(get_testdata_file("examples_ybr_color.dcm"))))
    assert len(cine.frames) == 30
    assert cine.fps == pytest.approx(30, abs=0.01)
    assert cine.fps_source == "FrameTime"
    assert (cine.spacing, cine.notes) == (None, ("region outside the picture",))
    assert not cine.frames[:, ~cine.sector].any()
    assert 0.4 < cine.sector.mean() < 0.8
    assert cine.frames[:, cine.sector].mean() > 10
    assert cine.blackened <= 0.005  # clutter near the probe stands still, and is no text


def test_a_picture_without_a_sector_is_refused(tmp_path: Path) -> None:
    path = hospital.save(
        tmp_path / "a.dcm", hospital.tags(hospital.person(0), "1.2"), np.full((9, 512, 640), 50, np.uint8)
    )
    with pytest.raises(BadDicomError, match="no sector found"):
        deidentify.cine(path)


TIMES: list[tuple[dict[str, Any], float | None, tuple[float, str]]] = [
    ({"FrameTimeVector": [0, 20, 20, 20], "FrameTime": "40"}, None, (50, "FrameTimeVector")),
    ({"FrameTimeVector": [0, 20], "FrameTime": "40", "CineRate": 30}, 99, (25, "FrameTime")),
    ({"FrameTime": "0", "CineRate": 30, "RecommendedDisplayFrameRate": 60}, 99, (30, "CineRate")),
    ({"FrameTime": "0.0333", "RecommendedDisplayFrameRate": 60}, None, (60, "RecommendedDisplayFrameRate")),
    ({}, 46.5, (46.5, "given")),
]


@pytest.mark.parametrize(("tags", "given", "expected"), TIMES)
def test_the_first_tag_that_says_a_frame_rate_counts(tags: dict[str, Any], given: float | None, expected: Any) -> None:
    ds = Dataset()
    ds.NumberOfFrames = 4
    for name, value in tags.items():
        setattr(ds, name, value)
    assert timing.frame_rate(ds, given) == expected


def test_a_frame_rate_is_never_guessed() -> None:
    with pytest.raises(BadDicomError, match="no frame rate"):
        timing.frame_rate(Dataset())


def with_regions(*entries: tuple[int, int, tuple[int, int, int, int]]) -> Dataset:
    ds = Dataset()
    ds.Rows, ds.Columns, ds.SequenceOfUltrasoundRegions = 480, 640, []
    for kind, data, (x0, y0, x1, y1) in entries:
        item = Dataset()
        item.RegionSpatialFormat, item.RegionDataType = kind, data
        item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
        item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
        item.PhysicalDeltaX, item.PhysicalDeltaY = 0.05, -0.06
        ds.SequenceOfUltrasoundRegions.append(item)
    return ds


BOX = (10, 20, 309, 419)


def test_the_tissue_region_is_taken_and_the_others_are_said() -> None:
    found = regions.tissue(with_regions((3, 3, (320, 0, 639, 479)), (1, 1, BOX)))
    assert (found.x, found.y, found.width, found.height, found.spacing) == (10, 20, 300, 400, (0.05, 0.06))
    assert (found.note, found.is_part) == ("left out: spectral", True)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([(3, 3, BOX)], "no 2-D tissue region: only spectral"),
        ([(2, 1, BOX)], "no 2-D tissue region: only M-mode"),
        ([(1, 1, BOX), (1, 2, (100, 100, 200, 200))], "colour Doppler"),
        ([(1, 2, BOX)], "colour Doppler"),
    ],
)
def test_what_is_no_tissue_is_refused_with_the_reason(entries: Any, reason: str) -> None:
    with pytest.raises(BadDicomError, match=reason):
        regions.tissue(with_regions(*entries))


def test_a_region_made_for_a_larger_picture_is_not_believed() -> None:
    found = regions.tissue(with_regions((1, 1, (84, 31, 700, 414))))
    assert (found.width, found.height, found.spacing, found.is_part) == (640, 480, None, False)


def test_who_it_is_is_never_read_with_the_pixels(tmp_path: Path) -> None:
    who = hospital.person(0)
    path = hospital.save(tmp_path / "a.dcm", hospital.tags(who, "1.2"), np.zeros((9, 40, 48), np.uint8))
    text_of = {"pixels": str(reading.cine(path)), "header": str(reading.header(path))}
    assert not [word for word in who.strings if word in text_of["pixels"]]
    needed = {*who.name.split("^"), who.id, who.birth}
    assert {word for word in who.strings if word in text_of["header"]} == needed
    assert not [element for element in reading.header(path) if element.tag.is_private]


def test_a_file_on_a_damaged_disc_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hospital.save(tmp_path / "a.dcm", hospital.tags(hospital.person(0), "1.2"), np.zeros((9, 40, 48), np.uint8))

    def unreadable(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "damaged", str(path))

    monkeypatch.setattr(Path, "open", unreadable)
    said = "the file cannot be read (EIO); copy it again from its source"
    assert item.identify(path) == item.Identity(fault="unreadable", detail=said)
    assert item.run(item.Task(path, tmp_path / "b.avi", 112, None, False)) == item.failure("unreadable", said)


def test_a_file_that_grows_while_it_is_imported_keeps_its_item(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"half")
    (source,) = finding.sources(tmp_path)
    before = source.state
    (tmp_path / "a.dcm").write_bytes(b"half and half")
    assert source.state == before
    (again,) = finding.sources(tmp_path)
    assert again.state != before
    (tmp_path / "a.dcm").unlink()
    (tmp_path / "b.dcm").write_bytes(b"half")
    (gone,) = finding.sources(tmp_path)
    (tmp_path / "b.dcm").unlink()
    assert gone.state == "b.dcm\0None"


def test_a_patient_without_id_is_the_same_with_and_without_empty_parts_of_the_name(tmp_path: Path) -> None:
    def identity(name: str) -> item.Identity:
        ds = hospital.tags(hospital.person(0), "1.2")
        ds.PatientID, ds.PatientName = "", name
        return item.identify(hospital.save(tmp_path / "a.dcm", ds, np.zeros((9, 40, 48), np.uint8)))

    assert identity("DOE^JANE").patient == identity("Doe^Jane^^^").patient != identity("DOE^JOHN").patient


def test_hostile_files_have_a_name(tmp_path: Path) -> None:
    frames = np.zeros((9, 40, 48), np.uint8)
    who = hospital.person(0)

    def changed(**tags: Any) -> Path:
        ds = pydicom.dcmread(hospital.save(tmp_path / "a.dcm", hospital.tags(who, "1.2"), frames))
        for name, value in tags.items():
            setattr(ds, name, value)
        return hospital.write(tmp_path / "b.dcm", ds)

    def reason(path: Path) -> str:
        with pytest.raises(BadDicomError) as caught:
            reading.cine(path)
        assert who.id not in str(caught.value)
        return str(caught.value)

    assert (
        reason(changed(NumberOfFrames=2**31 - 1))
        == "truncated: the header says 2147483647 frames, its bytes can hold 9"
    )
    assert reason(changed(Rows=65535, Columns=65535)).startswith("truncated")
    assert reason(changed(Rows=0)).startswith("wrong header")
    assert reason(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT")) == "not ultrasound"
    assert reason(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2")).startswith("no 2-D tissue region: a 3-D volume")
    one = pydicom.dcmread(tmp_path / "a.dcm")
    one.NumberOfFrames, one.PixelData = 1, one.PixelData[: 40 * 48]
    assert reason(hospital.write(tmp_path / "b.dcm", one)) == "single frame"
    del one.NumberOfFrames
    one.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    one.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(298)], fragments_per_frame=3, has_bot=False)
    one["PixelData"].is_undefined_length = True
    assert reason(hospital.write(tmp_path / "c.dcm", one)) == "single frame"
    whole = (tmp_path / "a.dcm").read_bytes()
    for name, content, expected in (
        ("cut", whole[: len(whole) // 2], "truncated"),
        ("words", b"a letter to " + who.id.encode(), "not DICOM"),
        ("empty", b"", "not DICOM"),
        ("envelope", bytes.fromhex("308006092a864886f70d010703a080") + whole, "encrypted"),
        ("noise", whole[:132] + np.random.default_rng(0).bytes(5000), ("unreadable", "not ultrasound")),
    ):
        (tmp_path / name).write_bytes(content)
        assert reason(tmp_path / name).startswith(expected), name
    assert reason(tmp_path / "none") == "missing file"


def test_what_is_shown_for_a_moment_stands_out_of_what_moves_and_what_stays() -> None:
    draws = np.random.default_rng(0)
    frames = draws.integers(0, 120, (30, 60, 80), np.uint8)  # speckle that moves
    frames[:, 5:9, 5:20] = 250  # a mark that stays
    frames[12:16, 40:44, 30:60] = 220  # words for four frames
    frames[20, 50:54, 30:60] = 255  # a flash of one
    picture = text.appearing(frames)
    assert picture.shape == (60, 80)
    words, rest = picture[40:44, 30:60].mean(), [picture[5:9, 5:20].mean(), picture[50:54, 30:60].mean()]
    assert words > 2 * max(*rest, np.median(picture))
    assert text.appearing(frames[:1]).max() == 0


@pytest.mark.slow
def test_text_is_read_inside_the_sector() -> None:
    pytest.importorskip("rapidocr")
    who = hospital.person(3)
    screen = hospital.screen(3, who, inside="some")
    clean = hospital.screen(3, who)
    written, empty = ((s.frames.max(-1) * s.sector).astype(np.uint8)[:, 40:, 90:550] for s in (screen, clean))
    assert text.found(written)
    assert not text.found(empty)
