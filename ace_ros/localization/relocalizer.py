# SPDX-License-Identifier: Apache-2.0
"""From images to poses: the one path that the localizer node and the command line share."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.geometry.camera import Camera
from ace_ros.localization.decision import decide, search
from ace_ros.localization.loaded_map import Prediction, Query, load
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import LoadedEncoder
from ace_ros.pnp import PoseBatch


class Relocalizer:
    """A map in use on a device. It keeps nothing of one image for the next.

    `ransac` are the options for images that come without their own. `encoder` is for maps whose
    encoder lies elsewhere than where they were trained; it stays on its device. Without
    `use_landmarks` poses are what the heads alone say. Raises MapError when the map's encoder is not
    there or is another one.
    """

    def __init__(
        self,
        scene_map: SceneMap,
        ransac: RansacConfig | None = None,
        device: str = "auto",
        encoder: LoadedEncoder | None = None,
        use_landmarks: bool = True,
    ) -> None:
        self.scene_map = scene_map
        self._ransac = ransac or RansacConfig()
        self._place = load(scene_map, device, encoder, use_landmarks)
        self.device = self._place.device

    def localize(
        self,
        images: np.ndarray,
        camera: Camera,
        expected: Tensor | None = None,
        ransac: RansacConfig | None = None,
    ) -> PoseBatch:
        """Return the poses of images (H, W), (H, W, 3) BGR or (B, H, W), uint8, of one camera.

        `expected` (3,) float64 says where in the map frame the camera should be, to a few metres, if
        that is known. Chunks elsewhere are then looked at only if those around it leave a doubt, of
        chunks that look alike the expected one is believed, and landmarks refute no pose within a
        metre of it. Raises CameraError when the images are no images or the camera is one of another
        size.
        """
        return self.decide(self.predict(images, camera, expected, ransac))

    def predict(
        self,
        images: np.ndarray,
        camera: Camera,
        expected: Tensor | None = None,
        ransac: RansacConfig | None = None,
    ) -> Prediction:
        """Return where the map places the pixels of images; arguments and errors as in `localize`."""
        return self._place.predict(images, camera, Query(ransac or self._ransac, expected))

    def decide(self, seen: Prediction, search: bool = True) -> PoseBatch:
        """Return the poses that explain a prediction; see `decision.decide`."""
        return decide(self._place, seen, search)

    def search(self, seen: Prediction, poses: PoseBatch) -> PoseBatch:
        """Return poses that were decided without search, and those that a search for landmarks adds."""
        return search(self._place, seen, poses)
