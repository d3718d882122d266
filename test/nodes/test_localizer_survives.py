# SPDX-License-Identifier: Apache-2.0
"""What must not end the localizer, nor have it publish a wrong pose: services, stamps, odometry, cameras."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from graph import T_BASE_CAMERA, Graph, base_at, wait_for
from journey import MAP_NAME, Place
from localizer_process import Localizer, picture
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from ace_ros.atlas.index import INDEX_NAME
from ace_ros.geometry.metrics import pose_error
from ace_ros.geometry.se3 import inverse
from ace_ros.msg import LocalizationStatus as Status
from ace_ros.nodes.conversions import fill_stamp, matrix_of_pose
from ace_ros.srv import LoadMap

YEAR_2038 = 2**31 - 1
Code = LoadMap.Response


@pytest.fixture(scope="module")
def localizer(graph: Graph, start_node: Any, place: Place) -> Localizer:
    other = place.map_path.with_name("other.safetensors")
    shutil.copy(place.map_path, other)
    options = {"device": "cpu", "lost_after_s": 600.0, "pose_timeout_s": 0.3, "map": MAP_NAME}
    process = start_node("localizer", data_dir=place.data_dir, **options)
    localizer = Localizer(graph, process, place.scene)
    wait_for("the map", lambda: localizer.status.map_name == MAP_NAME)
    localizer.find()
    return localizer


def hostile(folder: Path, map_path: Path) -> dict[str, tuple[str, set[int]]]:
    """Return names for load_map, by what they are, each with the codes that may be the answer."""
    folder.mkdir(exist_ok=True)
    (folder / "folder.safetensors").mkdir()
    os.mkfifo(folder / "fifo.safetensors")
    with (folder / "zeros.safetensors").open("wb") as file:
        file.truncate(3 << 30)
    whole = map_path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    about = json.loads(header["__metadata__"]["map"])
    damaged: dict[str, Any] = {
        "deep": '{"a":' * 3000 + "1" + "}" * 3000,
        "heads": json.dumps({**about, "heads": 2.0}),
        "chunks": json.dumps({**about, "chunks": [None]}),
        "head": json.dumps({**about, "head": {"channels": -1, "width": 1e400, "blocks": "two"}}),
        "grade": json.dumps({**about, "grade": [], "training": 7}),
        "frame": json.dumps({**about, "map_frame": "odom"}),
    }
    for name, text in damaged.items():
        changed = json.dumps({**header, "__metadata__": {**header["__metadata__"], "map": text}}).encode()
        data = len(changed).to_bytes(8, "little") + changed + whole[8 + length :]
        (folder / f"{name}.safetensors").write_bytes(data)
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "atlas").mkdir()
    (folder / "atlas" / INDEX_NAME).write_text('{"places": 7}')
    missing, invalid = {Code.NOT_FOUND}, {Code.INVALID_MAP}
    names = {
        "long": ("n" * 300, missing), "long path": (f"{folder}/{'n' * 300}", missing),
        "dots": ("../x", missing), "home": ("~", missing), "nothing": ("", missing),
        "two lines": ("a\nb", missing), "lines in a path": (f"{folder}/a\nb", missing),
        "device": ("/dev/zero", missing), "folder": (f"{folder}/folder.safetensors", missing),
        "fifo": (f"{folder}/fifo.safetensors", missing),
        "zeros": (f"{folder}/zeros.safetensors", invalid), "cut": (f"{folder}/cut.safetensors", invalid),
        "atlas": (f"{folder}/atlas", invalid),
    }  # fmt: skip
    return {**names, **{name: (f"{folder}/{name}.safetensors", invalid) for name in damaged}}


def test_whatever_load_map_is_asked_for_it_answers_and_the_old_map_stays(
    localizer: Localizer, place: Place, tmp_path: Path
) -> None:
    for what, (name, codes) in hostile(tmp_path / "maps", place.map_path).items():
        answer = localizer.load(name)
        if what == "grade" and answer.success:  # figures are not needed to localize
            continue
        assert (answer.success, answer.result in codes) == (False, True), (what, answer)
        assert answer.message and answer.message.isprintable() and len(answer.message) < 1000, what
        localizer.process.assert_alive()
    assert localizer.load(MAP_NAME).success
    localizer.find()
    assert localizer.status.map_name == MAP_NAME


def test_maps_that_are_loaded_at_once_are_loaded_one_after_the_other(localizer: Localizer) -> None:
    names = [MAP_NAME, "other", "missing"] * 4
    calls = [localizer.graph.begin_call(LoadMap, "/ace/load_map", map=name) for name in names]
    wait_for("all answers", lambda: all(call.done() for call in calls), 60.0)
    assert [call.result().success for call in calls] == [name != "missing" for name in names]
    assert all(name in call.result().message for name, call in zip(names, calls, strict=True))
    assert localizer.load(MAP_NAME).success
    localizer.find()


def test_sixteen_calls_of_relocalize_are_answered_by_the_next_image(localizer: Localizer) -> None:
    number = localizer.find()
    before = len(localizer.statuses)
    calls = [localizer.graph.begin_call(Trigger, "/ace/relocalize") for _ in range(16)]
    wait_for("the state LOST", lambda: any(s.state == Status.LOST for s in localizer.statuses[before:]))
    while not all(call.done() for call in calls):  # whether image or last call comes first is not sure
        localizer.show_frame(number)
    assert all(call.result().success for call in calls), [call.result().message for call in calls]


def test_parameters_that_are_set_at_random_are_answered(localizer: Localizer) -> None:
    rng = np.random.default_rng(0)
    names = ["gate_distance_m", "lost_after_images", "publish_tf", "map", "device"]
    names += ["nothing", "", "a.b", "x" * 500]
    before = localizer.process.output.count("Traceback")
    for _ in range(60):
        value = ParameterValue(
            type=int(rng.integers(0, 12)), bool_value=bool(rng.integers(2)),
            integer_value=int(rng.integers(-5, 5)), string_value="no number",
            double_value=float(rng.choice([math.nan, math.inf, -1.0, 1e300])),
        )  # fmt: skip
        parameters = [Parameter(name=str(rng.choice(names)), value=value) for _ in range(3)]
        answer = localizer.graph.call(SetParameters, "/ace/localizer/set_parameters", parameters=parameters)
        assert len(answer.results) == 3
    for name, good in (("gate_distance_m", 1.0), ("lost_after_images", 50), ("publish_tf", True)):
        localizer.set(name, good)
    localizer.find()
    assert localizer.process.output.count("Traceback") <= before + 3, "each kind once"


def check_pose(localizer: Localizer, number: int) -> None:
    """Assert that the newest image has the right pose."""
    pose = wait_for("its pose", localizer.newest_pose)
    T_map_base = localizer.frames[number].T_map_camera @ inverse(T_BASE_CAMERA)
    assert float(pose_error(matrix_of_pose(pose.pose.pose), T_map_base)[0]) < 0.05


def test_bytes_that_are_no_message_are_left_out(localizer: Localizer) -> None:
    robot, rng = localizer.robot, np.random.default_rng(1)
    for publisher in (robot.image, robot.info, robot.tf):
        for size in (0, 1, 4, 40, 400, 4000):
            for data in (bytes(size), b"\xff" * size, rng.bytes(size)):
                publisher.publish(b"\x00\x01\x00\x00" + data)
    localizer.find()
    assert localizer.status.state == Status.LOCALIZED


def test_stamps_that_cannot_be_cost_their_own_image_alone(localizer: Localizer) -> None:
    robot, number = localizer.robot, localizer.find()
    pixels = picture(localizer.frames[number])

    def stamped(nanoseconds: int) -> Any:
        known, now = len(localizer.statuses), robot.stamp
        robot.stamp = nanoseconds
        robot.publish_image(pixels)
        robot.stamp = now
        return wait_for("a status", lambda: localizer.statuses[known:] and localizer.statuses[-1])

    poses, now = len(localizer.poses), robot.stamp
    for stamp, sentence in (
        (0, "has no time stamp"),
        (-(10**18), "has no time stamp"),
        (now, "has the stamp of the one before"),
        (now - 10**8, "is stamped 0.1 s before the one before"),
        (YEAR_2038 * 10**9, "s after the one before"),
        (now - 10**12, "is stamped 1000.0 s before the one before"),
    ):
        status = stamped(stamp)
        assert (status.reason, status.state) == (Status.REASON_BAD_IMAGE, Status.LOCALIZED), status.message
        assert sentence in status.message
    assert len(localizer.poses) == poses
    assert localizer.show_frame(number).reason == Status.REASON_NONE, localizer.status.message
    check_pose(localizer, number)


def test_odometry_that_cannot_be_is_left_out(localizer: Localizer) -> None:
    robot, number = localizer.robot, localizer.find()
    frame = localizer.frames[number]
    for part, axis, value, seconds in (
        ("translation", "x", math.nan, 0.05), ("translation", "y", math.inf, 0.05),
        ("translation", "z", 1e300, 0.05), ("rotation", "w", 0.0, 0.05), ("rotation", "x", 1e200, 0.05),
        ("rotation", "w", 0.5, 0.05), ("translation", "x", 7.0, 3e8), ("translation", "x", 7.0, -900.0),
    ):  # fmt: skip
        transform = robot._transform("odom", "base_link", base_at(0.0))
        setattr(getattr(transform.transform, part), axis, value)
        fill_stamp(transform.header.stamp, robot.stamp + int(1e9 * seconds))
        robot.send(robot.tf, TFMessage(transforms=[transform]))
        status = localizer.show(picture(frame), frame.T_map_camera)
        assert (status.reason, status.state) == (Status.REASON_NONE, Status.LOCALIZED), status.message
        check_pose(localizer, number)
    robot.tick(1.0)
    transform = robot._transform("odom", "base_link", base_at(0.0))
    transform.transform.rotation.w = 0.0
    robot.send(robot.tf, TFMessage(transforms=[transform]))
    robot.publish_image(picture(frame))
    status = localizer.answer()
    assert status.reason == Status.REASON_NO_ODOMETRY and "has a quaternion of length 0" in status.message


def test_a_bag_that_begins_anew_is_followed(localizer: Localizer) -> None:
    robot, number = localizer.robot, localizer.find()
    robot.tick(-300.0)
    for _ in range(2):
        robot.tick(0.02)
        robot.publish_tf(base_at(0.0))
    wait_for("the state LOST", lambda: localizer.status.state == Status.LOST)
    assert localizer.show_frame(number).reason == Status.REASON_NONE, localizer.status.message
    check_pose(localizer, number)


def test_a_camera_info_that_becomes_another_lens_gives_no_pose(localizer: Localizer) -> None:
    robot, number = localizer.robot, localizer.find()
    frame = localizer.frames[number]
    robot.tick()
    robot.publish_tf(frame.T_map_camera @ inverse(T_BASE_CAMERA))
    robot.publish_info(distortion_model="equidistant", d=[-0.2, 0.0, 0.0, 0.0])

    def shown() -> Any:  # image and camera_info are two topics, so the order is not sure
        robot.tick()
        robot.publish_image(picture(frame))
        return localizer.answer()

    status = wait_for("the change", lambda: (s := shown()).reason == Status.REASON_NO_CAMERA and s)
    assert "has changed from pinhole with a focal length of" in status.message
    assert "do two nodes publish it?" in status.message
    seen = len(localizer.poses)
    assert localizer.show_frame(number).reason == Status.REASON_NO_CAMERA  # right again, but since when?
    assert len(localizer.poses) == seen


def test_diagnostics_tell_of_errors(localizer: Localizer) -> None:
    messages = localizer.graph.collect(DiagnosticArray, "/diagnostics", 10)

    def errors() -> Any:
        parts = [part for message in messages for part in message.status]
        return [part for part in parts if part.name == "localizer: errors"]

    told = wait_for("diagnostics", errors)[0]
    assert {value.key for value in told.values} == {"errors", "newest"}


def test_the_node_ends_in_order(localizer: Localizer) -> None:
    assert localizer.process.stop() == 0
