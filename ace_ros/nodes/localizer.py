# SPDX-License-Identifier: Apache-2.0
"""The localizer node: a pose in the map from each image, and map -> odom from pose and odometry."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from std_srvs.srv import Trigger
from torch import Tensor

from ace_ros.atlas.finder import Hint
from ace_ros.compute.memory import is_out_of_memory
from ace_ros.compute.process import limit_threads
from ace_ros.errors import AceError
from ace_ros.files.names import frame_name
from ace_ros.geometry.se3 import inverse
from ace_ros.msg import LocalizationStatus as Status
from ace_ros.nodes.camera_input import CameraInput
from ace_ros.nodes.camera_source import CameraSource
from ace_ros.nodes.conversions import covariance_of_base, stamp_ns
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.image_reader import ImageReader, NotLocalized, why_not
from ace_ros.nodes.localizer_topics import LocalizerTopics
from ace_ros.nodes.map_loading import (
    AtlasMap,
    Located,
    MapNotFoundError,
    SingleMap,
    check_map_frame,
    load_map,
)
from ace_ros.nodes.newest_result import NewestResult, Result
from ace_ros.nodes.newest_worker import NewestWorker
from ace_ros.nodes.options import AtlasConfig, LocalizerConfig, RansacConfig
from ace_ros.nodes.parameters import Parameters
from ace_ros.nodes.pose_source import NoPose, wait_for_pose
from ace_ros.nodes.publishing import LATCHED, SERVICE, publish
from ace_ros.nodes.storage import Storage
from ace_ros.nodes.tf_tree import TfTree
from ace_ros.nodes.tracker import Tracker, Verdict
from ace_ros.pnp import Reason
from ace_ros.srv import LoadMap

STAYED_S = 2.0  # without odometry a robot is taken to be where it was so long ago, to a few metres


class Localizer(Node):
    """Services load_map and relocalize; topics pose, localization_status, map_cloud, debug_image; tf."""

    def __init__(self) -> None:
        super().__init__("localizer", automatically_declare_parameters_from_overrides=True)
        self.faults = Faults(self)
        self._parameters_of = Parameters(self, LocalizerConfig, RansacConfig, AtlasConfig)
        config = self.config
        limit_threads(config.threads)
        self._storage = Storage(config.data_dir)
        self._map: SingleMap | AtlasMap | None = None
        self._loading = threading.Lock()
        self._tracker = Tracker()
        self._published_state = -1
        self._cloud_of = ""  # the place whose cloud was published
        self._loss = ""
        self._newest_result = NewestResult(Result(0.0, Status.REASON_NONE, ""))
        self._cameras = CameraSource(self.resolve_topic_name("camera_info"), config.rectified)
        self._reader = ImageReader(self._cameras)
        self._topics = LocalizerTopics(self)
        self._status_publisher = self.create_publisher(Status, "localization_status", LATCHED)
        self._tf = TfTree(self, self._on_jump)
        self._worker = NewestWorker(self._work, lambda error: self.faults.take(error, "localizing"))
        self._input = CameraInput(
            self, config.image_transport, config.image_reliability, self._on_image, self._cameras.take,
            lambda: self._publish_status(self._new_status(Status.REASON_NONE, "")), self.faults,
        )  # fmt: skip
        self._load_at_start(config.map, config.place)
        service: Any = {"qos_profile": SERVICE, "callback_group": ReentrantCallbackGroup()}
        self.create_service(LoadMap, "load_map", self._on_load_map, **service)
        self.create_service(Trigger, "relocalize", self._on_relocalize, **service)  # waits for an image
        self.create_timer(1.0 / config.tf_rate_hz, self._on_timer)

    @property
    def config(self) -> LocalizerConfig:
        """The options as they are now."""
        config: LocalizerConfig = self._parameters_of[LocalizerConfig]
        return config

    def close(self) -> None:
        """End the thread that works on images."""
        self._worker.close()

    # Maps

    def _load_at_start(self, name: str, place: str) -> None:
        message = "no map is loaded; call load_map or set the parameter map"
        if name:
            result, message = self._load(name, place)
            if result == LoadMap.Response.SUCCESS:
                return
            self.get_logger().error(message)
        self._publish_status(self._new_status(Status.REASON_NO_MAP, message))

    def _load(self, name: str, place: str) -> tuple[int, str]:
        """Load a map and use it from now on; return a result code of LoadMap and a sentence."""
        try:
            ransac, atlas = self._parameters_of[RansacConfig], self._parameters_of[AtlasConfig]
            config = self.config
            loaded = load_map(self._storage, name, place, ransac, atlas, config.device, config.encoder)
            check_map_frame(loaded.frame, config.odom_frame, config.base_frame)  # of an atlas it is empty
            if loaded.scene_map is not None:  # before it is in use: until then nothing has changed
                self._topics.send_cloud(loaded.scene_map, loaded.frame)
        except MapNotFoundError as error:
            return LoadMap.Response.NOT_FOUND, str(error)
        except AceError as error:
            return LoadMap.Response.INVALID_MAP, str(error)
        except Exception as error:
            said = self.faults.take(error, f"loading map {name[:80]!r}")
            damaged = not is_out_of_memory(error)
            return LoadMap.Response.INVALID_MAP if damaged else LoadMap.Response.FAILED, said
        self._map = loaded
        message = self._loss = f"map {loaded.name!r} is loaded; looking for the robot"
        self._tracker.restart()
        self._cloud_of = loaded.place
        status = self._new_status(Status.REASON_NONE, message)
        self._publish_status(status)
        return LoadMap.Response.SUCCESS, status.message

    def _on_load_map(self, request: Any, response: Any) -> Any:
        with self._loading:  # one after the other: the last one that is asked for is in use in the end
            response.result, response.message = self._load(request.map, request.place)
        response.success = response.result == LoadMap.Response.SUCCESS
        response.map_frame = self._map.frame if self._map else ""
        response.place = self._map.place if self._map else ""
        return response

    # Images

    def _on_image(self, message: Any) -> None:
        if self._map is not None:
            self._worker.offer((message, time.monotonic()))

    def _work(self, item: tuple[Any, float]) -> None:
        message, received = item
        epoch = self._tracker.begin()
        status = self._new_status(Status.REASON_NONE, "")
        status.header.stamp = message.header.stamp
        try:
            self._localize(message, received, epoch, status)
        except Exception as error:  # the next image may be fine
            status.reason, status.message = why_not(error, self.faults)
        if status.reason not in (Status.REASON_NONE, Status.REASON_NOT_CONFIRMED):
            self._tracker.fail(epoch)
        self._check_loss()
        self._publish_status(status)
        self._newest_result.tell(Result(received, status.reason, status.message))

    def _localize(self, message: Any, received: float, epoch: int, status: Any) -> None:
        """Localize one image, publish what it gives and say so in the status; raises NotLocalized."""
        loaded = self._map
        assert loaded is not None  # images are only taken where there is one
        image, camera, stamp = self._reader.read(message)
        frame = self.config.camera_frame or frame_name(message.header.frame_id)
        found = loaded.localize(
            image, camera, self._parameters_of[RansacConfig], self._expectation(frame, stamp)
        )
        status.points, status.inliers = len(found.inliers), int(found.inliers.sum())
        status.inlier_share = status.inliers / max(status.points, 1)
        status.latency_ms = 1e3 * (time.monotonic() - received)
        self._topics.send_debug_image(message, image, found, status.latency_ms)
        if found.reason is not Reason.NONE:
            raise NotLocalized(int(found.reason), found.message)
        check_map_frame(found.frame, self.config.odom_frame, self.config.base_frame, frame)
        T_map_camera = found.T_map_camera
        T_camera_base, T_odom_camera = self._transforms(frame, stamp)
        T_map_base = T_map_camera @ T_camera_base
        T_map_odom = T_map_base if T_odom_camera is None else T_map_camera @ inverse(T_odom_camera)
        self._accept(T_map_odom, epoch, stamp, found)
        if found.place != self._cloud_of and found.scene_map is not None:
            self._topics.send_cloud(found.scene_map, found.frame)
            self._cloud_of = found.place
        covariance = covariance_of_base(found.covariance, T_map_camera, T_camera_base)
        self._topics.send_pose(message.header.stamp, found.frame, T_map_base, covariance)
        if T_odom_camera is None and self.config.publish_tf:
            child = self.config.base_frame or frame
            self._topics.send_transform(message.header.stamp, found.frame, child, T_map_base)
        text = f"localized: {100 * status.inlier_share:.0f} % of the image agrees"
        status.message = f"{text}; {found.message}" if found.message else text

    def _expectation(self, frame: str, stamp: int) -> Hint:
        """Return where the camera should be by its last pose and the odometry since."""
        T_map_odom, before = self._tracker.accepted
        if T_map_odom is None:
            return Hint()
        point = None
        if self.config.odom_frame:
            # The newest odometry, for what an image is to be tried with need not wait for its stamp.
            T_odom_camera = self._tf.newest(self.config.odom_frame, frame)
            point = None if T_odom_camera is None else (T_map_odom @ T_odom_camera)[:3, 3]
        elif self._tracker.since_pose_s(stamp) < STAYED_S:
            point = before.T_map_camera[:3, 3]
        return Hint(before.place, before.frame, point)

    def _transforms(self, frame: str, stamp: int) -> tuple[Tensor, Tensor | None]:
        """Return T_camera_base and T_odom_camera (None where there is no odometry) at the stamp."""
        config = self.config
        deadline = time.monotonic() + config.pose_timeout_s

        def wait(target: str, source: str) -> Tensor:
            return wait_for_pose(lambda: self._tf.look_up(target, source, stamp), self._tf.changed, deadline)

        try:
            T_camera_base = wait(frame, config.base_frame or frame)
            return T_camera_base, wait(config.odom_frame, frame) if config.odom_frame else None
        except NoPose as error:
            raise NotLocalized(Status.REASON_NO_ODOMETRY, f"the image gave a pose, but {error}") from error

    def _accept(self, T_map_odom: Tensor, epoch: int, stamp: int, found: Located) -> None:
        verdict = self._tracker.accept(T_map_odom, epoch, stamp, self.config, found)
        if verdict is Verdict.NOT_CONFIRMED:
            raise NotLocalized(
                Status.REASON_NOT_CONFIRMED,
                "the image gave a pose far from the expected one; a second that agrees is needed",
            )
        if verdict is Verdict.OUTDATED:
            raise NotLocalized(Status.REASON_NO_ODOMETRY, "the image is from before map or odometry changed")

    # Status

    def _new_status(self, reason: int, message: str) -> Any:
        status = Status(reason=reason, message=message)
        status.header.stamp = self.get_clock().now().to_msg()
        return status

    def _state(self) -> int:
        if self._map is None:
            return int(Status.NO_MAP)
        return int(Status.LOST if self._tracker.T_map_odom is None else Status.LOCALIZED)

    def _publish_status(self, status: Any) -> None:
        """Publish a status, with what is known of map, state and counts written into it."""
        loaded = self._map
        status.state = self._published_state = self._state()
        _, accepted = self._tracker.accepted
        status.map_name = loaded.name if loaded else ""
        status.place = accepted.place or (loaded.place if loaded else "")
        status.header.frame_id = accepted.frame or (loaded.frame if loaded else "")
        scene_map = accepted.scene_map or (loaded.scene_map if loaded else None)
        if scene_map is not None and scene_map.missing:
            status.chunks_missing = len(scene_map.missing)
            status.message = "; ".join(filter(None, [status.message, scene_map.missing_text]))
        self._input.fill(status)
        status.images_tried, status.images_localized = self._tracker.tried, self._tracker.localized
        status.since_pose_s = self._tracker.since_pose_s(stamp_ns(status.header.stamp))
        publish(self, self._status_publisher, status)

    def _check_loss(self) -> None:
        self._lose(self._tracker.check_loss(self.config))

    def _on_jump(self, reason: str) -> None:
        self._reader.restart()
        self._tracker.forget()
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        """Take note of why the robot is lost; the timer publishes the change of state."""
        if reason:
            self._loss = f"lost: {reason}"
            self.get_logger().warning(self._loss)

    def _on_timer(self) -> None:
        self._check_loss()
        # That the robot is found is told by the image that found it, which may be about to.
        if self._state() == Status.LOST and self._published_state != Status.LOST:
            self._publish_status(self._new_status(Status.REASON_NONE, self._loss))
        config, (T_map_odom, accepted) = self.config, self._tracker.accepted
        if T_map_odom is None or not (config.publish_tf and config.odom_frame):
            return
        stamp = self.get_clock().now() + Duration(seconds=config.transform_tolerance_s)
        self._topics.send_transform(stamp.to_msg(), accepted.frame, config.odom_frame, T_map_odom)

    def _on_relocalize(self, request: Any, response: Any) -> Any:
        if self._map is None:
            response.success, response.message = False, "no map is loaded"
            return response
        self._loss = "lost: asked to forget the last pose"
        self._tracker.forget()
        timeout = self.config.relocalize_timeout_s
        result = self._newest_result.next(lambda one: one.reason != Status.REASON_NOT_CONFIRMED, timeout)
        response.success = result is not None and result.reason == Status.REASON_NONE
        response.message = result.message if result else f"no image was localized within {timeout:.1f} s"
        return response
