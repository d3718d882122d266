# SPDX-License-Identifier: Apache-2.0
"""A map on a device, and what it says of images before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ace_ros.compute.precision import autocast, choose_device
from ace_ros.config import RansacConfig
from ace_ros.errors import MapError
from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import Landmarks, unit_cells
from ace_ros.localization.rules import LOOK_STEP, around, explain_enough, finalists
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder import cell_centres
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.head_ensemble import HeadEnsemble
from ace_ros.network.input import encoder_input, network_size
from ace_ros.pnp.support import pose_support


@dataclass(frozen=True)
class Query:
    """What is asked of images: options of the pose solver, and where the camera is `expected`.

    That is a position (3,) float64 in the map frame, good to a few metres, None where it is not known.
    """

    ransac: RansacConfig
    expected: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the map says of B images of one camera: pixels (N, 2) and their points (M, N, 3).

    Pixels are float32 in the images as given; points are float64 in the map frame, in metres. Each
    of the M >= B rows is how one chunk of the map, `chunk` (M,), explains one image, `image` (M,).
    `features` (B, C, h, w) are what the encoder sees, on the map's device as all else.
    """

    pixels: Tensor
    points: Tensor
    camera: Camera
    image: Tensor
    chunk: Tensor
    features: Tensor
    query: Query

    @cached_property
    def resized_camera(self) -> Camera:
        """The camera of the images as the encoder sees them, on the map's device."""
        return self.camera.resize(*network_size(*self.camera.size)).to(self.features.device)

    @property
    def resized_pixels(self) -> Tensor:
        """The pixels (N, 2) in the images as the encoder sees them."""
        size = network_size(*self.camera.size)
        scale = self.pixels.new_tensor([size[0] / self.camera.size[0], size[1] / self.camera.size[1]])
        return (self.pixels + 0.5) * scale - 0.5  # about the image corner

    @cached_property
    def cells(self) -> Tensor:
        """The features (B, h, w, C) as landmarks are looked for in them."""
        return unit_cells(self.features)


@dataclass(frozen=True, eq=False)
class LoadedMap:
    """A map on a device: heads, centres (K, 3) and bounds (K, 2, 3) of its K chunks, and their landmarks.

    `landmarks` is empty where they are not to be used.
    """

    scene_map: SceneMap
    device: torch.device
    encoder: nn.Module
    stride: int
    heads: HeadEnsemble
    centres: Tensor
    bounds: Tensor
    landmarks: tuple[Landmarks, ...]

    @property
    def most_inliers(self) -> float:
        """The share of mapping images that is right: the most that can be hoped for of others."""
        return float(self.scene_map.training.get("inlier_share", 1.0))

    @property
    def has_landmarks(self) -> bool:
        """Whether any chunk has landmarks that may be used."""
        return any(map(len, self.landmarks))

    def predict(self, images: np.ndarray, camera: Camera, query: Query) -> Prediction:
        """Return what the map says of images (H, W), (H, W, 3) BGR or (B, H, W), uint8, of one camera."""
        size = network_size(*camera.size)
        batch = encoder_input(images, camera, self.stride, self.device)
        cells = cell_centres(batch.shape[2], batch.shape[3], self.stride, self.device)
        with torch.inference_mode():
            with autocast(self.device):
                features = self.encoder(batch)
            image, chunk = self._candidates(features, cells, camera.resize(*size).to(self.device), query)
            points = self.heads(features.flatten(2).transpose(1, 2)[image], chunk)  # (M, N, 3)
            points = points.double() + self.centres[chunk, None]
        # From the resized image back to the given one, about the image corner.
        scale = cells.new_tensor([camera.size[0] / size[0], camera.size[1] / size[1]])
        return Prediction((cells + 0.5) * scale - 0.5, points, camera, image, chunk, features, query)

    def _candidates(
        self, features: Tensor, cells: Tensor, camera: Camera, query: Query
    ) -> tuple[Tensor, Tensor]:
        """Return which images (M,) are worth to be explained by which chunks (M,).

        `features` (B, C, h, w) are of cells (h w, 2) of a resized `camera`.
        """
        images = torch.arange(len(features), device=self.device)
        if len(self.heads) == 1:
            return images, torch.zeros_like(images)
        rows = torch.arange(len(cells), device=self.device).view(features.shape[2:])
        rows = rows[1::LOOK_STEP, 1::LOOK_STEP].flatten()
        some = features.flatten(2).transpose(1, 2)[:, rows]
        chosen = [self._looked_at(row[None], cells[rows], camera, query) for row in some]
        return torch.cat([images[i].expand(len(c)) for i, c in enumerate(chosen)]), torch.cat(chosen)

    def _looked_at(self, features: Tensor, pixels: Tensor, camera: Camera, query: Query) -> Tensor:
        """Return the chunks (m,) worth to explain an image of which features (1, n, C) are a few."""

        def support(chunks: Tensor) -> Tensor:
            points = self.heads(features.expand(len(chunks), -1, -1), chunks)
            return pose_support(pixels.expand(len(chunks), -1, -1), points, camera, query.ransac)

        expected = around(query.expected, self.bounds)
        chunks, others = (mask.nonzero()[:, 0].to(self.device) for mask in (expected, ~expected))
        share = support(chunks) if len(chunks) else pixels.new_zeros(0)
        if len(others) and not explain_enough(share, self.most_inliers, query.ransac):
            chunks, share = torch.cat([chunks, others]), torch.cat([share, support(others)])
        return chunks[finalists(share, query.ransac)]


def load(
    scene_map: SceneMap, device: str, encoder: LoadedEncoder | None = None, use_landmarks: bool = True
) -> LoadedMap:
    """Return a map on a device. Raises MapError when its encoder is not there or is another one."""
    chosen = choose_device(device)
    encoder = encoder or load_encoder(scene_map.encoder)
    heads = [chunk.head for chunk in scene_map.chunks]
    if encoder.content_hash != scene_map.encoder_hash:
        raise MapError(
            f"the map was trained with encoder {scene_map.encoder} of hash {scene_map.encoder_hash}, "
            f"the one here has {encoder.content_hash}; "
            "train the map again, or bring the encoder that it belongs to"
        )
    if encoder.card.channels != heads[0].channels:
        raise MapError(
            f"the map's head takes {heads[0].channels} channels, "
            f"encoder {encoder.card.name} gives {encoder.card.channels}"
        )
    return LoadedMap(
        scene_map=scene_map,
        device=chosen,
        encoder=encoder.to(chosen).module,
        stride=encoder.card.stride,
        heads=HeadEnsemble(heads, chosen),
        centres=torch.stack([chunk.centre for chunk in scene_map.chunks]).to(chosen),
        bounds=torch.stack([chunk.bounds for chunk in scene_map.chunks]),
        landmarks=tuple(c.landmarks.to(chosen) for c in scene_map.chunks) if use_landmarks else (),
    )
