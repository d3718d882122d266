# SPDX-License-Identifier: Apache-2.0
"""Messages and requests as targets: written as JSON, damaged there, and put into real messages."""

from __future__ import annotations

import array
import json
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
from ace_ros.nodes.clouds import points_of_message
from ace_ros.nodes.images import image_array
from ace_ros.nodes.map_loading import load_map
from ace_ros.nodes.storage import Storage

FILE = "message.json"
PROBE = torch.tensor([[0.1, 0.2, 1.0]], dtype=torch.float64)


def filled(message: Any, values: Any) -> Any:
    """Return a message with values; those that it cannot hold are left out: no other node can send them."""
    for name, value in values.items() if isinstance(values, dict) else ():
        if not hasattr(message, name):
            continue
        held = getattr(message, name)
        try:
            if hasattr(held, "get_fields_and_field_types"):
                filled(held, value)
            elif name == "data":
                message.data = array.array("B", bytes.fromhex(value))
            elif name == "fields":
                message.fields = [filled(PointField(), field) for field in value]
            else:
                setattr(message, name, value)
        except (AssertionError, TypeError, ValueError, OverflowError):
            continue
    return message


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


def _each(*uses: Callable[[], object]) -> None:
    """Call all of them, whichever of them refuse the input; the last one decides."""
    for use in uses[:-1]:
        with suppress(AceError):
            use()
    uses[-1]()


def _use_camera_info(info: CameraInfo) -> None:
    _each(lambda: camera_of_info(info, True), lambda: camera_of_info(info).project(PROBE))


def _use_image(message: Image) -> None:
    _each(lambda: depth_of_message(message), lambda: decode_message(message), lambda: image_array(message))


def _use_compressed(message: CompressedImage) -> None:
    _each(lambda: decode_message(message), lambda: image_array(message))


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
    _each(lambda: storage.scene(name), lambda: storage.new_scene(name), lambda: storage.map_path(place))
    return load_map(storage, name, place, RansacConfig(), AtlasConfig(), "cpu")


MESSAGES: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "CameraInfo": (_written(camera_info), _read(CameraInfo, _use_camera_info)),
    "Image": (_written(image), _read(Image, _use_image)),
    "Image of depth": (_written(depth), _read(Image, _use_image)),
    "CompressedImage": (_written(compressed_image), _read(CompressedImage, _use_compressed)),
    "PointCloud2": (_written(point_cloud), _read(PointCloud2, points_of_message)),
    "request": (write_request, use_request),
}
