# SPDX-License-Identifier: Apache-2.0
"""16-bit images that use part of their range: visible, and alike for a whole recording."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from small_scenes import picture

from ace_ros.data.image_file import read_grey, read_image
from ace_ros.data.sixteen_bits import GrowingRange, to_8_bit


def wall(brightness: int, bits: int) -> np.ndarray:
    """Return a 16-bit image with a gradient of its own brightness and a patch of one and the same grey."""
    image = np.linspace(brightness // 2, brightness, 64 * 48).reshape(48, 64)
    image[:8, :8] = 300
    return np.asarray(image * 2 ** (bits - 10), np.uint16)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_images_of_a_folder_are_stretched_alike(tmp_path: Path, bits: int) -> None:
    for split, brightness in (("train", 900), ("train", 500), ("test", 700)):
        folder = tmp_path / split / "rgb"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{brightness}.png"), wall(brightness, bits))
    paths = sorted(tmp_path.glob("*/rgb/*.png"))
    grey = [read_grey(path) for path in paths]
    assert max(image.max() for image in grey) == 255
    patches = {int(image[2, 2]) for image in grey}
    assert len(patches) == 1 and 10 < patches.pop() < 150


def test_colours_of_16_bits_become_those_of_8(tmp_path: Path) -> None:
    bgr = picture(3)
    cv2.imwrite(str(tmp_path / "a.png"), bgr.astype(np.uint16) << 4)
    expected = to_8_bit(bgr.astype(np.uint16) << 4)
    assert np.array_equal(read_image(tmp_path / "a.png"), expected)
    assert np.array_equal(read_grey(tmp_path / "a.png"), cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY))
    with_alpha = np.dstack([bgr, bgr[..., 0]]).astype(np.uint16) << 4
    (tmp_path / "b").mkdir()
    cv2.imwrite(str(tmp_path / "b/a.png"), with_alpha)
    assert np.array_equal(read_image(tmp_path / "b/a.png"), expected)


def test_8_bits_stay_as_they_are(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((8, 8), 3, np.uint8))
    assert (read_grey(tmp_path / "dark.png") == 3).all()


def test_a_range_grows_and_never_shrinks() -> None:
    ranges = GrowingRange()
    ranges.to_8_bit(wall(500, 12))
    bright = ranges.to_8_bit(wall(900, 12))
    dark = ranges.to_8_bit(wall(500, 12))
    assert bright[2, 2] == dark[2, 2] and dark.max() < 150 < bright.max()


def test_an_image_of_another_camera_in_the_folder_is_not_black(tmp_path: Path) -> None:
    grey = picture(2)[..., 0]
    for bits in (10, 12, 14, 16):
        cv2.imwrite(str(tmp_path / f"{bits}.png"), grey.astype(np.uint16) * 2 ** (bits - 8))
    for bits in (10, 12, 14, 16):
        found = read_grey(tmp_path / f"{bits}.png")
        assert found.max() - found.min() > 200
        assert np.corrcoef(found.ravel(), grey.ravel())[0, 1] > 0.99
