# SPDX-License-Identifier: Apache-2.0
"""A lens as drivers and calibration files give it: the name of a model and its coefficients.

camera_info and calibration files go through `read_lens`, so both follow the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ace_ros.errors import CameraError
from ace_ros.geometry.camera import COEFFICIENTS

NAMES = {
    "plumb_bob": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}


def read_lens(name: str, coefficients: Iterable[float], source: str) -> tuple[str, Tensor | None]:
    """Return the camera model and its distortion (D,) float64, None where there is none.

    `coefficients` that are all zero, or none, are no distortion, whatever the name: drivers of rectified
    images leave both empty. Drivers also pad their lists with zeros; those beyond the model's own are left
    out. `source` is what the error names. Raises CameraError for a model that is not known, for
    coefficients that the model does not have, and for values that are not finite.
    """
    values = [float(value) for value in coefficients]
    if not any(values):
        return "pinhole", None
    if name not in NAMES:
        raise CameraError(
            f"{source} has the distortion model {name!r}, expected one of {', '.join(NAMES)}; "
            "rectify the images and set the option rectified"
        )
    if not all(map(math.isfinite, values)):
        raise CameraError(f"{source} has distortion coefficients that are not finite: {values}")
    model = NAMES[name]
    counts = COEFFICIENTS[model]
    if any(values[max(counts) :]):
        raise CameraError(
            f"{source} has {len(values)} coefficients of {name}, expected the first {max(counts)} alone "
            "(others, such as thin prism or tilt, are not modelled); rectify the images and set the "
            "option rectified"
        )
    if len(values) < min(counts):
        raise CameraError(f"{source} has {len(values)} coefficients of {name}, expected {min(counts)}")
    return model, torch.tensor(values[: max(counts)], dtype=torch.float64)
