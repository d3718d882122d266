# SPDX-License-Identifier: Apache-2.0
"""From images to poses: the one path that the localizer node and the command line share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.errors import CameraError, MapError
from ace_ros.geometry.camera import Camera
from ace_ros.network.encoder import cell_centres
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.input import network_batch, network_size
from ace_ros.network.precision import autocast, choose_device
from ace_ros.pnp import PoseBatch, solve_pose
from ace_ros.scene_map import SceneMap


@dataclass(frozen=True)
class Correspondences:
    """What the map sees in B images of one camera: pixels (N, 2) and their points (B, N, 3).

    Pixels are float32 in the images as given; points are float64 in the map frame, in metres.
    """

    pixels: Tensor
    points: Tensor
    camera: Camera


class Relocalizer:
    """A loaded map on a device.

    `encoder` is for maps whose encoder lies elsewhere than where they were trained. Raises MapError
    when the map's encoder is not there or is another one.
    """

    def __init__(
        self,
        scene_map: SceneMap,
        ransac: RansacConfig | None = None,
        device: str = "auto",
        encoder: LoadedEncoder | None = None,
    ) -> None:
        self.scene_map = scene_map
        self.ransac = ransac or RansacConfig()
        self.device = choose_device(device)
        encoder = encoder or load_encoder(scene_map.encoder)
        if encoder.content_hash != scene_map.encoder_hash:
            raise MapError(
                f"the map was trained with encoder {scene_map.encoder} of hash {scene_map.encoder_hash}, "
                f"the one here has {encoder.content_hash}; "
                "train the map again, or bring the encoder that it belongs to"
            )
        if encoder.card.channels != scene_map.head.channels:
            raise MapError(
                f"the map's head takes {scene_map.head.channels} channels, "
                f"encoder {encoder.card.name} gives {encoder.card.channels}"
            )
        self._stride = encoder.card.stride
        self._encoder = encoder.module.to(self.device, memory_format=torch.channels_last)
        self._head = scene_map.head.to(self.device)
        self._centre = scene_map.centre.to(self.device)

    def localize(self, images: np.ndarray, camera: Camera) -> PoseBatch:
        """Return the poses of images (H, W), (H, W, 3) BGR or (B, H, W), uint8, of one camera.

        Raises CameraError when the images are no images or the camera is one of another size.
        """
        return self.solve(self.predict(images, camera))

    def predict(self, images: np.ndarray, camera: Camera) -> Correspondences:
        """Return where the map places the pixels of images; arguments and errors as in `localize`."""
        stride, size = self._stride, network_size(*camera.size)
        resized = network_batch(grey_batch(images, camera), stride)
        height, width = resized.shape[1:]
        batch = torch.from_numpy(resized)[:, None].to(self.device).float() / 255.0
        with torch.inference_mode(), autocast(self.device):
            features = self._encoder(batch.contiguous(memory_format=torch.channels_last))
            points = self._head(features.flatten(2).transpose(1, 2))  # (B, N, 3)
        cells = cell_centres(height, width, stride, self.device)
        # From the resized image back to the given one, about the image corner.
        scale = cells.new_tensor([camera.size[0] / size[0], camera.size[1] / size[1]])
        pixels = (cells + 0.5) * scale - 0.5
        return Correspondences(pixels, points.double() + self._centre, camera)

    def solve(self, found: Correspondences) -> PoseBatch:
        """Return the poses that explain correspondences.

        Inlier thresholds count in pixels of the resized image, so they mean the same for any camera.
        """
        size = network_size(*found.camera.size)
        scale = found.pixels.new_tensor([size[0] / found.camera.size[0], size[1] / found.camera.size[1]])
        pixels = (found.pixels + 0.5) * scale - 0.5
        camera = found.camera.resize(*size).to(self.device)
        batch = pixels.expand(len(found.points), -1, -1)
        return solve_pose(batch, found.points, camera, self.ransac)


def grey_batch(images: np.ndarray, camera: Camera) -> np.ndarray:
    """Return images as a checked grey batch (B, H, W) uint8; arguments and errors as in `localize`."""
    if images.dtype != np.uint8 or images.ndim not in (2, 3) or 0 in images.shape:
        raise CameraError(
            f"images must be uint8 (H, W), (H, W, 3) or (B, H, W), got {images.dtype} {images.shape}"
        )
    if images.ndim == 3 and images.shape[2] == 3:
        images = cv2.cvtColor(images, cv2.COLOR_BGR2GRAY)
    batch = images[None] if images.ndim == 2 else images
    width, height = camera.size
    if batch.shape[1:] != (height, width):
        raise CameraError(
            f"the image is {batch.shape[2]}x{batch.shape[1]}, its camera_info says {width}x{height}"
        )
    return batch
