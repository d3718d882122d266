# SPDX-License-Identifier: Apache-2.0
"""Messages and requests as targets: written as JSON, damaged there, and put into real messages."""

from __future__ import annotations

import array
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from small_scenes import HEIGHT, MATRIX, WIDTH, picture

from ace_ros.config import AtlasConfig, RansacConfig
from ace_ros.data.camera_info import camera_of_info
from ace_ros.data.depth_image import depth_of_message
from ace_ros.data.image_decoding import decode_message
from ace_ros.errors import AceError
from ace_ros.files.json_text import is_whole
from ace_ros.nodes.clouds import points_of_message
from ace_ros.nodes.images import image_array
from ace_ros.nodes.map_loading import MapNotFoundError, load_map
from ace_ros.nodes.storage import Storage

FILE = "message.json"
WHOLE = {"uint8": (0, 255), "int32": (-(1 << 31), (1 << 31) - 1), "uint32": (0, (1 << 32) - 1)}
PROBE = torch.tensor([[0.1, 0.2, 1.0]], dtype=torch.float64)


def filled(message: Any, values: Any) -> Any:
    """Return a message with values; those that it cannot hold are left out: no other node can send them."""
    kinds = message.get_fields_and_field_types()
    for name, value in values.items() if isinstance(values, dict) else ():
        if name == "data" and isinstance(value, str) and set(value) <= set("0123456789abcdef"):
            message.data = array.array("B", bytes.fromhex(value[: len(value) // 2 * 2]))
        elif name == "fields" and isinstance(value, list):
            message.fields = [filled(PointField(), field) for field in value]
        elif isinstance(value, dict) and re.fullmatch(r"\w+/\w+", kinds.get(name, "")):
            filled(getattr(message, name), value)
        elif _holds(kinds.get(name, ""), value):
            setattr(message, name, value)
    return message


def _holds(kind: str, value: Any) -> bool:
    """Return whether a field of a kind can hold a value."""
    if kind in WHOLE:
        return is_whole(value, *WHOLE[kind])
    if kind == "double":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and not abs(value) > 1e308
    if kind == "string":
        return isinstance(value, str) and "\0" not in value and "\ud800" not in value
    if kind == "boolean":
        return isinstance(value, bool)
    if "double" in kind:
        count = None if "<" in kind else int(kind.partition("[")[2][:-1])
        many = isinstance(value, list) and len(value) == (count or len(value))
        return many and all(_holds("double", v) for v in value)
    return False


def image() -> dict[str, Any]:
    """Return the values of an image."""
    return {
        "header": {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": "camera"}, "height": HEIGHT, "width": WIDTH,
        "encoding": "bgr8", "is_bigendian": 0, "step": 3 * WIDTH, "data": picture(0).tobytes().hex(),
    }  # fmt: skip


def depth() -> dict[str, Any]:
    """Return the values of a depth image."""
    data = np.full((HEIGHT, WIDTH), 2.0, np.float32).tobytes().hex()
    return {**image(), "encoding": "32FC1", "step": 4 * WIDTH, "data": data}


def compressed_image() -> dict[str, Any]:
    """Return the values of a compressed image."""
    return {
        "format": "bgr8; png compressed bgr8",
        "data": cv2.imencode(".png", picture(0))[1].tobytes().hex(),
    }


def camera_info() -> dict[str, Any]:
    """Return the values of a camera_info."""
    P = np.column_stack([MATRIX, np.zeros(3)]).ravel().tolist()
    roi = {"x_offset": 0, "y_offset": 0, "width": 0, "height": 0, "do_rectify": False}
    return {
        "height": HEIGHT, "width": WIDTH, "distortion_model": "plumb_bob", "d": [0.1, 0.0, 0.0, 0.0, 0.0],
        "k": MATRIX.ravel().tolist(), "p": P, "binning_x": 0, "binning_y": 0, "roi": roi,
    }  # fmt: skip


def point_cloud() -> dict[str, Any]:
    """Return the values of a point cloud of two rows."""
    names = ("x", "y", "z", "rgb")
    fields = [{"name": name, "offset": 4 * i, "datatype": 7, "count": 1} for i, name in enumerate(names)]
    data = np.arange(2 * 3 * 4, dtype=np.float32).tobytes().hex()
    return {
        "height": 2, "width": 3, "fields": fields, "is_bigendian": False, "point_step": 16, "row_step": 48,
        "data": data, "is_dense": True,
    }  # fmt: skip


def _each(*uses: Callable[[], object]) -> object:
    """Call all of them, whichever of them refuse the input; return what the last one returns."""
    for use in uses[:-1]:
        with suppress(AceError):
            use()
    return uses[-1]()


def _use_camera_info(info: CameraInfo) -> object:
    return _each(lambda: camera_of_info(info, True), lambda: camera_of_info(info).project(PROBE))


def _use_image(message: Image) -> object:
    return _each(lambda: decode_message(message), lambda: image_array(message))


def _use_compressed(message: CompressedImage) -> object:
    return _each(lambda: decode_message(message), lambda: image_array(message))


def _written(values: Callable[[], dict[str, Any]]) -> Callable[[Path], None]:
    return lambda folder: (folder / FILE).write_text(json.dumps(values())) and None


def _values(folder: Path) -> Any:
    try:
        return json.loads((folder / FILE).read_text())
    except (ValueError, OSError, RecursionError):  # damage of the harness's own file
        return None


def _read(kind: type, use: Callable[[Any], object]) -> Callable[[Path], object]:
    return lambda folder: use(filled(kind(), _values(folder)))


def write_request(folder: Path) -> None:
    """Write a request to load a map, and a folder of maps without one of that name."""
    (folder / "maps").mkdir()
    (folder / FILE).write_text(json.dumps({"name": "room", "place": ""}))


def use_request(folder: Path) -> object:
    """Use the names of a request as services do."""
    request = _values(folder)
    name, place = (
        str(request.get(key, "")) if isinstance(request, dict) else "" for key in ("name", "place")
    )
    storage = Storage(str(folder))

    def load() -> object:
        return load_map(storage, name, place, RansacConfig(), AtlasConfig(), "cpu")

    with suppress(MapNotFoundError):  # there is no map of any name
        _each(lambda: storage.scene(name), lambda: storage.new_scene(name), load)
    return storage.map_path(name)


MESSAGES: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "CameraInfo": (_written(camera_info), _read(CameraInfo, _use_camera_info)),
    "Image": (_written(image), _read(Image, _use_image)),
    "Image of depth": (_written(depth), _read(Image, depth_of_message)),
    "CompressedImage": (_written(compressed_image), _read(CompressedImage, _use_compressed)),
    "PointCloud2": (_written(point_cloud), _read(PointCloud2, points_of_message)),
    "request": (write_request, use_request),
}
