# SPDX-License-Identifier: Apache-2.0
"""Options of turning recordings into scene folders."""

from __future__ import annotations

from dataclasses import dataclass

from ace_ros.config.options import CheckedConfig, option

# Kinds of public data sets that can be turned into scene folders.
DATASETS = ("7scenes", "12scenes", "cambridge", "colmap", "nerf", "tum")


@dataclass(frozen=True)
class BagConfig(CheckedConfig):
    """What to take out of a bag."""

    image_topic: str = option("", "Topic of the images. Needed only if the bag has several image topics.")
    camera_info_topic: str = option(
        "", "Topic of the intrinsics. Needed only if it is not beside the images (.../camera_info)."
    )
    rectified: bool = option(
        False, "Use P of camera_info instead of K and D. Set it if the images are rectified."
    )
    depth_topic: str = option(
        "", "Topic of depth images registered to the images. Leave it empty to import no depth."
    )
    max_depth_gap_s: float = option(
        0.05,
        "Largest difference between the stamps of an image and its depth. Raise it if depth comes at a lower "
        "rate.",
        unit="s",
        low=0.0,
        high=1.0,
    )
    pose_topic: str = option(
        "",
        "Topic of the poses (Odometry, PoseStamped or TransformStamped). Empty means /tf.",
    )
    odom_frame: str = option(
        "odom", "Frame in which /tf holds the poses. It is not used with a pose topic, which names its own."
    )
    base_frame: str = option(
        "", "Frame whose pose a PoseStamped gives. Leave it empty if that is the camera."
    )
    camera_frame: str = option(
        "", "Optical frame of the camera. Set it if the images carry a wrong frame id or none."
    )
    max_gap_s: float = option(
        1.0,
        "Longest gap between two poses that is interpolated. Raise it if many images are dropped "
        "for lack of a pose.",
        unit="s",
        low=0.001,
        high=100.0,
    )
    keyframe_distance_m: float = option(
        0.15,
        "Distance from the last keyframe after which an image becomes one. Raise it for large places, to "
        "import fewer images.",
        unit="m",
        low=0.0,
        high=100.0,
    )
    keyframe_angle_deg: float = option(
        8.0,
        "Rotation since the last keyframe after which an image becomes one. Raise it to import fewer images.",
        unit="deg",
        low=0.0,
        high=180.0,
    )
    test_share: float = option(
        0.0, "Share of the keyframes kept for testing. Set it to evaluate the map later.", low=0.0, high=0.5
    )
    image_format: str = option(
        "jpg",
        "File format of the images. Choose png to keep them without loss, in larger files.",
        choices=("jpg", "png"),
    )
