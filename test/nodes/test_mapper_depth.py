# SPDX-License-Identifier: Apache-2.0
"""The mapper with a depth camera, and with a LiDAR, beside its camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy")

from graph import T_BASE_CAMERA, Graph, Robot, base_at, texture, wait_for
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from ace_ros.cli.parser import build_parser
from ace_ros.data.depth_image import read_depth
from ace_ros.data.scene import Frame, load_scene
from ace_ros.geometry.se3 import from_rotation_translation, inverse
from ace_ros.mapping.jobs.map_job import MapJob
from ace_ros.msg import MappingStatus
from ace_ros.nodes.clouds import cloud_message
from ace_ros.nodes.conversions import fill_stamp
from ace_ros.nodes.options import MapperConfig
from ace_ros.nodes.trainer_process import map_command

T_BASE_LIDAR = from_rotation_translation(
    torch.eye(3, dtype=torch.float64), torch.tensor([-0.3, 0.1, 0.9], dtype=torch.float64)
)


class DepthRobot(Robot):
    """A robot whose depth camera and LiDAR have stamps of their own."""

    def mount_lidar(self) -> None:
        self._static.publish(TFMessage(transforms=[self._transform("base_link", "lidar", T_BASE_LIDAR)]))

    def publish_depth(self, depth: np.ndarray, after_s: float = 0.0, frame: str = "camera") -> None:
        message = Image(height=depth.shape[0], width=depth.shape[1], step=depth.strides[0])
        message.encoding = "16UC1" if depth.dtype == np.uint16 else "32FC1"
        message.data = np.ascontiguousarray(depth).view(np.uint8).reshape(-1).tolist()
        fill_stamp(message.header.stamp, self.stamp + int(after_s * 1e9))
        message.header.frame_id = frame
        self.send(self.depth, message)
        self.settle()

    def publish_points(self, points: np.ndarray, after_s: float = 0.0) -> None:
        header = Header(frame_id="lidar")
        fill_stamp(header.stamp, self.stamp + int(after_s * 1e9))
        self.send(self.points, cloud_message(header, points, np.zeros(len(points), np.uint8)))
        self.settle()


class Recorder:
    """A mapper process that records; `end` returns its frames, its last status and its answer."""

    def __init__(self, graph: Graph, start_node: Any, folder: Path, robot: Robot, **parameters: Any) -> None:
        self.graph = graph
        self.node = start_node("mapper", data_dir=folder, pose_timeout_s=1.0, **parameters)
        self.statuses: list[Any] = graph.collect(MappingStatus, "/ace/mapping_status")
        wait_for("the mapper's first status", lambda: self.statuses, 60.0)
        assert graph.call(SetBool, "/ace/record", data=True).success
        robot.tick()
        robot.introduce("/ace/mapper")
        robot.publish_tf(base_at(0.0))

    def end(self, images: int) -> tuple[tuple[Frame, ...], Any, str]:
        def seen() -> bool:
            status = self.statuses[-1]
            return status.keyframes + status.dropped_unsynchronised == images

        wait_for(f"{images} images", seen)
        answer = self.graph.call(SetBool, "/ace/record", data=False)
        assert answer.success, answer.message
        status = wait_for(
            "the last status", lambda: self.statuses[-1].state == MappingStatus.IDLE and self.statuses[-1]
        )
        self.node.stop()
        return load_scene(Path(status.scene)).frames, status, answer.message


def depth_of(i: int) -> np.ndarray:
    return (1000 * (i + 1) + np.arange(120 * 160, dtype=np.uint16) % 500).reshape(120, 160).astype(np.uint16)


def test_keyframes_have_the_depth_image_nearest_in_time(
    graph: Graph, start_node: Any, tmp_path: Path
) -> None:
    robot = DepthRobot(graph)
    recorder = Recorder(graph, start_node, tmp_path, robot, depth_topic="depth")

    def look(i: int) -> None:
        robot.look(texture(i), base_at(0.3 * i) @ T_BASE_CAMERA)

    look(0)
    robot.publish_depth(depth_of(0))
    look(1)  # between two, the later one nearer
    robot.publish_depth(depth_of(7), after_s=-0.03)
    robot.publish_depth(depth_of(1), after_s=0.01)
    look(2)  # in metres, with holes
    metres = depth_of(2).astype(np.float32) / 1000
    metres[:3] = np.nan
    robot.publish_depth(metres)
    look(3)  # none near it
    robot.publish_depth(depth_of(3), after_s=0.08)
    look(4)  # not registered
    robot.publish_depth(depth_of(4), frame="depth_camera")
    frames, status, answer = recorder.end(5)
    assert [f.depth_path is not None for f in frames] == [True, True, True, False, False]
    np.testing.assert_array_equal(read_depth(frames[0].depth_path), depth_of(0))
    np.testing.assert_array_equal(read_depth(frames[1].depth_path), depth_of(1))
    expected = depth_of(2)
    expected[:3] = 0
    np.testing.assert_array_equal(read_depth(frames[2].depth_path), expected)
    assert (status.keyframes, status.without_depth) == (5, 2)
    assert "2 without depth: depth on /ace/depth is in frame 'depth_camera', the image in 'camera'" in answer


def test_keyframes_have_the_points_of_a_lidar(graph: Graph, start_node: Any, tmp_path: Path) -> None:
    """A wall at x = 4 m in odom, measured by a moving LiDAR at another time than the image's."""
    robot = DepthRobot(graph)
    recorder = Recorder(graph, start_node, tmp_path, robot, points_topic="lidar/points")
    robot.mount_lidar()
    y, z = np.meshgrid(np.linspace(-1.5, 1.5, 40), np.linspace(-0.5, 1.5, 30))
    wall = torch.from_numpy(np.stack([np.full(y.size, 4.0), y.ravel(), z.ravel()], -1))
    for i in range(3):
        robot.look(texture(i), base_at(0.3 * i) @ T_BASE_CAMERA)
        T_lidar_odom = inverse(base_at(0.3 * i + 0.12) @ T_BASE_LIDAR)
        points = (wall @ T_lidar_odom[:3, :3].T + T_lidar_odom[:3, 3]).numpy()
        points[::7] = np.nan
        robot.publish_points(points, after_s=0.04)
        robot.tick(0.1)
        robot.publish_tf(base_at(0.3 * (i + 1)))
        robot.tick(-0.1)
    frames, status, answer = recorder.end(3)
    assert (status.keyframes, status.without_depth) == (3, 0), answer
    for i, frame in enumerate(frames):
        depth_mm = read_depth(frame.depth_path)
        assert depth_mm.shape == (240, 320)
        known = depth_mm[depth_mm > 0]
        assert len(known) > 300
        np.testing.assert_allclose(known / 1000, 4.0 - 0.3 * i - 0.1, atol=2e-3)
        column = np.argwhere(depth_mm > 0)[:, 1]
        assert column.min() < 80 and column.max() > 240


def test_both_topics_are_refused(graph: Graph, start_node: Any, tmp_path: Path) -> None:
    node = start_node("mapper", data_dir=tmp_path, depth_topic="depth", points_topic="points")
    assert node.process.wait(60.0) != 0
    assert "expected one of them alone" in node.output


@pytest.mark.parametrize("use_depth", [False, True])
def test_maps_are_trained_from_depth_only_where_the_parameter_says_so(use_depth: bool) -> None:
    command = map_command(MapperConfig(use_depth=use_depth), "scene", "map.safetensors", "fast", 5.0)
    assert command[1:3] == ["-m", "ace_ros"]
    job = MapJob.from_json(build_parser().parse_args(command[3:]).job)
    assert job.config.use_depth is use_depth
