# SPDX-License-Identifier: Apache-2.0
"""Map a place in chunks, one after the other or side by side, and join them into one map.

Every chunk is a training of its own on some of the frames. Its result is a map file in a temporary
folder beside the output, so that a worker that dies takes nothing with it but its own chunk.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ace_ros.compute.precision import present_device
from ace_ros.compute.process import usable_cores
from ace_ros.config import TrainingConfig
from ace_ros.data.depth_image import require_depth
from ace_ros.data.scene import Scene
from ace_ros.errors import AceError
from ace_ros.files.whole import remove_leftovers, scratch_folder
from ace_ros.files.writable import require_writable
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.prepared import ANY_PREPARED, PreparedFile, prepared_path
from ace_ros.mapping.jobs.board import ProgressBoard
from ace_ros.mapping.jobs.job import ChunkJob, OnProgress, train_chunk
from ace_ros.mapping.jobs.join import join_maps
from ace_ros.mapping.jobs.ray_workers import LOCAL, RayCluster, ray_is_installed, train_on_ray
from ace_ros.mapping.jobs.splitting import split_frames
from ace_ros.mapping.map_scene import MappingSetup, map_scene
from ace_ros.mapping.poses.refinement import refine_poses, wants_refinement
from ace_ros.mapping.progress import NOBODY, REFINE, Listener, Reporter, stages_of
from ace_ros.maps.scene_map import SUFFIX, SceneMap
from ace_ros.network.encoder_file import load_encoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapRequest:
    """The map that is wanted: its file, its number of chunks (0: by the place's extent), and its frame.

    `resume` goes on from the features that a training of the same map had prepared when it was killed;
    for a map of one chunk.
    """

    output: Path
    chunks: int = 1
    map_frame: str = "map"
    resume: bool = False


@dataclass(frozen=True)
class Workers:
    """Where chunks are trained: on this machine, or on the Ray cluster at an address.

    `device` is the one to use, None or a GPU without a number all GPUs where there are any; `threads`
    are how many this machine's workers may use together, or each of a cluster's (0: all).
    """

    device: torch.device | None = None
    threads: int = 0
    ray_address: str = ""


THIS_MACHINE = Workers()


def map_place(
    scene: Scene,
    config: TrainingConfig,
    request: MapRequest,
    workers: Workers = THIS_MACHINE,
    listener: Listener = NOBODY,
) -> SceneMap:
    """Train the chunks of a scene, write them as one map and return it.

    Where there are several GPUs, each works on a chunk at a time; with a Ray address, the cluster's
    machines do. A chunk that cannot be trained is missing in the map, which says why. The listener is
    shown points of a map of one chunk. Poses are refined of the place as a whole. Raises TrainingError
    when no chunk could be trained, SceneError when there are too few images, ConfigError when a device
    or cluster is not there, OutputError before any work when the file could not be written.
    """
    require_writable(request.output)
    if config.use_depth:  # of some chunk; others may do without
        require_depth(scene)
    kept = PreparedFile(prepared_path(request.output), request.resume)
    if request.resume:
        kept.hold()
    remove_leftovers(request.output.parent)
    remove_leftovers(request.output.parent, ANY_PREPARED, kept.path if request.resume else None)
    poses = torch.stack([frame.T_map_camera for frame in scene.frames])
    parts = split_frames(poses, request.chunks, config.ray_depth_m)
    if len(parts) > 1 or workers.ray_address:
        scene_map = _map_in_chunks(scene, config, request, workers, listener, parts)
        scene_map.save(request.output)
        return scene_map
    setup = MappingSetup(present_device(workers.device), request.map_frame, prepared=kept)
    scene_map, _ = map_scene(scene, config, setup, listener)
    scene_map.save(request.output)
    kept.path.unlink(missing_ok=True)
    return scene_map


def _map_in_chunks(
    scene: Scene,
    config: TrainingConfig,
    request: MapRequest,
    workers: Workers,
    listener: Listener,
    parts: Sequence[Tensor],
) -> SceneMap:
    """Return the map of a place whose chunks have the frames of `parts` (n,), each a training of its own."""
    refined = None
    if wants_refinement(config):
        images = EncodedImages(scene.frames, load_encoder(config.encoder), present_device(workers.device))
        reporter = Reporter(listener, stages_of(refines=True, validates=False))
        refined = refine_poses(images, config.refine_focal, reporter.images(REFINE))
    # Of the place, not of its chunks, which share one frame.
    settings = replace(config, refine_poses=False, refine_focal=False)
    output = request.output
    whole = ChunkJob(-1, scene.folder.resolve(), (), settings, request.map_frame, output, refined)
    with scratch_folder(output) as folder:
        jobs = [_part_of(whole, number, frames, folder) for number, frames in enumerate(parts)]
        board = ProgressBoard(len(jobs), listener.on_progress, REFINE.end if refined else 0.0)
        failures = train_chunks(jobs, workers, board.update)
        # A full disk is told with the name of the map, not with that of a folder that is gone by then.
        failures = {number: why.replace(str(folder), str(output)) for number, why in failures.items()}
        maps = {job.number: SceneMap.load(job.output) for job in jobs if job.number not in failures}
    scene_map = join_maps(maps, failures)
    if refined is None:
        return scene_map
    asked = {"refine_poses": config.refine_poses, "refine_focal": config.refine_focal}
    figures = {**scene_map.training, **asked, "refinement": refined.figures()}
    return replace(scene_map, drive=refined.drive(scene.frames), training=figures)


def _part_of(whole: ChunkJob, number: int, frames: Tensor, folder: Path) -> ChunkJob:
    """Return the job of one chunk: of some frames (n,) of the whole place, into a folder."""
    refined = whole.refined and replace(whole.refined, T_map_camera=whole.refined.T_map_camera[frames])
    output = folder / f"{number}{SUFFIX}"
    return replace(whole, number=number, frames=tuple(frames.tolist()), output=output, refined=refined)


def train_chunks(jobs: Sequence[ChunkJob], workers: Workers, on_progress: OnProgress) -> dict[int, str]:
    """Train chunks side by side on Ray, or one after the other here; return why which chunks failed."""
    threads = workers.threads or usable_cores()
    if workers.ray_address:
        return train_on_ray(jobs, RayCluster(workers.ray_address, workers.device, threads), on_progress)
    devices = local_devices(workers.device)
    if min(len(devices), len(jobs)) > 1:
        if ray_is_installed():
            own = RayCluster(LOCAL, workers.device, max(1, threads // len(devices)))
            return train_on_ray(jobs, own, on_progress)
        logger.warning(
            "%d devices could each train a chunk, but for that Ray is needed (pip install 'ace_ros[ray]')",
            len(devices),
        )
    device = present_device(workers.device)
    logger.info("%d chunks are trained one after the other on %s, in this process", len(jobs), device)
    failures = {}
    for job in jobs:
        try:
            train_chunk(job, device, partial(on_progress, job.number))
        except (AceError, OSError) as error:
            failures[job.number] = str(error)
    return failures


def local_devices(device: torch.device | None) -> list[torch.device]:
    """Return the devices of this machine that a user's choice allows: all GPUs where none is named.

    Raises ConfigError when it is not there.
    """
    device = present_device(device)
    if device.type == "cuda" and device.index is None:
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [device]
