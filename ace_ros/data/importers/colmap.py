# SPDX-License-Identifier: Apache-2.0
"""COLMAP models, text or binary: cameras and posed images."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from ace_ros.data.image_file import image_size
from ace_ros.data.importers.new_scene import PosedImage
from ace_ros.data.lens import make_lens
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.limits import MAX_IMAGES, MAX_LINE_BYTES, MAX_POINTS_LINE_BYTES, MAX_SIDE
from ace_ros.files.names import path_inside
from ace_ros.files.numbers import real, whole
from ace_ros.files.outside import open_plain, read_lines, refusing
from ace_ros.geometry import se3
from ace_ros.geometry.camera import Camera

# COLMAP's model -> (number in binary files, parameters, our model).
MODELS = {
    "SIMPLE_PINHOLE": (0, 3, "pinhole"),
    "PINHOLE": (1, 4, "pinhole"),
    "SIMPLE_RADIAL": (2, 4, "plumb_bob"),
    "RADIAL": (3, 5, "plumb_bob"),
    "OPENCV": (4, 8, "plumb_bob"),
    "OPENCV_FISHEYE": (5, 8, "equidistant"),
    "FULL_OPENCV": (6, 12, "rational_polynomial"),
    "SIMPLE_RADIAL_FISHEYE": (8, 4, "equidistant"),
    "RADIAL_FISHEYE": (9, 5, "equidistant"),
    "THIN_PRISM_FISHEYE": (10, 12, "equidistant"),
}
# Those that are none of ours, for their names.
OTHER_MODELS = {7: "FOV", 11: "RAD_TAN_THIN_PRISM_FISHEYE"}
MAX_ID = 1 << 31
ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")


def read_colmap(source: Path) -> list[PosedImage]:
    """Read a COLMAP project: a model in `source`, sparse or sparse/0, and images in images.

    Raises SceneError.
    """
    model = _find_model(source)
    binary = (model / "images.bin").exists()
    with refusing(SceneError, model, "not a readable COLMAP model"):
        cameras = _by_id(model, _binary_cameras(model) if binary else _text_cameras(model))
        poses = sorted(_binary_images(model) if binary else _text_images(model))
    images = []
    for name, camera_id, q_wxyz, t in poses:
        if camera_id not in cameras:
            raise SceneError(f"{model}: image {name} has the camera {camera_id}, which is missing")
        path = path_inside(source / "images", name, model, SceneError)
        camera = cameras[camera_id]
        if image_size(path) != camera.size:
            raise SceneError(f"{path}: is {image_size(path)}, its camera in {model} {camera.size}")
        images.append(PosedImage(path, str(Path(name).with_suffix("")), _pose(q_wxyz, t), camera))
    return images


def _by_id(model: Path, found: Iterable[tuple[int, Camera]]) -> dict[int, Camera]:
    cameras: dict[int, Camera] = {}
    for camera_id, camera in found:
        if camera_id in cameras:
            raise SceneError(f"{model}: describes the camera {camera_id} twice")
        cameras[camera_id] = camera
    return cameras


def shift_half_pixel(cx: float, cy: float) -> tuple[float, float]:
    """Return a principal point counted from the first pixel's centre.

    COLMAP counts from the image's corner.
    """
    return cx - 0.5, cy - 0.5


def colmap_camera(name: str, size: tuple[int, int], params: list[float]) -> Camera:
    """Return the camera of a COLMAP model's name and parameters; raises CameraError."""
    if name not in MODELS:
        raise CameraError(
            f"camera model {name[:80]} is not supported; known are {', '.join(MODELS)}: undistort the images "
            "with COLMAP's image_undistorter"
        )
    _, count, model = MODELS[name]
    if len(params) != count:
        raise CameraError(f"camera model {name} needs {count} parameters, got {len(params)}")
    focals = params[:1] * 2 if name in ONE_FOCAL else params[:2]
    rest = params[1:] if name in ONE_FOCAL else params[2:]
    cx, cy = shift_half_pixel(*rest[:2])
    K = torch.tensor([[focals[0], 0, cx], [0, focals[1], cy], [0, 0, 1]], dtype=torch.float64)
    coefficients = rest[2:]
    if name == "THIN_PRISM_FISHEYE":  # k1 k2 p1 p2 k3 k4 sx1 sy1, of which we have the radial ones
        k1, k2, p1, p2, k3, k4, *prism = coefficients
        coefficients = [k1, k2, k3, k4, p1, p2, *prism]
    model, distortion = make_lens(model, coefficients, f"camera model {name}")
    return Camera(K, size, model, distortion)


