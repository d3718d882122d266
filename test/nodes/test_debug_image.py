# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from ace_ros.nodes.debug_image import AGREES_BGR, DISAGREES_BGR, draw_cells


def test_cells_that_agree_are_green_and_others_red() -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    pixels = np.array([[100.0, 100.0], [200.0, 150.0], [319.4, 239.4]])
    picture = draw_cells(image, pixels, np.array([True, False, False]), "text")
    assert tuple(picture[100, 100]) == AGREES_BGR
    assert tuple(picture[150, 200]) == tuple(picture[239, 319]) == DISAGREES_BGR
    assert (picture[150, 205] == 90).all()
    assert (image == 90).all()  # the given image is not drawn into


def test_no_cell_at_all_is_drawn_as_well() -> None:
    picture = draw_cells(np.zeros((48, 64, 3), np.uint8), np.zeros((0, 2)), np.zeros(0, bool), "")
    assert picture.shape == (48, 64, 3)
