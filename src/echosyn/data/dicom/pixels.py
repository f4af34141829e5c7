"""From a data set's encoded pixels to uint8 frames, one at a time: transfer syntaxes and photometric interpretations."""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from echosyn.data.dicom import counting, greylevels, syntaxes
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.reading import Dataset, decoding, is_film
from echosyn.data.video import ONE_THREAD, Frames
from echosyn.extras import require

_PLUGINS = ("pylibjpeg", "pillow", "pyjpegls", "pydicom", "gdcm")
"""Decoders in order of preference: the fast ones first, the one whose faults end the process last."""
_JPEG_EXTENDED, _TWELVE_BIT = "1.2.840.10008.1.2.4.51", "pylibjpeg"
"""The one JPEG of more than 8 bits, and whose decoder reads these: its libjpeg part, which no extra of ours installs."""
_SIZED = {b"\xff" + bytes([0xC0 + i]) for i in range(16) if i not in (4, 8, 12)} | {b"\xff\xf7"}
"""JPEG markers that are followed by the size of the picture; F7 is JPEG-LS."""
_COLOURED = 60
"""Difference between the channels of a background that cannot be an ultrasound machine's."""


def frames(found: Dataset) -> Iterator[Frames]:
    """Every frame as ``(H, W)`` grey or ``(H, W, 3)`` RGB, uint8.

    Grey goes through modality LUT and window, see `greylevels`; MONOCHROME1 is inverted, palettes are applied, YBR becomes
    RGB (ITU-R BT.601, full range), deeper colours keep their upper eight bits. Where the header's colour model makes the
    background green, it is the wrong one, and the pixels are taken as the other one of RGB and YBR.

    Raises:
        BadDicomError: They cannot be decoded, or are not as the header says.
    """
    syntax = found.file_meta.TransferSyntaxUID
    shape = (int(found.Rows), int(found.Columns))
    source = _film(found) if is_film(syntax) else _encoded(found)
    expected, count = int(found.NumberOfFrames), 0
    to_pixels: Callable[[np.ndarray], Frames] | None = None
    with decoding("unreadable", f"its pixels cannot be decoded as {syntaxes.described(syntax)}"):
        for raw, model in source:
            to_pixels = to_pixels or _conversion(found, raw, model)
            frame = to_pixels(raw)
            if frame.shape[:2] != shape:
                raise BadDicomError("wrong header", "the pixels have another size than the header says")
            yield frame
            count += 1
            if count == expected:
                return
    raise BadDicomError("truncated", f"the header says {expected} frames, {count} decoded")


def _encoded(found: Dataset) -> Iterator[tuple[np.ndarray, str]]:
    """Decoded frames as they were stored, with their colour model."""
    syntax = found.file_meta.TransferSyntaxUID
    try:
        decoder = require("pydicom.pixels", extra="dicom").get_decoder(syntax)
    except NotImplementedError:
        raise BadDicomError("unsupported transfer syntax", syntaxes.unread(syntax)) from None
    if not syntax.is_encapsulated:
        # One by one: pydicom 3.0 miscounts the bytes of YBR_FULL_422 from the second frame of an iteration on.
        # And it keeps the lowest BitsStored bits, wherever HighBit is: all are asked for, `greylevels.stored` picks.
        grey = str(found.PhotometricInterpretation).startswith("MONOCHROME")
        all_bits = {"bits_stored": int(found.BitsAllocated)} if grey else {}
        for number in range(int(found.NumberOfFrames)):
            raw, facts = decoder.as_array(found, raw=True, index=number, **all_bits)
            yield raw, str(facts["photometric_interpretation"])
        return
    plugins = [plugin for plugin in _PLUGINS if plugin in decoder.available_plugins]
    if syntax == _JPEG_EXTENDED and int(found.BitsStored) > 8 and _TWELVE_BIT not in plugins:
        raise BadDicomError("unsupported transfer syntax", f"12 bit in {syntaxes.unread(syntax)}")
    if not plugins:
        raise BadDicomError(
            "unsupported transfer syntax",
            f"{syntaxes.described(syntax)}: no decoder is installed: pip install 'echosyn[dicom]'",
        )
    _check_codestreams(found)
    for raw, facts in decoder.iter_array(found, raw=True, decoding_plugin=plugins[0]):
        yield raw, str(facts["photometric_interpretation"])


