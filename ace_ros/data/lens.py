# SPDX-License-Identifier: Apache-2.0
"""A lens as drivers, calibration files and data sets give it: the name of a model and its coefficients.

All of them go through `make_lens`, so all follow the same rules.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor

from ace_ros.errors import CameraError
from ace_ros.geometry.camera import COEFFICIENTS

log = logging.getLogger(__name__)

# The names of models in camera_info and in calibration files, and ours.
NAMES = {
    "plumb_bob": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
    "radtan": "plumb_bob",
}
UNDISTORTED = ("pinhole", "none", "")
REMEDY = "rectify the images and set the option rectified"


def read_lens(name: str, coefficients: Iterable[float], source: str) -> tuple[str, Tensor | None]:
    """Return the camera model and its distortion (D,) float64, None where there is none, as ROS has them.

    `coefficients` that are all zero, or none, are no distortion, whatever the name: drivers of rectified
    images leave both empty. Otherwise as `make_lens`.
    """
    values = [float(value) for value in coefficients]
    if any(values):
        return make_lens(name, values, source)
    if values and NAMES.get(name, name) not in ("plumb_bob", "rational_polynomial", *UNDISTORTED):
        _say_undistorted(name[:80])
    return "pinhole", None


@cache
def _say_undistorted(name: str) -> None:
    log.warning(
        "the coefficients of a lens of the model %r are all zero: it is taken for one without distortion, "
        "as ROS does; a fisheye lens without corrections needs a first coefficient of 1e-12",
        name,
    )


def make_lens(name: str, coefficients: Iterable[float], source: str) -> tuple[str, Tensor | None]:
    """Return the camera model and its distortion (D,) float64, None where there is none.

    Writers pad their lists with zeros, or leave zeros at the end out: those beyond the model's own are
    dropped, and missing ones are added. `source` is what the error names. Raises CameraError for a model
    that is not known, for coefficients that the model does not have, and for values that are not finite.
    """
    values = [float(value) for value in coefficients]
    if not all(map(math.isfinite, values)):
        raise CameraError(f"{source} has distortion coefficients that are not finite: {values}")
    if name in UNDISTORTED and not any(values):
        return "pinhole", None
    if name not in NAMES:
        raise CameraError(
            f"{source} has the distortion model {name!r}, expected one of {', '.join(NAMES)}; {REMEDY}"
        )
    model = NAMES[name]
    fewest, most = min(COEFFICIENTS[model]), max(COEFFICIENTS[model])
    if any(values[most:]):
        raise CameraError(
            f"{source} has {len(values)} coefficients of {name}, expected the first {most} alone (others, "
            f"such as thin prism or tilt, are not modelled); {REMEDY}"
        )
    kept = values[:most] + [0.0] * (fewest - len(values))
    return model, torch.tensor(kept, dtype=torch.float64)
