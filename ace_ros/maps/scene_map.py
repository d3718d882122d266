# SPDX-License-Identifier: Apache-2.0
"""The map of a place, and its file: the tensors of its chunks, and a header that describes them."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ace_ros.errors import MapError
from ace_ros.files.names import frame_name
from ace_ros.files.tensor_file import read_tensor_file, write_tensor_file
from ace_ros.maps.chunk import CHUNK_PARTS, Chunk, about_chunk, chunk_of_file, chunk_tensors
from ace_ros.maps.global_descriptor import SIZE as DESCRIPTOR_SIZE
from ace_ros.maps.global_descriptor import no_descriptors
from ace_ros.maps.header import FORMAT, FORMAT_VERSION, read_map_header

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"
DRIVE = "drive"  # the name of a tensor
# The tensor's name says how descriptors are made: those made in another way get another name.
DESCRIPTORS = f"signature.moments{DESCRIPTOR_SIZE}"
MAX_DESCRIPTORS = 4096  # of a place
TYPICAL_COVARIANCE_SCALE = 5.0  # of maps that were not validated; of real scenes that were, 2.5 to 20


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
            own = chunk_tensors(number, chunk)
            tensors.update(own)
            about.insert(number, about_chunk(chunk, own))
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
                found.append(chunk_of_file(number, tensors, header))
            except MapError as error:
                missing[number] = str(error)
                logger.warning("%s: chunk %d: %s", path, number, error)
        if not found:
            raise MapError(f"{path}: damaged ace_ros map: {_told(missing) or 'no chunk'}")
        return SceneMap(
            chunks=tuple(found),
            encoder=header["encoder"],
            encoder_hash=header["encoder_hash"],
            map_frame=frame_name(header["map_frame"]),
            created=header["created"],
            training=header["training"],
            missing=missing,
            validation=header["grade"],
            drive=drive,
            descriptors=descriptors,
        )


def _told(missing: dict[int, str]) -> str:
    """Return in words why chunks cannot be used."""
    return "; ".join(f"chunk {number}: {why}" for number, why in sorted(missing.items()))


def _checked_drive(path: Path, drive: Tensor | None) -> Tensor | None:
    if drive is None:
        return None
    if drive.dim() != 4 or drive.shape[::2] != (2, 3) or drive.shape[3] != 4 or drive.dtype != torch.float64:
        raise MapError(f"{path}: damaged ace_ros map: its drive is {drive.dtype} {tuple(drive.shape)}")
    if not torch.isfinite(drive).all():
        raise MapError(f"{path}: damaged ace_ros map: its drive has values that are not finite numbers")
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
