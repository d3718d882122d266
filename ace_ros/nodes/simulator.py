# SPDX-License-Identifier: Apache-2.0
"""The simulator node: a robot with a camera and drifting odometry drives through a room.

Time is real. The true pose is published for reports; nothing that is demonstrated listens to it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from geometry_msgs.msg import PoseStamped, TransformStamped
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32, Header
from std_srvs.srv import Trigger
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from ace_ros.config import CheckedConfig, option
from ace_ros.nodes.conversions import fill_camera_info, fill_pose, fill_transform
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.images import image_message
from ace_ros.nodes.listeners import Listeners, nobody_hears
from ace_ros.nodes.parameters import Parameters
from ace_ros.nodes.publishing import LATCHED, SENSOR, publish, send
from ace_ros.simulation.drive import (
    DriftingOdometry,
    Pose2,
    T_base_camera,
    T_of,
    Tour,
    camera_at,
    camera_of_robot,
    mapping_tour,
    second_tour,
)
from ace_ros.simulation.room import SimulatedRoom, photograph

WORLD_FRAME = "world"
POLL_S = 0.05


@dataclass(frozen=True)
class SimulatorConfig(CheckedConfig):
    """Options of the simulator node."""

    seed: int = option(0, "seed of the room, of the odometry's drift and of the camera's noise", low=0)
    texels_per_m: float = option(200.0, "detail of the room's surfaces", low=24.0, high=512.0)
    width: int = option(640, "width of the images", unit="px", low=32, high=4096)
    height: int = option(480, "height of the images", unit="px", low=32, high=4096)
    image_rate_hz: float = option(10.0, "images per second while driving", unit="Hz", low=0.1, high=100.0)
    standing_rate_hz: float = option(1.0, "images per second while standing", unit="Hz", low=0.1, high=100.0)
    odometry_rate_hz: float = option(50.0, "odometry per second", unit="Hz", low=1.0, high=1000.0)
    noise: float = option(2.0, "deviation of the camera's noise in grey levels", low=0.0, high=50.0)
    exposure_change: float = option(0.08, "slow change of the exposure, either way", low=0.0, high=0.5)
    distance_error: float = option(0.01, "share of the distance that odometry measures too long", high=0.5)
    yaw_error_deg_per_m: float = option(0.055, "false turn per metre", unit="deg", low=-10.0, high=10.0)
    turn_error: float = option(0.0005, "share of a turn that odometry measures too much", high=0.5)
    tour_share: float = option(1.0, "share of each drive that is driven", low=0.01, high=1.0)
    odom_frame: str = option("odom", "frame of the odometry")
    base_frame: str = option("base_link", "frame of the robot")
    camera_frame: str = option("camera_optical_frame", "optical frame of the camera")
    wait_for_subscriber_s: float = option(
        10.0, "longest wait for subscribers before a drive", unit="s", low=0.0, high=3600.0
    )


class Simulator(Node):
    """Topics image, camera_info, odom, ground_truth, tour_progress, tf; services start_tour, kidnap."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)  # the networks, in other processes, need the processor more
        torch.set_num_threads(1)
        super().__init__("simulator", automatically_declare_parameters_from_overrides=True)
        self.faults = Faults(self)
        self._config: SimulatorConfig = Parameters(self, SimulatorConfig)[SimulatorConfig]
        config = self._config
        self._room = SimulatedRoom(config.seed, config.texels_per_m)
        self._camera = camera_of_robot((config.width, config.height))
        self._rng = np.random.default_rng(config.seed)
        self._lock = threading.Lock()  # guards what follows: the robot moves in two callbacks
        self._odometry = DriftingOdometry(
            config.seed, config.distance_error, config.yaw_error_deg_per_m, config.turn_error
        )
        self._tour: Tour = mapping_tour()
        self._begun: float | None = None
        self._rendered: tuple[Pose2, np.ndarray] | None = None
        self._last_image = 0.0
        self._make_publishers()
        self._publish_mount()
        services = MutuallyExclusiveCallbackGroup()  # a drive waits until it is listened to
        self.create_service(Trigger, "start_tour", self._on_start, callback_group=services)
        self.create_service(Trigger, "kidnap", self._on_kidnap, callback_group=services)
        images, odometry = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_timer(1.0 / config.image_rate_hz, self._on_image_timer, callback_group=images)
        self.create_timer(1.0 / config.odometry_rate_hz, self._on_odometry_timer, callback_group=odometry)
        self._publish_progress(0.0)
        self.get_logger().info("the robot stands in the room")

    def close(self) -> None:
        """Nothing is held."""

    def _make_publishers(self) -> None:
        self._images = self.create_publisher(Image, "image", SENSOR)
        self._infos = self.create_publisher(CameraInfo, "camera_info", SENSOR)
        self._odometry_publisher = self.create_publisher(Odometry, "odom", QoSProfile(depth=50))
        self._truth = self.create_publisher(PoseStamped, "ground_truth", QoSProfile(depth=50))
        self._progress = self.create_publisher(Float32, "tour_progress", LATCHED)
        self._tf = TransformBroadcaster(self)
        self._tf_static = StaticTransformBroadcaster(self)

    def _publish_mount(self) -> None:
        mount = TransformStamped(child_frame_id=self._config.camera_frame)
        mount.header.stamp = self.get_clock().now().to_msg()
        mount.header.frame_id = self._config.base_frame
        fill_transform(mount.transform, torch.from_numpy(T_base_camera()))
        self._tf_static.sendTransform(mount)

    # The robot

    def _duration_s(self) -> float:
        return self._tour.duration_s * self._config.tour_share

    def _driven_s(self) -> float:
        """Return how long the robot has driven on its tour, at most the tour's duration."""
        elapsed = 0.0 if self._begun is None else time.monotonic() - self._begun
        return min(elapsed, self._duration_s())

    def _move(self) -> tuple[Any, Pose2]:
        """Bring the robot to where it is now; publish odometry; return the stamp and the true pose."""
        with self._lock:
            stamp = self.get_clock().now().to_msg()
            true_pose = self._tour.pose(self._driven_s())
            T_odom_base = torch.from_numpy(T_of(self._odometry.update(true_pose)))
            config = self._config
            transform = TransformStamped(child_frame_id=config.base_frame)
            transform.header.stamp, transform.header.frame_id = stamp, config.odom_frame
            fill_transform(transform.transform, T_odom_base)
            odometry = Odometry(header=transform.header, child_frame_id=config.base_frame)
            fill_pose(odometry.pose.pose, T_odom_base)
            send(self, self._tf.sendTransform, transform)
            publish(self, self._odometry_publisher, odometry)
        return stamp, true_pose

    def _await_listeners(self) -> str:
        """Wait for subscribers of images, calibration and odometry; return a remark where one is missing."""
        publishers = (self._images, self._infos, self._tf.pub_tf)  # the mount is latched
        listeners = Listeners(
            {publisher.topic_name: publisher for publisher in publishers}, self._config.wait_for_subscriber_s
        )
        while self.context.ok() and not listeners.ready():
            time.sleep(POLL_S)
        complaint = nobody_hears(listeners.missing())
        if complaint:
            self.get_logger().warning(f"{complaint}; driving all the same")
        return f"; {complaint}" if complaint else ""

    def _on_start(self, request: Any, response: Any) -> Any:
        remark = "" if self._begun is not None else self._await_listeners()
        with self._lock:
            response.success = self._begun is None
            if response.success:
                self._begun = time.monotonic()
        said = f"driving for {self._duration_s():.0f} s{remark}"
        response.message = said if response.success else "a tour was started before"
        return response

    def _on_kidnap(self, request: Any, response: Any) -> Any:
        remark = self._await_listeners()
        with self._lock:
            self._tour = second_tour()
            self._odometry.carried_to(self._tour.pose(0.0))
            self._begun = time.monotonic()
        self._publish_progress(0.0)
        response.success = True
        response.message = f"carried away; driving for {self._duration_s():.0f} s{remark}"
        return response

    def _publish_progress(self, share: float) -> None:
        publish(self, self._progress, Float32(data=float(share)))

    # What it publishes

    def _on_odometry_timer(self) -> None:
        self._move()

    def _on_image_timer(self) -> None:
        now = time.monotonic()
        standing = self._begun is None or self._driven_s() >= self._duration_s()
        if standing and now - self._last_image < 1.0 / self._config.standing_rate_hz:
            return
        self._last_image = now
        stamp, true_pose = self._move()
        header = Header(stamp=stamp, frame_id=self._config.camera_frame)
        truth = PoseStamped(header=Header(stamp=stamp, frame_id=WORLD_FRAME))
        fill_pose(truth.pose, torch.from_numpy(T_of(true_pose)))
        publish(self, self._truth, truth)
        publish(self, self._infos, fill_camera_info(CameraInfo(header=header), self._camera))
        publish(self, self._images, image_message(self._photograph(true_pose, now), header))
        self._publish_progress(self._driven_s() / self._duration_s())

    def _photograph(self, true_pose: Pose2, now: float) -> np.ndarray:
        """Return what the camera sees (H, W, 3); a picture of the same place is not made twice."""
        if self._rendered is None or self._rendered[0] != true_pose:
            image, _ = self._room.render(camera_at(true_pose), self._camera)
            self._rendered = true_pose, image
        exposure = 1.0 + self._config.exposure_change * float(np.sin(0.4 * now))
        return photograph(self._rendered[1], self._rng, exposure, self._config.noise)
