# SPDX-License-Identifier: Apache-2.0
"""What the header of a PNG or JPEG says, and whether it is worth decoding: no memory is taken before.

A few bytes may claim to be an image of gigabytes, so what is claimed is compared with limits and with
what the bytes can hold at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ace_ros.errors import CameraError
from ace_ros.files.limits import (
    MAX_DECODED_BYTES,
    MAX_IMAGE_ASPECT,
    MAX_IMAGE_PIXELS,
    MAX_IMAGE_SIDE,
    MAX_JPEG_RATIO,
    MAX_JPEG_SCANS,
    MAX_PNG_RATIO,
)

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
JPEG_START, JPEG_PIXELS, JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
# Start-of-frame markers; C4, C8 and CC in that range mean other things.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# PNG's colour types: name, channels in the file, and channels when decoded.
PNG_COLOURS = {
    0: ("grey", 1, 1),
    2: ("RGB", 3, 3),
    3: ("palette", 1, 4),
    4: ("grey with alpha", 2, 4),
    6: ("RGBA", 4, 4),
}
# How images of kinds that are not read begin.
OTHER_KINDS = {
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF", b"GIF8": "GIF", b"BM": "BMP",
    b"P1": "PBM", b"P2": "PGM", b"P3": "PPM", b"P4": "PBM", b"P5": "PGM", b"P6": "PPM", b"P7": "PAM",
    b"\0\0\0\x0cjP": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL": "JPEG XL", b"v/1\x01": "OpenEXR", b"#?RADIANCE": "Radiance", b"\x59\xa6\x6a\x95": "Sun",
}  # fmt: skip


@dataclass(frozen=True)
class ImageHeader:
    """What an image says of itself: "PNG" or "JPEG", (width, height) in pixels, bits of a value, colours.

    `file_bytes` is what the pixels take in the file before compression, 0 where that says nothing, and
    `decoded_bytes` the memory that decoding takes.
    """

    kind: str
    size: tuple[int, int]
    bits: int
    colours: str
    file_bytes: int
    decoded_bytes: int


def read_header(data: bytes) -> ImageHeader:
    """Return what the beginning of PNG or JPEG data says; raises CameraError for anything else."""
    if data.startswith(PNG_START):
        return _png_header(data)
    if data.startswith(JPEG_START):
        return _jpeg_header(data)
    kind = _other_kind(data)
    if kind:
        raise CameraError(f"is a {kind} image, expected PNG or JPEG")
    raise CameraError(f"not a readable PNG or JPEG image ({_describe(data)})")


def check_pixels(width: int, height: int) -> None:
    """Raise CameraError where an image of that size is none, or more than is taken of a robot's camera."""
    if width < 1 or height < 1 or width * height > MAX_IMAGE_PIXELS or max(width, height) > MAX_IMAGE_SIDE:
        raise CameraError(
            f"{width}x{height} pixels, which is no usable size (at most {MAX_IMAGE_PIXELS} pixels and "
            f"{MAX_IMAGE_SIDE} a side)"
        )
    if max(width, height) > MAX_IMAGE_ASPECT * min(width, height):
        raise CameraError(
            f"{width}x{height} pixels, which is no usable size (one side is more than {MAX_IMAGE_ASPECT} "
            "times the other)"
        )


def check_memory(header: ImageHeader, length: int) -> None:
    """Raise CameraError where an image of `length` bytes must not be decoded: too large, or a lie."""
    width, height = header.size
    try:
        check_pixels(width, height)
    except CameraError as error:
        raise CameraError(f"its header says {error}") from None
    if header.decoded_bytes > MAX_DECODED_BYTES:
        raise CameraError(
            f"its header says {width}x{height} pixels, which take {header.decoded_bytes} bytes to decode; at "
            f"most {MAX_DECODED_BYTES} are taken"
        )
    ratio = MAX_PNG_RATIO if header.kind == "PNG" else MAX_JPEG_RATIO
    if header.file_bytes > ratio * length:
        raise CameraError(
            f"its header says {width}x{height} pixels, which its {length} bytes cannot hold: no usable size"
        )


def require_whole(data: bytes) -> None:
    """Raise CameraError where PNG or JPEG data ends before its image does; decoders fill what is missing."""
    # A thumbnail in a JPEG's header has an end marker too, so look behind the start of the pixels.
    is_png = data.startswith(PNG_START)
    whole = _png_is_whole(data) if is_png else data.find(JPEG_END, data.find(JPEG_PIXELS)) >= 0
    if not whole:
        raise CameraError(f"the image is cut off after {len(data)} bytes")


def _png_is_whole(data: bytes) -> bool:
    """Return whether every chunk of PNG data, up to the last, lies within it.

    A decoder takes memory for what a chunk says to be its length.
    """
    at = len(PNG_START)
    while at + 12 <= len(data):
        (length,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        if kind == b"acTL":
            raise CameraError("is an animated PNG, expected a single image")
        at += 12 + length
        if kind == b"IEND":
            return bool(at <= len(data))
    return False


def _png_header(data: bytes) -> ImageHeader:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise CameraError(f"not a readable PNG or JPEG image (a PNG of {len(data)} bytes without a header)")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    if colour not in PNG_COLOURS or bits not in (1, 2, 4, 8, 16):
        raise CameraError(
            f"not a readable PNG or JPEG image (a PNG of colour type {colour} with {bits} bits)"
        )
    name, in_file, decoded = PNG_COLOURS[colour]
    file_bytes = height * (1 + (width * in_file * bits + 7) // 8)
    decoded_bytes = width * height * decoded * max(bits // 8, 1)
    return ImageHeader("PNG", (width, height), bits, name, file_bytes, decoded_bytes)


def _jpeg_header(data: bytes) -> ImageHeader:
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in JPEG_FRAMES:
            return _jpeg_frame(data, at)
        # Fill bytes and markers without a length are one or two bytes long.
        if marker == 0xFF:
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise CameraError(f"not a readable PNG or JPEG image (a JPEG of {len(data)} bytes without a header)")


def _jpeg_frame(data: bytes, at: int) -> ImageHeader:
    bits, height, width, components = struct.unpack(">BHHB", data[at + 4 : at + 10])
    if bits != 8 or data[at + 1] in (0xC3, 0xC7, 0xCB, 0xCF):
        lossless = data[at + 1] in (0xC3, 0xC7, 0xCB, 0xCF)
        raise CameraError(
            f"is a JPEG of {bits} bits{' without loss' * lossless}, expected 8 bits and baseline"
        )
    scans = data.count(JPEG_PIXELS, at)
    if scans > MAX_JPEG_SCANS:
        raise CameraError(f"is a JPEG of {scans} scans, expected {MAX_JPEG_SCANS} at most")
    # A decoder keeps all coefficients, of two bytes, until the last of several scans.
    bytes_each = 1 if scans < 2 and data[at + 1] in (0xC0, 0xC1) else 3
    pixels = width * height
    colours = "grey" if components == 1 else "colour"
    return ImageHeader("JPEG", (width, height), bits, colours, pixels, pixels * components * bytes_each)


def _other_kind(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return "AVIF or HEIC"
    return next((kind for start, kind in OTHER_KINDS.items() if data.startswith(start)), "")


def _describe(data: bytes) -> str:
    return "the file is empty" if not data else f"it begins with {data[:8]!r}"
