# SPDX-License-Identifier: Apache-2.0
"""Train a map: fill the buffer once, train the head on shuffled features of all images, validate the map."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from ace_ros.compute.memory import peak_memory_mb
from ace_ros.compute.precision import choose_device
from ace_ros.config import TrainingConfig
from ace_ros.data.depth_image import require_depth
from ace_ros.data.scene import Scene, require_trainable
from ace_ros.errors import TrainingError
from ace_ros.landmarks.landmarks import Landmarks
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.buffer import FeatureBuffer, fill_buffer
from ace_ros.mapping.features.prepared import fingerprint, load_prepared, save_prepared
from ace_ros.mapping.head.extent import local_views, scene_extent
from ace_ros.mapping.head.trainer import HeadTrainer
from ace_ros.mapping.hold_out import held_out
from ace_ros.mapping.landmarks.triangulation import Triangulation, measure_inlier_ratio
from ace_ros.mapping.poses.refinement import refine_poses
from ace_ros.mapping.progress import (
    FINISH,
    LEARN,
    LEARN_ALL,
    PREPARE,
    PREPARE_REFINED,
    REFINE,
    TRIANGULATE,
    TRIANGULATE_REFINED,
    VALIDATE,
    OnCloud,
    Progress,
    Reporter,
)
from ace_ros.mapping.schedule import FINISHING, LEARNING, Clock
from ace_ros.mapping.validation import Validation, validate
from ace_ros.maps.global_descriptor import place_descriptors
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.head import Head

MAX_JUDGED = 4096  # held-out features that say whether training still gains


@dataclass(frozen=True)
class TrainingReport:
    """What a training did.

    `stopped_early` says that the held-out images no longer gained; `refinement` has the figures of
    the refinement of poses, if there was one.
    """

    frames: int
    features: int
    steps: int
    prepare_s: float
    train_s: float
    grade_s: float
    median_error_px: float
    inlier_share: float
    stopped_early: bool
    peak_memory_mb: float
    device: str
    refinement: dict[str, float]


def train_map(
    scene: Scene,
    config: TrainingConfig,
    device: str = "auto",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    map_frame: str = "map",
    encoder: LoadedEncoder | None = None,
    on_cloud: OnCloud | None = None,
    prepared: Path | None = None,
    resume: bool = False,
) -> tuple[SceneMap, TrainingReport]:
    """Train a map of a scene; return it with a report.

    Poses of the scene define the map frame; refined ones do so in their mean. `encoder` replaces the
    one that the config names. Some frames are held out at first; the map is validated on them, and then
    learns them, too. Every few seconds `on_cloud` is given some points (P, 3) in the map frame and
    their brightness. Features that took long to prepare are kept in the file `prepared`; `resume`
    goes on from them. Raises SceneError when the scene cannot be used, TrainingError when training
    diverges, MapError when the encoder cannot be loaded.
    """
    require_trainable(scene)
    if config.use_depth:
        require_depth(scene)
    job = _Job(scene, config, choose_device(device), Reporter(on_progress, on_cloud), map_frame, encoder)
    job.prepare(prepared, resume)
    job.learn()
    if job.held.any():
        job.validate()
        job.finish()
    return job.scene_map(), job.report()


def step_limit(frames: int, config: TrainingConfig) -> int:
    """Return the largest number of steps for a scene of so many images."""
    return max(1, min(config.steps, frames * config.features_per_image // config.batch))


class _Job:
    """One training, stage after stage."""

    def __init__(
        self,
        scene: Scene,
        config: TrainingConfig,
        device: torch.device,
        reporter: Reporter,
        map_frame: str,
        encoder: LoadedEncoder | None,
    ) -> None:
        self._scene, self._device, self._map_frame = scene, device, map_frame
        self._config = replace(config, steps=step_limit(len(scene.frames), config))
        self._encoder_name = encoder.card.name if encoder else _absolute(config.encoder)
        self._encoder = encoder or load_encoder(config.encoder)
        self.held = held_out(len(scene.frames), config.hold_out)
        self._validation: Validation | None = None
        self._grade_s = 0.0
        self._clocks: list[Clock] = []
        self._drive: Tensor | None = None
        self._refinement: dict[str, float] = {}
        self._reporter = reporter
        reporter.expect(self._config.steps, config.time_budget_s)

    def prepare(self, kept: Path | None, resume: bool) -> None:
        """Refine the poses if asked; fill the buffer, or take it from where an earlier training kept it."""
        # The key of kept features is of the recorded poses: refined ones may differ in rounding.
        key = fingerprint(self._scene.frames, self._encoder.content_hash, self._config) if kept else ""
        images = EncodedImages(self._scene.frames, self._encoder, self._device)
        images = self._refined(images)
        self._scene = replace(self._scene, frames=images.frames)
        config, device = self._config, self._device
        refined = self._drive is not None
        self._reporter.enter(TRIANGULATE_REFINED if refined else TRIANGULATE)
        self._triangulation = Triangulation(images, config, self._reporter.on_item)
        self._reporter.enter(PREPARE_REFINED if refined else PREPARE)
        buffer = self._prepared_buffer(images, kept, resume, key)
        if not len(buffer):
            raise TrainingError(
                f"{self._scene.folder}: no pixel of any image can be used; check the calibration"
            )
        extent = scene_extent(images.frames, buffer, torch.Generator().manual_seed(config.seed))
        self._centre = self._reporter.cloud_centre = extent.centre
        torch.manual_seed(config.seed)
        head = Head(self._encoder.card.channels, config.head_width, config.head_blocks).to(device)
        views = local_views(images.frames, extent.centre, device)
        self._head_trainer = HeadTrainer(head, buffer, views, extent.radius_m, config, self._reporter)
        self._descriptors = place_descriptors(buffer.features, buffer.image)
        self._part_of_landmarks = self._measured_without(_left_out(self.held), images)
        self._prepare_s = self._reporter.elapsed_s

    def _refined(self, images: EncodedImages) -> EncodedImages:
        """Return the images with refined poses, if the config asks for it."""
        config = self._config
        if not (config.refine_poses or config.refine_focal):
            return images
        self._reporter.enter(REFINE)
        refined = refine_poses(images, config.refine_focal, self._reporter.on_item)
        self._refinement = refined.figures()
        self._drive = refined.drive(images.frames)
        return images.with_frames(refined.apply(images.frames))

    def _prepared_buffer(
        self, images: EncodedImages, kept: Path | None, resume: bool, key: str
    ) -> FeatureBuffer:
        buffer = load_prepared(kept, key, images.device) if kept and resume else None
        if buffer is None:
            buffer = fill_buffer(images, self._config, self._reporter.on_item)
            if kept and self._reporter.elapsed_s > self._config.keep_prepared_s:
                save_prepared(kept, buffer, key)
        return buffer

    def _measured_without(self, left_out: Tensor, images: EncodedImages) -> Landmarks:
        """Return landmarks of all images but some (I,), and how many of them those usually show."""
        landmarks = self._triangulation.landmarks(~left_out, self._centre, images.card.channels)
        share = measure_inlier_ratio(landmarks.to(images.device), self._centre, images, left_out)
        return replace(landmarks, expected_inlier_ratio=round(share, 4))

    def learn(self) -> None:
        """Train on the frames that are not held out; on all of them if none is."""
        config, buffer = self._config, self._head_trainer.buffer
        share = 1.0 - config.finish_share if self.held.any() else 1.0
        clock = Clock(max(1, round(share * config.steps)), share * config.time_budget_s)
        is_held = self.held.to(buffer.device)[buffer.image.long()]
        judge = is_held.nonzero()[:, 0]
        judge = judge[torch.linspace(0, len(judge) - 1, min(MAX_JUDGED, len(judge))).long().to(judge.device)]
        self._reporter.enter(LEARN if self.held.any() else LEARN_ALL)
        self._clocks.append(clock)
        self._head_trainer.train(
            (~is_held).nonzero()[:, 0], LEARNING, clock, judge if config.early_stop and len(judge) else None
        )

    def validate(self) -> None:
        """Localize the frames that were held out."""
        began = time.monotonic()
        self._reporter.enter(VALIDATE, self._clocks[0].step)
        relocalizer = Relocalizer(
            self.scene_map(self._part_of_landmarks), device=str(self._device), encoder=self._encoder
        )
        self._validation = validate(relocalizer, self._scene.frames, self.held, self._reporter.on_item)
        self._grade_s = time.monotonic() - began

    def finish(self) -> None:
        """Train on all frames for a short while."""
        learned, share = self._clocks[0], self._config.finish_share
        ratio = share / (1.0 - share)
        if learned.by_time:
            clock = Clock(self._config.steps, ratio * learned.elapsed_s)
        else:
            clock = Clock(max(1, round(ratio * learned.step)), math.inf)
        self._reporter.enter(FINISH, learned.step)
        self._clocks.append(clock)
        everything = torch.arange(len(self._head_trainer.buffer), device=self._head_trainer.buffer.device)
        self._head_trainer.train(everything, FINISHING, clock)

    def report(self) -> TrainingReport:
        """Return what was done."""
        return TrainingReport(
            frames=len(self._scene.frames),
            features=len(self._head_trainer.buffer),
            steps=sum(c.step for c in self._clocks),
            prepare_s=round(self._prepare_s, 2),
            train_s=round(sum(c.elapsed_s for c in self._clocks), 2),
            grade_s=round(self._grade_s, 2),
            median_error_px=round(self._reporter.median_error_px, 3),
            inlier_share=round(self._reporter.inlier_share, 4),
            stopped_early=any(c.hurried for c in self._clocks),
            peak_memory_mb=round(peak_memory_mb(self._device), 1),
            device=str(self._device),
            refinement=self._refinement,
        )

    def scene_map(self, landmarks: Landmarks | None = None) -> SceneMap:
        """Return the map as it is now, with landmarks of all images or with those given."""
        trainer, channels = self._head_trainer, self._encoder.card.channels
        if landmarks is None:
            landmarks = self._triangulation.landmarks(torch.ones_like(self.held), self._centre, channels)
            landmarks = replace(
                landmarks, expected_inlier_ratio=self._part_of_landmarks.expected_inlier_ratio
            )
        points, grey = trainer.cloud(self._config.map_points)
        cameras = torch.stack([f.T_map_camera[:3, 3] for f in self._scene.frames])
        seen = torch.cat([points.double() + self._centre, cameras])
        head = copy.deepcopy(trainer.head)
        head.scale_points(trainer.radius_m)
        chunk = Chunk(
            head=head.cpu().eval().requires_grad_(False),
            centre=self._centre,
            bounds=torch.stack([seen.amin(0), seen.amax(0)]),
            cloud_points=points,
            cloud_grey=grey,
            landmarks=landmarks,
        )
        return SceneMap(
            chunks=(chunk,),
            encoder=self._encoder_name,
            encoder_hash=self._encoder.content_hash,
            map_frame=self._map_frame,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            training={**asdict(self._config), **asdict(self.report())},
            validation=self._validation.to_header() if self._validation else {},
            drive=self._drive,
            descriptors=self._descriptors,
        )


def _left_out(held: Tensor) -> Tensor:
    """Return images (I,) to measure landmarks without: those that are held out, or every fifth if none is."""
    return held if held.any() else torch.arange(len(held)) % 5 == 2


def _absolute(encoder: str) -> str:
    """Return how a map names its encoder: a shipped one by its name, a file by where it lies."""
    return str(Path(encoder).resolve()) if Path(encoder).suffix else encoder
