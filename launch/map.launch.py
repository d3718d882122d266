# SPDX-License-Identifier: Apache-2.0
"""Start the mapper: it records on /ace/record and trains on /ace/train.

    ros2 launch ace_ros map.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ace_ros.nodes.large_images import fit_images_into_shared_memory
from ace_ros.nodes.respawning import respawned

ARGUMENTS = {
    "namespace": ("ace", "namespace of the node"),
    "image": ("/camera/image_raw", "topic of the images; IMAGE/compressed with image_transport compressed"),
    "camera_info": ("/camera/camera_info", "topic of the camera's calibration"),
    "odom": ("/odom", "topic of the odometry, where the parameter pose_source is topic"),
    "params_file": (
        PathJoinSubstitution([FindPackageShare("ace_ros"), "config", "mapper.yaml"]),
        "all other parameters",
    ),
    "use_sim_time": ("false", "take the time from /clock"),
    "respawn": ("true", "start the node again where it ends, after a crash for instance"),
}


def generate_launch_description() -> LaunchDescription:
    """Return the description: one node, its topics remapped."""
    image = LaunchConfiguration("image")
    mapper = Node(
        package="ace_ros",
        executable="mapper",
        name="mapper",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)},
        ],
        remappings=[
            ("image", image),
            ("image/compressed", [image, "/compressed"]),
            ("camera_info", LaunchConfiguration("camera_info")),
            ("odom", LaunchConfiguration("odom")),
        ],
        output="screen",
        **respawned(),
    )
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, fit_images_into_shared_memory(), mapper])
