# SPDX-License-Identifier: Apache-2.0
"""Options as frozen dataclasses that carry default, unit, limits and help; those of the core stand here.

The options of the nodes are in `ace_ros.nodes.options`, those of the simulator and of the encoder's training
beside their code. ROS parameters, the flags of `ace_ros import-bag` and the tables in the documentation are
made from these dataclasses; config/*.yaml is tested equal to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from ace_ros.errors import ConfigError

Config = TypeVar("Config", bound="CheckedConfig")


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declare one option. `live` options may change while a node runs."""
    about = {"help": help, "unit": unit, "low": low, "high": high, "choices": choices, "live": live}
    return field(default=default, metadata=about)


class CheckedConfig:
    """A frozen dataclass whose values are checked against their declarations when it is made."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            _check(f"{type(self).__name__}.{f.name}", getattr(self, f.name), f.default, f.metadata)


def _check(name: str, value: Any, default: Any, about: Mapping[str, Any]) -> None:
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    kinds = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, kinds) or (isinstance(value, bool) and number):
        raise ConfigError(f"{name} must be of type {type(default).__name__}, got {value!r}")
    if number and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, got {value}")
    low, high = about.get("low"), about.get("high")
    if low is not None and value < low:
        raise ConfigError(f"{name} must be at least {low} {about['unit']}".rstrip() + f", got {value}")
    if high is not None and value > high:
        raise ConfigError(f"{name} must be at most {high} {about['unit']}".rstrip() + f", got {value}")
    if about.get("choices") and value not in about["choices"]:
        raise ConfigError(f"{name} must be one of {', '.join(about['choices'])}, got {value!r}")


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """Return a copy of a config with some options changed; an unknown name is a ConfigError."""
    known = {f.name for f in fields(config)}  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise ConfigError(
                f"{type(config).__name__} has no option {name!r}; it has {', '.join(sorted(known))}"
            )
    return replace(config, **changes)  # type: ignore[type-var]


@dataclass(frozen=True)
class RansacConfig(CheckedConfig):
    """How a pose is found among 2-D to 3-D correspondences, and when it is believed."""

    inlier_px: float = option(
        10.0, "largest reprojection error of an inlier", unit="px", low=0.1, high=100.0, live=True
    )
    min_inliers: int = option(50, "fewer inliers than this is no pose", low=3, high=100000, live=True)
    min_inlier_share: float = option(
        0.05, "smaller share of inliers among the image's points is no pose", low=0.0, high=1.0, live=True
    )
    min_occupied_share: float = option(
        0.08,
        "smaller share of an 8x8 grid over the image that holds inliers is no pose",
        low=0.0,
        high=1.0,
        live=True,
    )
    ambiguous_share: float = option(
        0.5,
        "two places are told apart when one has less than this share of the other's inliers",
        low=0.0,
        high=1.0,
        live=True,
    )
    hypotheses: int = option(12288, "samples of three points to make poses from", low=16, high=1_048_576)
    first_points: int = option(48, "points that every hypothesis is scored on", low=8, high=100_000)
    second_points: int = option(384, "points that the better hypotheses are scored on", low=8, high=100_000)
    second_hypotheses: int = option(1024, "hypotheses that are scored a second time", low=4, high=65_536)
    candidates: int = option(32, "hypotheses that are scored on all points", low=2, high=4096)
    refined: int = option(6, "candidates that are refined on their inliers", low=1, high=256)
    seed: int = option(2089, "seed of the random samples", low=0)


@dataclass(frozen=True)
class AtlasConfig(CheckedConfig):
    """How an image's place is found among the many of an atlas."""

    place_candidates: int = option(
        4, "places tried for an image of which nothing is known", low=1, high=1000
    )
    place_memory_mb: float = option(
        1024.0, "largest memory of the places kept ready to use", unit="MB", low=1.0, high=1e6
    )


