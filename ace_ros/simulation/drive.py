# SPDX-License-Identifier: Apache-2.0
"""How the simulated robot moves: tours through the room, its camera, its drifting odometry.

Poses of the base are (x, y, yaw) in metres and radians in the room; the base frame is x forward,
y left, z up, on the floor. The robot can only drive along its x axis and turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ace_ros.geometry.camera import Camera

Pose2 = tuple[float, float, float]

CAMERA_FORWARD_M, CAMERA_HEIGHT_M = 0.15, 0.85
CAMERA_TILT_RAD = math.radians(7.0)  # upwards
FOCAL_PER_WIDTH = 0.72  # 70 deg across
STEP_M = 0.01
STEP_S = 0.02
ROUND_STEPS = 40  # over which bends of a path are rounded


class Reverse(NamedTuple):
    """A leg that is driven backwards."""

    points: np.ndarray


class Tour:
    """A drive over curves, with turns on the spot between them: speed and turn rate never jump.

    `legs` are lists of points (x, y), joined smoothly; a number between them is a turn in degrees
    (left is positive). Every leg begins where the one before it ended, after a turn into line.
    """

    def __init__(
        self, legs: Sequence[np.ndarray | Reverse | float], speed: float = 0.6, turn_rate_deg: float = 50.0
    ) -> None:
        self._rows: list[np.ndarray] = []
        self._speed, self._turn_rate = speed, math.radians(turn_rate_deg)
        here: np.ndarray | None = None
        for leg in legs:
            if isinstance(leg, (int, float)):
                assert here is not None, "a tour begins with a path"
                here = self._turn(here, math.radians(leg))
                continue
            backwards = isinstance(leg, Reverse)
            points = np.asarray(leg.points if isinstance(leg, Reverse) else leg, dtype=np.float64)
            if here is not None:
                points = np.concatenate([here[None, :2], points])
            path = _smooth(points)
            path[:, 2] += math.pi if backwards else 0.0
            if here is not None:
                here = self._turn(here, _wrapped(path[0, 2] - here[2]))
                path[:, 2] += here[2] - path[0, 2]
            here = self._follow(path)
        self._table = np.concatenate(self._rows)

    @property
    def duration_s(self) -> float:
        """Return how long the tour takes in seconds."""
        return (len(self._table) - 1) * STEP_S

    @property
    def length_m(self) -> float:
        """Return the length of the driven path in metres."""
        return float(np.linalg.norm(np.diff(self._table[:, :2], axis=0), axis=1).sum())

    def pose(self, time_s: float) -> Pose2:
        """Return the base's pose; before the start and after the end the robot stands still."""
        place = min(max(time_s / STEP_S, 0.0), len(self._table) - 1.0)
        low = min(int(place), len(self._table) - 2)
        share = place - low
        x, y, yaw = (1.0 - share) * self._table[low] + share * self._table[low + 1]
        return float(x), float(y), float(yaw)

    def _follow(self, path: np.ndarray) -> np.ndarray:
        travelled = _ramped(STEP_M * (len(path) - 1), self._speed, 0.8)
        places = travelled / STEP_M
        columns = [np.interp(places, np.arange(len(path)), path[:, i]) for i in range(3)]
        self._rows.append(np.stack(columns, -1))
        return path[-1]

    def _turn(self, here: np.ndarray, angle: float) -> np.ndarray:
        turned = _ramped(abs(angle), self._turn_rate, 2.0) * math.copysign(1.0, angle)
        rows = np.repeat(here[None], len(turned), 0)
        rows[:, 2] += turned
        self._rows.append(rows)
        return rows[-1].copy()


def mapping_tour() -> Tour:
    """Return the drive on which the map is recorded: to and fro before the furnished half of the room.

    All of it looks within some 30 deg of +y. A camera that sees every side of a room gives a map
    too, but one that takes longer to train than a demo should.
    """
    there = [((-1.0, -0.8), (-0.75, -2.0)), ((-0.4, -0.7), (-0.15, -2.0)), ((0.3, -0.8), (0.6, -2.0))]
    back = [((0.65, -0.8), (0.4, -1.9)), ((0.0, -0.9), (-0.25, -2.0)), ((-0.6, -0.7), (-0.85, -1.9))]
    legs: list[np.ndarray | Reverse | float] = [np.array([(-1.4, -2.0), (-1.35, -1.4), (-1.15, -0.8)])]
    for up, down in there:
        legs += [*([np.array([up])] if len(legs) > 1 else []), Reverse(np.array([down]))]
    legs += [np.array([(1.0, -0.8)]), 20.0, -40.0, 20.0, Reverse(np.array([(1.1, -2.0)]))]
    for up, down in back:
        legs += [np.array([up]), Reverse(np.array([down]))]
    return Tour([*legs, np.array([(-1.2, -0.8)]), -25.0, 35.0, Reverse(np.array([(-1.4, -2.0)]))])


def second_tour() -> Tour:
    """Return the drive after the kidnapping: over the same floor, along other lines."""
    return Tour(
        [
            np.array([(0.95, -1.9), (0.9, -1.4), (0.75, -0.9)]),
            Reverse(np.array([(0.5, -1.3), (0.5, -1.8)])),
            np.array([(0.3, -1.3), (0.2, -0.9)]),
            15.0,
            -25.0,
            Reverse(np.array([(-0.05, -1.8)])),
            np.array([(-0.3, -1.0)]),
            Reverse(np.array([(-0.4, -1.4), (-0.6, -1.8)])),
            np.array([(-0.65, -0.9)]),
            -15.0,
            Reverse(np.array([(-1.0, -1.8)])),
            np.array([(-0.9, -1.0)]),
        ],
        speed=0.35,
    )


