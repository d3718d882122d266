# SPDX-License-Identifier: Apache-2.0
"""One recording: a thread that turns images into keyframes with the poses that odometry gives."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ace_ros.data.depth_image import check_aspect
from ace_ros.data.plausibility import drive_doubts
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.sixteen_bits import GrowingRange
from ace_ros.errors import AceError, CameraError
from ace_ros.files.names import frame_name
from ace_ros.geometry.camera import Camera
from ace_ros.network.input import to_grey
from ace_ros.nodes.camera_source import CameraSource, check_size, see_alike
from ace_ros.nodes.conversions import stamp_ns
from ace_ros.nodes.depth_source import DepthQuery, DepthSource, NoDepth
from ace_ros.nodes.images import image_array
from ace_ros.nodes.keyframes import BlurFilter, Trail, is_far
from ace_ros.nodes.options import MapperConfig
from ace_ros.nodes.pose_source import NoPose, wait_for_pose

STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Counts:
    """What became of the images; names and meaning as in ace_ros/msg/MappingStatus."""

    images: int = 0
    skipped_near: int = 0
    dropped_blurred: int = 0
    dropped_duplicate: int = 0
    dropped_unsynchronised: int = 0
    dropped_camera: int = 0
    dropped_image: int = 0
    dropped_storage: int = 0
    without_depth: int = 0


class Dropped(Exception):
    """An image does not become a keyframe; `count` is the field of Counts that it goes to."""

    def __init__(self, count: str, reason: str) -> None:
        super().__init__(reason)
        self.count = count


class Recording:
    """Records into a scene folder until stopped, or until writing fails (`failure`).

    `look_up(camera_frame, stamp_ns)` returns T_odom_camera or raises NoPose; `changed` is notified
    when it may give another answer. Keyframes have the depth that `depth` knows; without it they are
    keyframes, too, and `no_depth` says why. `on_error` is told of what nobody expected, and returns a
    sentence: the image is dropped. Raises OSError or AceError where the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        config: Callable[[], MapperConfig],
        cameras: CameraSource,
        look_up: Callable[[str, int], Tensor],
        changed: threading.Condition,
        on_failure: Callable[[], None],
        on_error: Callable[[BaseException, str], str],
        depth: DepthSource | None = None,
    ) -> None:
        self.folder = folder
        self.counts = Counts()
        self.last_drop = ""
        self.failure = ""
        self.no_depth = ""
        self.keyframes = Trail()
        self.odometry_jump = ""
        self._config = config
        self._cameras = cameras
        self._look_up = look_up
        self._changed = changed
        self._on_failure, self._on_error = on_failure, on_error
        self._depth = depth
        self._recorder = SceneRecorder(folder)
        self._last_pose: Tensor | None = None
        self._blur = BlurFilter()
        self._range = GrowingRange()
        self._first: Camera | None = None
        self._newest_stamp = 0
        self._waiting: deque[tuple[Any, float]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether images that are offered still become keyframes."""
        return not self._stopping

    @property
    def ended(self) -> bool:
        """Whether nothing is written any more."""
        return not self._thread.is_alive()

    @property
    def frames(self) -> int:
        """The keyframes in the folder."""
        return self._recorder.frames

    @property
    def distance_m(self) -> float:
        """Metres along the keyframes."""
        return self._recorder.distance_m

    def offer(self, message: Any) -> None:
        """Take an image message; never waits."""
        with self._wake:
            if self._stopping:
                return
            self._count("images")
            if len(self._waiting) >= self._config().queue_images:
                waiting = len(self._waiting)
                self._drop(Dropped("dropped_storage", f"recording cannot keep up: {waiting} images wait"))
                return
            self._waiting.append((message, time.monotonic()))
            self._wake.notify()

    def stop(self) -> bool:
        """Finish the images that were offered, and end the recording; return whether it has `ended`.

        It has not where the disk takes no more for a long time. It still ends by itself then.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(STOP_TIMEOUT_S)
        return self.ended

    @property
    def unwritten(self) -> int:
        """How many images wait to be written, but for the one in work."""
        return len(self._waiting)

    @property
    def summary(self) -> str:
        """What was recorded, and what was lost, in one sentence."""
        counts = vars(self.counts)
        lost = [f"{count} {name}" for name, count in counts.items() if name.startswith("dropped") and count]
        text = f"{self.frames} keyframes over {self.distance_m:.1f} m into {self.folder}"
        text += f", from {self.counts.images} images"
        if lost:
            text += f"; {', '.join(lost)}; the last one dropped: {self.last_drop}"
        text += "".join(f"; {doubt}" for doubt in self._doubts())
        if self.no_depth:
            text += f"; {self.counts.without_depth} without depth: {self.no_depth}"
        return text

    def _doubts(self) -> list[str]:
        """Return what is doubtful in the keyframes, such as a drive in millimetres."""
        if self._first is None:
            return []
        return drive_doubts(self.keyframes.positions, self.keyframes.stamps, [self._first])

    def _run(self) -> None:
        while self._waiting or not self._stopping:
            try:
                self._work()
            except BaseException as error:  # SystemExit, too, would end the thread without a word
                self._drop(Dropped("dropped_image", self._on_error(error, "recording an image")))

    def _work(self) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._stopping)
            if not self._waiting:
                return
            message, received = self._waiting.popleft()
        try:
            self._handle(message, received)
        except Dropped as drop:
            self._drop(drop)
        except OSError as error:
            self._fail(error)

    def _handle(self, message: Any, received: float) -> None:
        config = self._config()
        stamp = self._check_stamp(message)
        camera = self._camera(stamp)
        seen_from = frame_name(message.header.frame_id)
        frame = config.camera_frame or seen_from
        deadline = received + config.pose_timeout_s
        T_map_camera = self._pose(frame, stamp, deadline)
        self._newest_stamp = stamp  # odometry agrees with it: one from another year makes none after it old
        if self._last_pose is not None and not is_far(
            self._last_pose, T_map_camera, config.keyframe_distance_m, config.keyframe_angle_deg
        ):
            self._count("skipped_near")
            return
        try:
            pixels = image_array(message, self._range.to_8_bit)
        except CameraError as error:
            raise Dropped("dropped_image", str(error)) from error
        self._check_camera(pixels.shape, camera)
        blurred = self._blur.complaint(to_grey(pixels), config.min_sharpness, config.min_sharpness_share)
        if blurred:
            raise Dropped("dropped_blurred", blurred)
        depth_mm = self._depth_of(DepthQuery(stamp, seen_from, camera, T_map_camera, deadline))
        try:
            self._recorder.add(pixels, T_map_camera.numpy(), camera, stamp, frame, depth_mm)
        except AceError as error:
            raise Dropped("dropped_image", str(error)) from error
        self._first = self._first or camera
        self._last_pose = T_map_camera
        self.keyframes.append(stamp, T_map_camera)

    def _check_stamp(self, message: Any) -> int:
        stamp = stamp_ns(message.header.stamp)
        if stamp <= 0:
            raise Dropped("dropped_unsynchronised", "the image has no time stamp")
        if stamp <= self._newest_stamp:
            older = (self._newest_stamp - stamp) / 1e9
            what = f"is {older:.2f} s older than" if older else "has the stamp of"
            raise Dropped("dropped_duplicate", f"the image {what} the one before")
        return stamp

    def _camera(self, stamp: int) -> Camera:
        try:
            return self._cameras.camera(stamp)
        except CameraError as error:
            raise Dropped("dropped_camera", str(error)) from error

    def _check_camera(self, shape: tuple[int, ...], camera: Camera) -> None:
        try:
            check_size(shape, camera)
        except CameraError as error:
            raise Dropped("dropped_camera", str(error)) from error
        if self._first is None:
            return
        size = self._first.size
        if size != camera.size:
            what = f"the image is {camera.size[0]}x{camera.size[1]}, the first keyframe {size[0]}x{size[1]}"
            raise Dropped("dropped_camera", what)
        if self._first.model != camera.model and not see_alike(self._first, camera):
            what = f"the camera is {camera.model}, that of the first keyframe {self._first.model}"
            raise Dropped("dropped_camera", f"{what}; start a new recording")

    def _pose(self, frame: str, stamp: int, deadline: float) -> Tensor:
        try:
            T = wait_for_pose(lambda: self._look_up(frame, stamp), self._changed, deadline)
        except NoPose as error:
            raise Dropped("dropped_unsynchronised", self.odometry_jump or str(error)) from error
        if self.odometry_jump:
            # The odometry may have started again elsewhere: its poses would not fit the earlier ones.
            raise Dropped("dropped_unsynchronised", self.odometry_jump)
        return T

    def _depth_of(self, query: DepthQuery) -> np.ndarray | None:
        if self._depth is None:
            return None
        try:
            depth_mm = self._depth.depth(query)
            check_aspect((depth_mm.shape[1], depth_mm.shape[0]), query.camera.size)
        except (NoDepth, CameraError) as error:
            self.no_depth = str(error)
        except Exception as error:  # depth that cannot be read costs no keyframe
            self.no_depth = self._on_error(error, "reading depth")
        else:
            return depth_mm
        self._count("without_depth")
        return None

    def _count(self, name: str) -> None:
        with self._wake:
            self.counts = replace(self.counts, **{name: getattr(self.counts, name) + 1})

    def _drop(self, drop: Dropped) -> None:
        with self._wake:
            self._count(drop.count)
            self.last_drop = str(drop)

    def _fail(self, error: OSError) -> None:
        what = f"{error.filename or self.folder}: {error.strerror or error}"
        with self._wake:
            self._drop(Dropped("dropped_storage", what))
            self._stopping = True
            for _ in self._waiting:
                self._count("dropped_storage")
            self._waiting.clear()
        self.failure = f"recording ended: {what}; the {self.frames} keyframes before are kept"
        self._on_failure()
