# SPDX-License-Identifier: Apache-2.0
"""Every option of the nodes; the ROS parameters, their descriptions and ranges are made from these.

`config/mapper.yaml` and `config/localizer.yaml` are tested equal to the defaults here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ace_ros.config import AtlasConfig, CheckedConfig, RansacConfig, option
from ace_ros.nodes.player_options import PlayerConfig

RELIABILITIES = ("auto", "reliable", "best_effort")

# Helps of options that several nodes have.
DATA_DIR_HELP = (
    "Folder of recordings (scenes/) and maps (maps/). Mapper and localizer share maps if they have the same "
    "one."
)
DEVICE_HELP = "Device of the networks: auto, cpu, cuda or cuda:N. auto takes CUDA where there is a GPU."
TRANSPORT_HELP = (
    "Images to subscribe to: raw is topic image, compressed is topic image/compressed. Choose compressed for "
    "a slow network."
)
RELIABILITY_HELP = (
    "Reliability asked of the images' publishers. auto is reliable where all of them offer it; choose "
    "best_effort for a network that loses messages."
)
RECTIFIED_HELP = "Use P of camera_info instead of K and D. Set it if the images are rectified."
CAMERA_FRAME_HELP = (
    "Optical frame of the camera. Set it if the images carry a wrong frame id; empty means theirs."
)


@dataclass(frozen=True)
class MapperConfig(CheckedConfig):
    """Options of the mapper node: recording keyframes and training maps from them."""

    data_dir: str = option("~/.ros/ace_ros", DATA_DIR_HELP)
    scene_name: str = option(
        "",
        "Plain name of the next recording. Leave it empty to name it by the time at which it starts.",
        live=True,
    )
    continue_recording: bool = option(
        False,
        "Continue the last scene when recording starts again. Set it only if the odometry was not reset in "
        "between.",
        live=True,
    )
    image_transport: str = option("raw", TRANSPORT_HELP, choices=("raw", "compressed"))
    image_reliability: str = option("auto", RELIABILITY_HELP, choices=RELIABILITIES)
    rectified: bool = option(False, RECTIFIED_HELP)
    pose_source: str = option(
        "tf",
        "Where poses come from: tf takes the transform from odom_frame to the camera, topic takes the topic "
        "odom. Choose topic if the odometry is not in tf.",
        choices=("tf", "topic"),
    )
    odom_frame: str = option(
        "odom",
        "Frame of the odometry, in which keyframes are recorded. Set it to the name that your odometry uses.",
    )
    base_frame: str = option(
        "base_link",
        "Frame of the robot that the topic odom moves. Set it if it is not base_link; it is used only with "
        "pose_source topic.",
    )
    camera_frame: str = option("", CAMERA_FRAME_HELP)
    map_frame: str = option(
        "map", "Frame id that poses in trained maps will carry. Change it if several maps are in use at once."
    )
    depth_topic: str = option(
        "",
        "Topic of depth images registered to the images, 16UC1 in millimetres or 32FC1 in metres. Set it to "
        "record depth.",
    )
    points_topic: str = option(
        "", "Topic of a LiDAR's PointCloud2. Set it to record depth from a LiDAR instead of depth images."
    )
    max_depth_gap_s: float = option(
        0.05,
        "Largest difference between the stamps of an image and its depth. Raise it if depth comes at a "
        "lower rate.",
        unit="s",
        low=0.0,
        high=1.0,
    )
    pose_timeout_s: float = option(
        0.5,
        "Longest wait for the odometry and the depth of an image. Raise it if images are dropped because "
        "these come late.",
        unit="s",
        low=0.0,
        high=10.0,
        live=True,
    )
    max_odometry_gap_s: float = option(
        1.0,
        "Longest gap in the topic odom that is interpolated. Raise it for odometry at a low rate.",
        unit="s",
        low=0.01,
        high=10.0,
    )
    keyframe_distance_m: float = option(
        0.15,
        "Distance from the last keyframe after which an image becomes one. Raise it for large places, to "
        "record fewer images.",
        unit="m",
        low=0.0,
        high=100.0,
        live=True,
    )
    keyframe_angle_deg: float = option(
        8.0,
        "Rotation since the last keyframe after which an image becomes one. Raise it to record fewer images.",
        unit="deg",
        low=0.0,
        high=180.0,
        live=True,
    )
    min_sharpness: float = option(
        5.0,
        "Smallest sharpness of a keyframe, as the variance of its Laplacian. Lower it if images of plain "
        "walls are dropped as blurred.",
        low=0.0,
        high=1e5,
        live=True,
    )
    min_sharpness_share: float = option(
        0.3,
        "Smallest sharpness of a keyframe, as a share of the median of recent images. Lower it if sharp "
        "images are dropped as blurred.",
        low=0.0,
        high=1.0,
        live=True,
    )
    queue_images: int = option(
        30,
        "Largest number of images that wait for odometry or the disk; more are dropped. Raise it if the "
        "disk is slow at times.",
        low=1,
    )
    min_keyframes: int = option(
        10,
        "Smallest number of keyframes with which a map is trained. Lower it only for very small places.",
        low=2,
        live=True,
    )
    encoder: str = option(
        "",
        "Encoder to train maps with: the name of a shipped one or the path of a file. Leave it empty to use "
        "the preset's.",
    )
    refine_poses: bool = option(
        False,
        "Correct the drift of the recorded poses before a map is trained. Set it for odometry that drifts.",
        live=True,
    )
    use_depth: bool = option(
        False, "Start the training of maps from the recorded depth. Set it if depth was recorded.", live=True
    )
    device: str = option("auto", DEVICE_HELP)
    threads: int = option(
        0,
        "Number of processor threads for training, 0 for all. Lower it to leave some to other nodes.",
        low=0,
        high=1024,
    )


@dataclass(frozen=True)
class LocalizerConfig(CheckedConfig):
    """Options of the localizer node; those of RansacConfig and AtlasConfig stand beside them."""

    data_dir: str = option("~/.ros/ace_ros", DATA_DIR_HELP)
    map: str = option(
        "",
        "Map or atlas loaded at start: a plain name in data_dir/maps, or a path. Leave it empty to load one "
        "later by the service load_map.",
    )
    place: str = option("", "The only place of the atlas to use. Leave it empty to use all.")
    image_transport: str = option("raw", TRANSPORT_HELP, choices=("raw", "compressed"))
    image_reliability: str = option("auto", RELIABILITY_HELP, choices=RELIABILITIES)
    rectified: bool = option(False, RECTIFIED_HELP)
    odom_frame: str = option(
        "odom",
        "Frame of the odometry. Set it to the name that your odometry uses; leave it empty if there is "
        "none, and map -> base_frame is sent.",
    )
    base_frame: str = option(
        "base_link", "Frame of the robot that is localized. Leave it empty to localize the camera."
    )
    camera_frame: str = option("", CAMERA_FRAME_HELP)
    pose_timeout_s: float = option(
        0.2,
        "Longest wait for the odometry at an image's stamp. Raise it if the odometry comes late.",
        unit="s",
        low=0.0,
        high=10.0,
        live=True,
    )
    publish_tf: bool = option(
        True, "Send the transform map -> odom_frame. Switch it off if another node sends it.", live=True
    )
    tf_rate_hz: float = option(
        20.0,
        "Rate at which map -> odom_frame is sent. Raise it if other nodes wait for it.",
        unit="Hz",
        low=0.1,
        high=1000.0,
    )
    transform_tolerance_s: float = option(
        0.1,
        "How far ahead map -> odom_frame is dated. Raise it if other nodes ask for transforms in the future.",
        unit="s",
        low=0.0,
        high=10.0,
        live=True,
    )
    gate_distance_m: float = option(
        1.0,
        "Distance from the expected pose beyond which a new pose waits for a second one that agrees. Lower "
        "it if single wrong poses are accepted.",
        unit="m",
        low=0.0,
        high=1e6,
        live=True,
    )
    gate_angle_deg: float = option(
        20.0,
        "Rotation from the expected pose beyond which a new pose waits for a second one that agrees. Lower "
        "it if single wrong poses are accepted.",
        unit="deg",
        low=0.0,
        high=180.0,
        live=True,
    )
    confirm_first: bool = option(
        False,
        "Accept the first pose after LOST only when a second one agrees. Set it if a wrong first pose is "
        "worse than a late one.",
        live=True,
    )
    lost_after_s: float = option(
        10.0,
        "Time without an accepted pose after which the state is LOST. Raise it if the odometry can be "
        "trusted for longer.",
        unit="s",
        low=0.1,
        high=1e6,
        live=True,
    )
    lost_after_images: int = option(
        50,
        "Number of images in a row without an accepted pose after which the state is LOST. Raise it at high "
        "image rates.",
        low=1,
        high=1_000_000,
        live=True,
    )
    relocalize_timeout_s: float = option(
        5.0,
        "Longest wait of the service relocalize for a pose. Raise it for slow machines.",
        unit="s",
        low=0.1,
        high=600.0,
        live=True,
    )
    encoder: str = option(
        "", "Path of the maps' encoder. Set it only if that file was moved since they were trained."
    )
    device: str = option("auto", DEVICE_HELP)
    threads: int = option(
        0,
        "Number of processor threads for the networks, 0 for half of them. Lower it to leave more to other "
        "nodes.",
        low=0,
        high=1024,
    )


__all__ = ["AtlasConfig", "LocalizerConfig", "MapperConfig", "PlayerConfig", "RansacConfig"]