def _pose(q_wxyz: list[float], t: list[float]) -> np.ndarray:
    """Return T_map_camera of COLMAP's transform from world to camera."""
    w, x, y, z = q_wxyz
    R = se3.from_quaternion(torch.tensor([x, y, z, w], dtype=torch.float64))
    T_camera_map = se3.from_rotation_translation(R, torch.tensor(t, dtype=torch.float64))
    return se3.inverse(T_camera_map).numpy()


def _find_model(source: Path) -> Path:
    for folder in (source / "sparse" / "0", source / "sparse", source):
        if (folder / "images.bin").exists() or (folder / "images.txt").exists():
            return folder
    raise SceneError(f"{source}: no images.bin or images.txt here, in sparse or in sparse/0")


def _text_cameras(model: Path) -> Iterator[tuple[int, Camera]]:
    for _, line in read_lines(model / "cameras.txt", MAX_LINE_BYTES, SceneError):
        words = line.decode().split()
        if words and not line.startswith(b"#"):
            params = [real(word) for word in words[4:]]
            size = whole(words[2], MAX_SIDE), whole(words[3], MAX_SIDE)
            yield whole(words[0], MAX_ID), _camera(model, words[1], size, params)


def _text_images(model: Path) -> Iterator[tuple[str, int, list[float], list[float]]]:
    """Yield the images of images.txt; the line of points behind each may be empty or missing.

    COLMAP counts the images in a comment; raises SceneError where there are not so many.
    """
    path, said, found = model / "images.txt", None, 0
    for number, line in read_lines(path, MAX_POINTS_LINE_BYTES, SceneError):
        text = line.decode().strip()
        counted = re.match(r"#.*Number of images: ([0-9]{1,9})", text)
        said = int(counted[1]) if counted else said
        if not text or text.startswith("#") or _is_points(text):
            continue
        words = text.split(maxsplit=9)
        if len(words) < 10:
            raise SceneError(f"{path}, line {number}: is neither an image (10 values) nor points (3 each)")
        found += 1
        values = [real(word) for word in words[1:8]]
        yield words[9], whole(words[8], MAX_ID), values[:4], values[4:]
    if said is not None and said != found:
        raise SceneError(f"{path}: says that it has {said} images, {found} could be read")


def _is_points(text: str) -> bool:
    """Return whether a line lists points, as numbers x y id; that of an image ends with its name."""
    last = text.rsplit(maxsplit=1)[-1]
    return re.fullmatch(r"-?[0-9]+", last) is not None and len(text.split()) % 3 == 0


def _binary_cameras(model: Path) -> Iterator[tuple[int, Camera]]:
    names = {number: (name, count) for name, (number, count, _) in MODELS.items()}
    with open_plain(model / "cameras.bin", SceneError) as file:
        for _ in range(_count(file)):
            camera_id, number, width, height = _unpack(file, "<iiQQ")
            name, count = names.get(number, (OTHER_MODELS.get(number, f"number {number}"), 0))
            params = list(_unpack(file, f"<{count}d"))
            yield camera_id, _camera(model, name, (width, height), params)


def _binary_images(model: Path) -> Iterator[tuple[str, int, list[float], list[float]]]:
    with open_plain(model / "images.bin", SceneError) as file:
        size = os.fstat(file.fileno()).st_size
        for _ in range(_count(file)):
            _, *values, camera_id = _unpack(file, "<i7di")
            name = _name(file)
            end = 24 * _unpack(file, "<Q")[0] + file.tell()
            if end > size:
                raise ValueError(f"images.bin is cut off in the points of {name[:80]!r}")
            file.seek(end)
            yield name, camera_id, values[:4], values[4:]


def _count(file: BinaryIO) -> int:
    """Return how many entries a binary file says that it has."""
    (count,) = _unpack(file, "<Q")
    if count > MAX_IMAGES:
        raise ValueError(f"it says that it has {count} cameras or images, at most {MAX_IMAGES} are read")
    return int(count)


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _name(file: BinaryIO) -> str:
    """Return a text that ends with a zero."""
    text = b""
    while (letter := file.read(1)) != b"\0":
        if not letter or len(text) == MAX_LINE_BYTES:
            raise ValueError("images.bin has the name of an image that does not end")
        text += letter
    return text.decode()


def _camera(model: Path, name: str, size: tuple[int, int], params: list[float]) -> Camera:
    try:
        return colmap_camera(name, size, params)
    except CameraError as error:
        raise SceneError(f"{model}: {error}") from error
