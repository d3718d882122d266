# SPDX-License-Identifier: Apache-2.0
"""Options of localizing an image, in one map or in an atlas of many."""

from __future__ import annotations

from dataclasses import dataclass

from ace_ros.config.options import CheckedConfig, option

# Every image is resized to this short side before the encoder, so that maps and queries of any
# camera meet at one scale.
IMAGE_SHORT_SIDE = 480


@dataclass(frozen=True)
class RansacConfig(CheckedConfig):
    """How a pose is found among 2-D to 3-D correspondences, and when it is believed."""

    inlier_px: float = option(
        10.0,
        "Largest reprojection error of an inlier. Raise it for blurred images or an inexact calibration.",
        unit="px",
        low=0.1,
        high=100.0,
        live=True,
    )
    min_inliers: int = option(
        50,
        "Smallest number of inliers of an accepted pose. Raise it if wrong poses are accepted.",
        low=3,
        high=100000,
        live=True,
    )
    min_inlier_share: float = option(
        0.05,
        "Smallest share of an image's points that must be inliers of an accepted pose. Raise it if wrong "
        "poses are accepted, lower it if much of the image hides the mapped place.",
        low=0.0,
        high=1.0,
        live=True,
    )
    min_occupied_share: float = option(
        0.08,
        "Smallest share of the cells of an 8x8 grid over the image that must hold inliers. Lower it if the "
        "mapped place fills only a small part of the image.",
        low=0.0,
        high=1.0,
        live=True,
    )
    ambiguous_share: float = option(
        0.5,
        "An image is ambiguous if a second place has at least this share of the best place's inliers. Lower "
        "it to be more careful in buildings whose rooms look alike.",
        low=0.0,
        high=1.0,
        live=True,
    )
    hypotheses: int = option(
        12288,
        "Number of poses computed from three random points each. Raise it if few points are inliers; the "
        "time per image grows with it.",
        low=16,
        high=1_048_576,
    )
    first_points: int = option(
        48,
        "Number of points on which every hypothesis is scored. Raise it if few points are inliers.",
        low=8,
        high=100_000,
    )
    second_points: int = option(
        384,
        "Number of points on which the better hypotheses are scored again. Raise it with first_points.",
        low=8,
        high=100_000,
    )
    second_hypotheses: int = option(
        1024,
        "Number of hypotheses that are scored a second time. Raise it with hypotheses.",
        low=4,
        high=65_536,
    )
    candidates: int = option(
        32,
        "Number of hypotheses that are scored on all points. Raise it with second_hypotheses.",
        low=2,
        high=4096,
    )
    refined: int = option(
        6,
        "Number of candidates that are refined on their inliers. Lower it to save time per image.",
        low=1,
        high=256,
    )
    seed: int = option(2089, "Seed of the random samples. Change it to see how much results vary.", low=0)


@dataclass(frozen=True)
class AtlasConfig(CheckedConfig):
    """How an image's place is found among the many of an atlas."""

    place_candidates: int = option(
        4,
        "Number of places to try for an image whose place is unknown. Raise it if the right place is often "
        "not among them; each one costs time.",
        low=1,
        high=1000,
    )
    place_memory_mb: float = option(
        1024.0,
        "Memory for the maps of places that are kept loaded. Raise it if the robot changes places often.",
        unit="MB",
        low=1.0,
        high=1e6,
    )
