# SPDX-License-Identifier: Apache-2.0
"""The cameras of a scene folder's images: whoever needs one gets it here, so all get the same."""

from __future__ import annotations

from pathlib import Path

import torch

from ace_ros.data.camera_file import read_camera
from ace_ros.data.frames_file import FRAMES_FILE, FrameNote, read_frame_notes
from ace_ros.data.image_file import image_size
from ace_ros.data.lens import make_lens
from ace_ros.data.plausibility import centre_doubt, require_fitting, warn_once
from ace_ros.data.scene_files import calibration_of
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.limits import MAX_TEXT_BYTES
from ace_ros.files.numbers import finite_numbers
from ace_ros.files.outside import read_text
from ace_ros.geometry.camera import Camera


def camera_of_image(image: Path, camera_file: Path | None = None) -> Camera:
    """Return the camera of an image file: of the given file, or as its scene folder has it.

    Raises SceneError or CameraError naming the file that cannot be used or is not there.
    """
    if camera_file is not None:
        return read_camera(camera_file, image_size(image))
    base = image.absolute().parent.parent
    calibration = calibration_of(image)
    notes = read_frame_notes(base / FRAMES_FILE) if (base / FRAMES_FILE).is_file() else {}
    return CameraReader().read(calibration, image, notes.get(image.name))


class CameraReader:
    """Reads calibration files; frames with the same values share one Camera."""

    def __init__(self) -> None:
        self._known: dict[tuple, Camera] = {}

    def read(self, path: Path, image: Path, note: FrameNote | None) -> Camera:
        """Return the camera of an image, whose calibration file is at `path`; raises SceneError."""
        size = image_size(image)
        if note and note.size and note.size != size:
            raise SceneError(
                f"{image}: is {size[0]}x{size[1]}, {FRAMES_FILE} says {note.size[0]}x{note.size[1]}"
            )
        values = read_numbers(path, (9, 1), "a 3x3 matrix or one focal length")
        model, distortion = (note.model, note.distortion) if note else ("pinhole", ())
        key = (tuple(values), size, model, distortion)
        if key not in self._known:
            self._known[key] = self._make(path, values, size, (model, distortion))
        return self._known[key]

    def _make(
        self, path: Path, values: list[float], size: tuple[int, int], lens: tuple[str, tuple[float, ...]]
    ) -> Camera:
        width, height = size
        if len(values) == 1:
            focal = values[0]
            values = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
        matrix = torch.tensor(values, dtype=torch.float64).reshape(3, 3)
        try:
            camera = Camera(matrix, size, *make_lens(*lens, FRAMES_FILE))
            require_fitting(camera)
        except CameraError as error:
            raise SceneError(f"{path}: {error}") from error
        warn_once(path.parent, centre_doubt(camera))
        return camera


def read_numbers(path: Path, counts: tuple[int, ...], expected: str) -> list[float]:
    """Return the numbers of a small text file; how many there are must be one of `counts`."""
    words = read_text(path, MAX_TEXT_BYTES, SceneError).split()
    return finite_numbers(words, counts, expected, path, SceneError)
