# SPDX-License-Identifier: Apache-2.0
"""The test's own place in the ROS graph: node processes, service calls, and a robot that publishes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
import torch
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import ListParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import from_rotation_translation, inverse, so3_exp
from ace_ros.nodes.conversions import fill_camera_info, fill_pose, fill_stamp, fill_transform
from ace_ros.nodes.images import compressed_message, image_message
from support import wait_for

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
START_TIMEOUT_S = 60.0  # a busy machine needs that long to import torch
T_BASE_CAMERA = from_rotation_translation(
    torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64),
    torch.tensor([0.1, 0.0, 0.4], dtype=torch.float64),
)


class NodeProcess:
    """One of our nodes in a process of its own, in namespace /ace; its output goes to a file."""

    def __init__(self, name: str, log: Path, *arguments: str, **parameters: object) -> None:
        self.log = log
        command = [sys.executable, str(SCRIPTS / name), "--ros-args", "-r", "__ns:=/ace", *arguments]
        for key, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{key}:={text}"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def assert_alive(self) -> None:
        assert self.process.poll() is None, f"the node has ended:\n{self.output}"

    def stop(self) -> int:
        """Interrupt the node as Ctrl-C does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the node did not end:\n{self.output}") from None

    def children(self) -> list[int]:
        """Return the processes that the node has started."""
        lists = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in lists for pid in path.read_text().split()]


class Graph:
    """A node of the test, spun in the background."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node(f"test_{os.getpid()}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}
        self._publishers: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        rclpy.try_shutdown()
        self._thread.join(10.0)
        self.node.destroy_node()

    def collect(self, kind: type, topic: str, qos: Any = LATCHED) -> list[Any]:
        """Return a list that every message of a topic is appended to."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def publisher(self, kind: type, topic: str, qos: Any = 10) -> Any:
        """Return the publisher of a topic; there is one."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        return self._publishers[topic]

    def begin_call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Send a request; return the future."""
        if name not in self._clients:
            many = QoSProfile(depth=200)  # answers of calls that were begun at once
            self._clients[name] = self.node.create_client(kind, name, qos_profile=many)
        client = self._clients[name]
        assert client.wait_for_service(timeout_sec=START_TIMEOUT_S), f"there is no service {name}"
        return client.call_async(kind.Request(**fields))

    def call(self, kind: Any, name: str, timeout: float = 30.0, **fields: Any) -> Any:
        """Call a service and return the response."""
        future = self.begin_call(kind, name, **fields)
        wait_for(f"an answer of {name}", future.done, timeout)
        return future.result()


