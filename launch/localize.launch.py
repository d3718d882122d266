# SPDX-License-Identifier: Apache-2.0
"""Start the localizer with a map: pose on /ace/pose, map -> odom on /tf.

    ros2 launch ace_ros localize.launch.py map:=kitchen image:=/camera/image_raw rviz:=true
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ace_ros.nodes.large_images import fit_images_into_shared_memory
from ace_ros.nodes.respawning import respawned

ARGUMENTS = {
    "namespace": ("ace", "namespace of the node"),
    "map": ("", "plain name of a map or atlas, or its path; empty: none until /ace/load_map is called"),
    "image": ("/camera/image_raw", "topic of the images; IMAGE/compressed with image_transport compressed"),
    "camera_info": ("/camera/camera_info", "topic of the camera's calibration"),
    "params_file": (
        PathJoinSubstitution([FindPackageShare("ace_ros"), "config", "localizer.yaml"]),
        "all other parameters",
    ),
    "use_sim_time": ("false", "take the time from /clock"),
    "respawn": ("true", "start the node again where it ends, after a crash for instance"),
    "rviz": ("false", "start RViz with the map's points, the pose and the debug image"),
}


def generate_launch_description() -> LaunchDescription:
    """Return the description: one node, its topics remapped, and RViz where it is wanted."""
    image = LaunchConfiguration("image")
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    localizer = Node(
        package="ace_ros",
        executable="localizer",
        name="localizer",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            # A map may be named 2024: without the type it would become a number.
            {"map": ParameterValue(LaunchConfiguration("map"), value_type=str), "use_sim_time": use_sim_time},
        ],
        remappings=[
            ("image", image),
            ("image/compressed", [image, "/compressed"]),
            ("camera_info", LaunchConfiguration("camera_info")),
        ],
        output="screen",
        **respawned(),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([FindPackageShare("ace_ros"), "config", "ace.rviz"])],
        parameters=[{"use_sim_time": use_sim_time}],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    # RViz first: where it is not installed, launch ends at once and would leave a localizer running.
    return LaunchDescription([*arguments, fit_images_into_shared_memory(), rviz, localizer])
