# SPDX-License-Identifier: Apache-2.0
"""The demo: a drive is recorded, a map trained, the robot carried away and found again.

It uses the topics and services that any user has; the true poses are only compared with.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger

from ace_ros.cli.display import Display
from ace_ros.compute.precision import choose_device
from ace_ros.evaluation import demo_report
from ace_ros.evaluation.demo_report import DemoRun
from ace_ros.nodes.clouds import cloud_points
from ace_ros.nodes.demo_client import Demo
from ace_ros.nodes.demo_display import display
from ace_ros.simulation.furniture import outlines
from ace_ros.srv import LoadMap, Train

PHASES = ("start", "drive and record", "train the map", "carried away, find itself", "report")
SETTLE_S = 1.5  # after a drive, for images that are still on their way
SHOWN_PICTURES = 6
END_S = 5.0  # for the thread that spins


def run(demo: Demo, show: Display) -> dict[str, Any]:
    """Do the whole job and return the report."""
    config = demo.config
    folder = Path(config.output_dir).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    T_world_map = _start(demo, show)
    drive = _record(demo, show)
    trained = _train(demo, show)
    kidnapped_ns, first_pose_s = _find(demo, show, T_world_map)

    show.begin(PHASES[4])
    result = _result(demo, T_world_map, drive, kidnapped_ns)
    report = {
        "keyframes": demo.mapping.keyframes,
        "drive_m": round(float(demo.mapping.distance_m), 2),
        "train_s": round(float(trained.prepare_s + trained.train_s), 1),
        "steps": trained.steps,
        "map_bytes": trained.map_bytes,
        **demo_report.summary(result),
        "first_pose_s": first_pose_s,
        "total_s": round(time.monotonic() - begun, 1),
        "ros": _ros(),
        "device": str(choose_device("auto")),
    }
    demo_report.write_pictures(folder, result)
    demo_report.write_report(folder, report)
    show.update(1.0, "")
    show.end(str(folder))
    return report


def _start(demo: Demo, show: Display) -> np.ndarray:
    """Wait for all nodes; return T_world_map, known while the robot still stands where it began."""
    show.begin(PHASES[0])

    def ready() -> bool:
        services = all(client.service_is_ready() for client in demo.asked.values())
        return services and demo.is_listened_to() and bool(demo.truth) and demo.odometry is not None

    patience_s = demo.config.patience_s
    demo.wait(ready, patience_s, "the start of all nodes", lambda: show.update(0.0, "starting nodes"))
    show.end("a robot stands in a room")
    # Keyframes are recorded in the odom frame, so this is the map's frame.
    T_world_base = next(iter(list(demo.truth.values())))
    assert demo.odometry is not None  # waited for
    return T_world_base @ np.linalg.inv(demo.odometry)


def _record(demo: Demo, show: Display) -> np.ndarray:
    """Record the drive; return the true positions (D, 3) on it, in the room."""
    show.begin(PHASES[1])
    demo.ask("record", SetBool.Request(data=True))
    demo.ask("start_tour", Trigger.Request())

    def tick() -> None:
        status = demo.mapping
        show.update(demo.tour_progress, f"{status.keyframes} keyframes, {status.distance_m:.1f} m")

    demo.wait(lambda: demo.tour_progress >= 1.0, demo.config.patience_s, "the end of the drive", tick)
    time.sleep(SETTLE_S)
    demo.ask("record", SetBool.Request(data=False))
    time.sleep(SETTLE_S)  # the status with the last keyframe
    show.end(f"{demo.mapping.keyframes} keyframes over {demo.mapping.distance_m:.1f} m")
    return np.array([T[:3, 3] for T in list(demo.truth.values())])


def _train(demo: Demo, show: Display) -> Train.Response:
    """Train the map and load it into the localizer."""
    show.begin(PHASES[2])
    config = demo.config

    def tick() -> None:
        status = demo.mapping
        words = "encoding images" if status.step == 0 else f"step {status.step}"
        if np.isfinite(status.median_error_px):
            words += (
                f", median {status.median_error_px:.1f} px, {100 * status.inlier_share:.0f} % below 10 px"
            )
        if np.isfinite(status.remaining_s):
            words += f", {status.remaining_s:.0f} s left"
        show.update(status.progress, words)

    request = Train.Request(
        map_name=config.map_name, preset=config.preset, time_budget_s=config.train_budget_s, wait=True
    )
    trained = demo.ask("train", request, 2.0 * config.train_budget_s + config.patience_s, tick)
    demo.ask("load_map", LoadMap.Request(map=config.map_name))
    share = 100 * trained.inlier_share
    show.end(f"{trained.map_bytes / 1e6:.1f} MB, {trained.steps} steps, {share:.0f} % below 10 px")
    return trained


def _find(demo: Demo, show: Display, T_world_map: np.ndarray) -> tuple[int, float | None]:
    """Carry the robot away; return when in nanoseconds, and after how many seconds it was found."""
    show.begin(PHASES[3])
    demo.keep_pictures()
    demo.ask("kidnap", Trigger.Request())
    kidnapped_ns = demo.get_clock().now().nanoseconds

    def tick() -> None:
        stamps = _queries(demo, kidnapped_ns)
        found = [s for s in stamps if s in demo.poses]
        words = f"{len(found)} of {len(stamps)} images localized"
        if found:
            true = np.linalg.inv(T_world_map) @ demo.truth[found[-1]]
            metres, degrees = demo_report.errors_of(true[None], demo.poses[found[-1]][None])
            words += f", last error {100 * metres[0]:.1f} cm, {degrees[0]:.1f} deg"
        show.update(demo.tour_progress, words)

    demo.wait(lambda: demo.tour_progress < 1.0, demo.config.patience_s, "the second drive", tick)
    demo.wait(lambda: demo.tour_progress >= 1.0, demo.config.patience_s, "the end of the second drive", tick)
    time.sleep(SETTLE_S)
    tried = "an answer of the localizer"
    demo.wait(lambda: bool(_queries(demo, kidnapped_ns)), demo.config.patience_s, tried, tick)
    after = sorted(s for s in list(demo.poses) if s > kidnapped_ns)
    first_pose_s = round(1e-9 * (after[0] - kidnapped_ns), 2) if after else None
    show.end(f"found {first_pose_s} s after it was put down" if after else "not found")
    return kidnapped_ns, first_pose_s


def _queries(demo: Demo, kidnapped_ns: int) -> list[int]:
    """Return the stamps of the images that the localizer tried after the kidnapping."""
    return sorted(s for s in list(demo.tried) if s > kidnapped_ns and s in demo.truth)


def _result(demo: Demo, T_world_map: np.ndarray, drive: np.ndarray, kidnapped_ns: int) -> DemoRun:
    stamps = _queries(demo, kidnapped_ns)
    nothing = np.full((4, 4), np.nan)
    latency = [demo.tried[s].latency_ms for s in stamps if demo.tried[s].latency_ms > 0]
    true = np.array([np.linalg.inv(T_world_map) @ demo.truth[s] for s in stamps]).reshape(-1, 4, 4)
    estimated = np.array([demo.poses.get(s, nothing) for s in stamps]).reshape(-1, 4, 4)
    metres, degrees = demo_report.errors_of(true, estimated)
    nowhere = np.zeros((0, 3)), np.zeros(0, np.uint8)
    points, grey = cloud_points(demo.cloud) if demo.cloud else nowhere
    known = [(stamps.index(s), image) for s, image in list(demo.pictures) if s in stamps]
    chosen = [known[i] for i in np.linspace(0, len(known) - 1, min(len(known), SHOWN_PICTURES)).astype(int)]
    return DemoRun(
        T_map_true=true,
        T_map_estimated=estimated,
        latency_ms=np.array(latency, float),
        T_world_map=T_world_map,
        drive=drive,
        points=points,
        grey=grey,
        outlines=outlines(demo.config.room_seed),
        training=np.array(list(demo.training), float).reshape(-1, 3),
        images=[image for _, image in chosen],
        captions=[_caption(metres[i], degrees[i]) for i, _ in chosen],
    )


def _caption(metres: float, degrees: float) -> str:
    return f"{100 * metres:.1f} cm, {degrees:.2f} deg" if np.isfinite(metres) else "not localized"


def _ros() -> str:
    """Return the names of the distribution and of the middleware."""
    middleware = rclpy.utilities.get_rmw_implementation_identifier()
    return f"{os.environ.get('ROS_DISTRO', 'unknown')}, {middleware}"


def judge() -> int:
    """Run the demo and say what it found; return 0 where all bars hold, otherwise 1."""
    demo = Demo()
    executor = SingleThreadedExecutor()
    executor.add_node(demo)
    spinning = threading.Thread(target=_spin, args=(executor,), daemon=True)
    spinning.start()
    try:
        with display(PHASES) as show:
            report = run(demo, show)
    finally:  # a thread that is left inside of ROS while that shuts down ends the process
        executor.shutdown()
        spinning.join(END_S)
    print(demo_report.describe(report), flush=True)
    missed = demo_report.missed_bars(report)
    for sentence in missed:
        print(f"demo: {sentence}", file=sys.stderr)
    return 1 if missed else 0


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()
