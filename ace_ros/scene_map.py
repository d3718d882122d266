# SPDX-License-Identifier: Apache-2.0
"""The map file: the head's weights, and a header that says what they are and what they need."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ace_ros.errors import MapError
from ace_ros.network.head import Head
from ace_ros.network.signature import SIZE as SIGNATURE_SIZE
from ace_ros.network.signature import no_signature
from ace_ros.tensor_file import read_header, read_tensor_file, write_tensor_file

FORMAT = "ace_ros map"
FORMAT_VERSION = 1
SUFFIX = ".safetensors"
# The tensor's name says how a signature is made: one made in another way gets another name.
SIGNATURE = f"signature.moments{SIGNATURE_SIZE}"
MAX_SIGNATURES = 4096  # of a place
MAX_WIDTH, MAX_BLOCKS, MAX_CHANNELS = 4096, 32, 4096  # limits on what a foreign header may ask for


@dataclass(frozen=True)
class SceneMap:
    """A trained place.

    `centre` (3,) float64 is the origin of the head's local frame in `map_frame`; `bounds` (2, 3)
    float64 are the least and greatest corner of what the cameras saw. `cloud_points` (P, 3)
    float32, local, and `cloud_grey` (P,) uint8 are a sample of the place to look at. `encoder` is
    the name (or file) of the encoder that the head belongs to, `encoder_hash` its content.
    `training` holds settings and figures of the training, `created` an ISO 8601 time in UTC.
    `signature` (K, 64) float16 says what the place looks like (`network.signature`), with no rows in
    a map that was made before there were signatures.
    """

    head: Head
    centre: Tensor
    bounds: Tensor
    cloud_points: Tensor
    cloud_grey: Tensor
    encoder: str
    encoder_hash: str
    map_frame: str = "map"
    created: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    signature: Tensor = field(default_factory=no_signature)

    def cloud(self) -> tuple[np.ndarray, np.ndarray]:
        """Return points (P, 3) float64 in the map frame and their brightness (P,) uint8."""
        points = self.cloud_points.double() + self.centre
        return points.numpy(), self.cloud_grey.numpy()

    def save(self, path: Path) -> None:
        """Write the map file in one step: complete, or not at all (OSError)."""
        # Only weights are halved. The centre stays float64 in the header: half precision would
        # round it to half a metre at one kilometre and overflow in UTM coordinates.
        tensors = {f"head.0.{k}": v.half() for k, v in self.head.state_dict().items()}
        tensors["cloud.points"] = self.cloud_points.float()
        tensors["cloud.grey"] = self.cloud_grey
        tensors[SIGNATURE] = self.signature.half()
        header = {
            "heads": 1,
            "head": {
                "channels": self.head.channels,
                "width": self.head.width,
                "blocks": self.head.num_blocks,
            },
            "centre": self.centre.tolist(),
            "bounds": self.bounds.tolist(),
            "encoder": self.encoder,
            "encoder_hash": self.encoder_hash,
            "map_frame": self.map_frame,
            "created": self.created,
            "training": self.training,
        }
        write_tensor_file(path, tensors, FORMAT, FORMAT_VERSION, {"map": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> SceneMap:
        """Read a map file. Raises MapError when it is missing, foreign, damaged or newer."""
        path = Path(path)
        tensors, strings = read_tensor_file(path, FORMAT, FORMAT_VERSION)
        header = _parse(path, strings)
        try:
            shape = header["head"]
            head = Head(shape["channels"], shape["width"], shape["blocks"])
            head.load_state_dict(
                {k.removeprefix("head.0."): v.float() for k, v in tensors.items() if k.startswith("head.")}
            )
            points, grey = tensors["cloud.points"], tensors["cloud.grey"]
        except (KeyError, RuntimeError) as error:
            raise MapError(f"{path}: damaged ace_ros map: {error}") from error
        if points.dim() != 2 or points.shape[1] != 3 or grey.shape != points.shape[:1]:
            raise MapError(f"{path}: damaged ace_ros map: its cloud is {tuple(points.shape)}")
        if not all(torch.isfinite(v).all() for v in head.state_dict().values()):
            raise MapError(f"{path}: damaged ace_ros map: weights that are not finite numbers")
        return SceneMap(
            head=head.eval().requires_grad_(False),
            centre=torch.tensor(header["centre"], dtype=torch.float64),
            bounds=torch.tensor(header["bounds"], dtype=torch.float64),
            cloud_points=points.float(),
            cloud_grey=grey,
            encoder=header["encoder"],
            encoder_hash=header["encoder_hash"],
            map_frame=header["map_frame"],
            created=header["created"],
            training=header["training"],
            signature=_checked_signature(path, tensors),
        )


def read_map_header(path: Path) -> dict[str, Any]:
    """Return what a map file says of itself, without reading its weights. Raises MapError."""
    return _parse(Path(path), read_header(Path(path), FORMAT, FORMAT_VERSION))


def _checked_signature(path: Path, tensors: dict[str, Tensor]) -> Tensor:
    signature = tensors.get(SIGNATURE, no_signature())
    if signature.dim() != 2 or signature.shape[1] != SIGNATURE_SIZE or len(signature) > MAX_SIGNATURES:
        raise MapError(f"{path}: damaged ace_ros map: its signature is {tuple(signature.shape)}")
    if not torch.isfinite(signature).all():
        raise MapError(f"{path}: damaged ace_ros map: a signature that is not finite numbers")
    return signature.half()


def _parse(path: Path, strings: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(strings["map"])
        shape = header["head"]
        checks = (
            header["heads"] == 1,
            0 < int(shape["channels"]) <= MAX_CHANNELS,
            0 < int(shape["width"]) <= MAX_WIDTH,
            0 <= int(shape["blocks"]) <= MAX_BLOCKS,
            len(header["centre"]) == 3 and all(math.isfinite(x) for x in header["centre"]),
            len(header["bounds"]) == 2 and all(len(corner) == 3 for corner in header["bounds"]),
            isinstance(header["training"], dict),
            all(isinstance(header[k], str) for k in ("encoder", "encoder_hash", "map_frame", "created")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MapError(f"{path}: damaged ace_ros map: its header has no usable {error}") from error
    if not all(checks):
        raise MapError(f"{path}: damaged ace_ros map: header values out of range")
    return dict(header)
