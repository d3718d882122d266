# SPDX-License-Identifier: Apache-2.0
"""COLMAP projects: camera models, and lines and bytes that are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import (
    write_colmap_binary,
    write_colmap_text,
)
from small_scenes import HEIGHT, WIDTH

from ace_ros.data.importers.colmap import MODELS, ONE_FOCAL, colmap_camera, read_colmap, shift_half_pixel
from ace_ros.data.importers.data_sets import import_dataset
from ace_ros.errors import CameraError, SceneError


def test_a_projection_with_colmaps_parameters_differs_by_half_a_pixel() -> None:
    """COLMAP's own formulas, with the corner at 0, give our pixel plus one half."""
    x, y = 0.2, -0.1
    r2 = x * x + y * y
    expected = {
        "SIMPLE_PINHOLE": (60 * x + 32, 60 * y + 24),
        "PINHOLE": (60 * x + 32, 61 * y + 24),
        "SIMPLE_RADIAL": (60 * x * (1 + 0.1 * r2) + 32, 60 * y * (1 + 0.1 * r2) + 24),
        "RADIAL": tuple(60 * v * (1 + 0.1 * r2 + 0.2 * r2 * r2) + c for v, c in ((x, 32), (y, 24))),
    }
    params = {
        "SIMPLE_PINHOLE": [60, 32, 24],
        "PINHOLE": [60, 61, 32, 24],
        "SIMPLE_RADIAL": [60, 32, 24, 0.1],
        "RADIAL": [60, 32, 24, 0.1, 0.2],
    }
    for name, pixel in expected.items():
        camera = colmap_camera(name, (WIDTH, HEIGHT), [float(v) for v in params[name]])
        ours = camera.project(torch.tensor([[x, y, 1.0]], dtype=torch.float64))[0]
        np.testing.assert_allclose(ours, shift_half_pixel(*pixel), atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_every_colmap_model_gives_a_camera(name: str) -> None:
    _, count, model = MODELS[name]
    params = [60.0, 32.0, 24.0] if count < 5 and "PIN" not in name else [60.0, 61.0, 32.0, 24.0]
    params = (params + [0.01] * 12)[:count]
    if name in ONE_FOCAL:
        params = [60.0, 32.0, 24.0, 0.01, 0.01][:count]
    if name == "THIN_PRISM_FISHEYE":
        params = [60.0, 61.0, 32.0, 24.0, 0.01, 0.02, 0.0, 0.0, 0.03, 0.04, 0.0, 0.0]
        found = colmap_camera(name, (WIDTH, HEIGHT), params).distortion
        np.testing.assert_allclose(found, [0.01, 0.02, 0.03, 0.04])
        with pytest.raises(CameraError, match="THIN_PRISM_FISHEYE"):
            colmap_camera(name, (WIDTH, HEIGHT), [*params[:-1], 0.01])
    assert colmap_camera(name, (WIDTH, HEIGHT), params).model == model


def test_a_cut_off_binary_model_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_colmap_binary(source)
    path = source / "sparse/images.bin"
    data = path.read_bytes()
    for size in (0, 20, len(data) // 2, len(data) - 1000):
        path.write_bytes(data[:size])
        with pytest.raises(SceneError, match="not a readable COLMAP model"):
            import_dataset("colmap", source, tmp_path / "scene")


def test_no_image_of_colmap_is_lost_where_lines_of_points_are_missing(tmp_path: Path) -> None:
    write_colmap_text(tmp_path)
    path = tmp_path / "sparse/0/images.txt"
    whole = read_colmap(tmp_path)
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    without = [line for line in lines if line[0] == "#" or line.endswith(".jpg")]
    some = [line for i, line in enumerate(lines) if line in without or i % 3]
    for kept in (without, lines, some):
        path.write_text("\n".join(kept))
        found = read_colmap(tmp_path)
        assert [image.name for image in found] == [image.name for image in whole]
    path.write_text("# Number of images: 13, mean observations per image: 2\n" + "\n".join(lines))
    with pytest.raises(SceneError, match="says that it has 13 images, 12 could be read"):
        read_colmap(tmp_path)


def test_fisheyes_of_colmap_are_equidistant() -> None:
    for name, params, kept in (
        ("SIMPLE_RADIAL_FISHEYE", [60.0, 32.0, 24.0, 0.1], [0.1, 0, 0, 0]),
        ("RADIAL_FISHEYE", [60.0, 32.0, 24.0, 0.1, 0.2], [0.1, 0.2, 0, 0]),
        ("OPENCV_FISHEYE", [60.0, 60.0, 32.0, 24.0, 0, 0, 0, 0], [0, 0, 0, 0]),
    ):
        camera = colmap_camera(name, (WIDTH, HEIGHT), params)
        assert camera.model == "equidistant"
        np.testing.assert_allclose(camera.distortion, kept)
