# SPDX-License-Identifier: Apache-2.0
"""What must end no recording, and not go without a word: requests, clouds, images, stamps, tf."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from graph import T_BASE_CAMERA, Graph, Robot, base_at, texture, wait_for
from mapper_process import Mapper
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from ace_ros.data.scene import load_scene
from ace_ros.msg import MappingStatus
from ace_ros.nodes.clouds import cloud_message
from ace_ros.nodes.conversions import fill_stamp
from ace_ros.srv import Train

YEAR_2038 = 2**31 - 1
KEPT = ("keyframes", "skipped_near")


class LidarMapper(Mapper):
    """A mapper that records with a LiDAR, and its robot."""

    def __init__(self, graph: Graph, start_node: Any, folder: Path) -> None:
        self.robot, self.x = Robot(graph), 0.0
        process = start_node("mapper", data_dir=folder, pose_timeout_s=0.3, points_topic="points")
        self.points = graph.node.create_publisher(PointCloud2, "/ace/points", 10)
        super().__init__(graph, process, folder)

    def drive(self, **changes: Any) -> None:
        """Drive on by one keyframe, whose image may be changed."""
        self.x += 0.3
        self.robot.look(texture(round(self.x * 10)), base_at(self.x) @ T_BASE_CAMERA, **changes)

    def counted(self, images: int) -> Any:
        """Return the status in which what became of a number of images is known."""

        def known() -> bool:
            counts = [getattr(self.status, name) for name in KEPT]
            dropped = [n for n in MappingStatus.get_fields_and_field_types() if n.startswith("dropped_")]
            return sum(counts) + sum(getattr(self.status, name) for name in dropped) == images

        wait_for(f"what became of {images} images", known)
        self.process.assert_alive()
        return self.status


@pytest.fixture(scope="module")
def mapper(graph: Graph, start_node: Any, tmp_path_factory: pytest.TempPathFactory) -> LidarMapper:
    return LidarMapper(graph, start_node, tmp_path_factory.mktemp("mapper"))


@pytest.fixture
def recording(mapper: LidarMapper) -> Iterator[LidarMapper]:
    """The mapper while it records, with one keyframe."""
    mapper.robot.tick()
    mapper.robot.publish_info()
    assert mapper.record(True).success
    mapper.drive()
    mapper.counted(1)
    yield mapper
    mapper.record(False)


def clouds(header: Header) -> Iterator[PointCloud2]:
    """Yield point clouds that are none."""
    points = np.random.default_rng(0).uniform(-3.0, 3.0, (50, 3))
    for changes in (
        {"point_step": 0}, {"point_step": 2**32 - 1}, {"row_step": 2**32 - 1}, {"row_step": 1},
        {"width": 2**32 - 1}, {"height": 2**32 - 1}, {"width": 0}, {"fields": []},
        {"fields": [PointField(name=n, offset=2**32 - 4, datatype=7, count=2**31) for n in "xyz"]},
        {"fields": [PointField(name=n, offset=4 * i, datatype=99) for i, n in enumerate("xyz")]},
        {"is_bigendian": True}, {"data": b""}, {"data": b"\xff" * 13},
    ):  # fmt: skip
        message = cloud_message(header, points, np.zeros(50, np.uint8))
        for name, value in changes.items():
            setattr(message, name, value)
        yield message


def test_clouds_that_are_none_cost_their_depth_alone(recording: LidarMapper) -> None:
    robot, sent = recording.robot, 0
    header = Header(frame_id="base_link")
    for sent, message in enumerate(clouds(header), 1):
        robot.tick()
        fill_stamp(message.header.stamp, robot.stamp)
        robot.send(recording.points, message)
        robot.tick(-0.1)
        recording.drive()
        recording.counted(1 + sent)
    assert recording.status.state == MappingStatus.RECORDING and recording.status.keyframes == 1 + sent
    answer = recording.record(False)
    assert answer.success and f"{recording.status.without_depth} without depth: " in answer.message
    assert recording.status.without_depth >= sent - 2  # one has no points, one only other bytes
    assert len(load_scene(Path(recording.status.scene)).frames) == 1 + sent


def test_bytes_that_are_no_message_are_left_out(recording: LidarMapper) -> None:
    robot, rng = recording.robot, np.random.default_rng(1)
    for publisher in (robot.image, robot.info, robot.tf, recording.points):
        for size in (0, 1, 4, 40, 400, 4000):
            for data in (bytes(size), b"\xff" * size, rng.bytes(size)):
                publisher.publish(b"\x00\x01\x00\x00" + data)
    before = recording.status.keyframes

    def recorded() -> bool:
        recording.drive()
        return bool(recording.status.keyframes > before)

    wait_for("a keyframe", recorded)
    recording.process.assert_alive()


def test_images_that_are_none_are_counted_and_told(recording: LidarMapper) -> None:
    cases: list[dict[str, Any]] = [
        {"step": 0}, {"step": 2**32 - 1}, {"width": 2**32 - 1}, {"height": 2**32 - 1}, {"height": 0},
        {"data": b""}, {"data": b"\x00" * 100}, {"encoding": "rgba16"}, {"encoding": ""},
    ]  # fmt: skip
    for case in cases:
        recording.drive(**case)
    recording.drive()
    status = recording.counted(2 + len(cases))
    assert status.keyframes == 2 and status.dropped_image + status.dropped_camera == len(cases)
    answer = recording.record(False)
    assert answer.success and f"{status.dropped_image} dropped_image" in answer.message


def test_a_stamp_that_cannot_be_costs_its_own_image_alone(recording: LidarMapper) -> None:
    robot, now = recording.robot, recording.robot.stamp
    for stamp in (0, -(10**18), now, now - 10**8, YEAR_2038 * 10**9):
        robot.stamp = stamp
        robot.publish_image(texture(0))
    robot.stamp = now
    for _ in range(3):
        recording.drive()
    status = recording.counted(1 + 5 + 3)
    assert (status.keyframes, status.dropped_duplicate, status.dropped_unsynchronised) == (4, 2, 3)


def test_transforms_that_are_none_are_left_out(recording: LidarMapper) -> None:
    robot = recording.robot
    cases = (
        ("translation", "x", math.nan, 0.02), ("translation", "y", -math.inf, 0.02),
        ("translation", "z", 1e300, 0.02),
        ("rotation", "w", 0.0, 0.02), ("rotation", "w", 0.3, 0.02), ("rotation", "x", 1e200, 0.02),
        ("translation", "x", 9.0, 5e8), ("translation", "x", 9.0, -900.0), ("translation", "x", 9.0, -1.7e9),
    )  # fmt: skip
    for part, axis, value, seconds in cases:
        transform = robot._transform("odom", "base_link", base_at(0.0))
        setattr(getattr(transform.transform, part), axis, value)
        fill_stamp(transform.header.stamp, robot.stamp + int(1e9 * seconds))
        robot.send(robot.tf, TFMessage(transforms=[transform]))
        recording.drive()
    status = recording.counted(1 + len(cases))
    assert status.keyframes == 1 + len(cases), status.last_drop
    positions = [float(f.T_map_camera[0, 3]) for f in load_scene(Path(status.scene)).frames]
    assert np.allclose(np.diff(positions), 0.3)


def test_a_camera_that_becomes_another_is_told(recording: LidarMapper) -> None:
    robot = recording.robot
    robot.publish_info(distortion_model="equidistant", d=[-0.2, 0.0, 0.0, 0.0])
    changed = 0
    while recording.status.dropped_camera == 0:  # image and camera_info are two topics: no sure order
        changed += 1
        recording.x += 0.3
        robot.tick()
        robot.publish_tf(base_at(recording.x))
        robot.publish_image(texture(changed))
        recording.counted(1 + changed)
    assert "has changed from pinhole with a focal length of 260.0 px to" in recording.status.last_drop


def test_requests_that_cannot_be_carried_out_are_answered(mapper: LidarMapper) -> None:
    code = Train.Response
    for request in (
        {"map_name": "n" * 300}, {"map_name": "a\nb"}, {"map_name": "../x"}, {"map_name": "~"},
        {"map_name": ""}, {"preset": "best"}, {"time_budget_s": math.nan}, {"time_budget_s": -1.0},
        {"time_budget_s": math.inf}, {"scene": "/dev"}, {"scene": "n" * 300}, {"scene": ".."},
    ):  # fmt: skip
        answer = mapper.graph.call(Train, "/ace/train", **{"map_name": "m", **request})
        assert (answer.success, answer.result) == (False, code.INVALID_REQUEST), (request, answer)
        assert answer.message
    answer = mapper.graph.call(Train, "/ace/train", map_name="m", scene="not_there")
    assert answer.result == code.NOTHING_RECORDED and "not_there has 0 keyframes" in answer.message
    parameters = [Parameter("scene_name", value="../x").to_parameter_msg()]
    mapper.graph.call(SetParameters, "/ace/mapper/set_parameters", parameters=parameters)
    answer = mapper.record(True)
    assert not answer.success and "'../x' is no plain name" in answer.message
    assert mapper.status.state == MappingStatus.FAILED
    parameters = [Parameter("scene_name", value="").to_parameter_msg()]
    mapper.graph.call(SetParameters, "/ace/mapper/set_parameters", parameters=parameters)


def test_calls_of_record_at_once_begin_one_recording(mapper: LidarMapper) -> None:
    for on in (True, False):
        calls = [mapper.graph.begin_call(SetBool, "/ace/record", data=on) for _ in range(12)]
        wait_for("all answers", lambda calls=calls: all(call.done() for call in calls))
        assert sum(call.result().success for call in calls) == (1 if on else 12)
    wait_for("the state IDLE", lambda: mapper.status.state == MappingStatus.IDLE)


def test_the_node_ends_in_order(mapper: LidarMapper) -> None:
    assert mapper.process.stop() == 0
    assert "Traceback" not in mapper.process.output
