# SPDX-License-Identifier: Apache-2.0
"""A part of a place that one head knows, and how it lies in a map file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ace_ros.errors import MapError
from ace_ros.files.outside import MAX_SAID
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO, LANDMARK_TENSORS, Landmarks
from ace_ros.network.head import Head

CHUNK_PARTS = "head", "cloud", "landmarks"  # what the names of a chunk's tensors begin with
EXPECTED_INLIER_RATIO_KEY = "usual_landmark_share"  # of a chunk, in the header
MAX_LANDMARKS = 1_000_000  # of a chunk


@dataclass(frozen=True)
class Chunk:
    """A part of a place that one head knows; a small place is one chunk.

    `centre` (3,) float64 is the origin of the head's local frame in the map frame; `bounds` (2, 3)
    float64 are the least and greatest corner of what the cameras saw. `cloud_points` (P, 3)
    float32, local, and `cloud_grey` (P,) uint8 are a sample of the place to look at. `landmarks`
    refine poses; there are none where nothing could be measured.
    """

    head: Head
    centre: Tensor
    bounds: Tensor
    cloud_points: Tensor
    cloud_grey: Tensor
    landmarks: Landmarks


def chunk_tensors(number: int, chunk: Chunk) -> dict[str, Tensor]:
    """Return the tensors of a chunk, by their names in the file."""
    # Only weights are halved. The centre stays float64 in the header: half precision would
    # round it to half a metre at one kilometre and overflow in UTM coordinates.
    tensors = {f"head.{number}.{k}": v.half() for k, v in chunk.head.state_dict().items()}
    tensors[f"cloud.{number}.points"] = chunk.cloud_points.float()
    tensors[f"cloud.{number}.grey"] = chunk.cloud_grey
    for name in LANDMARK_TENSORS:
        tensors[f"landmarks.{number}.{name}"] = getattr(chunk.landmarks, name)
    return tensors


def about_chunk(chunk: Chunk, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return what a header says of a chunk with these tensors."""
    return {
        "centre": chunk.centre.tolist(),
        "bounds": chunk.bounds.tolist(),
        EXPECTED_INLIER_RATIO_KEY: chunk.landmarks.expected_inlier_ratio,
        "crc32": _checksum(tensors),
    }


def chunk_of_file(number: int, tensors: dict[str, Tensor], header: dict[str, Any]) -> Chunk:
    """Return a chunk of a file; raises MapError that only says what is wrong with it."""
    about, shape = header["chunks"][number], header["head"]
    if "missing" in about:
        raise MapError(about["missing"])
    own = {k: v for k, v in tensors.items() if k.split(".")[1:2] == [str(number)]}
    with torch.device("meta"):  # a header may ask for more memory than there is
        head = Head(shape["channels"], shape["width"], shape["blocks"])
    prefix = f"head.{number}."
    weights = {k.removeprefix(prefix): v.float() for k, v in own.items() if k.startswith(prefix)}
    try:
        head.load_state_dict(weights, assign=True)
        points, grey = own[f"cloud.{number}.points"], own[f"cloud.{number}.grey"]
        marks = {name: own[f"landmarks.{number}.{name}"] for name in LANDMARK_TENSORS}
        ratio = about.get(EXPECTED_INLIER_RATIO_KEY, EXPECTED_INLIER_RATIO)
        landmarks = Landmarks(**marks, expected_inlier_ratio=ratio)
    except KeyError as error:
        raise MapError(f"no tensor {error}") from error
    except RuntimeError as error:  # of several lines
        raise MapError(" ".join(str(error).split())[:MAX_SAID]) from error
    if points.dim() != 2 or points.shape[1] != 3 or grey.shape != points.shape[:1]:
        raise MapError(f"its cloud is {tuple(points.shape)}")
    if grey.dtype != torch.uint8 or not torch.isfinite(points.float()).all():
        raise MapError("its cloud has values that are none")
    if not _are_landmarks(landmarks, head.channels):
        raise MapError("landmarks that are none")
    if not all(torch.isfinite(v).all() for v in weights.values()):
        raise MapError("weights that are not finite numbers")
    if _checksum(own) != about["crc32"]:
        raise MapError("its contents have changed since they were written")
    return Chunk(
        head=head.eval().requires_grad_(False),
        centre=torch.tensor(about["centre"], dtype=torch.float64),
        bounds=torch.tensor(about["bounds"], dtype=torch.float64),
        cloud_points=points.float(),
        cloud_grey=grey,
        landmarks=landmarks,
    )


def _checksum(tensors: dict[str, Tensor]) -> int:
    """Return a checksum of the contents of tensors, which finds accidents, not attacks."""
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].cpu().contiguous().numpy().tobytes(), checksum)
    return checksum


def _are_landmarks(landmarks: Landmarks, channels: int) -> bool:
    """Return whether what a file has for landmarks can be used as such."""
    shapes = (landmarks.points.shape, landmarks.seen_from.shape, landmarks.features.shape)
    count = shapes[0].numel() // 3
    return (
        count <= MAX_LANDMARKS
        and shapes == ((count, 3), (count, 3), (count, channels))
        and landmarks.points.dtype == landmarks.seen_from.dtype == torch.float32
        and landmarks.features.dtype == torch.int8
        and bool(torch.isfinite(landmarks.points).all() and torch.isfinite(landmarks.seen_from).all())
    )