@dataclass(frozen=True)
class TrainingConfig(CheckedConfig):
    """How a map is trained. The presets below are the values that users choose from."""

    steps: int = option(30_000, "largest number of optimiser steps", low=1, high=10_000_000)
    time_budget_s: float = option(
        250.0, "longest training after preparation; the schedule follows it", unit="s", low=1.0, high=1e6
    )
    batch: int = option(2048, "features per step", low=16, high=1_000_000)
    features_per_image: int = option(
        300_000, "features trained on for every image at most; more is learning few images by heart", low=1000
    )
    learning_rate: float = option(
        0.006, "largest learning rate of the one-cycle schedule, first and last layer", low=1e-6, high=0.1
    )
    hidden_learning_rate: float = option(
        0.03, "largest learning rate of the hidden layers, in the size of an update", low=1e-5, high=1.0
    )
    weight_decay: float = option(0.01, "of AdamW", low=0.0, high=1.0)
    head_width: int = option(256, "channels of the head", low=16, high=2048)
    head_blocks: int = option(1, "residual blocks of the head after the first one", low=0, high=8)
    buffer_features: int = option(
        2_000_000, "largest number of features kept for training", low=1000, high=50_000_000
    )
    views_per_image: int = option(32, "augmented views of every image", low=1, high=1000)
    max_views: int = option(640, "largest number of augmented views, if the images are fewer", low=1)
    rotation_deg: float = option(15.0, "largest in-plane rotation of a view", unit="deg", low=0.0, high=180.0)
    scale: float = option(1.5, "largest scale change of a view, either way", low=1.0, high=4.0)
    light: float = option(0.1, "largest change of brightness and contrast of a view", low=0.0, high=0.9)
    ray_share: float = option(
        0.15,
        "first share of training, in which predictions are pulled to recorded depths or the plane sweep's",
        low=0.0,
        high=1.0,
    )
    ray_depth_m: float = option(
        3.0,
        "depth there in a scene whose images do not overlap",
        unit="m",
        low=0.01,
        high=1e4,
    )
    min_depth_m: float = option(0.1, "smallest valid depth", unit="m", low=1e-4, high=1e3)
    max_depth_m: float = option(1000.0, "largest valid depth", unit="m", low=1.0, high=1e6)
    max_error_px: float = option(1000.0, "largest valid reprojection error", unit="px", low=1.0, high=1e6)
    loss_px_start: float = option(
        200.0, "width of the robust loss at the start", unit="px", low=0.1, high=1e4
    )
    loss_px_end: float = option(1.0, "width of the robust loss at the end", unit="px", low=0.1, high=1e4)
    hold_out: float = option(
        0.1, "share of the images held out at first, to validate the map on", low=0.0, high=0.5
    )
    finish_share: float = option(
        0.1, "last share of training, in which the map learns them, too", low=0.01, high=0.5
    )
    early_stop: bool = option(True, "end training sooner when the images held out gain no more")
    refine_poses: bool = option(
        False, "correct the drift of the recorded poses before training, by what the images show"
    )
    refine_focal: bool = option(False, "correct the focal length with them; correct poses, too")
    use_depth: bool = option(
        False, "start from the scene's depth images, and from the plane sweep only where they show nothing"
    )
    seed: int = option(2089, "seed of views, batches and initial weights", low=0)
    keep_prepared_s: float = option(
        60.0,
        "features that took longer to prepare are kept beside the map until it is there",
        unit="s",
        low=0.0,
    )
    encoder: str = option("lite", "name of a shipped encoder, or path of an encoder file")
    landmarks: int = option(
        8000, "points measured in the images and kept in the map, which refine poses", low=0, high=1_000_000
    )
    landmark_images: int = option(250, "largest number of images that landmarks are taken from", low=1)
    map_points: int = option(20_000, "points kept in the map file to look at", low=0, high=1_000_000)


@dataclass(frozen=True)
class BagConfig(CheckedConfig):
    """What to take out of a bag."""

    image_topic: str = option("", "topic of the images; empty: the only one there is")
    camera_info_topic: str = option("", "topic of the intrinsics; empty: the one beside the images")
    rectified: bool = option(False, "images are rectified: use P of camera_info, not K and D")
    depth_topic: str = option("", "topic of depth images registered to the images; empty: take none")
    max_depth_gap_s: float = option(
        0.05, "depth this far from an image's stamp at most belongs to it", unit="s", low=0.0, high=1.0
    )
    pose_topic: str = option(
        "", "topic of Odometry, PoseStamped or TransformStamped; empty: poses are in /tf"
    )
    odom_frame: str = option("odom", "frame of the poses in /tf; a topic has its own")
    base_frame: str = option("", "frame whose pose a PoseStamped gives; empty: the camera")
    camera_frame: str = option("", "optical frame of the camera; empty: the one in the images")
    max_gap_s: float = option(
        1.0, "longest gap between poses to interpolate over", unit="s", low=0.001, high=100.0
    )
    keyframe_distance_m: float = option(
        0.15, "a keyframe is this far from the last one ...", unit="m", low=0.0, high=100.0
    )
    keyframe_angle_deg: float = option(8.0, "... or turned by this much", unit="deg", low=0.0, high=180.0)
    test_share: float = option(0.0, "share of the keyframes kept for testing", low=0.0, high=0.5)
    image_format: str = option("jpg", "images written as", choices=("jpg", "png"))


# Kinds of public data sets that can be turned into scene folders.
DATASETS = ("7scenes", "12scenes", "cambridge", "colmap", "nerf", "tum")

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
    if time_budget_s:
        config = replace(
            config,
            steps=10_000_000,
            features_per_image=10**12,
            time_budget_s=float(time_budget_s),
            early_stop=False,
        )
    return config


# Every image is resized to this short side before the encoder, so that maps and queries of any
# camera meet at one scale.
IMAGE_SHORT_SIDE = 480
