# SPDX-License-Identifier: Apache-2.0
"""From an image to a place of an atlas and the pose in it.

Global descriptors and what is known before say which places to try; whether an image was taken in one
of them is decided by the pose solver alone: how much of the image agrees with a pose.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ace_ros.atlas.folder import map_path
from ace_ros.atlas.index import AtlasIndex, Place, read_index
from ace_ros.compute.precision import autocast, choose_device
from ace_ros.config import AtlasConfig, RansacConfig
from ace_ros.errors import MapError
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse, transform
from ace_ros.localization.disambiguation import candidate_of, disambiguate
from ace_ros.localization.loaded_map import Prediction
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.localization.rules import BOUNDS_MARGIN_M
from ace_ros.maps.global_descriptor import global_descriptor
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.input import encoder_input
from ace_ros.pnp import PoseBatch, Reason

SIMILARITY_MARGIN = 0.05  # places so nearly as similar to an image as the known one are tried too
LOOK_ALIKES = 8  # of a place, kept in mind while the robot is in it
BYTES_READY_PER_FILE_BYTE = 2.0  # weights are halved in files
RETRY_S = 30.0  # after which a map that could not be used is looked at again


@dataclass(frozen=True, eq=False)
class Hint:
    """What is known of where an image was taken; any part may be missing.

    `place` is the one to try first. `map_frame` and `point` (3,) float64, in metres, say where in a
    frame the camera should be, to a few metres. `position` is latitude and longitude in degrees:
    places farther than `radius_m` from it are not tried.
    """

    place: str = ""
    map_frame: str = ""
    point: Tensor | None = None
    position: tuple[float, float] | None = None
    radius_m: float = 100.0


@dataclass(frozen=True, eq=False)
class Trial:
    """What became of an image in one place."""

    place: Place
    similarity: float  # of descriptors, NaN for a place that has none
    found: Prediction
    poses: PoseBatch
    relocalizer: Relocalizer

    @property
    def scene_map(self) -> SceneMap:
        """The map of the place."""
        return self.relocalizer.scene_map

    @property
    def ok(self) -> bool:
        """Whether the pose is believed."""
        return bool(self.poses.ok[0])

    @property
    def seen(self) -> Tensor:
        """The points (1, N, 3) of the image as the chunk sees them with which the pose agrees."""
        points = self.found.points
        if len(points) == 1 or not self.ok:
            return points[:1]
        inliers = self.poses.inliers[0]
        local = transform(inverse(self.poses.T_map_camera[0]), points[:, inliers]).cpu()
        errors = (self.found.camera.project(local) - self.found.pixels[inliers].cpu()).norm(dim=-1)
        row = int(errors.nan_to_num(nan=float("inf")).median(dim=1).values.argmin())
        return points[row : row + 1]

    @property
    def inlier_share(self) -> float:
        """The share of the image that agrees with the pose."""
        return float(self.poses.inliers[0].float().mean())


@dataclass(frozen=True)
class Finding:
    """Which place of an atlas an image shows.

    `trials` are of all places tried, the best first, which is the answer if `reason` is NONE.
    `unusable` says why places that should have been tried could not be.
    """

    reason: Reason
    trials: list[Trial]
    unusable: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """Return a sentence for a person."""
        fitting = [trial.place.name for trial in self.trials if trial.ok]
        if self.reason is Reason.NONE:
            text = f"the image shows {fitting[0]}"
        elif self.reason is Reason.AMBIGUOUS_PLACE:
            text = f"the image fits more than one place: {', '.join(fitting)}"
        else:
            tried = ", ".join(trial.place.name for trial in self.trials) or "none"
            text = f"the image shows no place that was tried ({tried})"
        return "; ".join([text, *(f"not tried: {why}" for why in self.unusable)])


class PlaceFinder:
    """An atlas in use, on a device.

    Places that were used lately stay ready, within a limit of memory. `encoder` is for atlases whose
    encoder lies elsewhere than where their maps were trained. Raises MapError when the index or the
    encoder cannot be used. Not for several threads at a time.
    """

    def __init__(
        self,
        folder: Path,
        ransac: RansacConfig | None = None,
        config: AtlasConfig | None = None,
        device: str = "auto",
        encoder: LoadedEncoder | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.index: AtlasIndex = read_index(self.folder)
        self._ransac, self.config = ransac or RansacConfig(), config or AtlasConfig()
        self.device = choose_device(device)
        encoder = encoder or load_encoder(self.index.encoder)
        if encoder.content_hash != self.index.encoder_hash:
            raise MapError(
                f"the atlas {self.folder} belongs to encoder {self.index.encoder} of hash "
                f"{self.index.encoder_hash}, the one here has {encoder.content_hash}"
            )
        encoder = encoder.to(self.device)
        self._encoder = replace(encoder, module=_Remembering(encoder.module))
        self._ready: OrderedDict[int, Relocalizer] = OrderedDict()
        self._unusable: dict[int, tuple[float, str]] = {}  # since when, and why
        self._look_alikes: tuple[int, np.ndarray] | None = None  # of the newest hint's place

    def find(
        self,
        image: np.ndarray,
        camera: Camera,
        hint: Hint | None = None,
        ransac: RansacConfig | None = None,
    ) -> Finding:
        """Return which place an image (H, W) or (H, W, 3) BGR, uint8, shows, and its pose there.

        `ransac` replaces the options that the finder was made with, for this image. Raises CameraError
        when it is no image or the camera is one of another size.
        """
        hint, ransac = hint or Hint(), ransac or self._ransac
        query = global_descriptor(self._features(image, camera).flatten(1).T).cpu()
        trials: list[Trial] = []
        unusable: list[str] = []
        for numbers in self._rounds(query, hint):
            tried: list[Trial] = []
            for number in numbers:
                try:
                    tried.append(self._try(number, query, image, camera, hint, ransac))
                except MapError as error:  # the others may still be the one
                    unusable.append(str(error))
            if not any(trial.ok for trial in tried):  # a search takes time: only if no head knows the image
                tried = [replace(t, poses=t.relocalizer.search(t.found, t.poses)) for t in tried]
            trials += tried
            if any(trial.ok for trial in trials):
                break
        reason, trials = decide(trials, hint, ransac.ambiguous_share)
        return Finding(reason, trials, unusable)

    @property
    def ready(self) -> list[str]:
        """The names of the places that are kept ready, the one used last at the end."""
        return [self.index[number].name for number in self._ready]

    def relocalizer(self, number: int) -> Relocalizer:
        """Return a place by its number, ready to use. Raises MapError when its map cannot be used."""
        since, why = self._unusable.get(number, (-RETRY_S, ""))
        if time.monotonic() - since < RETRY_S:
            raise MapError(why)
        if number in self._ready:
            self._ready.move_to_end(number)
            return self._ready[number]
        path = map_path(self.folder, self.index[number])
        try:
            made = Relocalizer(SceneMap.load(path), self._ransac, str(self.device), self._encoder)
        except (MapError, OSError) as error:
            why = str(error) if isinstance(error, MapError) else f"{path}: {error.strerror or error}"
            self._unusable[number] = time.monotonic(), why
            raise MapError(why) from error
        self._ready[number] = made
        self._make_room()
        return made

    def _make_room(self) -> None:
        limit = 1e6 * self.config.place_memory_mb / BYTES_READY_PER_FILE_BYTE
        sizes = {number: self.index[number].map_bytes for number in self._ready}
        while sum(sizes.values()) > limit and len(sizes) > 1:
            oldest, _ = self._ready.popitem(last=False)
            del sizes[oldest]

    def _features(self, image: np.ndarray, camera: Camera) -> Tensor:
        """Return the features (C, h, w) of an image; the encoder remembers them for the places."""
        batch = encoder_input(image, camera, self._encoder.card.stride, self.device)
        with torch.inference_mode(), autocast(self.device):
            features: Tensor = self._encoder.module(batch)
        return features[0]

    def _try(
        self,
        number: int,
        query: Tensor,
        image: np.ndarray,
        camera: Camera,
        hint: Hint,
        ransac: RansacConfig,
    ) -> Trial:
        relocalizer, place = self.relocalizer(number), self.index[number]
        expected = hint.point if hint.map_frame == place.map_frame else None
        found = relocalizer.predict(image, camera, expected, ransac)
        poses = relocalizer.decide(found, search=False)
        return Trial(place, self._similarity(number, query), found, poses, relocalizer)

    def _rounds(self, query: Tensor, hint: Hint) -> Iterator[list[int]]:
        """Yield numbers of places to try, the next ones only if none before gave a pose."""
        tried: list[int] = []
        known = self.index.find(hint.place) if hint.place else None
        if known is not None:
            similar = self._similarity(known, query)
            look_alikes = self._alike(known)
            similar -= SIMILARITY_MARGIN
            tried = [known, *(n for n in look_alikes if self._similarity(n, query) >= similar)]
            yield tried
        if hint.map_frame and hint.point is not None:
            around = self.index.around(hint.map_frame, hint.point, BOUNDS_MARGIN_M)
            some = self._most_similar(query, around, tried)
            tried = [*tried, *some]
            yield some
        near = None if hint.position is None else self.index.near(hint.position, hint.radius_m)
        yield self._most_similar(query, near, tried)

    def _most_similar(self, query: Tensor, among: np.ndarray | None, tried: list[int]) -> list[int]:
        """Return the places to try that look most like an image, but for those tried already."""
        wanted = self.config.place_candidates
        ranked = [n for n, _ in self.index.rank(query, wanted + len(tried), among)]
        if among is not None:  # a place without a descriptor may be the one as well
            ranked += [int(n) for n in among if not len(self.index.descriptors(int(n)))]
        return [n for n in ranked if n not in tried][:wanted]

    def _alike(self, number: int) -> list[int]:
        """Return the places that look most like a place, itself left out."""
        if self._look_alikes is None or self._look_alikes[0] != number:
            own = self.index.descriptors(number).float()
            ranked = self.index.rank(own.mean(0), LOOK_ALIKES + 1) if len(own) else []
            self._look_alikes = number, np.array([n for n, _ in ranked if n != number], dtype=np.int64)
        return [int(n) for n in self._look_alikes[1]]

    def _similarity(self, number: int, query: Tensor) -> float:
        own = self.index.descriptors(number).float()
        return float((own @ query).max()) if len(own) else float("nan")


def decide(trials: list[Trial], hint: Hint, ambiguous_share: float) -> tuple[Reason, list[Trial]]:
    """Return what trials say together, and the trials with the answer first."""
    candidates = [candidate_of(t.poses, t.seen, 0, t.place.map_frame) for t in trials]
    order, ambiguous = disambiguate(candidates, ambiguous_share, hint.point, hint.map_frame)
    trials = [trials[n] for n in order]
    if not trials or not trials[0].ok:
        return Reason.UNKNOWN_PLACE, trials
    return Reason.AMBIGUOUS_PLACE if ambiguous else Reason.NONE, trials


class _Remembering(nn.Module):
    """An encoder that all places share: it encodes an image once, however many places are tried."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self._encoder = encoder
        self._newest: tuple[Tensor, Tensor] | None = None

    def forward(self, grey: Tensor) -> Tensor:
        """Return features (B, C, h, w) of grey images (B, 1, H, W)."""
        if self._newest is None or not torch.equal(self._newest[0], grey):
            self._newest = grey, self._encoder(grey)
        return self._newest[1]
