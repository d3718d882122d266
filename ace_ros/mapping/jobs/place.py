# SPDX-License-Identifier: Apache-2.0
"""Train the chunks of a place, one after the other or side by side, and join them into one map.

Every chunk is a training of its own on some of the frames. Its result is a map file in a temporary
folder beside the output, so that a worker that dies takes nothing with it but its own chunk.
"""

from __future__ import annotations

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ace_ros.compute.precision import choose_device
from ace_ros.compute.process import usable_cores
from ace_ros.config import TrainingConfig
from ace_ros.data.depth_image import require_depth
from ace_ros.data.scene import Scene
from ace_ros.errors import AceError, TrainingError
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.prepared import prepared_path
from ace_ros.mapping.jobs.device_workers import train_on_devices
from ace_ros.mapping.jobs.job import ChunkJob, OnProgress, train_chunk
from ace_ros.mapping.jobs.ray_workers import train_on_ray
from ace_ros.mapping.jobs.splitting import split_frames
from ace_ros.mapping.map_scene import TrainingReport, train_map
from ace_ros.mapping.poses.refinement import RefinedPoses, refine_poses
from ace_ros.mapping.progress import REFINE, OnCloud, Progress, Reporter
from ace_ros.mapping.validation import join_validations
from ace_ros.maps.global_descriptor import MAX_VIEWS, medoids
from ace_ros.maps.scene_map import SUFFIX, SceneMap
from ace_ros.network.encoder_file import load_encoder

logger = logging.getLogger(__name__)


def train_place(
    scene: Scene,
    config: TrainingConfig,
    output: Path,
    chunks: int = 1,
    device: str = "auto",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    map_frame: str = "map",
    *,
    threads: int = 0,
    ray_address: str = "",
    on_cloud: OnCloud | None = None,
    resume: bool = False,
) -> SceneMap:
    """Train so many chunks of a scene (0: by its extent), write them as one map and return it.

    Where there are several GPUs and `device` names none of them, each works on a chunk at a time;
    with a Ray address, the cluster's machines do. `threads` (0: all) are those of such workers
    together; without any this process has those that it has. A chunk that cannot be trained is
    missing in the map, which says why. `on_cloud` and `resume` are those of `train_map`, for a map of
    one chunk. Poses are refined of the place as a whole. Raises TrainingError when no chunk could be
    trained, SceneError when there are too few images.
    """
    if config.use_depth:  # of some chunk; others may do without
        require_depth(scene)
    threads = threads or usable_cores()
    poses = torch.stack([frame.T_map_camera for frame in scene.frames])
    parts = split_frames(poses, chunks, config.ray_depth_m)
    if len(parts) == 1 and not ray_address:
        kept = prepared_path(output)
        scene_map, _ = train_map(
            scene, config, device, on_progress, map_frame, on_cloud=on_cloud, prepared=kept, resume=resume
        )
        scene_map.save(output)
        kept.unlink(missing_ok=True)
        return scene_map
    refined = _refined(scene, config, device, on_progress)
    settings = replace(config, refine_poses=False, refine_focal=False)  # of the place, not of its chunks
    whole = ChunkJob(-1, scene.folder.resolve(), (), settings, device, threads, map_frame, output, refined)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as folder:
        jobs = [_part_of(whole, number, frames, Path(folder)) for number, frames in enumerate(parts)]
        board = ProgressBoard(len(jobs), on_progress, REFINE.end if refined else 0.0)
        failures = _run(jobs, ray_address, board.update)
        maps = {job.number: SceneMap.load(job.output) for job in jobs if job.number not in failures}
    scene_map = join_maps(maps, failures)
    if refined:
        asked = {"refine_poses": config.refine_poses, "refine_focal": config.refine_focal}
        figures = {**scene_map.training, **asked, "refinement": refined.figures()}
        scene_map = replace(scene_map, drive=refined.drive(scene.frames), training=figures)
    scene_map.save(output)
    return scene_map


def _part_of(whole: ChunkJob, number: int, frames: Tensor, folder: Path) -> ChunkJob:
    """Return the job of one chunk: of some frames (n,) of the whole place, into a folder."""
    refined = whole.refined and replace(whole.refined, T_map_camera=whole.refined.T_map_camera[frames])
    output = folder / f"{number}{SUFFIX}"
    return replace(whole, number=number, frames=tuple(frames.tolist()), output=output, refined=refined)


