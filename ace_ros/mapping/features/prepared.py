# SPDX-License-Identifier: Apache-2.0
"""Prepared features on disk while a map is trained, so that a killed training need not prepare them again."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ace_ros.compute.memory import buffer_room
from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame
from ace_ros.files.whole import hold, new_file_by_name
from ace_ros.mapping.features.buffer import FeatureBuffer, bytes_per_feature

logger = logging.getLogger(__name__)

VERSION = "1"
# The options that the features depend on; with others a training may go on from the same features.
PREPARING = (
    "buffer_features", "views_per_image", "max_views", "rotation_deg", "scale", "light", "ray_depth_m",
    "seed", "refine_poses", "refine_focal", "use_depth",
)  # fmt: skip


ANY_PREPARED = ".*.prepared.safetensors"


@dataclass
class PreparedFile:
    """Where the prepared features of a training are kept, and whether to go on from those that are there."""

    path: Path
    resume: bool = False
    _held: BinaryIO | None = field(default=None, repr=False, compare=False)

    def hold(self) -> None:
        """Say that a living training uses the file: those of dead ones are removed."""
        self._held = hold(self.path)


def prepared_path(map_path: Path) -> Path:
    """Return where the prepared features of a map are kept until the map is there."""
    return map_path.with_name(f".{map_path.stem}.prepared.safetensors")


def fingerprint(frames: tuple[Frame, ...], encoder_hash: str, config: TrainingConfig) -> str:
    """Return a hash of all that prepared features depend on."""
    options = asdict(config)
    digest = hashlib.sha256(json.dumps([VERSION, encoder_hash, {k: options[k] for k in PREPARING}]).encode())
    for frame in frames:
        status, camera = frame.image_path.stat(), frame.camera
        distortion = [] if camera.distortion is None else camera.distortion.tolist()
        digest.update(repr((frame.image_path.name, status.st_size, status.st_mtime_ns)).encode())
        if config.use_depth and frame.depth_path:
            status = frame.depth_path.stat()
            digest.update(repr((frame.depth_path.name, status.st_size, status.st_mtime_ns)).encode())
        digest.update(repr((camera.matrix.tolist(), camera.size, camera.model, distortion)).encode())
        digest.update(frame.T_map_camera.numpy().tobytes())
    return digest.hexdigest()


def save_prepared(path: Path, buffer: FeatureBuffer, key: str) -> None:
    """Write a buffer in one step. A disk that cannot take it is worth a warning, not the training."""
    tensors = {k: v.cpu().contiguous() for k, v in vars(buffer).items()}
    try:
        with new_file_by_name(path) as made:
            save_file(tensors, made, {"fingerprint": key})
    except (OSError, SafetensorError) as error:
        logger.warning("%s: prepared features are not kept: %s", path, error)


def load_prepared(path: Path, key: str, device: torch.device) -> FeatureBuffer | None:
    """Return the buffer in a file, None if there is none or it is of other images or options."""
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("fingerprint") != key:
                logger.warning("%s: prepared from other images or with other options; prepared anew", path)
                return None
            buffer = FeatureBuffer(*(file.get_tensor(name) for name in FeatureBuffer.__dataclass_fields__))
    except FileNotFoundError:
        logger.warning("%s: no prepared features to go on from; prepared anew", path)
        return None
    except (OSError, SafetensorError) as error:
        logger.warning("%s: damaged, prepared anew: %s", path, error)
        return None
    return buffer.to(buffer_room(len(buffer), bytes_per_feature(buffer.features.shape[1]), device)[0])
