"""DICOM files as scanners, archives and converters write them, and what the import promises for each."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

import hospital
from zoo.case import Case

SIDE, FRAMES = 64, 12
ROOT = "1.2.840.10008.1.2"
SYNTAXES, COLOURS, BITS, HEADERS = (
    "DICOM: transfer syntaxes",
    "DICOM: photometric interpretations",
    "DICOM: bits and windows",
    "DICOM: frames, times and geometry",
)


def fan() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.asarray((np.abs(x - SIDE / 2) < y * 0.7) & (np.hypot(x - SIDE / 2, y) < SIDE - 4))


def heart(num_frames: int = FRAMES) -> np.ndarray:
    """A fan in which blocks of tissue change: ``(T, SIDE, SIDE)``, smooth enough for lossy codecs."""
    coarse = np.random.default_rng(7).integers(60, 200, (num_frames, SIDE // 8, SIDE // 8)).astype(np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2) * fan()


def tags() -> Dataset:
    ds = hospital.tags(hospital.person(1), "1.2.826.0.1.77")
    del ds.SequenceOfUltrasoundRegions
    return ds


def region(x0: int, x1: int, delta: tuple[float, float] = (0.02, 0.02)) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, SIDE - 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta
    return item


def saved(
    folder: Path,
    frames: np.ndarray | None = None,
    *,
    model: str | None = None,
    syntax: str = f"{ROOT}.1",
    stored_as: str | None = None,
    planar: int = 0,
    **changed: Any,
) -> Path:
    """A file with these stored pixels; ``changed`` tags are set last, ``stored_as`` is the syntax that is said."""
    ds = tags()
    path = hospital.save(
        folder / "a.dcm", ds, heart() if frames is None else frames, model=model, syntax=syntax, planar=planar
    )
    for name, value in changed.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    ds.file_meta.TransferSyntaxUID = UID(stored_as or syntax)
    return hospital.write(path, ds)


def rewritten(folder: Path, syntax: str, **how: bool) -> Path:
    ds = pydicom.dcmread(saved(folder))
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    pydicom.dcmwrite(folder / "a.dcm", ds, enforce_file_format=True, **how)
    return folder / "a.dcm"


def encapsulated(
    folder: Path,
    syntax: str,
    pieces: list[bytes],
    model: str,
    shape: tuple[int, ...],
    *,
    table: bool = True,
    **changed: Any,
) -> Path:
    ds = tags()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    hospital.describe(ds, shape, model, 0, 8)
    ds.PixelData = encapsulate([piece + b"\0" * (len(piece) % 2) for piece in pieces], has_bot=table)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    for name, value in changed.items():
        setattr(ds, name, value)
    return hospital.write(folder / "a.dcm", ds)


def pillow(kind: str, **options: Any) -> list[bytes]:
    """Each frame in one of Pillow's codecs."""
    pieces = []
    for frame in heart():
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, kind, **options)
        pieces.append(buffer.getvalue())
    return pieces


def jpeg(folder: Path, syntax: str = f"{ROOT}.4.50", *, table: bool = True, **changed: Any) -> Path:
    return encapsulated(
        folder, syntax, pillow("JPEG", quality=95), "MONOCHROME2", (FRAMES, SIDE, SIDE), table=table, **changed
    )


def jpeg_2000(folder: Path, syntax: str) -> Path:
    pieces = pillow("JPEG2000", irreversible=syntax.endswith("91"), no_jp2=True)
    return encapsulated(folder, syntax, pieces, "MONOCHROME2", (FRAMES, SIDE, SIDE))


def coloured_jpeg_2000(folder: Path, syntax: str, model: str) -> Path:
    """RGB through the colour transform of JPEG 2000, which the codec undoes."""
    pieces = []
    for frame in rgb():
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG2000", irreversible=model == "YBR_ICT", mct=1, no_jp2=True)
        pieces.append(buffer.getvalue())
    return encapsulated(folder, syntax, pieces, model, (FRAMES, SIDE, SIDE, 3))


def near_lossless(folder: Path) -> Path:
    """JPEG-LS in which a level may be wrong by two."""
    import jpeg_ls

    pieces = [bytes(jpeg_ls.encode_array(frame, lossy_error=2)) for frame in heart()]
    return encapsulated(folder, f"{ROOT}.4.81", pieces, "MONOCHROME2", (FRAMES, SIDE, SIDE))


