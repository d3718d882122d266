# SPDX-License-Identifier: Apache-2.0
"""The photographs that encoders are trained on."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ace_ros.data.image_file import IMAGE_SUFFIXES, read_grey
from ace_ros.errors import SceneError

logger = logging.getLogger(__name__)

MIN_SIDE_PX = 160
MIN_PHOTOS = 20


def load_photos(folder: Path) -> list[np.ndarray]:
    """Return all readable photographs of a folder as grey uint8 images, sorted by name.

    Raises SceneError when there are too few.
    """
    paths = sorted(p for p in folder.glob("**/*") if p.suffix.lower() in IMAGE_SUFFIXES)
    photos = [_photo(path) for path in paths]
    readable = [photo for photo in photos if photo is not None and min(photo.shape) >= MIN_SIDE_PX]
    if len(readable) < MIN_PHOTOS:
        raise SceneError(
            f"{folder}: {len(readable)} photographs of {MIN_SIDE_PX} px or more, at least {MIN_PHOTOS} needed"
        )
    logger.info("%d photographs from %s, %d left out", len(readable), folder, len(paths) - len(readable))
    return readable


def _photo(path: Path) -> np.ndarray | None:
    try:
        return read_grey(path)
    except SceneError as error:
        logger.info("left out: %s", error)
        return None
