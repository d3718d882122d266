# SPDX-License-Identifier: Apache-2.0
"""Every option of the nodes; the ROS parameters, their descriptions and ranges are made from these.

`config/mapper.yaml` and `config/localizer.yaml` are tested equal to the defaults here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ace_ros.config import AtlasConfig, CheckedConfig, RansacConfig, option

DATA_DIR_HELP = "folder of recordings (scenes/) and maps (maps/)"
RELIABILITIES = ("auto", "reliable", "best_effort")
DEVICE_HELP = "where the networks run: auto, cpu, cuda, cuda:1, ..."


@dataclass(frozen=True)
class MapperConfig(CheckedConfig):
    """Options of the mapper node: recording keyframes and training maps from them."""

    data_dir: str = option("~/.ros/ace_ros", DATA_DIR_HELP)
    scene_name: str = option("", "plain name of the next recording; empty: the time it starts", live=True)
    continue_recording: bool = option(
        False, "recording again goes on with the last scene; only where odometry went on too", live=True
    )
    image_transport: str = option(
        "raw", "raw: topic image; compressed: topic image/compressed", choices=("raw", "compressed")
    )
    image_reliability: str = option(
        "auto", "auto: reliable where every publisher offers it; best_effort; reliable", choices=RELIABILITIES
    )
    rectified: bool = option(False, "images are rectified: use P of camera_info, not K and D")
    pose_source: str = option(
        "tf", "tf: transform odom_frame -> camera; topic: topic odom", choices=("tf", "topic")
    )
    odom_frame: str = option("odom", "frame of the odometry, in which keyframes are recorded")
    base_frame: str = option("base_link", "robot frame of the topic odom (pose_source: topic)")
    camera_frame: str = option("", "optical frame of the camera; empty: the one in the images")
    map_frame: str = option("map", "name of the frame that trained maps are in")
    depth_topic: str = option(
        "", "topic of depth images (16UC1 in mm, 32FC1 in m) registered to the images; empty: none"
    )
    points_topic: str = option("", "topic of a LiDAR's PointCloud2 in their place; empty: none")
    max_depth_gap_s: float = option(
        0.05, "depth this far from an image's stamp at most belongs to it", unit="s", low=0.0, high=1.0
    )
    pose_timeout_s: float = option(
        0.5, "longest wait for odometry and depth of an image", unit="s", low=0.0, high=10.0, live=True
    )
    max_odometry_gap_s: float = option(
        1.0, "longest gap in the topic odom to interpolate over", unit="s", low=0.01, high=10.0
    )
    keyframe_distance_m: float = option(
        0.15, "a keyframe is this far from the last one ...", unit="m", low=0.0, high=100.0, live=True
    )
    keyframe_angle_deg: float = option(
        8.0, "... or turned by this much", unit="deg", low=0.0, high=180.0, live=True
    )
    min_sharpness: float = option(
        5.0, "less variance of the Laplacian is a blurred image", low=0.0, high=1e5, live=True
    )
    min_sharpness_share: float = option(
        0.3, "less than this share of the recent median is a blurred image", low=0.0, high=1.0, live=True
    )
    queue_images: int = option(30, "images that wait for odometry or the disk; more are dropped", low=1)
    min_keyframes: int = option(10, "fewer keyframes are not enough for a map", low=2, live=True)
    encoder: str = option("", "shipped encoder or encoder file to train maps with; empty: the preset's")
    refine_poses: bool = option(
        False, "take the drift out of the recorded poses before a map is trained", live=True
    )
    use_depth: bool = option(False, "start the training of maps from the recorded depth", live=True)
    device: str = option("auto", DEVICE_HELP)
    threads: int = option(0, "processor threads for training; 0: all", low=0, high=1024)


@dataclass(frozen=True)
class LocalizerConfig(CheckedConfig):
    """Options of the localizer node; those of RansacConfig and AtlasConfig stand beside them."""

    data_dir: str = option("~/.ros/ace_ros", DATA_DIR_HELP)
    map: str = option(
        "", "map or atlas loaded at start: plain name below data_dir/maps, or its path; empty: none"
    )
    place: str = option("", "the only place of the atlas to use; empty: all")
    image_transport: str = option(
        "raw", "raw: topic image; compressed: topic image/compressed", choices=("raw", "compressed")
    )
    image_reliability: str = option(
        "auto", "auto: reliable where every publisher offers it; best_effort; reliable", choices=RELIABILITIES
    )
    rectified: bool = option(False, "images are rectified: use P of camera_info, not K and D")
    odom_frame: str = option("odom", "frame of the odometry; empty: there is none, map -> base is sent")
    base_frame: str = option("base_link", "frame of the robot that is localized; empty: the camera")
    camera_frame: str = option("", "optical frame of the camera; empty: the one in the images")
    pose_timeout_s: float = option(
        0.2, "longest wait for odometry at an image's stamp", unit="s", low=0.0, high=10.0, live=True
    )
    publish_tf: bool = option(True, "send map -> odom", live=True)
    tf_rate_hz: float = option(20.0, "rate at which map -> odom is sent", unit="Hz", low=0.1, high=1000.0)
    transform_tolerance_s: float = option(
        0.1, "map -> odom is dated this far ahead", unit="s", low=0.0, high=10.0, live=True
    )
    gate_distance_m: float = option(
        1.0,
        "a pose farther from the expected one needs a second that agrees ...",
        unit="m",
        low=0.0,
        high=1e6,
        live=True,
    )
    gate_angle_deg: float = option(
        20.0, "... or one turned by more than this", unit="deg", low=0.0, high=180.0, live=True
    )
    confirm_first: bool = option(
        False, "the first pose after LOST needs a second that agrees too", live=True
    )
    lost_after_s: float = option(
        10.0, "LOST when no pose was accepted for so long", unit="s", low=0.1, high=1e6, live=True
    )
    lost_after_images: int = option(
        50, "LOST when so many images in a row gave no pose", low=1, high=1_000_000, live=True
    )
    relocalize_timeout_s: float = option(
        5.0, "longest wait of the service relocalize", unit="s", low=0.1, high=600.0, live=True
    )
    encoder: str = option("", "the maps' encoder, if it lies elsewhere than where they were trained")
    device: str = option("auto", DEVICE_HELP)
    threads: int = option(0, "processor threads for the networks; 0: half of the machine's", low=0, high=1024)


@dataclass(frozen=True)
class PlayerConfig(CheckedConfig):
    """Options of the player node: a scene folder becomes a robot's topics."""

    scene: str = option("", "scene folder to play")
    split: str = option("train", "its part: train or test")
    rate_hz: float = option(5.0, "images per second", unit="Hz", low=0.01, high=1000.0)
    loop: bool = option(False, "start again at the end")
    image_transport: str = option(
        "raw", "raw: topic image; compressed: topic image/compressed", choices=("raw", "compressed")
    )
    odom_frame: str = option("odom", "frame that the scene's poses are in")
    base_frame: str = option("base_link", "frame of the robot")
    camera_frame: str = option("camera_optical_frame", "optical frame of the camera")
    mount_x_m: float = option(0.0, "camera on the robot: forward", unit="m", low=-100.0, high=100.0)
    mount_y_m: float = option(0.0, "... left", unit="m", low=-100.0, high=100.0)
    mount_z_m: float = option(0.0, "... up", unit="m", low=-100.0, high=100.0)
    mount_pitch_deg: float = option(0.0, "... tilted down", unit="deg", low=-90.0, high=90.0)
    wait_for_subscriber_s: float = option(
        10.0, "longest wait for subscribers of all that is played", unit="s", low=0.0, high=3600.0
    )


__all__ = ["AtlasConfig", "LocalizerConfig", "MapperConfig", "PlayerConfig", "RansacConfig"]