def _refined(
    scene: Scene,
    config: TrainingConfig,
    device: str,
    on_progress: Callable[[Progress], None],
) -> RefinedPoses | None:
    """Return refined poses of the place as a whole, whose chunks share one frame; None if not asked for."""
    if not (config.refine_poses or config.refine_focal):
        return None
    reporter = Reporter(on_progress, None)
    reporter.enter(REFINE)
    images = EncodedImages(scene.frames, load_encoder(config.encoder), choose_device(device))
    return refine_poses(images, config.refine_focal, reporter.on_item)


def _run(jobs: Sequence[ChunkJob], ray_address: str, on_progress: OnProgress) -> dict[int, str]:
    """Run jobs where they should run; return why which chunks failed."""
    if ray_address:
        return train_on_ray(jobs, ray_address, on_progress)
    devices = devices_of(jobs[0].device)
    if len(devices) > 1 and len(jobs) > 1:
        return train_on_devices(jobs, devices, on_progress)
    failures = {}
    for job in jobs:
        try:
            train_chunk(job, lambda progress, number=job.number: on_progress(number, progress))  # type: ignore[misc]
        except (AceError, OSError) as error:
            failures[job.number] = str(error)
    return failures


def devices_of(name: str) -> list[str]:
    """Return the devices that a user's choice allows: all GPUs where none is named. Raises ConfigError."""
    device = choose_device(name)
    if device.type == "cuda" and device.index is None:
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [str(device)]


def join_maps(maps: dict[int, SceneMap], failures: dict[int, str]) -> SceneMap:
    """Return the map of a place from the maps of its chunks by their numbers.

    Its figures are sums, and means over frames; those of every chunk are in `training["chunks"]`.
    """
    for number, why in failures.items():
        logger.warning("chunk %d: %s", number, why)
    if not maps:
        raise TrainingError(f"no chunk could be trained; the first: {failures[min(failures)]}")
    parts = [maps[number] for number in sorted(maps)]
    # What is not a setting is a figure; the number of steps is both, and means the steps done.
    settings = {f.name for f in fields(TrainingConfig)} - {f.name for f in fields(TrainingReport)}
    figures = [{k: v for k, v in m.training.items() if k not in settings} for m in parts]
    common = {k: v for k, v in parts[0].training.items() if k in settings}
    return replace(
        parts[-1],
        chunks=tuple(chunk for m in parts for chunk in m.chunks),
        training={**common, **_joined(figures), "chunks": figures},
        missing=dict(failures),
        validation=join_validations([m.validation for m in parts]),
        descriptors=medoids(torch.cat([m.descriptors for m in parts]).float(), MAX_VIEWS).half(),
    )


def _joined(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a place from those of its chunks."""
    frames = sum(f["frames"] for f in figures)
    sums = {
        key: round(sum(f[key] for f in figures), 2)
        for key in ("frames", "features", "steps", "prepare_s", "train_s", "grade_s")
    }
    means = {
        key: round(sum(f[key] * f["frames"] for f in figures) / frames, 4)
        for key in ("median_error_px", "inlier_share")
    }
    return {
        **sums,
        **means,
        "device": ", ".join(sorted({f["device"] for f in figures})),
        "stopped_early": any(f["stopped_early"] for f in figures),
        "peak_memory_mb": max(f["peak_memory_mb"] for f in figures),
        "refinement": {},
    }


class ProgressBoard:
    """Makes one Progress out of those of all chunks, which may come from several threads.

    The chunks begin when the share `begin` of the whole job is done.
    """

    def __init__(self, chunks: int, on_progress: Callable[[Progress], None], begin: float = 0.0) -> None:
        self._chunks, self._on_progress, self._begin = chunks, on_progress, begin
        self._latest: dict[int, Progress] = {}
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def update(self, number: int, progress: Progress) -> None:
        """Take the progress of one chunk and report that of all."""
        with self._lock:
            self._latest[number] = progress
            self._on_progress(self._whole(progress.phase))

    def _whole(self, phase: str) -> Progress:
        latest = list(self._latest.values())
        share = sum(p.progress for p in latest) / self._chunks
        elapsed = time.monotonic() - self._began
        trained = [p for p in latest if math.isfinite(p.median_error_px)]
        return Progress(
            phase,
            self._begin + (1.0 - self._begin) * share,
            sum(p.step for p in latest),
            round(sum(p.steps for p in latest) / len(latest) * self._chunks),
            elapsed,
            elapsed * (1.0 - share) / share if share > 0 else math.nan,
            sum(p.median_error_px for p in trained) / len(trained) if trained else math.nan,
            sum(p.inlier_share for p in trained) / len(trained) if trained else math.nan,
        )
