# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from textures import textured_photo

from ace_ros.encoder_training import planar_pairs
from ace_ros.encoder_training.photometric import random_light
from ace_ros.encoder_training.planar_pairs import Plane, random_pair
from ace_ros.network.encoder import cell_centres

SIZE = 160
CELLS = cell_centres(SIZE, SIZE, 8).numpy()


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [textured_photo(rng) for _ in range(8)]


@pytest.fixture
def plain_light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planar_pairs, "random_light", lambda view, rng: view.astype(np.float32) / 255.0)


@pytest.mark.usefixtures("plain_light")
def test_visible_matches_look_alike_and_others_do_not(photos: list[np.ndarray]) -> None:
    same, shuffled = [], []
    rng = np.random.default_rng(0)
    for seed in range(40):
        pair = random_pair(photos, SIZE, CELLS, np.random.default_rng(seed))
        smooth = [cv2.GaussianBlur(v, (0, 0), 2.0) for v in (pair.first, pair.second)]
        x, y = CELLS[pair.visible].T.astype(np.float32)
        u, v = pair.matches[pair.visible].T
        first, second = (
            cv2.remap(image, *(c[None] for c in at), cv2.INTER_LINEAR)[0]
            for image, at in zip(smooth, ((x, y), (u, v)), strict=True)
        ) if pair.visible.any() else (np.zeros(0), np.zeros(0))
        same.append(np.abs(first - second))
        shuffled.append(np.abs(first - rng.permutation(second)))
    assert np.median(np.concatenate(same)) < 0.25 * np.median(np.concatenate(shuffled))


@pytest.mark.usefixtures("plain_light")
def test_pairs_have_parallax_and_occlusion(photos: list[np.ndarray]) -> None:
    hidden, bent = 0, 0
    for seed in range(30):
        pair = random_pair(photos, SIZE, CELLS, np.random.default_rng(seed))
        inside = (pair.matches > 0).all(1) & (pair.matches < SIZE - 1).all(1)
        hidden += int((inside & ~pair.visible).sum() > 5)
        if pair.visible.sum() > 30:
            # One homography explains a single plane to the last digit, several planes not.
            H, _ = cv2.findHomography(CELLS[pair.visible], pair.matches[pair.visible], 0)
            mapped = cv2.perspectiveTransform(CELLS[pair.visible][None].astype(np.float64), H)[0]
            bent += int(np.abs(mapped - pair.matches[pair.visible]).max() > 1.0)
    assert hidden >= 8
    assert bent >= 8


def test_the_nearer_plane_hides_the_farther_one() -> None:
    K = np.array([[100.0, 0.0, 49.5], [0.0, 100.0, 49.5], [0.0, 0.0, 1.0]])
    camera = np.column_stack([np.eye(3), [0.0, 0.0, 1.0]])

    def plane(depth: float, side_m: float, grey: int, mask: bool) -> Plane:
        texture = np.full((50, 50), grey, np.uint8)
        step = side_m / 50
        frame = np.array([[step, 0, -side_m / 2], [0, step, -side_m / 2], [0, 0, depth - 1.0]])
        return Plane(texture, np.full((50, 50), 255, np.uint8) if mask else None, frame)

    # A card of 20 cm at 1 m covers 20 pixels of a wall at 2 m, in whatever order they come.
    planes = [plane(1.0, 0.2, 200, True), plane(2.0, 4.0, 50, False)]
    for order in (planes, planes[::-1]):
        homographies = [planar_pairs._homography(K, camera, p) for p in order]
        grey, seen = planar_pairs._render(order, homographies, 100)
        assert (grey[45:55, 45:55] == 200).all()
        assert abs(int((grey == 200).sum()) - 400) <= 45
        assert (grey[:, :35] == 50).all()
        assert set(np.unique(seen)) == {0, 1}


def test_the_same_seed_gives_the_same_pair(photos: list[np.ndarray]) -> None:
    first, second = (random_pair(photos, SIZE, CELLS, np.random.default_rng(5)) for _ in range(2))
    for name in ("first", "second", "matches", "visible"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_light_changes_values_but_not_places() -> None:
    rng = np.random.default_rng(0)
    photo = textured_photo(rng, 128)
    views = [random_light(photo, np.random.default_rng(seed)) for seed in range(20)]
    assert all(v.dtype == np.float32 and v.min() >= 0.0 and v.max() <= 1.0 for v in views)
    assert np.std([v.mean() for v in views]) > 0.05
    correlation = [np.corrcoef(v.ravel(), photo.ravel())[0, 1] for v in views]
    assert min(correlation) > 0.5
