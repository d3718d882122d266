# SPDX-License-Identifier: Apache-2.0
"""Train chunks on a Ray cluster: every chunk is a task with its resources.

Ray schedules, and starts a task again when its worker dies. The scene folder must lie at the same
path on all machines; maps come back through Ray. A cluster runs whatever its users send: this is
for machines that trust each other.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ace_ros.compute.process import keep_memory, limit_threads
from ace_ros.errors import AceError, ConfigError
from ace_ros.files.tensor_file import write_atomically
from ace_ros.mapping.jobs.job import TRIES, ChunkJob, OnProgress, train_chunk
from ace_ros.mapping.progress import Progress

logger = logging.getLogger(__name__)

POLL_S = 0.5
REPORT_EVERY = 4  # every so many reports of a worker travel


def train_on_ray(jobs: Sequence[ChunkJob], address: str, on_progress: OnProgress) -> dict[int, str]:
    """Train chunks on the cluster at an address ("local": one of this machine's own).

    Returns why which chunks failed. Raises ConfigError when there is no such cluster, or nothing on
    it that could do the work.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise AceError("--ray-address needs ray: pip install 'ace_ros[ray]'") from error
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no Ray cluster at {address!r}: {str(error).splitlines()[0]}") from error
    try:
        return _collect(ray, jobs, on_progress)
    finally:
        ray.shutdown()


def _collect(ray: Any, jobs: Sequence[ChunkJob], on_progress: OnProgress) -> dict[int, str]:
    device, resources = _resources(ray, jobs[0])
    board = ray.remote(num_cpus=0)(_Board).remote()
    task = ray.remote(_train).options(max_retries=TRIES - 1, **resources)
    threads = resources["num_cpus"]
    waiting = {task.remote(replace(job, device=device, threads=threads), board): job for job in jobs}
    failures: dict[int, str] = {}
    places: dict[int, tuple[int, str]] = {}
    while waiting:
        done, _ = ray.wait(list(waiting), timeout=POLL_S)
        for number, (progress, where) in ray.get(board.taken.remote()).items():
            if places.get(number) != where:
                places[number] = where
                logger.info("chunk %d trains in process %d of %s", number, *where)
            on_progress(number, progress)
        for reference in done:
            job = waiting.pop(reference)
            why = _receive(ray, reference, job)
            if why:
                failures[job.number] = why
    return failures


def _receive(ray: Any, reference: Any, job: ChunkJob) -> str:
    """Write the map that a task returned; return why there is none, or nothing."""
    try:
        data, why = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # the training failed in a way that it does not know
        return f"{type(error.cause).__name__}: {error.cause}"
    except ray.exceptions.RayError as error:
        return f"its worker died {TRIES} times: {str(error).splitlines()[0]}"
    if not why:
        write_atomically(job.output, data)
    return str(why)


def _resources(ray: Any, job: ChunkJob) -> tuple[str, dict[str, int]]:
    """Return the device for all tasks, and what each asks of a machine. Raises ConfigError."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    on_gpu = job.device != "cpu" and any(m.get("GPU", 0) >= 1 for m in machines)
    if job.device.startswith("cuda") and not on_gpu:
        raise ConfigError(f"device {job.device!r} is on none of the {len(machines)} machines of the cluster")
    usable = [m for m in machines if not on_gpu or m.get("GPU", 0) >= 1]
    cores = int(max(m.get("CPU", 0) for m in usable))
    if cores < 1:
        raise ConfigError("no machine of the Ray cluster has a processor core for this")
    threads = min(job.threads, cores)
    # Ray shows each task its own GPU alone.
    return ("cuda", {"num_cpus": threads, "num_gpus": 1}) if on_gpu else ("cpu", {"num_cpus": threads})


class _Board:
    """An actor that keeps the newest progress of every chunk until it is taken."""

    def __init__(self) -> None:
        self._newest: dict[int, tuple[Progress, tuple[int, str]]] = {}

    def put(self, number: int, progress: Progress, where: tuple[int, str]) -> None:
        self._newest[number] = progress, where

    def taken(self) -> dict[int, tuple[Progress, tuple[int, str]]]:
        newest, self._newest = self._newest, {}
        return newest


def _train(job: ChunkJob, board: Any) -> tuple[bytes, str]:
    """Train a chunk on a worker; return the map file's content, or why there is none."""
    where, count = (os.getpid(), socket.gethostname()), 0
    keep_memory()
    limit_threads(job.threads)

    def on_progress(progress: Progress) -> None:
        nonlocal count
        if count % REPORT_EVERY == 0 or progress.progress >= 1.0:
            board.put.remote(job.number, progress, where)
        count += 1

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / job.output.name
        try:
            train_chunk(replace(job, output=path), on_progress)
        except (AceError, OSError) as error:
            return b"", str(error)
        return path.read_bytes(), ""
