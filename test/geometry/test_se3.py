# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
import torch

from ace_ros.geometry import se3
from ace_ros.geometry.metrics import median_of_localized, pose_error, recall


@pytest.fixture
def T() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    omega = 2.0 * torch.randn(64, 3, generator=generator, dtype=torch.float64)
    t = 10.0 * torch.randn(64, 3, generator=generator, dtype=torch.float64)
    return se3.from_rotation_translation(se3.so3_exp(omega), t)


def test_the_inverse_undoes_the_transform(T: torch.Tensor) -> None:
    points = torch.randn(64, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(se3.transform(se3.inverse(T), se3.transform(T, points)), points)
    torch.testing.assert_close(se3.inverse(T) @ T, torch.eye(4, dtype=torch.float64).expand(64, 4, 4))


def test_quaternions_there_and_back_for_every_angle() -> None:
    angles = torch.linspace(-math.pi, math.pi, 101, dtype=torch.float64)
    for axis in torch.eye(3, dtype=torch.float64):
        R = se3.so3_exp(angles[:, None] * axis)
        q = se3.to_quaternion(R)
        torch.testing.assert_close(q.norm(dim=-1), torch.ones(101, dtype=torch.float64))
        torch.testing.assert_close(se3.from_quaternion(q), R, atol=1e-12, rtol=0)


def test_rotation_goes_the_shorter_way_at_an_even_rate() -> None:
    axis, t = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), torch.tensor([[1.0, 2.0, 3.0]]).double()
    for yaw in (1e-9, 0.3, 3.0, -3.1):
        T_b = se3.from_rotation_translation(se3.so3_exp(yaw * axis), t[0])
        for share in (0.0, 0.25, 0.5, 1.0):
            T = se3.interpolate(torch.eye(4, dtype=torch.float64), T_b, share)
            assert float(se3.rotation_angle(T[:3, :3])) == pytest.approx(abs(share * yaw), abs=1e-9)
            torch.testing.assert_close(T[:3, 3], share * t[0])


def test_both_signs_of_a_quaternion_are_interpolated_alike(T: torch.Tensor) -> None:
    q = se3.to_quaternion(T[:, :3, :3])
    one, other = q[:32], q[32:]
    torch.testing.assert_close(se3.slerp(one, other, 0.3), se3.slerp(one, -other, 0.3))
    torch.testing.assert_close(se3.slerp(one, other, 0.3).norm(dim=-1), torch.ones(32, dtype=torch.float64))


def test_a_quaternion_is_in_ros_order() -> None:
    quarter_turn_about_z = torch.tensor([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)], dtype=torch.float64)
    expected = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(se3.from_quaternion(quarter_turn_about_z), expected)
    torch.testing.assert_close(se3.to_quaternion(expected), quarter_turn_about_z)


@pytest.mark.parametrize("degrees", [0.0, 1e-5, 0.01, 30.0, 179.99, 180.0])
def test_angles_are_exact_when_small_and_when_large(degrees: float) -> None:
    R = se3.so3_exp(math.radians(degrees) * torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64))
    assert math.degrees(float(se3.rotation_angle(R))) == pytest.approx(degrees, abs=1e-7)


def test_defects_of_matrices_that_are_no_transforms(T: torch.Tensor) -> None:
    assert se3.rigid_defect(T).max() < 1e-12
    for row, column, value in ((0, 0, 3.0), (3, 0, 0.5), (1, 3, math.nan)):
        bad = T[0].clone()
        bad[row, column] = value
        assert not float(se3.rigid_defect(bad)) < 0.01
    mirrored = T[0] @ torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0], dtype=torch.float64))
    assert float(se3.rigid_defect(mirrored)) >= 2.0


def test_the_nearest_rotation_repairs_rounding(T: torch.Tensor) -> None:
    rounded = (T[:, :3, :3] * 1000).round() / 1000
    repaired = se3.nearest_rotation(rounded)
    torch.testing.assert_close(repaired, T[:, :3, :3], atol=2e-3, rtol=0)
    assert (torch.linalg.det(repaired) > 0.999).all()


def test_pose_errors_and_recall_count_missing_poses_as_misses() -> None:
    T_true = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    T_found = T_true.clone()
    T_found[1, 0, 3] = 0.04
    T_found[2, :3, :3] = se3.so3_exp(torch.tensor([0.0, math.radians(3.0), 0.0], dtype=torch.float64))
    T_found[3] = math.nan
    metres, radians = pose_error(T_found, T_true)
    assert recall(metres, radians) == {
        "10cm_5deg": 0.75,
        "5cm_5deg": 0.75,
        "2cm_2deg": 0.25,
        "1cm_1deg": 0.25,
    }
    assert median_of_localized(metres) == 0.0
    assert math.isnan(median_of_localized(metres[3:]))
