# SPDX-License-Identifier: Apache-2.0
"""A simulated robot maps a room, is carried away and finds itself; ends when the report is written.

    ros2 launch ace_ros demo.launch.py output_dir:=out/demo

OUTPUT_DIR gets report.json and pictures; OUTPUT_DIR/data the recording and the map.
"""

import os
import shutil
import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from ace_ros.nodes.large_images import fit_images_into_shared_memory

NAMESPACE = "ace"
SCENE = "simulated_room"
QUIET = {"both": "log"}  # a person sees the demo's progress; the other nodes write to the launch's log


def generate_launch_description() -> LaunchDescription:
    """Return the description: mapper, localizer, simulator, and the demo that uses them."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "output_dir", default_value="out/demo", description="folder of report, pictures and data"
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([FindPackageShare("ace_ros"), "config", "demo.yaml"]),
                description="parameters of all four nodes",
            ),
            fit_images_into_shared_memory(),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[Node]:
    output_dir = Path(LaunchConfiguration("output_dir").perform(context)).expanduser().absolute()
    data_dir = output_dir / "data"
    # Every run records anew; a recording of an earlier one would only be kept beside it.
    shutil.rmtree(data_dir / "scenes" / SCENE, ignore_errors=True)
    params_file = LaunchConfiguration("params_file")
    data = {"data_dir": str(data_dir)}
    return [
        _node("mapper", [params_file, data, {"scene_name": SCENE}], output=QUIET),
        _node("localizer", [params_file, data], output=QUIET),
        _node("simulator", [params_file], output=QUIET),
        _node(
            "demo",
            [params_file, {"output_dir": str(output_dir)}],
            output="screen",
            additional_env={"ACE_ROS_DEMO_TERMINAL": _terminal()},
        ),
    ]


def _node(name: str, parameters: list, **options: object) -> Node:
    return Node(
        package="ace_ros",
        executable=name,
        name=name,
        namespace=NAMESPACE,
        parameters=parameters,
        on_exit=Shutdown(reason=f"{name} has ended"),  # none of the four can do without the others
        **options,
    )


def _terminal() -> str:
    """Return the terminal that the launch was started on, empty where there is none."""
    return os.ttyname(sys.stdout.fileno()) if sys.stdout.isatty() else ""
