# SPDX-License-Identifier: Apache-2.0
"""What a training did, in figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingReport:
    """What a training did.

    `stopped_early` says that the held-out images no longer gained; `refinement` has the figures of
    the refinement of poses, if there was one.
    """

    frames: int
    features: int
    steps: int
    prepare_s: float
    train_s: float
    grade_s: float
    median_error_px: float
    inlier_share: float
    stopped_early: bool
    peak_memory_mb: float
    device: str
    refinement: dict[str, float]
