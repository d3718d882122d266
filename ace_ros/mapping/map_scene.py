# SPDX-License-Identifier: Apache-2.0
"""From a scene to its map: every step takes values and returns one.

poses -> tracks and landmarks -> depth -> features -> head -> validation -> map
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from ace_ros.compute.memory import peak_memory_mb, reset_peak_memory
from ace_ros.compute.precision import choose_device
from ace_ros.config import TrainingConfig
from ace_ros.data.depth_image import require_depth
from ace_ros.data.scene import Scene, require_trainable
from ace_ros.errors import TrainingError
from ace_ros.landmarks.landmarks import Landmarks
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.depth.scene_depths import depth_work, find_depths
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.buffer import FeatureBuffer, fill_buffer, view_count
from ace_ros.mapping.features.prepared import PreparedFile, fingerprint, load_prepared, save_prepared
from ace_ros.mapping.head.extent import Extent, local_views, scene_extent
from ace_ros.mapping.head.learning import finish, learn, new_head
from ace_ros.mapping.head.trainer import HeadTrainer, TrainingRun
from ace_ros.mapping.hold_out import held_out
from ace_ros.mapping.landmarks.measurement import MeasuredLandmarks, measure_landmarks
from ace_ros.mapping.landmarks.triangulation import follow_landmarks
from ace_ros.mapping.poses.refinement import RefinedPoses, refined_poses, wants_refinement
from ace_ros.mapping.progress import NOBODY, Listener, OnItem, Reporter, parts, stages_of
from ace_ros.mapping.report import TrainingReport
from ace_ros.mapping.validation import Validation, validate
from ace_ros.maps.global_descriptor import place_descriptors
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder


@dataclass(frozen=True)
class MappingSetup:
    """Where a map is trained, and what goes with it.

    `encoder` replaces the one that the config names. Features that took long to prepare are kept in the
    file `prepared` while the map is trained.
    """

    device: torch.device = field(default_factory=choose_device)
    map_frame: str = "map"
    encoder: LoadedEncoder | None = None
    prepared: PreparedFile | None = None


@dataclass(frozen=True)
class PreparedScene:
    """What a head is trained on and a map is made of.

    `images` have the poses of the map, the refined ones if there are, and `held` (I,) of them are held
    out; `descriptors` (K, 64) say what the place looks like.
    """

    images: EncodedImages
    held: Tensor
    refined: RefinedPoses | None
    features: FeatureBuffer
    extent: Extent
    landmarks: MeasuredLandmarks
    descriptors: Tensor
    seconds: float


@dataclass(frozen=True)
class TrainedHead:
    """A head, the runs of its training, and its validation; None where no images were held out."""

    trainer: HeadTrainer
    runs: tuple[TrainingRun, ...]
    validation: Validation | None = None
    validation_s: float = 0.0


def map_scene(
    scene: Scene, config: TrainingConfig, setup: MappingSetup | None = None, listener: Listener = NOBODY
) -> tuple[SceneMap, TrainingReport]:
    """Train a map of a scene; return it with a report.

    Poses of the scene define the map frame; refined ones do so in their mean. Some images are held out
    at first; the map is validated on them, and then learns them, too. Raises SceneError when the scene
    cannot be used, TrainingError when training diverges, MapError when the encoder cannot be loaded.
    """
    require_mappable(scene, config)
    setup, config = setup or MappingSetup(), replace(config, steps=step_limit(len(scene.frames), config))
    reset_peak_memory(setup.device)  # of this chunk, not of those before
    encoder = setup.encoder or load_encoder(config.encoder)
    held = held_out(len(scene.frames), config.hold_out)
    stages = stages_of(wants_refinement(config), validates=bool(held.any()))
    reporter = Reporter(listener, stages, config.steps, config.time_budget_s)

    images = EncodedImages(scene.frames, encoder, setup.device)
    prepared = prepare_scene(images, held, config, setup.prepared, reporter)
    name = encoder.card.name if setup.encoder else _absolute(config.encoder)
    empty = SceneMap((), name, encoder.content_hash, setup.map_frame, descriptors=prepared.descriptors)
    trained = train_head(prepared, config, empty, reporter)
    report = _report(prepared, trained)
    scene_map = replace(
        empty,
        chunks=(_chunk(prepared, trained.trainer, prepared.landmarks.of_all),),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        training={**asdict(config), **asdict(report)},
        validation=trained.validation.to_header() if trained.validation else {},
        drive=prepared.refined.drive(scene.frames) if prepared.refined else None,
    )
    return scene_map, report


def prepare_scene(
    images: EncodedImages,
    held: Tensor,
    config: TrainingConfig,
    kept: PreparedFile | None,
    reporter: Reporter,
) -> PreparedScene:
    """Return poses, landmarks and features of a scene.

    `held` (I,) of its images are held out. Features are those in the file `kept`, if training is to go
    on from them, and are written there if they took long.
    """
    stages = reporter.stages
    # The key of kept features is of the recorded poses: refined ones may differ in rounding.
    key = fingerprint(images.frames, images.encoder.content_hash, config) if kept else ""
    refined = refined_poses(images, config, reporter.images(stages.refine))
    images = images.with_frames(refined.apply(images.frames)) if refined else images
    tracks = follow_landmarks(images, config, reporter.images(stages.triangulate))
    features = load_prepared(kept.path, key, images.device) if kept and kept.resume else None
    if features is None:
        features = prepare_features(images, config, reporter.images(stages.prepare))
        if kept and reporter.elapsed_s > config.keep_prepared_s:
            save_prepared(kept.path, features, key)
    if kept:
        kept.hold()
    if not len(features):
        folder = images.frames[0].image_path.parent
        raise TrainingError(f"{folder}: no pixel of any image can be used; check the calibration")
    extent = scene_extent(images.frames, features, config.seed)
    landmarks = measure_landmarks(tracks, images, held, extent.centre, config)
    descriptors = place_descriptors(features.features, features.image)
    return PreparedScene(images, held, refined, features, extent, landmarks, descriptors, reporter.elapsed_s)


def prepare_features(
    images: EncodedImages, config: TrainingConfig, on_item: OnItem = lambda done, total: None
) -> FeatureBuffer:
    """Return the features of all images, with the depths that training starts from."""
    on_depth, on_view = parts(on_item, depth_work(len(images), config), view_count(len(images), config))
    depths = find_depths(images, config, on_depth)
    return fill_buffer(images, depths, config, on_view)


def train_head(
    prepared: PreparedScene, config: TrainingConfig, empty: SceneMap, reporter: Reporter
) -> TrainedHead:
    """Train a head; validate it on the images that are held out, which it then learns, too.

    `empty` is the map without its chunk.
    """
    images, held, stages = prepared.images, prepared.held, reporter.stages
    head = new_head(images.card.channels, config, images.device)
    views = local_views(images.frames, prepared.extent.centre, images.device)
    trainer = HeadTrainer(head, prepared.features, views, prepared.extent.radius_m, config)
    trainer, learned = learn(trainer, held, reporter.steps(stages.learn, prepared.extent.centre))
    if not held.any():
        return TrainedHead(trainer, (learned,))
    began_s = reporter.elapsed_s
    draft = replace(empty, chunks=(_chunk(prepared, trainer, prepared.landmarks.of_learned),))
    relocalizer = Relocalizer(draft, device=str(images.device), encoder=images.encoder)
    on_image = reporter.images(stages.validate, learned.steps)
    validation = validate(relocalizer, images.frames, held, on_image)
    validation_s = reporter.elapsed_s - began_s
    on_step = reporter.steps(stages.finish, prepared.extent.centre, learned.steps)
    trainer, finished = finish(trainer, learned, on_step)
    return TrainedHead(trainer, (learned, finished), validation, validation_s)


def require_mappable(scene: Scene, config: TrainingConfig) -> None:
    """Raise SceneError unless a map can be trained of a scene as the config says."""
    require_trainable(scene)
    if config.use_depth:
        require_depth(scene)


def step_limit(frames: int, config: TrainingConfig) -> int:
    """Return the largest number of steps for a scene of so many images."""
    return max(1, min(config.steps, frames * config.features_per_image // config.batch))


def _chunk(prepared: PreparedScene, trainer: HeadTrainer, landmarks: Landmarks) -> Chunk:
    """Return what a map keeps of a scene and a head."""
    centre = prepared.extent.centre
    points, grey = trainer.cloud(trainer.config.map_points)
    seen = torch.cat([points.double() + centre, prepared.images.T_map_camera[:, :3, 3]])
    head = copy.deepcopy(trainer.head)
    head.scale_points(trainer.radius_m)
    return Chunk(
        head=head.cpu().eval().requires_grad_(False),
        centre=centre,
        bounds=torch.stack([seen.amin(0), seen.amax(0)]),
        cloud_points=points,
        cloud_grey=grey,
        landmarks=landmarks,
    )


def _report(prepared: PreparedScene, trained: TrainedHead) -> TrainingReport:
    runs, device = trained.runs, prepared.images.device
    return TrainingReport(
        frames=len(prepared.images),
        features=len(prepared.features),
        steps=sum(run.steps for run in runs),
        prepare_s=round(prepared.seconds, 2),
        train_s=round(sum(run.seconds for run in runs), 2),
        grade_s=round(trained.validation_s, 2),
        median_error_px=round(runs[-1].figures.median_error_px, 3),
        inlier_share=round(runs[-1].figures.inlier_share, 4),
        stopped_early=any(run.stopped_early for run in runs),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        device=str(device),
        refinement=prepared.refined.figures() if prepared.refined else {},
    )


def _absolute(encoder: str) -> str:
    """Return how a map names its encoder: a shipped one by its name, a file by where it lies."""
    return str(Path(encoder).resolve()) if Path(encoder).suffix else encoder
