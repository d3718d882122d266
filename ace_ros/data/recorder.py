# SPDX-License-Identifier: Apache-2.0
"""Recording posed images into a scene folder, so that a kill at any moment leaves a usable one.

A frame is written as image, depth image, calibration, line of frames.jsonl and, last, pose: the
pose file makes the frame exist. Each file but frames.jsonl appears in one step and is on the disk
before the next one begins, so a robot that is switched off loses the frame in work and no other.
`load_scene` leaves out what comes after the last pose; starting to record again in the folder removes it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import torch

from ace_ros.data.depth_image import check_aspect, encode_depth
from ace_ros.data.frames_file import FRAMES_FILE, format_note, read_frame_notes
from ace_ros.data.scene import DEPTH_FOLDER, MAX_RIGID_DEFECT, load_scene
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.limits import MAX_POSITION_M
from ace_ros.files.whole import make_folder, remove_leftovers, write_atomically
from ace_ros.geometry import se3
from ace_ros.geometry.camera import Camera

FORMATS = {"png": [cv2.IMWRITE_PNG_COMPRESSION, 1], "jpg": [cv2.IMWRITE_JPEG_QUALITY, 95]}


class SceneRecorder:
    """Appends frames to `folder`/`split`, and goes on where an earlier recording there ended.

    `frames` counts the frames in the folder, `distance_m` is the length of the path through their
    positions in metres. All poses of one folder must be in one frame: going on is for an odometry
    that ran on. Raises SceneError for a folder with something else in it, OSError for one that
    cannot be written.
    """

    def __init__(self, folder: Path, split: str = "train", image_format: str = "jpg") -> None:
        if image_format not in FORMATS:
            raise SceneError(f"image format must be one of {', '.join(FORMATS)}, got {image_format!r}")
        self.folder = Path(folder) / split
        self._format = image_format
        self._rgb, self._poses, self._calibration = (
            self.folder / part for part in ("rgb", "poses", "calibration")
        )
        self._depth = self.folder / DEPTH_FOLDER
        self._notes = self.folder / FRAMES_FILE
        self._refuse_foreign_scene()
        # The notes file comes first: it marks the folder as a recording.
        make_folder(self.folder)
        self._notes.touch()
        for part in (self._rgb, self._poses, self._calibration):
            make_folder(part)
        names = self._remove_unfinished()
        self._notes_size = self._notes.stat().st_size
        self.frames = len(names)
        self.distance_m = 0.0
        self._next = int(names[-1]) + 1 if names else 0
        self._position: np.ndarray | None = None
        # What is added to must be whole: a scene that cannot be loaded would only grow.
        for frame in load_scene(self.folder.parent, split).frames if names else ():
            self._advance(frame.T_map_camera[:3, 3].numpy())

    def add(
        self,
        image: np.ndarray,
        T_map_camera: np.ndarray,
        camera: Camera,
        stamp_ns: int,
        frame_id: str,
        depth_mm: np.ndarray | None = None,
    ) -> Path:
        """Write one frame and return the path of its image.

        `image` is uint8, grey (H, W) or BGR (H, W, 3), of the camera's size; `T_map_camera` is
        (4, 4); `depth_mm` is the depth image, if there is one (see `depth_image`). Raises
        OSError, naming the file, when the disk is full: the frame is then taken back whole and
        earlier ones are as they were. Raises CameraError or SceneError for values that `load_scene`
        would refuse.
        """
        T = np.asarray(T_map_camera, np.float64)
        _check_frame(image, T, camera)
        name = f"{self._next:06d}"
        encoded, data = cv2.imencode(f".{self._format}", image, FORMATS[self._format])
        if not encoded:
            raise CameraError(f"image of shape {image.shape} cannot be written as {self._format}")
        path = self._rgb / f"{name}.{self._format}"
        calibration, pose = self._calibration / f"{name}.txt", self._poses / f"{name}.txt"
        depth, depth_data = self._depth / f"{name}.png", b""
        if depth_mm is not None:
            depth_data = encode_depth(depth_mm)
            check_aspect((depth_mm.shape[1], depth_mm.shape[0]), camera.size)
        try:
            write_atomically(path, data.tobytes())
            if depth_data:
                write_atomically(depth, depth_data)
            write_atomically(calibration, _format_matrix(camera.matrix.cpu().numpy()))
            notes_size = self._append_note(format_note(path.name, camera, stamp_ns, frame_id))
            write_atomically(pose, _format_matrix(T))
        except BaseException:
            # The pose first: without it there is no frame. A disk that fails may not even let go of files.
            for written in (pose, path, depth, calibration):
                with suppress(OSError):
                    written.unlink(missing_ok=True)
            with suppress(OSError):
                os.truncate(self._notes, self._notes_size)
            raise
        self._notes_size = notes_size
        self._next += 1
        self.frames += 1
        self._advance(T[:3, 3])
        return path

    def _append_note(self, line: bytes) -> int:
        """Write a line behind those of whole frames; return the size of the file with it."""
        try:
            with self._notes.open("r+b") as file:
                file.seek(self._notes_size)
                file.truncate()  # a line that could not be taken back
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._notes)) from error

    def _advance(self, position: np.ndarray) -> None:
        if self._position is not None:
            self.distance_m += float(np.linalg.norm(position - self._position))
        self._position = position.copy()

    def _refuse_foreign_scene(self) -> None:
        for path in (self.folder, self._rgb, self._poses, self._calibration, self._depth, self._notes):
            if path.is_symlink():  # what is deleted and written must be the recording's own
                raise SceneError(f"{path}: is a link; a recording goes on only in folders of its own")
        if self._notes.exists() or not self._rgb.exists() or not any(self._rgb.iterdir()):
            return
        raise SceneError(
            f"{self.folder}: holds images but no {FRAMES_FILE}, so it is not a recording; "
            "choose another folder"
        )

    def _remove_unfinished(self) -> list[str]:
        """Delete what a killed recorder left behind; return the names of the whole frames."""
        remove_leftovers(self.folder)
        names = sorted(path.stem for path in self._poses.glob("[!.]*.txt"))
        for name in names:
            if not name.isdecimal():
                raise SceneError(f"{self._poses / name}.txt: not a name that a recording gives")
        last = names[-1] if names else ""
        for part in (self._rgb, self._poses, self._calibration, self._depth):
            for path in part.iterdir() if part.exists() else ():
                if path.name.startswith(".") or path.stem > last:
                    path.unlink()
        notes = read_frame_notes(self._notes)
        data = self._notes.read_bytes()
        if not data.endswith(b"\n") or any(Path(image).stem > last for image in notes):
            lines = [line for line in data.split(b"\n")[:-1] if line.strip()]
            whole = [line for line in lines if Path(json.loads(line)["image"]).stem <= last]
            write_atomically(self._notes, b"".join(line + b"\n" for line in whole))
        return names


def _check_frame(image: np.ndarray, T: np.ndarray, camera: Camera) -> None:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise CameraError(
            f"image must be uint8 of shape (H, W) or (H, W, 3), got {image.dtype} {image.shape}"
        )
    if (image.shape[1], image.shape[0]) != camera.size or camera.matrix.dim() != 2:
        raise CameraError(
            f"image is {image.shape[1]}x{image.shape[0]}, its camera is for {camera.size[0]}x{camera.size[1]}"
        )
    if T.shape != (4, 4) or not se3.rigid_defect(torch.from_numpy(T)) < MAX_RIGID_DEFECT:
        raise SceneError(f"pose to record is not a rigid transform (4, 4): {T.tolist()}")
    if np.abs(T[:3, 3]).max() > MAX_POSITION_M:
        raise SceneError(f"pose to record is more than {MAX_POSITION_M:g} m from the origin")


def _format_matrix(matrix: np.ndarray) -> bytes:
    return "".join(" ".join(f"{v:.12g}" for v in row) + "\n" for row in matrix).encode()
