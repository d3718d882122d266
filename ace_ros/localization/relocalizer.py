# SPDX-License-Identifier: Apache-2.0
"""From images to poses: the one path that the localizer node and the command line share."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from ace_ros.compute.precision import autocast, choose_device
from ace_ros.config import RansacConfig
from ace_ros.errors import MapError
from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import unit_cells
from ace_ros.landmarks.matching import likeness
from ace_ros.landmarks.pose import LandmarkPose, pose_from_landmarks
from ace_ros.landmarks.refinement import refine_on_landmarks
from ace_ros.localization.disambiguation import PoseCandidate, candidate_of, disambiguate
from ace_ros.maps.scene_map import TYPICAL_COVARIANCE_SCALE, SceneMap
from ace_ros.network.encoder import cell_centres
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.head_ensemble import HeadEnsemble
from ace_ros.network.input import encoder_input, network_size
from ace_ros.pnp import PoseBatch, Reason, solve_pose
from ace_ros.pnp.solve import without
from ace_ros.pnp.support import pose_support

# All chunks are looked at on every fourth cell each way. The best one is evaluated in full, and the
# second where its share of right points is so near that a few cells cannot tell which has more, and
# more than chance. So are those of which one has to know that they do not place the image elsewhere
# just as well.
LOOK_STEP = 4
NEAR_SHARE, NEAR_RATIO = 0.1, 0.7
KNOWING_SHARE = 0.4  # of the least share of a pose: a look finds that much of it, and by chance half of that
MAX_FINALISTS, MAX_ALTERNATIVES = 2, 4
# A chunk with this share of the likeness of the most similar one may be where the image is from, too.
# Other rooms of a building, with the same doors and windows, had 0.5 in the median and 0.71 at most.
ALIKE = 0.75
NEAR_EXPECTED_M = 1.0  # a pose so near to where the camera is expected needs no landmarks
BOUNDS_MARGIN_M = 2.0  # around the bounds of a chunk or place, for a robot whose pose there is expected


@dataclass(frozen=True)
class Correspondences:
    """What the map sees in B images of one camera: pixels (N, 2) and their points (M, N, 3).

    Pixels are float32 in the images as given; points are float64 in the map frame, in metres. Each
    of the M >= B rows is how one chunk of the map, `chunk` (M,), explains one image, `image` (M,).
    `features` (B, C, h, w) are what the encoder sees.
    """

    pixels: Tensor
    points: Tensor
    camera: Camera
    image: Tensor
    chunk: Tensor
    features: Tensor


class Relocalizer:
    """A loaded map on a device.

    `expected` (3,) float64 may be set before an image: where in the map frame the camera should be,
    to a few metres, None where that is not known. Chunks elsewhere are then looked at only if those
    around it leave a doubt, of chunks that look alike the expected one is believed, and landmarks refute
    no pose within a metre of it. `encoder` is for maps whose encoder lies elsewhere than where they were
    trained. Without `use_landmarks` poses are what the heads alone say. Raises MapError when the map's
    encoder is not there or is another one.
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
        self.ransac = ransac or RansacConfig()
        self.device = choose_device(device)
        encoder = encoder or load_encoder(scene_map.encoder)
        if encoder.content_hash != scene_map.encoder_hash:
            raise MapError(
                f"the map was trained with encoder {scene_map.encoder} of hash {scene_map.encoder_hash}, "
                f"the one here has {encoder.content_hash}; "
                "train the map again, or bring the encoder that it belongs to"
            )
        heads = [chunk.head for chunk in scene_map.chunks]
        if encoder.card.channels != heads[0].channels:
            raise MapError(
                f"the map's head takes {heads[0].channels} channels, "
                f"encoder {encoder.card.name} gives {encoder.card.channels}"
            )
        self.expected: Tensor | None = None
        # The share of mapping images that is right is the most that can be hoped for of others.
        self._most = float(scene_map.training.get("inlier_share", 1.0))
        self._bounds = torch.stack([chunk.bounds for chunk in scene_map.chunks])
        self._stride = encoder.card.stride
        self._encoder = encoder.module.to(self.device, memory_format=torch.channels_last)
        self._heads = HeadEnsemble(heads, self.device)
        self._centres = torch.stack([chunk.centre for chunk in scene_map.chunks]).to(self.device)
        self._landmarks = [c.landmarks.to(self.device) for c in scene_map.chunks] if use_landmarks else []

    def localize(self, images: np.ndarray, camera: Camera) -> PoseBatch:
        """Return the poses of images (H, W), (H, W, 3) BGR or (B, H, W), uint8, of one camera.

        Raises CameraError when the images are no images or the camera is one of another size.
        """
        return self.solve(self.predict(images, camera))

    def predict(self, images: np.ndarray, camera: Camera) -> Correspondences:
        """Return where the map places the pixels of images; arguments and errors as in `localize`."""
        stride, size = self._stride, network_size(*camera.size)
        batch = encoder_input(images, camera, stride, self.device)
        cells = cell_centres(*batch.shape[2:], stride, self.device)
        with torch.inference_mode():
            with autocast(self.device):
                features = self._encoder(batch)
            image, chunk = self._candidates(features, cells, camera.resize(*size).to(self.device))
            points = self._heads(features.flatten(2).transpose(1, 2)[image], chunk)  # (M, N, 3)
            points = points.double() + self._centres[chunk, None]
        # From the resized image back to the given one, about the image corner.
        scale = cells.new_tensor([camera.size[0] / size[0], camera.size[1] / size[1]])
        return Correspondences((cells + 0.5) * scale - 0.5, points, camera, image, chunk, features)

    def solve(self, found: Correspondences, match: bool = True) -> PoseBatch:
        """Return the poses (B) that explain correspondences: of each image the one with most inliers.

        If chunks place an image at two poses and neither has many more inliers, it has none:
        AMBIGUOUS_PLACE. A pose is refined on landmarks where enough of them agree, and is none where
        hardly any do. If `match`, landmarks are matched with images of which the heads give no pose that
        they confirm. Inlier thresholds count in pixels of the resized image, so they mean the same for any
        camera.
        """
        size = network_size(*found.camera.size)
        scale = found.pixels.new_tensor([size[0] / found.camera.size[0], size[1] / found.camera.size[1]])
        pixels = (found.pixels + 0.5) * scale - 0.5
        camera = found.camera.resize(*size).to(self.device)
        solved = solve_pose(pixels.expand(len(found.points), -1, -1), found.points, camera, self.ransac)
        winner, ambiguous = self._chosen(found, solved)
        poses = PoseBatch(*(getattr(solved, f.name)[winner] for f in fields(PoseBatch)))
        poses = without(poses, ambiguous, Reason.AMBIGUOUS_PLACE)
        if not any(map(len, self._landmarks)):
            return replace(poses, covariance=self.scene_map.covariance_scale * poses.covariance)
        cells = unit_cells(found.features)
        poses, doubtful = self._refined_on_landmarks(poses, found.chunk[winner], camera, cells)
        return self._found_by_landmarks(poses, doubtful, found, cells) if match else poses

    def match(self, found: Correspondences, poses: PoseBatch) -> PoseBatch:
        """Return poses that `solve` gave without matching, and for images without one those by landmarks."""
        if not any(map(len, self._landmarks)) or bool(poses.ok.all()):
            return poses
        return self._found_by_landmarks(poses, ~poses.ok, found, unit_cells(found.features))

    def _found_by_landmarks(
        self, poses: PoseBatch, doubtful: Tensor, seen: Correspondences, cells: Tensor
    ) -> PoseBatch:
        """Return poses with those of `doubtful` images (B,) that landmarks know where heads do not."""
        if not doubtful.any():
            return poses
        camera = seen.camera.resize(*network_size(*seen.camera.size)).to(self.device)
        unclear = poses.reason == int(Reason.AMBIGUOUS_PLACE)
        T, covariance, inliers = (x.clone() for x in (poses.T_map_camera, poses.covariance, poses.inliers))
        ok, ambiguous = poses.ok.clone(), torch.zeros_like(doubtful)
        for image in doubtful.nonzero()[:, 0].tolist():
            alternatives = seen.chunk[(seen.image == image) & unclear[image]].tolist()
            found, ambiguous[image] = self._landmark_pose(cells[image], camera, alternatives)
            if found is not None:
                T[image], ok[image] = found.T_local_camera, True
                covariance[image] = self.scene_map.covariance_scale * found.covariance
                inliers[image] = False
                inliers[image, found.cells] = True
        reason = torch.where(ok, int(Reason.NONE), poses.reason).to(torch.uint8)
        return without(PoseBatch(T, ok, inliers, covariance, reason), ambiguous, Reason.AMBIGUOUS_PLACE)

    def _landmark_pose(
        self, cells: Tensor, camera: Camera, alternatives: list[int]
    ) -> tuple[LandmarkPose | None, bool]:
        """Return the pose of an image (h, w, C) by landmarks, in the map frame, and if others are as likely.

        Of several chunks `alternatives` are asked and the one whose landmarks look most like it; another one
        if it looks nearly as much like it, as twins do, or if there is no pose yet.
        """
        best, likely = likeness(self._landmarks, cells).topk(min(MAX_FINALISTS, len(self._landmarks)))
        alike = [n for n, like in zip(likely.tolist(), best, strict=True) if like >= ALIKE * best[0]]
        found, candidates = [], []
        for number in dict.fromkeys([*alike, *alternatives, *likely.tolist()]):
            if found and number not in (*alike, *alternatives):
                continue
            pose = pose_from_landmarks(self._landmarks[number], camera, cells, self._stride, self.ransac)
            if pose is not None:
                pose.T_local_camera[:3, 3] += self._centres[number]
                seen = (pose.points + self._centres[number] - pose.T_local_camera[:3, 3]).norm(dim=1)
                found.append(pose)
                share = len(pose.cells) / cells[..., 0].numel()
                candidates.append(PoseCandidate(True, share, pose.T_local_camera.cpu(), float(seen.median())))
        order, ambiguous = disambiguate(candidates, self.ransac.ambiguous_share, self.expected)
        return (found[order[0]] if found else None), ambiguous

    def _refined_on_landmarks(
        self, poses: PoseBatch, chunk: Tensor, camera: Camera, cells: Tensor
    ) -> tuple[PoseBatch, Tensor]:
        """Return poses refined on the landmarks of their chunks (B,), and which (B,) of them to doubt.

        To doubt are images without a pose, and poses where few landmarks are found; where hardly any of them
        agree, there is none. Where many are found and contradict each other, because the mapping poses
        drifted, the head's pose is right.

        `cells` (B, h, w, C) are those of `unit_cells`, of images of a resized `camera`.
        """
        # What the solver cannot see in one image: errors that a map's points have in common. How
        # large they are was measured on held-out images, with the landmarks' help if there are any.
        scale = self.scene_map.covariance_scale
        doubtful, refuted = ~poses.ok, torch.zeros_like(poses.ok)
        T = poses.T_map_camera.clone()
        covariance = max(scale, TYPICAL_COVARIANCE_SCALE) * poses.covariance
        for number, landmarks in enumerate(self._landmarks):
            rows = slice(None) if len(self._landmarks) == 1 else (chunk == number).nonzero()[:, 0]
            if not len(T[rows]) or not len(landmarks):
                continue
            local = T[rows].clone()
            local[:, :3, 3] -= self._centres[number]
            found = refine_on_landmarks(local, landmarks, camera, cells[rows], self._stride)
            found.T_local_camera[:, :3, 3] += self._centres[number]
            doubtful[rows] |= found.doubtful
            refuted[rows] = found.refuted
            T[rows] = torch.where(found.ok[:, None, None], found.T_local_camera, T[rows])
            covariance[rows] = torch.where(
                found.ok[:, None, None], scale * found.covariance, covariance[rows]
            )
        poses = replace(poses, T_map_camera=T, covariance=covariance)
        if self.expected is not None:
            refuted &= (T[:, :3, 3] - self.expected.to(self.device)).norm(dim=1) > NEAR_EXPECTED_M
        return without(poses, refuted, Reason.TOO_FEW_INLIERS), doubtful

    def _chosen(self, found: Correspondences, solved: PoseBatch) -> tuple[Tensor, Tensor]:
        """Return which of all candidates (M,) to believe (B,), and whether others are as likely (B,)."""
        if len(self._heads) == 1:
            return found.image, torch.zeros_like(found.image, dtype=torch.bool)
        winners, unsure = [], []
        for image in range(int(found.image[-1]) + 1):
            rows = (found.image == image).nonzero()[:, 0].tolist()
            candidates = [candidate_of(solved, found.points, row) for row in rows]
            order, ambiguous = disambiguate(candidates, self.ransac.ambiguous_share, self.expected)
            winners.append(rows[order[0]])
            unsure.append(ambiguous)
        return torch.tensor(winners, device=self.device), torch.tensor(unsure, device=self.device)

    def _candidates(self, features: Tensor, cells: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
        """Return which images (M,) are worth to be explained by which chunks (M,).

        `features` (B, C, h, w) are of cells (h w, 2) of a resized `camera`.
        """
        images = torch.arange(len(features), device=self.device)
        if len(self._heads) == 1:
            return images, torch.zeros_like(images)
        rows = torch.arange(len(cells), device=self.device).view(features.shape[2:])
        rows = rows[1::LOOK_STEP, 1::LOOK_STEP].flatten()
        some = features.flatten(2).transpose(1, 2)[:, rows]
        chosen = [self._finalists(row[None], cells[rows], camera) for row in some]
        return torch.cat([images[i].expand(len(c)) for i, c in enumerate(chosen)]), torch.cat(chosen)

    def _finalists(self, features: Tensor, pixels: Tensor, camera: Camera) -> Tensor:
        """Return the chunks (m,) worth to explain an image of which features (1, n, C) are a few."""

        def support(chunks: Tensor) -> Tensor:
            points = self._heads(features.expand(len(chunks), -1, -1), chunks)
            return pose_support(pixels.expand(len(chunks), -1, -1), points, camera, self.ransac)

        chunks, others = self._around_expected()
        share = support(chunks) if len(chunks) else pixels.new_zeros(0)
        # With so much of the image explained, no other chunk could explain so much more that the
        # expected one would not be believed. With less, one could: the robot may have been carried.
        if len(others) and not bool((share >= self.ransac.ambiguous_share * self._most).any()):
            chunks, share = torch.cat([chunks, others]), torch.cat([share, support(others)])
        best, index = share.topk(min(MAX_ALTERNATIVES, len(share)))
        near = (best >= best[0] - NEAR_SHARE) & (best >= NEAR_RATIO * best[0])
        near &= best >= KNOWING_SHARE * self.ransac.min_inlier_share
        near[0], near[MAX_FINALISTS:] = True, False
        alternative = best >= max(self.ransac.ambiguous_share * float(best[0]), self.ransac.min_inlier_share)
        return chunks[index[near | alternative]]

    def _around_expected(self) -> tuple[Tensor, Tensor]:
        """Return the chunks around where the camera is expected, and the others."""
        around = torch.zeros(len(self._heads), dtype=torch.bool)
        if self.expected is not None:
            low, high = self._bounds[:, 0] - BOUNDS_MARGIN_M, self._bounds[:, 1] + BOUNDS_MARGIN_M
            around = ((low <= self.expected) & (self.expected <= high)).all(1)
        return around.nonzero()[:, 0].to(self.device), (~around).nonzero()[:, 0].to(self.device)
