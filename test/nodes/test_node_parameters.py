# SPDX-License-Identifier: Apache-2.0
"""Parameters of the nodes: their files, their checks, and changing them while a node runs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from ace_ros.config import help_text
from ace_ros.nodes.options import AtlasConfig, LocalizerConfig, MapperConfig, RansacConfig

CONFIG = Path(__file__).resolve().parents[2] / "config"


def defaults(kind: type, live_only: bool = False) -> dict[str, Any]:
    return {f.name: f.default for f in fields(kind) if f.metadata["live"] or not live_only}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mapper.yaml", defaults(MapperConfig)),
        # What is not live in RansacConfig is for those who change the solver.
        (
            "localizer.yaml",
            {
                **defaults(LocalizerConfig),
                **defaults(RansacConfig, live_only=True),
                **defaults(AtlasConfig),
            },
        ),
    ],
)
def test_the_parameter_files_hold_the_defaults(name: str, expected: dict[str, Any]) -> None:
    found = yaml.safe_load((CONFIG / name).read_text())
    assert found == {"/**": {"ros__parameters": expected}}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("mapper.yaml", [MapperConfig]), ("localizer.yaml", [LocalizerConfig, RansacConfig, AtlasConfig])],
)
def test_the_parameter_files_explain_every_option_as_its_help_does(name: str, kinds: list[type]) -> None:
    options = {f.name: f for kind in kinds for f in fields(kind)}
    comment: list[str] = []
    explained = set()
    for line in (CONFIG / name).read_text().splitlines():
        if line.startswith("    # "):
            comment.append(line.removeprefix("    # "))
            continue
        key = line.strip().split(":")[0]
        if key in options:
            f = options[key]
            expected = help_text(f) + (" (live)" if f.metadata["live"] else "")
            assert " ".join(comment).endswith(expected), key
            explained.add(key)
        comment = []
    assert explained == set(yaml.safe_load((CONFIG / name).read_text())["/**"]["ros__parameters"])


def test_the_localizers_options_do_not_collide_with_the_solvers() -> None:
    names = [name for kind in (LocalizerConfig, RansacConfig, AtlasConfig) for name in defaults(kind)]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def mapper(graph: Any, start_node: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from graph import wait_for

    from ace_ros.msg import MappingStatus

    folder = tmp_path_factory.mktemp("parameters")
    params = folder / "mine.yaml"
    # A whole number is accepted where a fraction could stand.
    params.write_text("/**:\n  ros__parameters:\n    keyframe_distance_m: 2\n    scene_name: mine\n")
    node = start_node("mapper", "--params-file", str(params), data_dir=folder)
    statuses = graph.collect(MappingStatus, "/ace/mapping_status")
    wait_for("the mapper", lambda: statuses, 60.0)
    return node


def get(graph: Any, name: str) -> Any:
    from rcl_interfaces.srv import GetParameters

    return graph.call(GetParameters, "/ace/mapper/get_parameters", names=[name]).values[0]


def set_(graph: Any, name: str, value: Any) -> Any:
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    parameters = [Parameter(name, value=value).to_parameter_msg()]
    return graph.call(SetParameters, "/ace/mapper/set_parameters", parameters=parameters).results[0]


def test_a_parameter_file_is_taken(graph: Any, mapper: Any) -> None:
    assert get(graph, "keyframe_distance_m").double_value == 2.0
    assert get(graph, "scene_name").string_value == "mine"
    assert get(graph, "keyframe_angle_deg").double_value == MapperConfig().keyframe_angle_deg


def test_live_parameters_change_within_their_limits(graph: Any, mapper: Any) -> None:
    assert set_(graph, "keyframe_angle_deg", 30.0).successful
    assert get(graph, "keyframe_angle_deg").double_value == 30.0
    refused = set_(graph, "keyframe_angle_deg", 270.0)
    assert not refused.successful and refused.reason
    assert get(graph, "keyframe_angle_deg").double_value == 30.0


def test_other_parameters_are_read_only(graph: Any, mapper: Any) -> None:
    assert not set_(graph, "odom_frame", "elsewhere").successful
    assert get(graph, "odom_frame").string_value == "odom"


def test_parameters_are_described_with_unit_and_range(graph: Any, mapper: Any) -> None:
    from rcl_interfaces.srv import DescribeParameters

    names = ["pose_timeout_s", "queue_images", "pose_source"]
    timeout, queue, source = graph.call(
        DescribeParameters, "/ace/mapper/describe_parameters", names=names
    ).descriptors
    assert timeout.description.startswith("Longest wait for the odometry and the depth of an image [s]. ")
    assert timeout.floating_point_range[0].to_value == 10.0
    assert queue.integer_range[0].from_value == 1 and queue.read_only and not timeout.read_only
    assert source.additional_constraints == "one of tf, topic"


@pytest.mark.parametrize(
    ("node", "parameters", "sentence"),
    [
        ("mapper", {"keyframe_distance": 0.5}, "did you mean 'keyframe_distance_m'?"),
        ("mapper", {"keyframe_angle_deg": -3.0}, "keyframe_angle_deg must be at least 0.0 deg, got -3.0"),
        ("mapper", {"pose_source": "gps"}, "pose_source must be one of tf, topic, got 'gps'"),
        ("localizer", {"min_inliers": "many"}, "min_inliers must be a whole number, got 'many'"),
        ("player", {}, "parameter scene is empty"),
        ("player", {"scene": "/no/such/scene"}, "/no/such/scene"),
    ],
)
def test_a_wrong_parameter_ends_the_start_with_one_sentence(
    graph: Any, start_node: Any, node: str, parameters: dict[str, Any], sentence: str
) -> None:
    process = start_node(node, **parameters)
    assert process.process.wait(60.0) == 2
    assert sentence in process.output and "Traceback" not in process.output
