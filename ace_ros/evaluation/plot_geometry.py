# SPDX-License-Identifier: Apache-2.0
"""From which side to draw a place, and which of its points."""

from __future__ import annotations

import numpy as np

CORE_SHARE = 0.96  # of the map's points; a few far ones must not make all others small


def plane_of(positions: np.ndarray) -> np.ndarray:
    """Return the two directions (2, 3) in which positions (F, 3) spread most, along the axes if near."""
    centred = positions - positions.mean(0)
    directions = np.linalg.svd(centred, full_matrices=True)[2] if len(positions) > 1 else np.eye(3)
    least = int(np.abs(directions[2]).argmax())
    if abs(directions[2, least]) > 0.95:
        return np.delete(np.eye(3), least, 0)
    return directions[:2]


def upright_basis(points: np.ndarray, up: np.ndarray | None) -> np.ndarray:
    """Return a right-handed basis (3, 3) whose last row is up."""
    if up is None:
        up = np.cross(*plane_of(points)) if len(points) > 2 else np.array([0.0, 0.0, 1.0])
    first = np.eye(3)[int(np.abs(up).argmin())]
    first = first - (first @ up) * up
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first), up])


def in_core(points: np.ndarray) -> np.ndarray:
    """Return which points (P, 3) are among the nearest CORE_SHARE to the middle."""
    if len(points) == 0:
        return np.zeros(0, bool)
    distance = np.linalg.norm(points - np.median(points, 0), axis=1)
    return distance <= np.quantile(distance, CORE_SHARE)


def core(points: np.ndarray) -> np.ndarray:
    """Return those points."""
    return points[in_core(points)]
