# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera

K = torch.tensor([[500.0, 0.0, 330.5], [0.0, 520.0, 231.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
PLUMB_BOB = torch.tensor([-0.28, 0.09, 1e-3, -8e-4, 0.01], dtype=torch.float64)
EQUIDISTANT = torch.tensor([0.021, -0.012, 0.004, -0.001], dtype=torch.float64)
RATIONAL = torch.tensor([0.4, 0.2, 1e-3, 5e-4, 0.02, 0.6, 0.3, 0.05], dtype=torch.float64)
CAMERAS = {
    "pinhole": Camera(K, (640, 480)),
    "plumb_bob": Camera(K, (640, 480), "plumb_bob", PLUMB_BOB),
    "plumb_bob_4": Camera(K, (640, 480), "plumb_bob", PLUMB_BOB[:4]),
    "rational_polynomial": Camera(K, (640, 480), "rational_polynomial", RATIONAL),
    "equidistant": Camera(K, (640, 480), "equidistant", EQUIDISTANT),
}


@pytest.fixture(params=CAMERAS)
def camera(request: pytest.FixtureRequest) -> Camera:
    return CAMERAS[request.param]


def random_points(count: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    xy = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 1.1 - 0.55
    z = 0.5 + 9.5 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    return torch.cat([xy * z, z], -1)


def test_projection_agrees_with_opencv(camera: Camera) -> None:
    points = random_points()
    zero = np.zeros(3)
    distortion = None if camera.distortion is None else camera.distortion.numpy()
    if camera.model == "equidistant":
        expected, _ = cv2.fisheye.projectPoints(points.numpy()[:, None], zero, zero, K.numpy(), distortion)
    else:
        expected, _ = cv2.projectPoints(points.numpy(), zero, zero, K.numpy(), distortion)
    np.testing.assert_allclose(camera.project(points).numpy(), expected[:, 0], atol=1e-7)


def test_unprojecting_a_projection_gives_the_ray(camera: Camera) -> None:
    points = random_points()
    rays = camera.unproject(camera.project(points))
    torch.testing.assert_close(rays, points[:, :2] / points[:, 2:], atol=1e-7, rtol=0)


def test_skew_is_part_of_the_model() -> None:
    skewed = K.clone()
    skewed[0, 1] = 12.0
    camera = Camera(skewed, (640, 480))
    points = random_points()
    expected = points @ skewed.T
    torch.testing.assert_close(camera.project(points), expected[:, :2] / expected[:, 2:])
    torch.testing.assert_close(camera.unproject(camera.project(points)), points[:, :2] / points[:, 2:])


def test_points_behind_the_camera_have_no_pixel(camera: Camera) -> None:
    points = torch.tensor([[0.1, 0.2, -1.0], [0.0, 0.0, 0.0], [0.1, 0.1, 1.0]], dtype=torch.float64)
    finite = torch.isfinite(camera.project(points)).all(-1)
    assert finite.tolist() == [False, False, True]


def test_undistorted_pixels_are_what_the_pinhole_sees(camera: Camera) -> None:
    points = random_points()
    seen = camera.undistort(camera.project(points))
    torch.testing.assert_close(seen, camera.pinhole().project(points), atol=1e-4, rtol=0)


def test_pixels_beyond_the_models_reach_have_no_ray() -> None:
    fisheye = Camera(K, (640, 480), "equidistant", torch.zeros(4))
    edge = torch.tensor([[330.5 + 500.0 * 1.45, 231.0]])  # 83 degrees from the axis
    assert torch.isnan(fisheye.unproject(edge)).all()
    barrel = Camera(K, (640, 480), "plumb_bob", torch.tensor([-0.5, 0.0, 0.0, 0.0]))
    # r (1 - 0.5 r^2) never exceeds 0.544: a pixel farther out is seen by no ray.
    assert torch.isnan(barrel.unproject(torch.tensor([[330.5 + 500.0 * 0.7, 231.0]]))).all()


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (853, 480)])
def test_resizing_agrees_with_how_images_are_resized(size: tuple[int, int]) -> None:
    # A blob's centre moves with the image: the camera must say where to.
    image = np.zeros((480, 640), np.float32)
    centre = np.array([401.0, 203.0])
    y, x = np.mgrid[:480, :640]
    image += np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 200.0).astype(np.float32)
    interpolation = cv2.INTER_AREA if size[0] < 640 else cv2.INTER_LINEAR
    resized = cv2.resize(image, size, interpolation=interpolation)
    y, x = np.mgrid[: size[1], : size[0]]
    found = np.array([(resized * x).sum(), (resized * y).sum()]) / resized.sum()
    camera = Camera(K, (640, 480))
    ray = camera.unproject(torch.tensor(centre)[None])
    expected = camera.resize(*size).project(torch.cat([ray, torch.ones(1, 1, dtype=ray.dtype)], -1))
    np.testing.assert_allclose(found, expected[0].numpy(), atol=0.02)


def test_resizing_there_and_back_changes_nothing(camera: Camera) -> None:
    back = camera.resize(213, 480).resize(640, 480)
    torch.testing.assert_close(back.matrix, camera.matrix)


def test_a_batch_of_cameras_equals_single_ones(camera: Camera) -> None:
    scaled = K.clone()
    scaled[:2] *= 1.1
    distortion = camera.distortion
    batch = Camera(
        torch.stack([K, scaled]),
        camera.size,
        camera.model,
        None if distortion is None else torch.stack([distortion, 0.5 * distortion]),
    )
    second = Camera(scaled, camera.size, camera.model, None if distortion is None else 0.5 * distortion)
    points = random_points()
    pixels = batch.project(points.expand(2, -1, -1))
    torch.testing.assert_close(pixels[0], camera.project(points))
    torch.testing.assert_close(pixels[1], second.project(points))
    torch.testing.assert_close(batch.unproject(pixels)[1], second.unproject(pixels[1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": torch.zeros(3, 3)}, "focal length that is not above zero"),
        ({"matrix": torch.eye(4)}, r"must be \(3, 3\)"),
        ({"matrix": K * float("nan")}, "not finite"),
        ({"matrix": K.T}, r"\[\[fx, s, cx\]"),
        ({"size": (0, 480)}, "size must be positive"),
        ({"model": "fisheye"}, "'fisheye'"),
        ({"model": "plumb_bob", "distortion": torch.zeros(3)}, "needs 4 or 5"),
        ({"model": "equidistant"}, "needs 4 distortion coefficients, got 0"),
        ({"model": "plumb_bob", "distortion": torch.full((5,), float("inf"))}, "not finite"),
    ],
)
def test_unusable_intrinsics_are_refused(change: dict, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        Camera(**{"matrix": K, "size": (640, 480), **change})


# Every one of them moves pixels outwards with the angle, at least as far as its image goes.
STRONG = {
    "pincushion": ("plumb_bob", [0.6, 0.5, 0.0, 0.0, 0.3]),
    "pincushion with a tilt": ("plumb_bob", [0.6, 0.5, 0.004, -0.003, 0.3]),
    "barrel": ("plumb_bob", [-0.3, 0.05, 0.001, 0.001, 0.0]),
    "rational": ("rational_polynomial", [0.45, -2.6, 0.0, 0.0, 1.5, 0.33, -2.4, 1.45]),
    "fisheye that stretches": ("equidistant", [0.5, 0.4, 0.3, 0.2]),
    "fisheye that shrinks": ("equidistant", [-0.2, 0.05, -0.01, 0.001]),
}


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("focal", [150.0, 400.0])
def test_no_pixel_is_lost_that_a_strong_distortion_reaches(name: str, focal: float) -> None:
    model, coefficients = STRONG[name]
    matrix = torch.tensor([[focal, 0, 319.5], [0, focal, 239.5], [0, 0, 1]], dtype=torch.float64)
    camera = Camera(matrix, (640, 480), model, torch.tensor(coefficients, dtype=torch.float64))
    # The rays that are seen at the pixels, up to where the radius falls with the angle for the first time.
    angles = torch.deg2rad(torch.linspace(0.0, 79.5, 400, dtype=torch.float64))
    for turn in torch.linspace(0.0, 6.2, 16, dtype=torch.float64):
        rays = torch.tan(angles)[:, None] * torch.stack([turn.cos(), turn.sin()])
        pixels = camera.project(torch.cat([rays, torch.ones_like(rays[:, :1])], -1))
        radius = (pixels - matrix[:2, 2]).norm(dim=-1)
        end = (
            int((radius.diff() <= 0.05).nonzero()[0]) if bool((radius.diff() <= 0.05).any()) else len(radius)
        )
        found = camera.unproject(pixels[:end])
        torch.testing.assert_close(found, rays[:end], atol=1e-6, rtol=1e-6)


def test_a_batch_of_strong_distortions_equals_single_ones() -> None:
    lenses = torch.tensor(
        [[0.6, 0.5, 0.004, -0.003, 0.3], [-0.3, 0.05, 0.001, 0.001, 0.0]], dtype=torch.float64
    )
    pixels = torch.rand(2, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 400
    batch = Camera(K.expand(2, 3, 3), (640, 480), "plumb_bob", lenses).unproject(pixels)
    for i in range(2):
        single = Camera(K, (640, 480), "plumb_bob", lenses[i]).unproject(pixels[i])
        torch.testing.assert_close(batch[i], single, equal_nan=True)
