# SPDX-License-Identifier: Apache-2.0
"""Train chunks side by side with Ray, on this machine or on a cluster.

Every chunk is a task. Ray gives it its cores and GPU, and starts it again when its worker dies. On a
cluster the scene folder must lie at the same path on all machines; maps come back through Ray. A cluster
runs whatever its users send: this is for machines that trust each other. A Ray of this machine's own
listens on the network, too, but from 2.59 on it asks for a token.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ace_ros.compute.process import keep_memory, limit_threads, usable_cores
from ace_ros.errors import AceError, ConfigError
from ace_ros.files.whole import scratch_folder, write_atomically
from ace_ros.mapping.jobs.job import ChunkJob, OnProgress, train_chunk
from ace_ros.mapping.progress import Progress

logger = logging.getLogger(__name__)

LOCAL = "local"  # the address of a Ray of this machine's own, which ends with the training
TRIES = 3  # of a chunk whose worker dies; what the training itself says is wrong is final
POLL_S = 0.5
REPORT_EVERY = 4  # every so many reports of a worker travel


@dataclass(frozen=True)
class RayCluster:
    """The cluster at an address, LOCAL or one that runs: what of it to use, and how many threads a task has.

    `device` None means GPUs where there are any.
    """

    address: str
    device: torch.device | None
    threads: int


@dataclass(frozen=True)
class TaskShare:
    """What one task has of a machine."""

    device: torch.device
    cpus: int
    gpus: int


def ray_is_installed() -> bool:
    """Return whether Ray can be imported."""
    try:
        return importlib.util.find_spec("ray") is not None
    except ValueError:  # somebody said that it cannot: sys.modules["ray"] is None
        return False


def train_on_ray(jobs: Sequence[ChunkJob], cluster: RayCluster, on_progress: OnProgress) -> dict[int, str]:
    """Train chunks on a cluster; return why which chunks failed.

    Raises AceError without Ray, ConfigError when there is no such cluster, or nothing on it that could
    do the work.
    """
    with _connected(cluster.address) as ray:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return _collect(ray, jobs, task_share(machines, cluster), on_progress)


def task_share(machines: Sequence[dict[str, float]], cluster: RayCluster) -> TaskShare:
    """Return what each task may have of machines with some "CPU" and "GPU". Raises ConfigError.

    On machines with GPUs a task has one, and no more cores than leave some for the others.
    """
    wanted = cluster.device.type if cluster.device else None
    with_gpus = [m for m in machines if m.get("GPU", 0) >= 1]
    if wanted == "cuda" and not with_gpus:
        raise ConfigError(
            f"device {str(cluster.device)!r} is on none of the {len(machines)} machines of the cluster"
        )
    if with_gpus and wanted != "cpu":
        cpus = min(m.get("CPU", 0) // m["GPU"] for m in with_gpus)
        # Ray shows each task its own GPU alone.
        return TaskShare(torch.device("cuda"), max(1, min(cluster.threads, int(cpus))), 1)
    cores = int(max(m.get("CPU", 0) for m in machines))
    if cores < 1:
        raise ConfigError("no machine of the Ray cluster has a processor core for this")
    return TaskShare(torch.device("cpu"), min(cluster.threads, cores), 0)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Yield Ray, connected to the cluster at an address."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What Ray says of workers that die would go to stdout, which belongs to the figures.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise AceError("--ray-address needs ray: pip install 'ace_ros[ray]'") from error
    own: dict[str, Any] = {}
    if address == LOCAL:
        own = {"num_cpus": usable_cores(), "num_gpus": torch.cuda.device_count()}
        own["include_dashboard"] = False
    try:
        with _own_sigterm():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise ConfigError(f"no Ray cluster at {address!r}: {str(error).splitlines()[0]}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what this process does on SIGTERM, which Ray would replace by an end without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _collect(ray: Any, jobs: Sequence[ChunkJob], share: TaskShare, on_progress: OnProgress) -> dict[int, str]:
    board = ray.remote(num_cpus=0)(_Board).remote()
    task = ray.remote(_train).options(max_retries=TRIES - 1, num_cpus=share.cpus, num_gpus=share.gpus)
    waiting = {task.remote(job, share, board): job for job in jobs}
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
        if not why:
            write_atomically(job.output, data)
    except ray.exceptions.RayTaskError as error:  # the training failed in a way that it does not know
        return f"{type(error.cause).__name__}: {error.cause}"
    except ray.exceptions.RayError as error:
        return f"its worker died {TRIES} times: {str(error).splitlines()[0]}"
    except OSError as error:
        return str(error)
    return str(why)


class _Board:
    """An actor that keeps the newest progress of every chunk until it is taken."""

    def __init__(self) -> None:
        self._newest: dict[int, tuple[Progress, tuple[int, str]]] = {}

    def put(self, number: int, progress: Progress, where: tuple[int, str]) -> None:
        self._newest[number] = progress, where

    def taken(self) -> dict[int, tuple[Progress, tuple[int, str]]]:
        newest, self._newest = self._newest, {}
        return newest


def _train(job: ChunkJob, share: TaskShare, board: Any) -> tuple[bytes, str]:
    """Train a chunk in a worker process; return the map file's content, or why there is none."""
    keep_memory()
    limit_threads(share.cpus)
    where, count = (os.getpid(), socket.gethostname()), 0

    def on_progress(progress: Progress) -> None:
        nonlocal count
        if count % REPORT_EVERY == 0 or progress.progress >= 1.0:
            board.put.remote(job.number, progress, where)
        count += 1

    with scratch_folder(Path(tempfile.gettempdir()) / "ace_ros_chunk") as folder:
        path = folder / job.output.name
        try:
            train_chunk(replace(job, output=path), share.device, on_progress)
        except (AceError, OSError) as error:
            return b"", str(error)
        return path.read_bytes(), ""