def _check_codestreams(found: Dataset) -> None:
    """The size inside each JPEG, against the header's: a decoder believes the former and would allocate it."""
    generate = require("pydicom.encaps", extra="dicom").generate_frames
    expected = (int(found.Rows), int(found.Columns))
    for number, data in enumerate(generate(found.PixelData, number_of_frames=int(found.NumberOfFrames))):
        size = _codestream_size(data)
        if size and size != expected:
            raise BadDicomError(
                "wrong header", f"frame {number} is {size[1]}x{size[0]}, not {expected[1]}x{expected[0]}"
            )


def _codestream_size(data: bytes) -> tuple[int, int] | None:
    """``(height, width)`` that a JPEG, JPEG-LS or JPEG 2000 stream declares; None if it is none of them."""
    start = data.find(b"\xff\x4f\xff\x51", 0, 512)
    if start >= 0:
        x1, y1, x0, y0 = (int.from_bytes(data[start + 8 + 4 * i : start + 12 + 4 * i], "big") for i in range(4))
        return y1 - y0, x1 - x0
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data):
        if data[at : at + 2] in _SIZED:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big") if data[at] == 0xFF and data[at + 1] != 0xFF else 1
    return None


def _film(found: Dataset) -> Iterator[tuple[np.ndarray, str]]:
    """Frames of an MPEG-2, MPEG-4 or HEVC stream."""
    import av

    with av.open(counting.stream(found)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_count = 1
        if (video.height, video.width) != (int(found.Rows), int(found.Columns)):
            raise BadDicomError("wrong header", "the pixels have another size than the header says")
        for frame in container.decode(video):
            yield frame.to_ndarray(format="rgb24", **ONE_THREAD), "RGB"


def _conversion(found: Dataset, first: np.ndarray, model: str) -> Callable[[np.ndarray], Frames]:
    """How stored pixels of this data set become uint8 grey or RGB."""
    if model == "PALETTE COLOR":
        lookup = _palette(found)
        return lambda raw: lookup[np.clip(raw, 0, len(lookup) - 1)]
    if model in ("MONOCHROME1", "MONOCHROME2"):
        levels = greylevels.table(found, model)
        return lambda raw: levels[greylevels.stored(found, raw)]
    shift = max(0, int(found.BitsStored) - 8)
    signed = int(found.get("PixelRepresentation", 0)) * (1 << (int(found.BitsStored) - 1))

    def eight_bits(raw: np.ndarray) -> Frames:
        return np.asarray(((raw.astype(np.int32) + signed) >> shift).clip(0, 255), np.uint8)

    scaled = eight_bits if shift or signed or first.dtype != np.uint8 else np.asarray
    if model == "RGB" or model.startswith("YBR"):
        return _colour(scaled, scaled(first), is_ybr=model.startswith("YBR_FULL"))
    raise BadDicomError("unsupported colour model", "expected grey, a palette, RGB or YBR: export it as RGB")


def _colour(scaled: Callable[[np.ndarray], Frames], first: Frames, *, is_ybr: bool) -> Callable[[np.ndarray], Frames]:
    def ybr(raw: np.ndarray) -> Frames:
        return np.asarray(Image.fromarray(scaled(raw), "YCbCr").convert("RGB"))

    right, other = (ybr, scaled) if is_ybr else (scaled, ybr)
    if _background_colour(right(first)) <= _COLOURED:
        return right
    if _background_colour(other(first)) <= _COLOURED:
        return other
    raise BadDicomError("wrong colours", "the background is coloured, whether taken as RGB or as YBR")


def _background_colour(rgb: Frames) -> int:
    """How far the most frequent colour is from grey: the largest difference between its channels."""
    coarse = (rgb >> 3).astype(np.int32).reshape(-1, 3) @ [1024, 32, 1]
    most = int(np.bincount(coarse).argmax())
    colour = (most >> 10, most >> 5 & 31, most & 31)
    return (max(colour) - min(colour)) * 8


def _palette(found: Dataset) -> Frames:
    """The lookup table ``(n, 3)`` of a PALETTE COLOR image, indexed by the stored value."""
    apply = require("pydicom.pixels", extra="dicom").apply_color_lut
    entries, first, bits = (int(number) for number in found.RedPaletteColorLookupTableDescriptor)
    entries = entries or 1 << 16
    values = np.arange(max(0, first) + entries, dtype=np.uint16)
    table = np.asarray(apply(values.reshape(1, -1), found))[0]
    return np.asarray(table >> 8 if bits == 16 and table.max() > 255 else table, np.uint8)