def twelve_bit_jpeg(folder: Path) -> Path:
    """JPEG Extended as scanners of 12 bit write it."""
    return transcoded(deep(folder, 12), f"{ROOT}.4.51")


def lossless_jpeg(folder: Path, syntax: str) -> Path:
    return transcoded(saved(folder), syntax)


def transcoded(source: Path, syntax: str) -> Path:
    """The file in one of gdcm's codecs."""
    import gdcm

    reader, change = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(source))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    ds = pydicom.dcmread(source)
    del ds.SequenceOfUltrasoundRegions  # gdcm adds one that says only the size of a pixel
    return hospital.write(source, ds)


def renamed(folder: Path, syntax: str) -> Path:
    """A file that says a syntax which pydicom would not write: of as many letters as the one that it is written in."""
    written = f"{ROOT}.4.201"
    assert len(syntax) == len(written)
    path = jpeg(folder, written)
    path.write_bytes(path.read_bytes().replace(written.encode(), syntax.encode()))
    return path


def film(folder: Path, syntax: str, codec: str, container: str, **changed: Any) -> Path:
    stream_file = folder / "stream"
    with av.open(str(stream_file), "w", format=container) as output:
        stream = output.add_stream(
            codec, rate=25, options={"crf": "10"} if codec.startswith("libx") else {"qscale": "2"}
        )
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 0 if codec.startswith("libx") else 20_000_000
        stream.codec_context.thread_count = 1
        for frame in heart():
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        output.mux(stream.encode())
    data = stream_file.read_bytes()
    stream_file.unlink()
    return encapsulated(folder, syntax, [data], "YBR_PARTIAL_420", (FRAMES, SIDE, SIDE, 3), table=False, **changed)


def rgb() -> np.ndarray:
    return np.stack([heart()] * 3, axis=-1)


def ybr() -> np.ndarray:
    return np.stack([heart(), *[np.full_like(heart(), 128)] * 2], axis=-1)


def halved(folder: Path) -> Path:
    pairs = heart().reshape(FRAMES, SIDE, SIDE // 2, 2)
    data = np.concatenate([pairs, np.full_like(pairs, 128)], axis=-1).tobytes()
    return saved(folder, rgb(), PhotometricInterpretation="YBR_FULL_422", PixelData=data)


def palette(folder: Path, bits: int = 8, *, segmented: bool = False) -> Path:
    """A palette that is the grey scale, of this many bits; segmented: as one straight line from black to white."""
    levels = np.arange(256, dtype=np.uint16) * (257 if bits == 16 else 1)
    data = levels.astype("<u2" if bits == 16 else "u1").tobytes()
    if segmented:  # a discrete segment of one entry, and a linear one of 255 that ends in white
        data = np.array([0, 1, 0, 1, 255, levels[-1]], "<u2" if bits == 16 else "u1").tobytes()
    path = saved(folder)
    ds = pydicom.dcmread(path)
    for colour in ("Red", "Green", "Blue"):
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, bits])
        ds.add_new(f"{'Segmented' * segmented}{colour}PaletteColorLookupTableData", "OW", data)
    ds.PhotometricInterpretation = "PALETTE COLOR"
    return hospital.write(path, ds)


def deep(folder: Path, bits: int, **changed: Any) -> Path:
    """The heart in the upper ``bits`` of 16."""
    frames = heart().astype(np.uint16) << (bits - 8)
    return saved(folder, frames, BitsStored=bits, HighBit=bits - 1, **changed)


def windowed(folder: Path, *, signed: bool = False) -> Path:
    """The heart in the values 0..255 of 12 bits, or -128..127, of which a window says that they are all."""
    frames = heart().astype(np.int16) - 128 * signed
    how = {"PixelRepresentation": int(signed), "WindowCenter": 128 - 128 * signed, "WindowWidth": 256}
    return saved(folder, frames.astype(np.uint16), BitsStored=12, HighBit=11, **how)


def made(group: str, name: str, make: Callable[[Path], Path], **promise: str) -> Case:
    return Case(group, name, make, **promise)


