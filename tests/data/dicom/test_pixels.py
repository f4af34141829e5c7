"""Every transfer syntax and photometric interpretation gives back the pixels that went in; a lying header is named."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

import hospital
from echosyn.data import video
from echosyn.data.dicom import pixels, reading
from echosyn.data.dicom.faults import BadDicomError

WHO = hospital.person(0)


def picture(channels: int) -> np.ndarray:
    """A black background with a smooth coloured or grey blob that moves."""
    y, x = np.mgrid[:40, :48]
    blob = np.stack([200 * np.exp(-((x - 20 - t) ** 2 + (y - 18) ** 2) / 90) for t in range(3)])
    grey = blob.round().astype(np.uint8)
    return np.stack([grey, grey // 2, grey // 3], axis=-1) if channels == 3 else grey


def decoded(path: Path) -> np.ndarray:
    return np.stack(list(pixels.frames(reading.cine(path))))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize(
    ("syntax", "channels", "planar"),
    [
        (ExplicitVRLittleEndian, 3, 1),
        *((s, c, 0) for s in (ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless) for c in (1, 3)),
    ],
)
def test_lossless_pixels_come_back_exactly(syntax: str, channels: int, planar: int, tmp_path: Path) -> None:
    frames = picture(channels)
    path = hospital.save(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), frames, syntax=syntax, planar=planar)
    assert np.array_equal(decoded(path), frames)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_ways_to_write_the_tags(syntax: str, tmp_path: Path) -> None:
    ds = pydicom.dcmread(hospital.save(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), picture(3)))
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    pydicom.dcmwrite(
        tmp_path / "b.dcm",
        ds,
        enforce_file_format=True,
        **({"little_endian": False, "implicit_vr": False} if syntax == ExplicitVRBigEndian else {}),
    )
    assert np.array_equal(decoded(tmp_path / "b.dcm"), picture(3))


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    path = hospital.save(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), 255 - picture(1), model="MONOCHROME1")
    assert np.array_equal(decoded(path), picture(1))


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    path = hospital.save(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), picture(1).astype(np.uint16) * 256 + 77)
    assert np.array_equal(decoded(path), picture(1))


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_are_applied(bits: int, tmp_path: Path) -> None:
    ds = hospital.tags(WHO, "1.2")
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)]).astype(np.uint16)
    for name, column in zip(("Red", "Green", "Blue"), colours, strict=True):
        ds[f"{name}PaletteColorLookupTableDescriptor"] = pydicom.DataElement(
            pydicom.datadict.tag_for_keyword(f"{name}PaletteColorLookupTableDescriptor"), "US", [256, 0, bits]
        )
        data = column.astype(np.uint8) if bits == 8 else column * 257
        setattr(ds, f"{name}PaletteColorLookupTableData", data.tobytes())
    path = hospital.save(tmp_path / "a.dcm", ds, picture(1), model="PALETTE COLOR")
    assert np.array_equal(decoded(path), colours.T[picture(1)])


def test_ybr_becomes_rgb_and_grey_stays_grey(tmp_path: Path) -> None:
    grey = picture(1)
    ybr = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=-1)
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        path = hospital.save(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), ybr, model="YBR_FULL", syntax=syntax)
        assert np.array_equal(decoded(path), np.stack([grey] * 3, axis=-1))


def test_uncompressed_ybr_full_422(tmp_path: Path) -> None:
    grey = picture(1)
    ds = hospital.tags(WHO, "1.2")
    hospital.save(tmp_path / "a.dcm", ds, np.stack([grey] * 3, axis=-1))
    ds.PhotometricInterpretation = "YBR_FULL_422"
    pairs = grey.reshape(3, 40, 24, 2)
    chroma = np.full((3, 40, 24, 2), 128, np.uint8)
    ds.PixelData = np.concatenate([pairs, chroma], axis=-1).tobytes()
    assert np.array_equal(decoded(hospital.write(tmp_path / "b.dcm", ds)), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_baseline_is_close(channels: int, tmp_path: Path) -> None:
    path = hospital.save_jpeg(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), picture(channels))
    assert psnr(decoded(path), picture(channels)) > 35


def test_mpeg_4_is_close(tmp_path: Path) -> None:
    frames = np.stack([picture(1)] * 3, axis=-1)
    video.write_mp4(tmp_path / "a.mp4", frames, 25)
    ds = hospital.tags(WHO, "1.2")
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = MPEG4HP41
    hospital.describe(ds, frames.shape, "YBR_PARTIAL_420", 0, 8)
    ds.PixelData = encapsulate([(tmp_path / "a.mp4").read_bytes()])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    assert psnr(decoded(hospital.write(tmp_path / "a.dcm", ds)), frames) > 35


@pytest.mark.parametrize(("said", "stored"), [("RGB", "YBR_FULL"), ("YBR_FULL", "RGB")])
def test_a_header_that_would_make_the_background_green_is_not_believed(said: str, stored: str, tmp_path: Path) -> None:
    grey = picture(1)
    neutral = np.full_like(grey, 128)
    frames = np.stack([grey, neutral, neutral] if stored == "YBR_FULL" else [grey] * 3, axis=-1)
    path = hospital.save(tmp_path / "a.dcm", hospital.tags(WHO, "1.2"), frames, model=said)
    assert np.array_equal(decoded(path), np.stack([grey] * 3, axis=-1))


def test_the_real_cine_of_pydicom_has_the_colours_of_pydicom() -> None:
    path = Path(str(get_testdata_file("examples_ybr_color.dcm")))
    ours = decoded(path)
    assert ours.shape == (30, 240, 320, 3)
    assert np.abs(ours[:3].astype(int) - pydicom.dcmread(path).pixel_array[:3]).max() <= 2


def test_a_jpeg_of_another_size_than_the_header_says_is_not_decoded(tmp_path: Path) -> None:
    ds = hospital.tags(WHO, "1.2")
    path = hospital.save_jpeg(tmp_path / "a.dcm", ds, picture(3))
    ds.Rows = 39
    with pytest.raises(BadDicomError, match=r"wrong header: frame 0 is 48x40, not 48x39"):
        decoded(hospital.write(path, ds))
