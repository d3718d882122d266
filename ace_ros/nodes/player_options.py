# SPDX-License-Identifier: Apache-2.0
"""The options of the player, which stands in for a robot."""

from __future__ import annotations

from dataclasses import dataclass

from ace_ros.config import CheckedConfig, option


@dataclass(frozen=True)
class PlayerConfig(CheckedConfig):
    """Options of the player node: a scene folder becomes a robot's topics."""

    scene: str = option("", "Scene folder to play. It must be given.")
    split: str = option(
        "train",
        "Part of the scene to play: train or test. Choose test for images that no map was trained on.",
    )
    rate_hz: float = option(
        5.0,
        "Number of images per second. Lower it if the receiver cannot keep up.",
        unit="Hz",
        low=0.01,
        high=1000.0,
    )
    loop: bool = option(False, "Start again at the end. Set it to play on until interrupted.")
    image_transport: str = option(
        "raw",
        "Images to publish: raw is topic image, compressed is topic image/compressed. Choose compressed to "
        "save bandwidth.",
        choices=("raw", "compressed"),
    )
    odom_frame: str = option(
        "odom",
        "Frame in which the scene's poses are published. Set it to the mapper's or localizer's odom_frame.",
    )
    base_frame: str = option(
        "base_link", "Frame of the robot. Set it to the mapper's or localizer's base_frame."
    )
    camera_frame: str = option(
        "camera_optical_frame", "Optical frame of the camera. Change it if other nodes expect another name."
    )
    mount_x_m: float = option(
        0.0,
        "Position of the camera in front of base_frame. Set it to your robot's.",
        unit="m",
        low=-100.0,
        high=100.0,
    )
    mount_y_m: float = option(
        0.0,
        "Position of the camera to the left of base_frame. Set it to your robot's.",
        unit="m",
        low=-100.0,
        high=100.0,
    )
    mount_z_m: float = option(
        0.0,
        "Position of the camera above base_frame. Set it to your robot's.",
        unit="m",
        low=-100.0,
        high=100.0,
    )
    mount_pitch_deg: float = option(
        0.0,
        "Angle by which the camera is tilted down. Set it to your robot's.",
        unit="deg",
        low=-90.0,
        high=90.0,
    )
    wait_for_subscriber_s: float = option(
        10.0,
        "Longest wait for subscribers before playing starts. Raise it if they start slowly.",
        unit="s",
        low=0.0,
        high=3600.0,
    )
