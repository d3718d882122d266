# SPDX-License-Identifier: Apache-2.0
"""The validation of a map: how well it localizes images of the drive that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ace_ros.data.scene import Frame, read_grey
from ace_ros.geometry.metrics import median_of_localized, normalised_squared_error, pose_error, recall
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.hold_out import blocks_of
from ace_ros.maps.header import MAX_COVARIANCE_SCALE
from ace_ros.maps.scene_map import TYPICAL_COVARIANCE_SCALE

# Verdicts by the recall within 10 cm and 5 deg, the limit that a robot mostly needs.
VERDICTS = ((0.9, "good"), (0.6, "fair"), (0.0, "poor"))
LIMIT = "10 cm, 5 deg"
WEAK_RECALL = 0.5  # a stretch of the drive with less than this is named as weak
MIN_COVARIANCE_SAMPLES = 3
CHI_SQUARE_6_MEDIAN = 5.348  # the median NEES of honest covariances


@dataclass(frozen=True)
class WeakPlace:
    """A stretch of the drive where the map does not do well: its images, a position in the map frame."""

    first_image: str
    last_image: str
    position: tuple[float, float, float]
    localized: float  # share
    recall_10cm_5deg: float


@dataclass(frozen=True)
class Validation:
    """Figures of held-out images, against the poses that they were recorded with.

    `recall` has the keys of `ace_ros eval`. `covariance_scale` is how many times larger the solver's
    covariances have to be for the errors seen. Unknown errors are NaN.
    """

    verdict: str
    frames: int
    localized: int
    median_translation_m: float
    median_rotation_deg: float
    recall: dict[str, float]
    covariance_scale: float
    weak_places: tuple[WeakPlace, ...]

    def to_header(self) -> dict[str, Any]:
        """Return the validation for a map's header: strict JSON, unknown numbers are None."""
        fields = asdict(self)
        for name in ("median_translation_m", "median_rotation_deg"):
            fields[name] = fields[name] if math.isfinite(fields[name]) else None
        return fields


def validate(
    relocalizer: Relocalizer,
    frames: tuple[Frame, ...],
    chosen: Tensor,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
) -> Validation:
    """Localize the frames of a drive that were held out, `chosen` (I,) of I, and validate the map."""
    indices = chosen.nonzero()[:, 0].tolist()
    found = []
    for done, index in enumerate(indices):
        frame = frames[index]
        found.append(relocalizer.localize(read_grey(frame.image_path), frame.camera))
        on_frame(done + 1, len(indices))
    T = torch.cat([f.T_map_camera.cpu() for f in found])
    # What the solver says, without the factor of a map that is not validated yet.
    covariance = torch.cat([f.covariance.cpu() for f in found]) / relocalizer.scene_map.covariance_scale
    T_true = torch.stack([frames[i].T_map_camera for i in indices])
    ok = torch.cat([f.ok.cpu() for f in found])
    translation_m, rotation_rad = pose_error(T, T_true)
    figures = recall(translation_m, rotation_rad)
    row_of = {index: row for row, index in enumerate(indices)}
    weak = []
    for block in blocks_of(chosen):
        rows = torch.tensor([row_of[i] for i in block])
        share = recall(translation_m[rows], rotation_rad[rows])["10cm_5deg"]
        if share < WEAK_RECALL:
            weak.append(_weak_place([frames[i] for i in block], translation_m[rows], share))
    return Validation(
        verdict=_verdict(figures),
        frames=len(indices),
        localized=int(ok.sum()),
        median_translation_m=median_of_localized(translation_m),
        median_rotation_deg=math.degrees(median_of_localized(rotation_rad)),
        recall=figures,
        covariance_scale=_covariance_scale(normalised_squared_error(T[ok], covariance[ok], T_true[ok])),
        weak_places=tuple(weak),
    )


def join_validations(validations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the validation of a place from those in the headers of its chunks' maps.

    Shares are those of all images together, medians are means of the chunks' medians.
    """
    known = [g for g in validations if g]
    if not known:
        return {}
    frames = sum(g["frames"] for g in known)
    figures = {k: sum(g["recall"][k] * g["frames"] for g in known) / frames for k in known[0]["recall"]}
    found = [g for g in known if g["localized"]]
    localized = sum(g["localized"] for g in found)
    medians = {
        name: sum(g[name] * g["localized"] for g in found) / localized if found else None
        for name in ("median_translation_m", "median_rotation_deg")
    }
    return {
        "verdict": _verdict(figures),
        "frames": frames,
        "localized": localized,
        **medians,
        "recall": figures,
        "covariance_scale": max(g["covariance_scale"] for g in known),
        "weak_places": [place for g in known for place in g["weak_places"]],
    }


def validation_in_words(validation: dict[str, Any]) -> str:
    """Return the validation in a map's header for a person; the places where it is weak, a line each."""
    if not validation:
        return "not graded: no images were held out"
    share, metres = validation["recall"]["10cm_5deg"], validation["median_translation_m"]
    of_all = f"{100 * share:.0f} % of {validation['frames']} images held out within {LIMIT}"
    words = f"grade: {validation['verdict']}; {of_all}"
    if metres is not None:
        words += f", median error {100 * metres:.1f} cm, {validation['median_rotation_deg']:.2f} deg"
    lines = [words]
    lines += [f"  {weak_place_in_words(place)}" for place in validation["weak_places"]]
    return "\n".join(lines)


def weak_place_in_words(place: dict[str, Any]) -> str:
    """Return a weak place of a map's header for a person."""
    where = ", ".join(f"{value:.1f}" for value in place["position"])
    images, share = f"{place['first_image']} to {place['last_image']}", place["recall_10cm_5deg"]
    return f"weak around ({where}) m, {images}: {100 * share:.0f} % within {LIMIT}"


def _verdict(figures: dict[str, float]) -> str:
    return next(word for least, word in VERDICTS if figures["10cm_5deg"] >= least)


def _weak_place(block: list[Frame], translation_m: Tensor, share: float) -> WeakPlace:
    middle = torch.stack([f.T_map_camera[:3, 3] for f in block]).mean(0).tolist()
    return WeakPlace(
        first_image=block[0].image_path.name,
        last_image=block[-1].image_path.name,
        position=(middle[0], middle[1], middle[2]),
        localized=float(torch.isfinite(translation_m).double().mean()),
        recall_10cm_5deg=share,
    )


def _covariance_scale(nees: Tensor) -> float:
    """Return by how much covariances have to grow for the median of the NEES (L,) to be an honest one's.

    They never shrink: held-out images look more like the mapping images than later ones will. Of a
    few images the median is as good as none.
    """
    if len(nees) < MIN_COVARIANCE_SAMPLES:
        return TYPICAL_COVARIANCE_SCALE
    return min(max(1.0, float(nees.median()) / CHI_SQUARE_6_MEDIAN), MAX_COVARIANCE_SCALE)
