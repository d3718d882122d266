# SPDX-License-Identifier: Apache-2.0
"""What the trainer process said, as ROS messages."""

from __future__ import annotations

import math
from typing import Any

from ace_ros.mapping.validation import weak_place_in_words
from ace_ros.nodes.trainer_process import Outcome


def fill_train_response(response: Any, outcome: Outcome) -> Any:
    """Fill the answer of the service train with how a training ended."""
    codes = {"done": response.SUCCESS, "cancelled": response.CANCELLED, "failed": response.FAILED}
    figures = outcome.figures
    response.result = codes[outcome.kind]
    response.success = outcome.kind == "done"
    response.message = outcome.message
    for name in ("map_bytes", "frames", "steps"):
        setattr(response, name, int(figures.get(name, 0)))
    for name in ("prepare_s", "train_s", "inlier_share"):
        setattr(response, name, number(figures.get(name)))
    grade = figures.get("grade") or {}
    response.grade = str(grade.get("verdict", ""))
    response.graded_frames = int(grade.get("frames", 0))
    for key in ("10cm_5deg", "5cm_5deg", "2cm_2deg"):
        setattr(response, f"recall_{key}", number(grade.get("recall", {}).get(key)))
    response.median_error_m = number(grade.get("median_translation_m"))
    response.median_error_deg = number(grade.get("median_rotation_deg"))
    response.weak_places = [weak_place_in_words(place) for place in grade.get("weak_places", ())]
    return response


def fill_training_status(status: Any, progress: dict[str, Any]) -> None:
    """Fill the part of a MappingStatus that is about training; `progress` is the trainer's newest."""
    status.step, status.steps = int(progress.get("step", 0)), int(progress.get("steps", 0))
    status.progress = number(progress.get("progress", 0.0))
    status.elapsed_s = number(progress.get("elapsed_s", 0.0))
    for name in ("remaining_s", "median_error_px", "inlier_share"):
        setattr(status, name, number(progress.get(name)))


def number(value: Any) -> float:
    """Return a figure of the trainer, NaN where it has none."""
    return float(value) if isinstance(value, (int, float)) else math.nan
