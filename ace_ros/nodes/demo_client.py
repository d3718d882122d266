# SPDX-License-Identifier: Apache-2.0
"""The demo's side of the graph: what it hears, what it asks for, how long it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Float32
from std_srvs.srv import SetBool, Trigger

from ace_ros.config import PRESETS, CheckedConfig, option
from ace_ros.errors import AceError
from ace_ros.msg import LocalizationStatus, MappingStatus
from ace_ros.nodes.conversions import matrix_of_pose, stamp_ns
from ace_ros.nodes.images import image_array
from ace_ros.nodes.parameters import Parameters
from ace_ros.nodes.publishing import LATCHED, SENSOR
from ace_ros.srv import LoadMap, Train

POLL_S = 0.2
PICTURE_EVERY_S = 0.8


@dataclass(frozen=True)
class DemoConfig(CheckedConfig):
    """Options of the demo node."""

    output_dir: str = option("out/demo", "folder of the report and the pictures")
    room_seed: int = option(0, "seed of the simulator, to draw its room", low=0)
    map_name: str = option("simulated_room", "plain name of the map")
    preset: str = option("fast", "preset of the training", choices=tuple(PRESETS))
    train_budget_s: float = option(150.0, "time to train after preparation", unit="s", low=0.0, high=3600.0)
    patience_s: float = option(
        300.0, "longest wait for anything beyond the time it should take", unit="s", low=1.0, high=3600.0
    )


class DemoError(AceError):
    """The demo could not go on; one sentence says why."""


class Demo(Node):
    """Listens to everything and drives the job from the main thread; spun by another one."""

    def __init__(self) -> None:
        super().__init__("demo", automatically_declare_parameters_from_overrides=True)
        self.config: DemoConfig = Parameters(self, DemoConfig)[DemoConfig]
        self.mapping = MappingStatus()
        self.tour_progress = 0.0
        self.odometry: np.ndarray | None = None
        self.truth: dict[int, np.ndarray] = {}  # stamp -> T_world_base
        self.poses: dict[int, np.ndarray] = {}  # stamp -> T_map_base
        self.tried: dict[int, LocalizationStatus] = {}
        self.cloud: PointCloud2 | None = None
        self.pictures: list[tuple[int, np.ndarray]] = []
        self.training: list[tuple[float, float, float]] = []
        self._keeps_pictures = False
        self._listen()
        self.asked: dict[str, Client] = {
            name: self.create_client(kind, name)
            for name, kind in (
                ("record", SetBool), ("train", Train), ("load_map", LoadMap), ("start_tour", Trigger),
                ("kidnap", Trigger),
            )
        }  # fmt: skip

    def _listen(self) -> None:
        many = QoSProfile(depth=50)
        for kind, topic, callback, qos in (
            (PoseStamped, "ground_truth", self._on_truth, many),
            (Odometry, "odom", self._on_odometry, many),
            (Float32, "tour_progress", self._on_tour_progress, LATCHED),
            (MappingStatus, "mapping_status", self._on_mapping_status, LATCHED),
            (PoseWithCovarianceStamped, "pose", self._on_pose, many),
            (LocalizationStatus, "localization_status", self._on_localization_status, many),
            (PointCloud2, "map_cloud", self._on_cloud, LATCHED),
        ):
            self.create_subscription(kind, topic, callback, qos)

    def keep_pictures(self) -> None:
        """Subscribe to what the localizer sees; it draws it only for those who ask."""
        self._keeps_pictures = True
        self.create_subscription(Image, "debug_image", self._on_debug_image, SENSOR)

    def _on_truth(self, message: PoseStamped) -> None:
        self.truth[stamp_ns(message.header.stamp)] = matrix_of_pose(message.pose).numpy()

    def _on_odometry(self, message: Odometry) -> None:
        self.odometry = matrix_of_pose(message.pose.pose).numpy()

    def _on_tour_progress(self, message: Float32) -> None:
        self.tour_progress = message.data

    def _on_mapping_status(self, message: MappingStatus) -> None:
        self.mapping = message
        if message.state == MappingStatus.TRAINING:
            self.training.append((message.elapsed_s, message.median_error_px, message.inlier_share))

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.poses[stamp_ns(message.header.stamp)] = matrix_of_pose(message.pose.pose).numpy()

    def _on_localization_status(self, message: LocalizationStatus) -> None:
        self.tried[stamp_ns(message.header.stamp)] = message

    def _on_cloud(self, message: PointCloud2) -> None:
        self.cloud = message

    def _on_debug_image(self, message: Image) -> None:
        stamp = stamp_ns(message.header.stamp)
        if not self.pictures or stamp - self.pictures[-1][0] > 1e9 * PICTURE_EVERY_S:
            self.pictures.append((stamp, image_array(message).copy()))

    # Waiting and asking

    def is_listened_to(self) -> bool:
        """Return whether mapper and localizer both subscribe to what the robot publishes."""
        return all(self.count_subscribers(topic) >= 2 for topic in ("image", "camera_info", "/tf"))

    def wait(self, done: Callable[[], bool], limit_s: float, what: str, tick: Callable[[], None]) -> None:
        """Wait until something is so, calling `tick` now and then; DemoError where it takes too long."""
        deadline = time.monotonic() + limit_s
        while not done():
            if not rclpy.ok():
                raise KeyboardInterrupt
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not happen within {limit_s:.0f} s; see the nodes' logs")
            tick()
            time.sleep(POLL_S)

    def ask(
        self, name: str, request: Any, limit_s: float = 60.0, tick: Callable[[], None] = lambda: None
    ) -> Any:
        """Call a service and return its answer; DemoError where it refuses."""
        future = self.asked[name].call_async(request)
        self.wait(future.done, limit_s, f"an answer of {name}", tick)
        answer: Any = future.result()
        if not answer.success:
            raise DemoError(f"{name}: {answer.message}")
        return answer