def texture(seed: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """Return a sharp BGR picture (H, W, 3) of nothing in particular."""
    noise = np.random.default_rng(seed).normal(0.0, 80.0, (size[1], size[0], 3))
    return np.clip(128 + cv2.GaussianBlur(noise, (0, 0), 1.5) * 3, 0, 255).astype(np.uint8)


def test_camera(size: tuple[int, int] = (320, 240)) -> Camera:
    K = [[260.0, 0, size[0] / 2 - 0.5], [0, 260.0, size[1] / 2 - 0.5], [0, 0, 1]]
    return Camera(torch.tensor(K, dtype=torch.float64), size)


def base_at(x: float, yaw: float = 0.0) -> torch.Tensor:
    """Return T_odom_base of a robot on the floor."""
    R = so3_exp(torch.tensor([0.0, 0.0, yaw], dtype=torch.float64))
    return from_rotation_translation(R, torch.tensor([x, 0.0, 0.0], dtype=torch.float64))


class Robot:
    """Publishes what a robot with a camera publishes. Its clock `stamp` only goes on by `tick`.

    It publishes to those who listen: what is sent before they are connected would not arrive.
    """

    def __init__(self, graph: Graph, camera: Camera | None = None) -> None:
        self._graph = graph
        self.camera = camera or test_camera()
        self.stamp = time.time_ns()
        self._introduced_to = ""
        self.image = graph.publisher(Image, "/ace/image")
        self.compressed = graph.publisher(CompressedImage, "/ace/image/compressed")
        self.info = graph.publisher(CameraInfo, "/ace/camera_info")
        self.odometry = graph.publisher(Odometry, "/ace/odom")
        self.depth = graph.publisher(Image, "/ace/depth")
        self.points = graph.publisher(PointCloud2, "/ace/lidar/points")
        self.tf = graph.publisher(TFMessage, "/tf", 100)
        self._static = graph.publisher(TFMessage, "/tf_static", LATCHED)
        mount = self._transform("base_link", "camera", T_BASE_CAMERA)
        self._static.publish(TFMessage(transforms=[mount]))

    def tick(self, seconds: float = 0.1) -> None:
        self.stamp += int(seconds * 1e9)

    def send(self, publisher: Any, message: Any, reliably: bool = False) -> None:
        """Publish once every subscriber in the graph is connected, one `reliably` where that matters."""

        def connected() -> bool:
            known = self._graph.node.get_subscriptions_info_by_topic(publisher.topic_name)
            kinds = {one.qos_profile.reliability for one in known}
            heard = ReliabilityPolicy.RELIABLE in kinds if reliably else bool(kinds)
            return heard and publisher.get_subscription_count() >= len(known)

        what = f"a connection with all subscribers of {publisher.topic_name}"
        try:
            wait_for(what, connected, START_TIMEOUT_S)
        except AssertionError as error:
            known = self._graph.node.get_subscriptions_info_by_topic(publisher.topic_name)
            count = publisher.get_subscription_count()
            raise AssertionError(f"{error}: {count} of {[one.node_name for one in known]}") from None
        publisher.publish(message)

    def _transform(self, parent: str, child: str, T: torch.Tensor) -> Any:
        transform = TransformStamped(child_frame_id=child)
        transform.header.frame_id = parent
        fill_stamp(transform.header.stamp, self.stamp)
        fill_transform(transform.transform, T)
        return transform

    def publish_tf(self, T_odom_base: torch.Tensor, parent: str = "odom") -> None:
        self.send(self.tf, TFMessage(transforms=[self._transform(parent, "base_link", T_odom_base)]))

    def publish_odometry(self, T_odom_base: torch.Tensor, frame: str = "odom") -> None:
        message = Odometry(child_frame_id="base_link")
        message.header.frame_id = frame
        fill_stamp(message.header.stamp, self.stamp)
        fill_pose(message.pose.pose, T_odom_base)
        self.send(self.odometry, message)

    def publish_info(self, **changes: Any) -> None:
        message = fill_camera_info(CameraInfo(), self.camera)
        fill_stamp(message.header.stamp, self.stamp)
        message.header.frame_id = "camera"
        for name, value in changes.items():
            setattr(message, name, value)
        self.send(self.info, message)

    def introduce(self, node: str, **changes: Any) -> None:
        """Publish camera_info, and wait until a node has taken it: an image would not wait for it.

        It is best effort, and lost until the node knows the robot, too. That it does when it answers: what
        the test publishes and asks becomes known in the order in which it was made.
        """
        self._introduced_to = node
        self.settle()
        self.publish_info(**changes)
        self.settle()

    def settle(self) -> None:
        """Wait until the node that the robot was introduced to has taken what was published.

        It does so before it answers a call. A robot that is faster than its node fills the memory that they
        share, and then messages are lost, or come seconds later.
        """
        if self._introduced_to:
            self._graph.call(ListParameters, f"{self._introduced_to}/list_parameters")

    def publish_image(self, pixels: np.ndarray, compressed: bool = False, **changes: Any) -> None:
        header = Header(frame_id="camera")
        fill_stamp(header.stamp, self.stamp)
        message = (compressed_message if compressed else image_message)(pixels, header)
        for name, value in changes.items():
            setattr(message, name, value)
        self.send(self.compressed if compressed else self.image, message, reliably=True)

    def look(self, pixels: np.ndarray, T_odom_camera: torch.Tensor, **changes: Any) -> None:
        """Publish one image with odometry and calibration, as taken from a place."""
        self.tick()
        self.publish_tf(T_odom_camera @ inverse(T_BASE_CAMERA))
        self.publish_info()
        self.publish_image(pixels, **changes)
        self.settle()