def camera_of_robot(size: tuple[int, int] = (640, 480)) -> Camera:
    """Return the robot's camera for images of `size` (width, height)."""
    width, height = size
    focal = FOCAL_PER_WIDTH * width
    matrix = [[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]]
    return Camera(torch.tensor(matrix, dtype=torch.float64), size)


def T_base_camera() -> np.ndarray:
    """Return the pose (4, 4) of the camera's optical frame on the base: ahead, slightly tilted up."""
    c, s = math.cos(CAMERA_TILT_RAD), math.sin(CAMERA_TILT_RAD)
    T = np.eye(4)
    T[:3, :3] = [[0.0, s, c], [-1.0, 0.0, 0.0], [0.0, -c, s]]  # columns: right, down, forward
    T[:3, 3] = CAMERA_FORWARD_M, 0.0, CAMERA_HEIGHT_M
    return T


def T_of(pose: Pose2) -> np.ndarray:
    """Return a base pose as a transform (4, 4)."""
    x, y, yaw = pose
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, -s, 0.0, x], [s, c, 0.0, y], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def camera_at(pose: Pose2) -> np.ndarray:
    """Return T_map_camera (4, 4) of the robot's camera when the base is at `pose`."""
    return T_of(pose) @ T_base_camera()


class DriftingOdometry:
    """Wheel odometry: exact increments times small smooth errors, so it drifts and never jumps.

    Begins at the origin of its own frame. `distance_error` is the share of the distance that it
    measures too long, `yaw_error_deg_per_m` the false turn per metre, `turn_error` the share of a
    turn that is false; each varies slowly around its value.
    """

    def __init__(
        self, seed: int = 0, distance_error: float = 0.01, yaw_error_deg_per_m: float = 0.055,
        turn_error: float = 0.0005,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(seed)
        self._phases = rng.uniform(0.0, 2.0 * math.pi, 2)
        self._sign = float(rng.choice([-1.0, 1.0]))
        self._errors = distance_error, math.radians(yaw_error_deg_per_m), turn_error
        self._driven = 0.0
        self._last: Pose2 | None = None
        self.pose: Pose2 = (0.0, 0.0, 0.0)

    def update(self, true_pose: Pose2) -> Pose2:
        """Take the robot's next true pose; return what the odometry says, in its own frame."""
        if self._last is None:
            self._last = true_pose
        dx, dy = true_pose[0] - self._last[0], true_pose[1] - self._last[1]
        middle = 0.5 * (true_pose[2] + self._last[2])
        ahead = dx * math.cos(middle) + dy * math.sin(middle)
        turn = true_pose[2] - self._last[2]
        self._driven += abs(ahead)
        wobble = [1.0 + 0.5 * math.sin(self._driven / 2.5 + phase) for phase in self._phases]
        scale, yaw_per_m, turn_error = self._errors
        ahead *= 1.0 + scale * wobble[0]
        turn = turn * (1.0 + turn_error) + self._sign * yaw_per_m * wobble[1] * abs(ahead)
        x, y, yaw = self.pose
        direction = yaw + 0.5 * turn
        self.pose = (x + ahead * math.cos(direction), y + ahead * math.sin(direction), yaw + turn)
        self._last = true_pose
        return self.pose

    def carried_to(self, true_pose: Pose2) -> None:
        """Put the robot somewhere else without the wheels turning: the odometry does not notice."""
        self._last = true_pose


def _smooth(points: np.ndarray) -> np.ndarray:
    """Return a Catmull-Rom curve through points (P, 2) as (x, y, yaw) every STEP_M (S, 3)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = np.linspace(0.0, 1.0, 200, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = np.concatenate([curve.reshape(-1, 2), points[-1:]])
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    places = np.linspace(0.0, lengths[-1], int(lengths[-1] / STEP_M) + 2)
    x, y = (_rounded(np.interp(places, lengths, curve[:, i])) for i in (0, 1))
    yaw = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
    return np.stack([x, y, yaw], -1)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return a coordinate along a path (S,) with its bends made wider; both ends stay."""
    half = min(ROUND_STEPS, len(values) - 1)
    kernel = np.hanning(2 * half + 3)[1:-1]
    before, after = 2 * values[0] - values[half:0:-1], 2 * values[-1] - values[-2 : -half - 2 : -1]
    return np.convolve(np.concatenate([before, values, after]), kernel / kernel.sum(), "valid")


def _ramped(total: float, rate: float, acceleration: float) -> np.ndarray:
    """Return how far one is (T,) every STEP_S on the way to `total`, with ramps at both ends."""
    rate = min(rate, math.sqrt(max(total, 1e-9) * acceleration))
    ramp = rate / acceleration
    duration = total / rate + ramp
    t = np.arange(0.0, duration + STEP_S, STEP_S).clip(0.0, duration)
    speed_up = 0.5 * acceleration * np.minimum(t, ramp) ** 2
    cruise = rate * (t.clip(ramp, duration - ramp) - ramp)
    last = (t - (duration - ramp)).clip(0.0)
    return np.minimum(speed_up + cruise + rate * last - 0.5 * acceleration * last**2, total)


def _wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
