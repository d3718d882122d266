# SPDX-License-Identifier: Apache-2.0
"""Coarse depth of all mapping images, recorded or swept: where training starts.

The reprojection loss does the rest, but from a wrong depth it may end in a wrong place, or nowhere.
Depth that was recorded takes the place of what the sweep would find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ace_ros.compute.threads import in_threads
from ace_ros.config import TrainingConfig
from ace_ros.mapping.depth.depth_map import DepthMap, recorded_map, swept_map
from ace_ros.mapping.depth.plane_sweep import Swept, SweptImage, refine, sweep
from ace_ros.mapping.depth.recorded import recorded_depths
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.neighbours import NEIGHBOUR_RANKS, PROBED, RANK_FACTORS, distances, nearest_first

MIN_BASELINE_SHARE = 0.12  # of the depth, for the farthest neighbour
FINE_RANKS = (1, 2, 3, 4, 6, 8)  # of the second look
MAX_TURN_DEG = 45.0  # between the viewing directions of neighbours
MAX_SWEPT = 250  # images; what the others show was mostly seen by these
RECORDED_ENOUGH = 0.9  # share of the cells; where more have recorded depth, an image is not swept


def find_depths(
    images: EncodedImages, config: TrainingConfig, on_image: Callable[[int], None] = lambda done: None
) -> list[DepthMap]:
    """Return the depths of all images, recorded ones first where the config asks for them.

    `on_image` is called with the images read and swept so far, `depth_work` in all. Raises SceneError
    when an image cannot be read.
    """
    recorded: list[Tensor | None] = [None] * len(images)
    if config.use_depth:
        recorded = recorded_depths(images.frames, images.card.stride, config, on_image)
    unswept = depth_work(len(images), config) - len(swept_images(recorded))

    def image_of(index: int) -> SweptImage:
        pose, camera = images.frames[index].T_map_camera, images.cameras[index].to(images.device)
        return SweptImage(images.features(index).unit, camera, pose)

    scene = SceneSweep(images.T_map_camera, image_of, images.card.stride, images.device)
    return sweep_depths(scene, config.ray_depth_m, recorded, lambda done: on_image(unswept + done))


def depth_work(images: int, config: TrainingConfig) -> int:
    """Return how many images `find_depths` reads and sweeps at most."""
    return (images if config.use_depth else 0) + len(swept_images([None] * images))


def swept_images(recorded: Sequence[Tensor | None]) -> list[int]:
    """Return which images are swept: every one, or every n-th of many, that too little is recorded of."""
    images = range(0, len(recorded), max(1, -(-len(recorded) // MAX_SWEPT)))
    return [i for i in images if _recorded_share(recorded[i]) < RECORDED_ENOUGH]


def _recorded_share(recorded: Tensor | None) -> float:
    return 0.0 if recorded is None else float((recorded > 0).float().mean())


@dataclass(frozen=True)
class SceneSweep:
    """Images that are swept against each other, by their poses (I, 4, 4).

    `image_of` returns an image, its features on `device`; several threads call it. Ranks of neighbours
    are multiplied by `rank_factor`.
    """

    T_map_camera: Tensor
    image_of: Callable[[int], SweptImage]
    stride: int
    device: torch.device
    rank_factor: int = 1

    def with_ranks_for(self, probed: Sequence[int]) -> SceneSweep:
        """Return the sweep with neighbours from so far away that the depths of some images are told apart."""
        for factor in RANK_FACTORS:
            scene = replace(self, rank_factor=factor)
            swept = in_threads(scene._sweep, probed, self.device)
            found = [f for f in swept if f is not None and f.sure.any()]
            shares = [f.baseline / float(f.depth[f.sure].median()) for f in found]
            if not shares or sorted(shares)[len(shares) // 2] > MIN_BASELINE_SHARE:
                break
        return scene

    def depths(self, indices: Sequence[int]) -> Iterator[Swept | None]:
        """Yield the depths of images in both looks; None if none of an image is sure."""
        return in_threads(self._depths, indices, self.device)

    def _depths(self, index: int) -> Swept | None:
        found = self._sweep(index)
        if found is None or not found.sure.any():
            return None
        neighbours = self._neighbours(distances(self.T_map_camera, index, MAX_TURN_DEG), FINE_RANKS)
        return refine(self.image_of(index), [self.image_of(j) for j in neighbours], found, self.stride)

    def _sweep(self, index: int) -> Swept | None:
        """Return the depths of an image at the first look; None if it has no neighbours."""
        distance = distances(self.T_map_camera, index, MAX_TURN_DEG)
        neighbours = self._neighbours(distance, NEIGHBOUR_RANKS)
        if not neighbours:
            return None
        baseline = float(distance[neighbours[-1]])
        images = [self.image_of(j) for j in neighbours]
        return sweep(self.image_of(index), images, baseline, self.stride)

    def _neighbours(self, distance: Tensor, ranks: tuple[int, ...]) -> list[int]:
        """Return the images of some ranks by their distances (I,), the nearest first."""
        ordered = nearest_first(distance)
        places = {min(rank * self.rank_factor, len(ordered)) - 1 for rank in ranks}
        return [ordered[place] for place in sorted(places)] if ordered else []


def sweep_depths(
    scene: SceneSweep,
    fallback_m: float,
    recorded: Sequence[Tensor | None] = (),
    on_image: Callable[[int], None] = lambda done: None,
) -> list[DepthMap]:
    """Return the depths of each of I images.

    `recorded` has for every image, or for none, the recorded depths (h, w) of its feature cells in
    metres, 0 where there is none, or None: they are taken as they are. Where nothing is recorded and
    nothing matches, depths are filled in from around; an image that no other one overlaps has the median
    of the scene, and a scene without any match `fallback_m`. Of more than MAX_SWEPT images some are
    left out; they have the map of the nearest one that was not. `on_image` is called with the images
    swept.
    """
    T, stride = scene.T_map_camera, scene.stride
    recorded = recorded or [None] * len(T)
    maps = {i: recorded_map(d, stride) for i, d in enumerate(recorded) if d is not None and (d > 0).any()}
    known = [d[d > 0] for d in recorded if d is not None]
    swept = swept_images(recorded)
    scene = scene.with_ranks_for(swept[:: max(1, len(swept) // PROBED)])
    for done, (index, found) in enumerate(zip(swept, scene.depths(swept), strict=True)):
        if found is not None:
            maps[index] = swept_map(found, recorded[index], stride)
            known.append(found.depth[found.sure].cpu())
        on_image(done + 1)
    median = float(torch.cat(known).median()) if maps else fallback_m
    default = DepthMap(torch.full((1, 1), median), stride)
    sources = torch.tensor(sorted(maps), dtype=torch.long)
    return [maps.get(_source(T, i, sources), default) for i in range(len(T))]


def _source(T_map_camera: Tensor, index: int, swept: Tensor) -> int:
    """Return which of the swept images lends its depths to image `index`, -1 if none looks the same way."""
    distance = distances(T_map_camera, index, MAX_TURN_DEG)[swept]
    return int(swept[distance.argmin()]) if len(swept) and torch.isfinite(distance.min()) else -1
