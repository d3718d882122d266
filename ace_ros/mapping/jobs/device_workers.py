# SPDX-License-Identifier: Apache-2.0
"""Train chunks on several devices of this machine, each in a process of its own at a time."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection

from ace_ros.compute.process import keep_memory, limit_threads
from ace_ros.errors import AceError
from ace_ros.mapping.jobs.job import TRIES, ChunkJob, OnProgress, train_chunk
from ace_ros.mapping.progress import Progress

# CUDA does not survive a fork.
CONTEXT = multiprocessing.get_context("spawn")
END_S = 5.0  # for a process that was asked to end


def train_on_devices(
    jobs: Sequence[ChunkJob], devices: Sequence[str], on_progress: OnProgress
) -> dict[int, str]:
    """Train chunks, as many at a time as there are devices; return why which chunks failed.

    A chunk whose process dies is tried again. The processor threads are shared out evenly.
    """
    waiting: queue.SimpleQueue[ChunkJob] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(replace(job, threads=max(1, job.threads // len(devices))))
    workers = [_DeviceWorker(device, waiting, on_progress) for device in devices]
    with ThreadPoolExecutor(len(workers)) as pool:
        running = [pool.submit(worker.run) for worker in workers]
        try:
            failures = [future.result() for future in running]
        finally:  # when interrupted, the pool waits for its threads, and they for processes
            for worker in workers:
                worker.stop()
    return {number: why for some in failures for number, why in some.items()}


class _DeviceWorker:
    """Takes jobs and runs each in a process on one device."""

    def __init__(self, device: str, waiting: queue.SimpleQueue[ChunkJob], on_progress: OnProgress) -> None:
        self._device, self._waiting, self._on_progress = device, waiting, on_progress
        self._stopped = False
        self._lock = threading.Lock()  # no process starts after the end
        self._process: multiprocessing.process.BaseProcess | None = None

    def run(self) -> dict[int, str]:
        """Work until no job is waiting; return why which chunks failed."""
        failures = {}
        while not self._stopped:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                break
            why = self._train(replace(job, device=self._device))
            if why:
                failures[job.number] = why
        return failures

    def stop(self) -> None:
        """End the process and start no other one."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is not None and process.is_alive():
            process.terminate()
            process.join(END_S)
            process.kill()

    def _train(self, job: ChunkJob) -> str:
        """Train a chunk, again if its process dies; return why it failed, or nothing."""
        died = ""
        for _ in range(TRIES):
            said = self._attempt(job)
            if said is not None or self._stopped:
                return said or ""
            assert self._process is not None
            died = f"its process died {TRIES} times, the last time with exit code {self._process.exitcode}"
        return died

    def _attempt(self, job: ChunkJob) -> str | None:
        """Run a process; return what it said at its end, None if it died without a word."""
        receiver, sender = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_work, args=(job, sender), daemon=True)
        with self._lock:
            if self._stopped:
                return None
            process.start()
            self._process = process
        sender.close()  # so that reading ends with the process
        said = None
        with receiver:
            while True:
                try:
                    message = receiver.recv()
                except (EOFError, OSError):
                    break
                if isinstance(message, Progress):
                    self._on_progress(job.number, message)
                else:
                    said = message
        process.join()
        return said


def _work(job: ChunkJob, sender: Connection) -> None:
    """Train a chunk in a new process; say "" or what went wrong at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    keep_memory()
    limit_threads(job.threads)
    try:
        train_chunk(job, sender.send)
        sender.send("")
    except (AceError, OSError) as error:
        sender.send(str(error))
