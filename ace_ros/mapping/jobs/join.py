# SPDX-License-Identifier: Apache-2.0
"""Join the maps of a place's chunks, each of which may be missing, into one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from ace_ros.config import TrainingConfig
from ace_ros.errors import TrainingError
from ace_ros.mapping.report import TrainingReport
from ace_ros.mapping.validation import join_validations
from ace_ros.maps.global_descriptor import MAX_VIEWS, medoids
from ace_ros.maps.scene_map import SceneMap

logger = logging.getLogger(__name__)


def join_maps(maps: dict[int, SceneMap], failures: dict[int, str]) -> SceneMap:
    """Return the map of a place from the maps of its chunks by their numbers.

    Its figures are sums, and means over frames; those of every chunk are in `training["chunks"]`.
    """
    for number, why in failures.items():
        logger.warning("chunk %d: %s", number, why)
    if not maps:
        raise TrainingError(f"no chunk could be trained; the first: {failures[min(failures)]}")
    parts = [maps[number] for number in sorted(maps)]
    # What is not a setting is a figure; the number of steps is both, and means the steps done.
    settings = {f.name for f in fields(TrainingConfig)} - {f.name for f in fields(TrainingReport)}
    figures = [{k: v for k, v in m.training.items() if k not in settings} for m in parts]
    common = {k: v for k, v in parts[0].training.items() if k in settings}
    return replace(
        parts[-1],
        chunks=tuple(chunk for m in parts for chunk in m.chunks),
        training={**common, **_joined(figures), "chunks": figures},
        missing=dict(failures),
        validation=join_validations([m.validation for m in parts]),
        descriptors=medoids(torch.cat([m.descriptors for m in parts]).float(), MAX_VIEWS).half(),
    )


def _joined(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a place from those of its chunks."""
    frames = sum(f["frames"] for f in figures)
    sums = {
        key: round(sum(f[key] for f in figures), 2)
        for key in ("frames", "features", "steps", "prepare_s", "train_s", "grade_s")
    }
    means = {
        key: round(sum(f[key] * f["frames"] for f in figures) / frames, 4)
        for key in ("median_error_px", "inlier_share")
    }
    return {
        **sums,
        **means,
        "device": ", ".join(sorted({f["device"] for f in figures})),
        "stopped_early": any(f["stopped_early"] for f in figures),
        "peak_memory_mb": max(f["peak_memory_mb"] for f in figures),
        "refinement": {},
    }
