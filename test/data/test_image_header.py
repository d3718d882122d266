# SPDX-License-Identifier: Apache-2.0
"""Images that claim more than they are: refused by their headers, before memory is taken."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ace_ros.data.image_decoding import decode_compressed
from ace_ros.data.image_file import image_size, read_grey
from ace_ros.errors import CameraError, SceneError


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int = 8, colour: int = 0, pixels: bytes = b"\0" * 20) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def jpeg(width: int, height: int, progressive: bool = False) -> bytes:
    """Return a small JPEG whose header says another size."""
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    data = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8), flags)[1].tobytes())
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def many_scans() -> bytes:
    data = cv2.imencode(".jpg", np.zeros((16, 16), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    return data[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00" * 200 + data[-2:]


PICTURE = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
LYING_CHUNK = png(32, 24)[:33] + chunk(b"IDAT", bytes(20), 0xFFFFFFF0) + chunk(b"IEND", b"")
REFUSED = {
    "a PNG of a billion pixels": (png(1 << 15, 1 << 15), "no usable size"),
    "a PNG that is one row": (png(1 << 20, 1), "no usable size"),
    "a PNG that is too thin": (png(8000, 20, pixels=bytes(8001 * 20)), "16 times the other"),
    "a PNG of nothing": (png(0, 0), "no usable size"),
    "16 bits and four channels": (png(8000, 8000, 16, 6), "bytes to decode"),
    "a PNG that its bytes cannot hold": (png(8000, 8000), "cannot hold"),
    "a chunk longer than the file": (LYING_CHUNK, "cut off"),
    "a JPEG of four billion pixels": (jpeg(65500, 65500), "no usable size"),
    "a JPEG that its bytes cannot hold": (jpeg(8000, 8000), "cannot hold"),
    "a progressive JPEG": (jpeg(8000, 8000, True), "bytes to decode"),
    "a JPEG of many scans": (many_scans(), "scans"),
    "TIFF": (cv2.imencode(".tiff", PICTURE)[1].tobytes(), "is a TIFF image, expected PNG or JPEG"),
    "BigTIFF": (b"II+\0\x08\0\0\0" + bytes(64), "is a TIFF image"),
    "BMP": (cv2.imencode(".bmp", PICTURE)[1].tobytes(), "is a BMP image"),
    "WebP": (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(64), "is a WebP image"),
    "GIF": (b"GIF89a\xff\xff\xff\xff" + bytes(64), "is a GIF image"),
    "PGM": (b"P5 60000 60000 255\n" + bytes(64), "is a PGM image"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(64), "HEIC"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_take_memory_or_is_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(CameraError, match=words):
        decode_compressed(data, "png")
    path = tmp_path / "image.png"
    path.write_bytes(data)
    with pytest.raises(SceneError, match=rf"image\.png: .*{words}"):
        read_grey(path)


def test_refusing_them_takes_no_memory(tmp_path: Path) -> None:
    """In a process of its own that may take 600 MB more than it has after its imports."""
    for number, (data, _) in enumerate(REFUSED.values()):
        (tmp_path / f"{number}.png").write_bytes(data)
    script = """
        import resource, sys
        from pathlib import Path
        from ace_ros.data.image_decoding import decode_compressed
        from ace_ros.data.image_file import read_grey
        from ace_ros.errors import AceError
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 600_000_000,) * 2)
        refused = 0
        for path in Path(sys.argv[1]).iterdir():
            for attempt in (lambda: read_grey(path), lambda: decode_compressed(path.read_bytes())):
                try:
                    attempt()
                except AceError:
                    refused += 1
        print(refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    refused, peak_kb = map(int, done.stdout.split())
    assert refused == 2 * len(REFUSED)
    assert peak_kb < 1_000_000, resource.getpagesize()


def test_an_animated_png_is_refused() -> None:
    data = png(4, 4)
    animated = data[:33] + chunk(b"acTL", struct.pack(">II", 2, 0)) + data[33:]
    with pytest.raises(CameraError, match="animated PNG"):
        decode_compressed(animated, "png")


@pytest.mark.parametrize("flags", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_OPTIMIZE, 1]])
def test_blank_images_of_real_size_are_read(tmp_path: Path, flags: list[int]) -> None:
    """What can be packed best is no lie: a white wall, a black image."""
    for value in (0, 255):
        path = tmp_path / f"{value}.jpg"
        cv2.imwrite(
            str(path), np.full((3000, 4000, 3), value, np.uint8), [*flags, cv2.IMWRITE_JPEG_QUALITY, 1]
        )
        assert read_grey(path).shape == (3000, 4000)
        other = path.with_suffix(".png")
        cv2.imwrite(str(other), np.full((3000, 4000), value, np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        assert image_size(other) == (4000, 3000)
        assert read_grey(other).mean() == value


def test_a_turned_photograph_is_read_as_it_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    data = cv2.imencode(".jpg", PICTURE)[1].tobytes()
    tag = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", 8 + len(tag)) + b"Exif\0\0" + tag + data[2:])
    assert image_size(path) == (64, 48)
    assert read_grey(path).shape == (48, 64)
    assert decode_compressed(path.read_bytes(), "jpeg").shape == (48, 64, 3)
