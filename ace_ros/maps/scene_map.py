# SPDX-License-Identifier: Apache-2.0
"""The map file: the heads' weights and landmarks, and a header that says what they are and what they need."""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ace_ros.errors import MapError
from ace_ros.files.tensor_file import read_header, read_tensor_file, write_tensor_file
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO, LANDMARK_TENSORS, Landmarks
from ace_ros.maps.global_descriptor import SIZE as DESCRIPTOR_SIZE
from ace_ros.maps.global_descriptor import no_descriptors
from ace_ros.network.head import Head

logger = logging.getLogger(__name__)

FORMAT = "ace_ros map"
FORMAT_VERSION = 3
SUFFIX = ".safetensors"
CHUNK_PARTS = "head", "cloud", "landmarks"  # what the names of a chunk's tensors begin with
EXPECTED_INLIER_RATIO_KEY = "usual_landmark_share"  # of a chunk, in the header
DRIVE = "drive"  # the name of a tensor
# The tensor's name says how descriptors are made: those made in another way get another name.
DESCRIPTORS = f"signature.moments{DESCRIPTOR_SIZE}"
MAX_DESCRIPTORS = 4096  # of a place
# Limits on what a foreign header may ask for.
MAX_WIDTH, MAX_BLOCKS, MAX_CHANNELS, MAX_CHUNKS = 4096, 32, 4096, 4096
MAX_LANDMARKS = 1_000_000  # of a chunk
MAX_COVARIANCE_SCALE = 1e6
TYPICAL_COVARIANCE_SCALE = 5.0  # of maps that were not validated; of real scenes that were, 2.5 to 20


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


@dataclass(frozen=True)
class SceneMap:
    """A trained place: one or more chunks with heads of equal shape, all in `map_frame`.

    `encoder` is the name (or file) of the encoder that the heads belong to, `encoder_hash` its
    content. `training` holds settings and figures of the training, `created` an ISO 8601 time in
    UTC. `missing` says why chunks cannot be used, by their number: the others still can. `validation` says
    how well the map localizes images that were held out (see `mapping.validation`; empty if none were).
    `drive` (2, I, 3, 4) float64 are the recorded and the refined T_map_camera of the mapping images,
    where they were refined. `descriptors` (K, 64) float16 says what the place looks like
    (`maps.global_descriptor`; no rows where it is not known).
    """

    chunks: tuple[Chunk, ...]
    encoder: str
    encoder_hash: str
    map_frame: str = "map"
    created: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    drive: Tensor | None = None
    descriptors: Tensor = field(default_factory=no_descriptors)

    @property
    def covariance_scale(self) -> float:
        """Return by how much the solver's covariances have to grow to be honest in this map."""
        return float(self.validation.get("covariance_scale", TYPICAL_COVARIANCE_SCALE))

    @property
    def bounds(self) -> Tensor:
        """Return the least and greatest corner (2, 3) float64 of what the cameras of all chunks saw."""
        bounds = torch.stack([c.bounds for c in self.chunks])
        return torch.stack([bounds[:, 0].amin(0), bounds[:, 1].amax(0)])

    @property
    def missing_text(self) -> str:
        """Return a sentence on the chunks that cannot be used, empty where all can."""
        if not self.missing:
            return ""
        count, total = len(self.missing), len(self.missing) + len(self.chunks)
        return f"{count} of {total} chunks of the map cannot be used: {_told(self.missing)}"

    def cloud(self) -> tuple[np.ndarray, np.ndarray]:
        """Return points (P, 3) float64 in the map frame and their brightness (P,) uint8."""
        points = torch.cat([c.cloud_points.double() + c.centre for c in self.chunks])
        return points.numpy(), torch.cat([c.cloud_grey for c in self.chunks]).numpy()

    def save(self, path: Path) -> None:
        """Write the map file in one step: complete, or not at all (OSError)."""
        tensors: dict[str, Tensor] = {}
        about: list[dict[str, Any]] = [{"missing": why} for _, why in sorted(self.missing.items())]
        present = [n for n in range(len(self.chunks) + len(about)) if n not in self.missing]
        for number, chunk in zip(present, self.chunks, strict=True):
            own = _chunk_tensors(number, chunk)
            tensors.update(own)
            placed = {
                "centre": chunk.centre.tolist(),
                "bounds": chunk.bounds.tolist(),
                EXPECTED_INLIER_RATIO_KEY: chunk.landmarks.expected_inlier_ratio,
                "crc32": _checksum(own),
            }
            about.insert(number, placed)
        if self.drive is not None:
            tensors[DRIVE] = self.drive.double()
        tensors[DESCRIPTORS] = self.descriptors.half()
        head = self.chunks[0].head
        header = {
            "heads": len(about),
            "head": {"channels": head.channels, "width": head.width, "blocks": head.num_blocks},
            "chunks": about,
            "encoder": self.encoder,
            "encoder_hash": self.encoder_hash,
            "map_frame": self.map_frame,
            "created": self.created,
            "training": self.training,
            "grade": self.validation,
        }
        write_tensor_file(path, tensors, FORMAT, FORMAT_VERSION, {"map": json.dumps(header)})

    @staticmethod
    def load(path: Path, chunks: Collection[int] | None = None) -> SceneMap:
        """Read a map file, or only the chunks with the given numbers.

        A damaged chunk is left out, and `missing` says so. Raises MapError when the file is missing,
        foreign, damaged or newer, or when no chunk can be used.
        """
        path = Path(path)
        header = read_map_header(path)
        numbers = sorted(range(header["heads"]) if chunks is None else set(chunks))
        if not set(numbers) <= set(range(header["heads"])):
            raise MapError(f"{path}: has {header['heads']} chunks, no number {numbers[-1]}")
        prefixes = tuple(f"{part}.{n}." for n in numbers for part in CHUNK_PARTS)
        tensors, _ = read_tensor_file(
            path, FORMAT, FORMAT_VERSION, lambda name: name.startswith((*prefixes, DRIVE, DESCRIPTORS))
        )
        drive = _checked_drive(path, tensors.pop(DRIVE, None))
        descriptors = _checked_descriptors(path, tensors.pop(DESCRIPTORS, no_descriptors()))
        found, missing = [], {}
        for number in numbers:
            try:
                found.append(_chunk(number, tensors, header))
            except MapError as error:
                missing[number] = str(error)
                logger.warning("%s: chunk %d: %s", path, number, error)
        if not found:
            raise MapError(f"{path}: damaged ace_ros map: {_told(missing) or 'no chunk'}")
        return SceneMap(
            chunks=tuple(found),
            encoder=header["encoder"],
            encoder_hash=header["encoder_hash"],
            map_frame=header["map_frame"],
            created=header["created"],
            training=header["training"],
            missing=missing,
            validation=header["grade"],
            drive=drive,
            descriptors=descriptors,
        )