EXACT, NEAR = {"read": "exact"}, {"read": "within 4 grey levels (95 % of the pixels)"}
XL = "no decoder for it is installed or known"
CASES: list[Case] = [
    made(SYNTAXES, "Explicit VR Little Endian", saved, **EXACT),
    made(SYNTAXES, "Implicit VR Little Endian", partial(rewritten, syntax=ROOT), **EXACT),
    made(SYNTAXES, "Explicit VR Big Endian", partial(rewritten, syntax=f"{ROOT}.2", little_endian=False, implicit_vr=False), **EXACT),  # noqa: E501
    made(SYNTAXES, "Deflated Explicit VR Little Endian", partial(rewritten, syntax=f"{ROOT}.1.99"), **EXACT),
    made(SYNTAXES, "RLE Lossless", partial(saved, syntax=f"{ROOT}.5"), **EXACT),
    made(SYNTAXES, "JPEG Baseline", jpeg, **NEAR),
    made(SYNTAXES, "JPEG Baseline, no table of offsets", partial(jpeg, table=False), **NEAR),
    made(SYNTAXES, "JPEG Extended, 8 bit", partial(jpeg, syntax=f"{ROOT}.4.51"), **NEAR),
    made(SYNTAXES, "JPEG Lossless (Process 14)", partial(lossless_jpeg, syntax=f"{ROOT}.4.57"), **EXACT),
    made(SYNTAXES, "JPEG Lossless SV1", partial(lossless_jpeg, syntax=f"{ROOT}.4.70"), **EXACT),
    made(SYNTAXES, "JPEG-LS Lossless", partial(saved, syntax=f"{ROOT}.4.80"), **EXACT),
    made(SYNTAXES, "JPEG Extended, 12 bit", twelve_bit_jpeg, refused=f"12 bit in JPEG Extended ({ROOT}.4.51): {XL}"),
    made(SYNTAXES, "JPEG-LS Near-lossless", near_lossless, **NEAR),
    made(SYNTAXES, "JPEG 2000 Lossless", partial(jpeg_2000, syntax=f"{ROOT}.4.90"), **EXACT),
    made(SYNTAXES, "JPEG 2000", partial(jpeg_2000, syntax=f"{ROOT}.4.91"), **NEAR),
    *(
        made(SYNTAXES, f"{name}, the stream of JPEG 2000", partial(jpeg_2000, syntax=f"{ROOT}.4.{last}"), **EXACT)
        for last, name in ((201, "HTJ2K Lossless"), (202, "HTJ2K Lossless RPCL"), (203, "HTJ2K"))
    ),
    made(SYNTAXES, "MPEG-2 Main Level", partial(film, syntax=f"{ROOT}.4.100", codec="mpeg2video", container="mpeg"), **NEAR),
    made(SYNTAXES, "MPEG-4 AVC/H.264 in MP4", partial(film, syntax=f"{ROOT}.4.102", codec="libx264", container="mp4"), **NEAR),
    made(SYNTAXES, "HEVC/H.265 Main", partial(film, syntax=f"{ROOT}.4.107", codec="libx265", container="mp4"), **NEAR),
    *(
        made(SYNTAXES, name, partial(renamed, syntax=f"{ROOT}.4.{last}"), refused=f"{name} ({ROOT}.4.{last}): {XL}")
        for last, name in ((110, "JPEG XL Lossless"), (111, "JPEG XL JPEG Recompression"), (112, "JPEG XL"))
    ),
    made(SYNTAXES, "private", partial(renamed, syntax="1.2.840.113619.5.2.1234"), refused="a private transfer syntax"),
    made(SYNTAXES, "JPEG said, something else stored", partial(encapsulated, syntax=f"{ROOT}.4.50", pieces=[b"\xff\xd8none"] * FRAMES, model="MONOCHROME2", shape=(FRAMES, SIDE, SIDE)), refused=f"cannot be decoded as JPEG Baseline ({ROOT}.4.50)"),  # noqa: E501
    made(COLOURS, "MONOCHROME1", lambda folder: saved(folder, 255 - heart(), model="MONOCHROME1"), **EXACT),
    made(COLOURS, "RGB", lambda folder: saved(folder, rgb()), **EXACT),
    made(COLOURS, "RGB, by planes", lambda folder: saved(folder, rgb(), planar=1), **EXACT),
    made(COLOURS, "PALETTE COLOR", palette, **EXACT),
    made(COLOURS, "PALETTE COLOR of 16 bit", partial(palette, bits=16), **EXACT),
    made(COLOURS, "PALETTE COLOR, segmented", partial(palette, segmented=True), **EXACT),
    made(COLOURS, "PALETTE COLOR of 16 bit, segmented", partial(palette, bits=16, segmented=True), **EXACT),
    made(COLOURS, "YBR_RCT", partial(coloured_jpeg_2000, syntax=f"{ROOT}.4.90", model="YBR_RCT"), **EXACT),
    made(COLOURS, "YBR_ICT", partial(coloured_jpeg_2000, syntax=f"{ROOT}.4.91", model="YBR_ICT"), **NEAR),
    made(COLOURS, "YBR_FULL", lambda folder: saved(folder, ybr(), model="YBR_FULL"), **EXACT),
    made(COLOURS, "YBR_FULL_422", halved, **EXACT),
    made(COLOURS, "YBR_FULL_422 said, 3 bytes a pixel", lambda folder: saved(folder, rgb(), PhotometricInterpretation="YBR_FULL_422"), **EXACT),  # noqa: E501
    *(
        made(COLOURS, model, partial(saved, PhotometricInterpretation=model), refused=f"unsupported colour model: {model}")
        for model in ("ARGB", "CMYK", "HSV", "YBR_PARTIAL_422")
    ),
    *(made(BITS, f"{bits} bit", partial(deep, bits=bits), **EXACT) for bits in (10, 12, 16)),
    made(BITS, "12 bit with a window", windowed, **EXACT),
    made(BITS, "12 bit signed with a window", partial(windowed, signed=True), **EXACT),
    made(BITS, "8 bit with a whole window", partial(saved, WindowCenter=128, WindowWidth=256), **EXACT),
    made(BITS, "a window of no width", partial(saved, WindowCenter=128, WindowWidth=0), refused="wrong header: a window"),
    made(HEADERS, "NumberOfFrames too small", partial(saved, NumberOfFrames=5), **EXACT),
    made(HEADERS, "NumberOfFrames too small, compressed", partial(jpeg, NumberOfFrames=5), **NEAR),
    made(HEADERS, "NumberOfFrames missing", partial(saved, NumberOfFrames=None), **EXACT),
    made(HEADERS, "NumberOfFrames too large", partial(saved, NumberOfFrames=13), refused="truncated: the header says 13 frames"),
    made(HEADERS, "NumberOfFrames too small, bytes that do not divide", lambda folder: saved(folder, NumberOfFrames=5, PixelData=heart().tobytes() + bytes(100)), refused="do not divide"),  # noqa: E501
    made(HEADERS, "uneven FrameTimeVector", partial(saved, FrameTimeVector=[0] + [20] * 6 + [60] * 5), read="resampled to a constant rate"),  # noqa: E501
    made(HEADERS, "pause in FrameTimeVector", partial(saved, FrameTimeVector=[0] + [25] * 5 + [900] + [25] * 5), refused="pause between frames: 1 gap(s) of up to 0.90 s"),  # noqa: E501
    made(HEADERS, "StartTrim and StopTrim", partial(saved, StartTrim=2, StopTrim=11), read="trimmed"),
    made(HEADERS, "pixels of 0.0286 x 0.0229 cm", partial(saved, SequenceOfUltrasoundRegions=[region(0, SIDE - 1, (0.0286, 0.0229))]), read="made square"),  # noqa: E501
    made(HEADERS, "PixelAspectRatio 3:4", partial(saved, PixelAspectRatio=[3, 4]), read="made square"),
    made(HEADERS, "two tissue regions of one size", partial(saved, SequenceOfUltrasoundRegions=[region(0, 31), region(32, 63)]), refused="several tissue regions: 2 beside one another"),  # noqa: E501
    made(HEADERS, "no frame rate", partial(saved, FrameTime=None), refused="no tag says it; give it: --fps NUMBER"),
]  # fmt: skip
