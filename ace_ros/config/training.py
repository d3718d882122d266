# SPDX-License-Identifier: Apache-2.0
"""Options of training a map, and the presets that users choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ace_ros.config.options import CheckedConfig, option, override
from ace_ros.errors import ConfigError


@dataclass(frozen=True)
class TrainingConfig(CheckedConfig):
    """How a map is trained. The presets below are the values that users choose from."""

    steps: int = option(
        30_000,
        "Largest number of optimizer steps. Training ends when these or the time are used up.",
        low=1,
        high=10_000_000,
        common=True,
    )
    time_budget_s: float = option(
        250.0,
        "Longest training time after the images are prepared. Raise it for large scenes or slow machines.",
        unit="s",
        low=1.0,
        high=1e6,
        common=True,
    )
    batch: int = option(
        2048,
        "Number of features per optimizer step. Raise it together with the time, on a GPU.",
        low=16,
        high=1_000_000,
    )
    features_per_image: int = option(
        300_000,
        "Largest number of features trained on per image. It ends training early for scenes of few images, "
        "which would be overfitted.",
        low=1000,
    )
    learning_rate: float = option(
        0.006,
        "Peak learning rate of the first and the last layer. Lower it if the loss diverges.",
        low=1e-6,
        high=0.1,
    )
    hidden_learning_rate: float = option(
        0.03,
        "Peak learning rate of the hidden layers, as the size of an update. Lower it if the loss diverges.",
        low=1e-5,
        high=1.0,
    )
    weight_decay: float = option(
        0.01, "Weight decay of AdamW. Raise it if the map overfits.", low=0.0, high=1.0
    )
    head_width: int = option(
        256,
        "Number of channels of the head. Raise it for large scenes; the map file grows with its square.",
        low=16,
        high=2048,
    )
    head_blocks: int = option(
        1,
        "Number of residual blocks of the head after the first one. Raise it for large scenes.",
        low=0,
        high=8,
    )
    buffer_features: int = option(
        2_000_000,
        "Largest number of features kept in memory for training. Lower it if memory runs out.",
        low=1000,
        high=50_000_000,
    )
    views_per_image: int = option(
        32, "Number of augmented views per image. Lower it to prepare faster.", low=1, high=1000
    )
    max_views: int = option(
        640,
        "Largest number of augmented views in total; each image has one or more. Lower it to save time.",
        low=1,
    )
    rotation_deg: float = option(
        15.0,
        "Largest in-plane rotation of an augmented view. Raise it if the camera will roll more than while "
        "mapping.",
        unit="deg",
        low=0.0,
        high=180.0,
    )
    scale: float = option(
        1.5,
        "Largest factor by which an augmented view is enlarged or reduced. Raise it if the camera will come "
        "much closer or stay much farther away than while mapping.",
        low=1.0,
        high=4.0,
    )
    light: float = option(
        0.1,
        "Largest change of brightness and contrast of an augmented view. Raise it if the light will change.",
        low=0.0,
        high=0.9,
    )
    ray_share: float = option(
        0.15,
        "Share of the training, at its start, that uses estimated or recorded depths as targets instead of "
        "the reprojection error. Change it only to study training.",
        low=0.0,
        high=1.0,
    )
    ray_depth_m: float = option(
        3.0,
        "Depth assumed at the start of training where images do not overlap. Set it to the typical "
        "distance of what the camera sees.",
        unit="m",
        low=0.01,
        high=1e4,
    )
    min_depth_m: float = option(
        0.1,
        "Smallest valid depth of a predicted point. Lower it for scenes of a few centimetres.",
        unit="m",
        low=1e-4,
        high=1e3,
    )
    max_depth_m: float = option(
        1000.0,
        "Largest valid depth of a predicted point. Raise it for landscapes.",
        unit="m",
        low=1.0,
        high=1e6,
    )
    max_error_px: float = option(
        1000.0,
        "Largest valid reprojection error. Points beyond it are pulled towards their rays. Change it only to "
        "study training.",
        unit="px",
        low=1.0,
        high=1e6,
    )
    loss_px_start: float = option(
        200.0,
        "Width of the robust loss at the start of training. Change it only to study training.",
        unit="px",
        low=0.1,
        high=1e4,
    )
    loss_px_end: float = option(
        1.0,
        "Width of the robust loss at the end of training. Raise it if poses or calibration are inexact.",
        unit="px",
        low=0.1,
        high=1e4,
    )
    hold_out: float = option(
        0.1,
        "Share of the images held out to validate the map. Set it to 0 to train on all images without a "
        "validation.",
        low=0.0,
        high=0.5,
    )
    finish_share: float = option(
        0.1,
        "Share of the training, at its end, that also uses the images held out. Raise it if "
        "these show parts of the place that no other image shows.",
        low=0.01,
        high=0.5,
    )
    early_stop: bool = option(
        True,
        "End training as soon as the images held out no longer improve. Switch it off to use all steps.",
    )
    refine_poses: bool = option(
        False,
        "Correct the drift of the recorded poses before training, from what the images show. Use it for "
        "poses from odometry.",
        common=True,
    )
    refine_focal: bool = option(
        False,
        "Correct the focal length together with the poses before training. Use it only if the calibration "
        "is a guess.",
        common=True,
    )
    use_depth: bool = option(
        False,
        "Start from the depth images of the scene (train/depth). Use it if the camera or a LiDAR measures "
        "depth; localizing needs none.",
        common=True,
    )
    seed: int = option(
        2089,
        "Seed of views, batches and initial weights. Change it to see how much results vary.",
        low=0,
        common=True,
    )
    keep_prepared_s: float = option(
        60.0,
        "Preparation time from which features are kept on disk until the map is written, for --resume. Raise "
        "it to save disk space.",
        unit="s",
        low=0.0,
    )
    encoder: str = option(
        "lite",
        "Encoder to train with: the name of a shipped one, the path of a .safetensors file, or the path of "
        "the .pt file of ACE.",
        common=True,
    )
    landmarks: int = option(
        8000,
        "Number of measured points kept in the map, which refine poses. Lower it for a smaller file.",
        low=0,
        high=1_000_000,
    )
    landmark_images: int = option(
        250,
        "Largest number of images from which landmarks are taken. Lower it to prepare faster.",
        low=1,
    )
    map_points: int = option(
        20_000,
        "Number of points kept in the map file for display. Lower it for a smaller file.",
        low=0,
        high=1_000_000,
    )


PRESETS: dict[str, dict[str, Any]] = {
    "fast": {
        "steps": 5000,
        "time_budget_s": 20.0,
        "views_per_image": 8,
        "max_views": 240,
        "landmark_images": 64,
    },
    "standard": {},
    "accurate": {
        "steps": 25_000,
        "batch": 5120,
        "time_budget_s": 3600.0,
        "head_width": 512,
        "buffer_features": 8_000_000,
        "views_per_image": 16,
        "max_views": 8000,
        "learning_rate": 0.005,
    },
}


def training_preset(name: str, time_budget_s: float = 0.0) -> TrainingConfig:
    """Return a preset's config. A time budget above 0 replaces whatever else would end training."""
    if name not in PRESETS:
        raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    config = override(TrainingConfig(), PRESETS[name])
    return override(config, exact_time(time_budget_s)) if time_budget_s else config


def exact_time(time_budget_s: float) -> dict[str, Any]:
    """Return the options with which nothing but this time ends training."""
    return {
        "steps": 10_000_000,
        "features_per_image": 10**12,
        "time_budget_s": float(time_budget_s),
        "early_stop": False,
    }
