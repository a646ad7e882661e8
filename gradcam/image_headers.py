"""Reads from the first bytes of an image file what it is, before anything is decoded.

A file of a few kilobytes can ask for gigabytes of pixels; a file that was cut off may be decoded to
half a picture without an error. Both show in the bytes around the pixels.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""The endings by which images are found in a folder.

HEIC can't be decoded, but a telephone's pictures are not to be passed over without a word.
"""


@dataclass(frozen=True)
class Header:
    """What a file says about its picture.

    Attributes:
        kind: the format, such as `"JPEG"`.
        width: in pixels.
        height: in pixels.
        complete: False where the end of the file is missing.
    """

    kind: str
    width: int
    height: int
    complete: bool = True


def read(data: bytes) -> Header | None:
    """The header of an image, or None where the bytes are no image of a known format.

    >>> read(b"P5 3 2 255 " + bytes(6))
    Header(kind='PNM', width=3, height=2, complete=True)
    >>> read(b"P5 3 2 255 " + bytes(5)).complete
    False
    >>> read(b"once upon a time")
    """
    for start, parse in _PARSERS.items():
        if re.match(start, data, re.DOTALL):
            try:
                return parse(data)
            except (struct.error, IndexError):  # the header itself is cut off
                return Header("image", 0, 0, complete=False)
    return None


def _jpeg(data: bytes) -> Header:
    width = height = 0
    place = 2
    while True:
        while data[place] == 0xFF and data[place + 1] == 0xFF:  # padding between segments
            place += 1
        marker, length = struct.unpack_from(">xBH", data, place)
        # Start of frame; C4, C8 and CC are tables.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", data, place + 5)
        if marker in {0xDA, 0xD9}:  # start of scan: the pixels follow, until the end marker
            return Header("JPEG", width, height, data.rfind(b"\xff\xd9") >= place)
        place += 2 + length


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if data[place + 4 : place + 8] == b"IEND":
            return Header("PNG", width, height)
        place += 12 + length
    return Header("PNG", width, height, complete=False)


def _webp(data: bytes) -> Header:
    complete = len(data) >= 8 + struct.unpack_from("<I", data, 4)[0]
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    return Header("WebP", width, height, complete)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    try:
        _after_first_frame(data)
    except IndexError:
        return Header("GIF", width, height, complete=False)
    return Header("GIF", width, height)


def _after_first_frame(data: bytes) -> int:
    """Where the first picture of a GIF ends; an `IndexError` where that is missing."""
    place = 13 + _colours(data[10])
    while data[place] == 0x21:  # an extension: its kind, then blocks
        place = _after_blocks(data, place + 2)
    if data[place] != 0x2C:
        return place
    return _after_blocks(data, place + 11 + _colours(data[place + 9]))


def _colours(flags: int) -> int:
    """The bytes of a table of colours that its flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += data[place] + 1
    return place + 1


def _bmp(data: bytes) -> Header:
    start, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)  # a negative height counts rows from the top
    row = (width * bits + 31) // 32 * 4
    return Header("BMP", width, height, bool(compression) or len(data) >= start + row * height)


def _tiff(data: bytes) -> Header:
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    sizes = {256: 0, 257: 0}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in sizes:
            # A short number lies in the first two of its four bytes.
            (sizes[tag],) = struct.unpack_from(
                f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8
            )
    return Header("TIFF", sizes[256], sizes[257])


def _boxes(kind: str, name: bytes, skip: int, order: str) -> Callable[[bytes], Header]:
    """A format of nested boxes: the size of the picture stands in the boxes with a name."""

    def parse(data: bytes) -> Header:
        found = [
            struct.unpack_from(">II", data, match.end() + skip)
            for match in re.finditer(re.escape(name), data)
        ]
        first, second = max(found, key=lambda sizes: sizes[0] * sizes[1]) if found else (0, 0)
        width, height = (first, second) if order == "wh" else (second, first)
        return Header(kind, width, height)

    return parse


def _pnm(data: bytes) -> Header:
    # Kind, width, height and, but for bitmaps, the largest value; comments in between.
    gap = rb"(?:\s|#[^\n]*\n)+"
    found = re.match(rb"P([1-6])" + gap + rb"(\d+)" + gap + rb"(\d+)" + gap, data)
    if not found:
        return Header("PNM", 0, 0, complete=False)
    kind, width, height = map(int, found.groups())
    if kind < 5:
        return Header("PNM", width, height)
    largest = re.match(rb"(\d+)\s", data[found.end() :])
    if not largest:
        return Header("PNM", width, height, complete=False)
    pixel = (3 if kind == 6 else 1) * (2 if int(largest[1]) > 255 else 1)
    begins = found.end() + largest.end()
    return Header("PNM", width, height, len(data) >= begins + pixel * width * height)


_PARSERS: dict[bytes, Callable[[bytes], Header]] = {
    rb"\xff\xd8\xff": _jpeg,
    rb"\x89PNG\r\n\x1a\n": _png,
    rb"RIFF....WEBP": _webp,
    rb"GIF8[79]a": _gif,
    rb"BM": _bmp,
    rb"(II\*\0|MM\0\*)": _tiff,
    rb"....ftypavi[fs]": _boxes("AVIF", b"ispe", 4, "wh"),
    rb"....ftyp(hei[cx]|hevc|mif1)": _boxes("HEIC", b"ispe", 4, "wh"),
    rb"\0\0\0\x0cjP  \r\n\x87\n": _boxes("JPEG 2000", b"ihdr", 0, "hw"),
    rb"P[1-6]\s": _pnm,
}