def read_map_header(path: Path) -> dict[str, Any]:
    """Return what a map file says of itself, without reading its weights. Raises MapError.

    `bounds` are added: the least and greatest corner of all chunks.
    """
    header = _parse(Path(path), read_header(Path(path), FORMAT, FORMAT_VERSION))
    bounds = [about["bounds"] for about in header["chunks"] if "missing" not in about]
    header["bounds"] = [
        [function(values) for values in zip(*(b[corner] for b in bounds), strict=True)]
        for corner, function in enumerate((min, max))
    ]
    return header


def _told(missing: dict[int, str]) -> str:
    """Return in words why chunks cannot be used."""
    return "; ".join(f"chunk {number}: {why}" for number, why in sorted(missing.items()))


def _chunk_tensors(number: int, chunk: Chunk) -> dict[str, Tensor]:
    # Only weights are halved. The centre stays float64 in the header: half precision would
    # round it to half a metre at one kilometre and overflow in UTM coordinates.
    tensors = {f"head.{number}.{k}": v.half() for k, v in chunk.head.state_dict().items()}
    tensors[f"cloud.{number}.points"] = chunk.cloud_points.float()
    tensors[f"cloud.{number}.grey"] = chunk.cloud_grey
    for name in LANDMARK_TENSORS:
        tensors[f"landmarks.{number}.{name}"] = getattr(chunk.landmarks, name)
    return tensors


def _checksum(tensors: dict[str, Tensor]) -> int:
    """Return a checksum of the contents of tensors, which finds accidents, not attacks."""
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].cpu().contiguous().numpy().tobytes(), checksum)
    return checksum


