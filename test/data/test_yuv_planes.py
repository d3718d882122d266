# SPDX-License-Identifier: Apache-2.0
"""Images in planes: the colours that were put in, whatever the layout and the padding."""

from __future__ import annotations

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ace_ros.data.image_decoding import decode_message
from ace_ros.data.yuv_planes import PLANAR
from ace_ros.errors import CameraError

HEIGHT, WIDTH = 24, 36
LAYOUTS = {
    "nv12": (2, 2, "uv"), "nv21": (2, 2, "vu"), "nv16": (2, 1, "uv"), "nv61": (2, 1, "vu"),
    "nv24": (1, 1, "uv"), "nv42": (1, 1, "vu"), "i420": (2, 2, "u,v"), "yuv420": (2, 2, "u,v"),
    "yuv420p": (2, 2, "u,v"), "yv12": (2, 2, "v,u"), "yuv422p": (2, 1, "u,v"),
    "yuv444": (1, 1, "u,v"), "yuv444p": (1, 1, "u,v"),
}  # fmt: skip


def smooth() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([40 + 3 * x, 60 + 4 * y, 200 - 2 * x - 2 * y], -1).astype(np.uint8)


def message(bgr: np.ndarray, encoding: str, padding: int = 0) -> SimpleNamespace:
    """Return an image message of an encoding; its rows are longer by `padding` bytes."""
    columns, rows, order = LAYOUTS[encoding]
    b, g, r = (bgr[..., i].astype(float) for i in range(3))
    luma = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    planes = {
        "u": 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256,
        "v": 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256,
    }
    small = {
        k: p.reshape(HEIGHT // rows, rows, WIDTH // columns, columns).mean((1, 3)) for k, p in planes.items()
    }
    if "," in order:
        colours = [np.pad(small[k], [(0, 0), (0, padding // columns)]).ravel() for k in order.split(",")]
    else:
        pairs = np.stack([small[k] for k in order], -1).reshape(HEIGHT // rows, -1)
        colours = [np.pad(pairs, [(0, 0), (0, 2 * padding // columns)]).ravel()]
    luma = np.pad(luma, [(0, 0), (0, padding)])
    data = np.concatenate([luma.ravel(), *colours]).round().astype(np.uint8)
    return SimpleNamespace(
        encoding=encoding, height=HEIGHT, width=WIDTH, step=WIDTH + padding, is_bigendian=0,
        data=array.array("B", data.tobytes()),
    )  # fmt: skip


def test_every_layout_is_tried() -> None:
    assert LAYOUTS.keys() == PLANAR.keys()


@pytest.mark.parametrize("padding", [0, 12])
@pytest.mark.parametrize("encoding", LAYOUTS)
def test_every_layout_gives_the_colours_that_were_put_in(encoding: str, padding: int) -> None:
    bgr = smooth()
    found = decode_message(message(bgr, encoding, padding))
    assert found.shape == bgr.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - bgr).max() <= 8


def test_nv12_and_i420_are_as_opencv_has_them() -> None:
    for encoding, code in (("nv12", cv2.COLOR_YUV2BGR_NV12), ("i420", cv2.COLOR_YUV2BGR_I420)):
        given = message(smooth(), encoding)
        data = np.frombuffer(given.data, np.uint8).reshape(HEIGHT * 3 // 2, WIDTH)
        assert np.abs(decode_message(given).astype(int) - cv2.cvtColor(data, code)).max() <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step": 10}, "step 10, expected at least 36"),
        ({"height": 30}, "bytes, expected 1620"),
        ({"width": 35}, "odd width"),
        ({"height": 1 << 20, "width": 1 << 20}, "no usable size"),
        ({"data": b""}, "has 0 bytes"),
    ],
)
def test_planes_that_do_not_fit_are_refused(change: dict[str, object], words: str) -> None:
    given = message(smooth(), "nv12")
    for name, value in change.items():
        setattr(given, name, value)
    with pytest.raises(CameraError, match=words):
        decode_message(given)