def _chunk(number: int, tensors: dict[str, Tensor], header: dict[str, Any]) -> Chunk:
    """Return a chunk of a file; raises MapError that only says what is wrong with it."""
    about, shape = header["chunks"][number], header["head"]
    if "missing" in about:
        raise MapError(about["missing"])
    own = {k: v for k, v in tensors.items() if k.split(".")[1] == str(number)}
    with torch.device("meta"):  # a header may ask for more memory than there is
        head = Head(shape["channels"], shape["width"], shape["blocks"])
    prefix = f"head.{number}."
    weights = {k.removeprefix(prefix): v.float() for k, v in own.items() if k.startswith(prefix)}
    try:
        head.load_state_dict(weights, assign=True)
        points, grey = own[f"cloud.{number}.points"], own[f"cloud.{number}.grey"]
        landmarks = Landmarks(
            **{name: own[f"landmarks.{number}.{name}"] for name in LANDMARK_TENSORS},
            expected_inlier_ratio=about.get(EXPECTED_INLIER_RATIO_KEY, EXPECTED_INLIER_RATIO),
        )
    except (KeyError, RuntimeError) as error:
        raise MapError(str(error)) from error
    if points.dim() != 2 or points.shape[1] != 3 or grey.shape != points.shape[:1]:
        raise MapError(f"its cloud is {tuple(points.shape)}")
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


def _are_landmarks(landmarks: Landmarks, channels: int) -> bool:
    """Return whether what a file has for landmarks can be used as such."""
    count = len(landmarks.points)
    shapes = (landmarks.points.shape, landmarks.seen_from.shape, landmarks.features.shape)
    return (
        count <= MAX_LANDMARKS
        and shapes == ((count, 3), (count, 3), (count, channels))
        and landmarks.points.dtype == landmarks.seen_from.dtype == torch.float32
        and landmarks.features.dtype == torch.int8
        and bool(torch.isfinite(landmarks.points).all() and torch.isfinite(landmarks.seen_from).all())
    )


def _checked_drive(path: Path, drive: Tensor | None) -> Tensor | None:
    if drive is not None and (drive.dim() != 4 or drive.shape[::2] != (2, 3) or drive.shape[3] != 4):
        raise MapError(f"{path}: damaged ace_ros map: its drive is {tuple(drive.shape)}")
    return drive


def _checked_descriptors(path: Path, descriptors: Tensor) -> Tensor:
    if (
        descriptors.dim() != 2
        or descriptors.shape[1] != DESCRIPTOR_SIZE
        or len(descriptors) > MAX_DESCRIPTORS
    ):
        raise MapError(f"{path}: damaged ace_ros map: its descriptors are {tuple(descriptors.shape)}")
    if not torch.isfinite(descriptors).all():
        raise MapError(f"{path}: damaged ace_ros map: descriptors that are not finite numbers")
    return descriptors.half()


def _parse(path: Path, strings: dict[str, str]) -> dict[str, Any]:
    version = int(strings["format_version"])
    if version < FORMAT_VERSION:
        raise MapError(
            f"{path}: written in format version {version}, this ace_ros reads {FORMAT_VERSION}; "
            "train the map again"
        )
    try:
        header = json.loads(strings["map"])
        shape, chunks = header["head"], header["chunks"]
        checks = (
            0 < int(shape["channels"]) <= MAX_CHANNELS,
            0 < int(shape["width"]) <= MAX_WIDTH,
            0 <= int(shape["blocks"]) <= MAX_BLOCKS,
            0 < header["heads"] == len(chunks) <= MAX_CHUNKS,
            all(isinstance(c["missing"], str) if "missing" in c else _is_placed(c) for c in chunks),
            not all("missing" in c for c in chunks),
            isinstance(header["training"], dict),
            _is_validation(header["grade"]),
            all(isinstance(header[k], str) for k in ("encoder", "encoder_hash", "map_frame", "created")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MapError(f"{path}: damaged ace_ros map: its header has no usable {error}") from error
    if not all(checks):
        raise MapError(f"{path}: damaged ace_ros map: header values out of range")
    return dict(header)


def _is_placed(about: dict[str, Any]) -> bool:
    """Return whether a chunk's entry in the header says where it lies, and what else is computed with."""
    vectors = [about["centre"], *about["bounds"]]
    finite = all(len(v) == 3 and all(math.isfinite(x) for x in v) for v in vectors)
    share = about.get(EXPECTED_INLIER_RATIO_KEY, EXPECTED_INLIER_RATIO)
    measured = isinstance(share, (int, float)) and 0.0 <= share <= 1.0
    return finite and measured and len(vectors) == 3 and isinstance(about["crc32"], int)


def _is_validation(validation: Any) -> bool:
    """Return whether a header's validation has what is computed with."""
    scale = validation.get("covariance_scale", 1.0)
    return isinstance(scale, (int, float)) and 1.0 <= scale <= MAX_COVARIANCE_SCALE
