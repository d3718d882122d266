# SPDX-License-Identifier: Apache-2.0
"""Whether nodes take more memory, handles, threads or time the longer they run.

    python bench/endurance.py images                  # 100,000 small images through the localizer
    python bench/endurance.py recording               # 20,000 keyframes through the mapper
    python bench/endurance.py demo                    # an hour of the demo's nodes at full speed
    python bench/endurance.py images --share 0.05     # a twentieth of it

The nodes run in processes of their own and are sent the next image when they have answered to the one
before. Prints a table with a line for each tenth, and a line of JSON. Exit code 1 where, after the first
tenth, memory grew by more than 20 MB, handles or threads became more, or the last tenth took more than 5 %
longer for an image than the first. Time is processor time, which other programs change less than the
clock's; in a share below one it may be 2.5 times as long, since a tenth is soon over. Needs ROS 2 and Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from watched import TENTHS, Watched, endure

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test"), str(ROOT / "test" / "nodes")]
SLOWER, SLOWER_IN_SHORT = 1.05, 2.5
TOTALS = {"images": 100_000, "recording": 20_000, "demo": 3600}  # images, keyframes, seconds
BURST = 20  # keyframes between two looks at the status, which comes twice a second
PATIENCE_S = 120.0
LOST_S = 5.0  # an image that has not come by then was lost by the middleware on a busy machine
SMALL = (96, 72)


class Graph:
    """Nodes of the package, a robot, and the newest status of each node."""

    def __init__(self, folder: Path) -> None:
        from graph import Graph as TestGraph

        self.folder, self.data = folder, folder / "data"
        self.test = TestGraph()
        self.newest: dict[str, Any] = {}
        self._nodes: list[Any] = []

    def listen(self, kind: type, topic: str) -> None:
        """Keep the newest message of a topic."""
        from graph import LATCHED

        self.test.node.create_subscription(
            kind, topic, lambda message: self.newest.__setitem__(topic, message), LATCHED
        )

    def start(self, name: str, **parameters: object) -> Watched:
        """Start a node; return what looks at it."""
        from graph import NodeProcess

        self._nodes.append(NodeProcess(name, self.folder / f"{name}.log", **parameters))
        return Watched(name, self._nodes[-1].process.pid)

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        """Return the first true value of a condition while all nodes live."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            for node in self._nodes:
                node.assert_alive()
            time.sleep(0.001)
        raise AssertionError(f"not within {seconds:.0f} s: {what}")

    def close(self) -> None:
        """End everything."""
        for node in self._nodes:
            node.stop()
        self.test.close()


def images(graph: Graph, total: int) -> list[Watched]:
    """Show the localizer images of a painted wall, one after the other."""
    import cv2
    from graph import Robot
    from wall_scene import write_wall_scene

    from ace_ros.data.scene import load_scene
    from ace_ros.msg import LocalizationStatus
    from ace_ros.nodes.conversions import stamp_ns
    from support import GOLDEN

    (graph.data / "maps").mkdir(parents=True)
    shutil.copy(GOLDEN / "wall.safetensors", graph.data / "maps")
    write_wall_scene(graph.folder / "wall", frames=1, test_frames=8)
    frames = load_scene(graph.folder / "wall", "test").frames
    pictures = [cv2.imread(str(frame.image_path)) for frame in frames]
    robot, topic = Robot(graph.test, frames[0].camera), "/ace/localization_status"
    graph.listen(LocalizationStatus, topic)
    node = graph.start("localizer", data_dir=graph.data, map="wall")
    graph.wait("the localizer", lambda: topic in graph.newest)
    count = localized = 0

    def step() -> tuple[int, float]:
        nonlocal count, localized
        number, count = count % len(frames), count + 1
        robot.look(pictures[number], frames[number].T_map_camera)
        stamp = robot.stamp
        status = graph.wait(
            "an answer", lambda: stamp_ns(graph.newest[topic].header.stamp) == stamp and graph.newest[topic]
        )
        localized += status.reason == LocalizationStatus.REASON_NONE
        return 1, status.latency_ms or float("nan")

    endure([node], total, step)
    print(f"{localized} of {count} images localized")
    return [node]


def recording(graph: Graph, total: int) -> list[Watched]:
    """Let the mapper record keyframes of small images."""
    from graph import T_BASE_CAMERA, Robot, base_at, test_camera, texture
    from std_srvs.srv import SetBool

    from ace_ros.data.scene import load_scene
    from ace_ros.msg import MappingStatus
    from ace_ros.nodes.recording import Counts

    robot, topic = Robot(graph.test, test_camera(SMALL)), "/ace/mapping_status"
    pictures = [texture(seed, SMALL) for seed in range(16)]
    graph.listen(MappingStatus, topic)
    node = graph.start("mapper", data_dir=graph.data, scene_name="drive")
    graph.wait("the mapper", lambda: topic in graph.newest)
    assert graph.test.call(SetBool, "/ace/record", data=True).success
    count = 0

    def look() -> None:
        nonlocal count
        count += 1
        robot.look(pictures[count % len(pictures)], base_at(0.3 * count) @ T_BASE_CAMERA)

    def first() -> bool:
        look()
        time.sleep(1.0)  # longer than an image waits for the odometry that is just being found
        return bool(graph.newest[topic].keyframes)

    graph.wait("the first keyframe", first)
    status, lost = graph.newest[topic], 0

    def handled() -> bool:
        nonlocal status
        status = graph.newest[topic]
        dropped = sum(getattr(status, name) for name in vars(Counts()) if name.startswith(("skip", "drop")))
        return status.images >= count - lost and status.keyframes + dropped >= status.images

    def step() -> tuple[int, float]:
        nonlocal lost
        began, before = time.perf_counter(), status.keyframes
        for _ in range(BURST):
            look()
        graph.wait("keyframes", lambda: handled() or time.perf_counter() > began + LOST_S)
        if not handled():
            lost = count - status.images
        assert status.state == MappingStatus.RECORDING, status.message
        return status.keyframes - before, 1e3 * (time.perf_counter() - began) / BURST

    endure([node], total, step)
    assert graph.test.call(SetBool, "/ace/record", data=False).success
    status = graph.newest[topic]
    found = len(load_scene(Path(status.scene)).frames)
    print(f"{found} keyframes of {count} images can be read; {lost} images did not reach the node")
    if found < total or lost > 0.01 * count:
        raise AssertionError(f"{found} keyframes of {count} images: {status.last_drop}")
    return [node]


def demo(graph: Graph, total: int) -> list[Watched]:
    """Let a simulated robot drive, be recorded and be localized, again and again, for so many seconds."""
    from std_msgs.msg import Float32
    from std_srvs.srv import SetBool, Trigger

    from ace_ros.msg import LocalizationStatus, MappingStatus
    from ace_ros.srv import LoadMap, Train

    progress = "/ace/tour_progress"
    graph.listen(Float32, progress)
    graph.listen(MappingStatus, "/ace/mapping_status")
    graph.listen(LocalizationStatus, "/ace/localization_status")
    simulator = graph.start("simulator", texels_per_m=64.0, width=320, height=240)
    nodes = [graph.start(name, data_dir=graph.data) for name in ("mapper", "localizer")]
    graph.wait("all nodes", lambda: len(graph.newest) == 3)

    def drive(service: str, records: bool) -> None:
        if records:
            assert graph.test.call(SetBool, "/ace/record", data=True).success
        assert graph.test.call(Trigger, f"/ace/{service}").success
        graph.wait("a drive", lambda: graph.newest[progress].data < 1.0)
        graph.wait("its end", lambda: graph.newest[progress].data >= 1.0, 600.0)
        if records:
            assert graph.test.call(SetBool, "/ace/record", data=False).success

    drive("start_tour", records=True)
    trained = graph.test.call(Train, "/ace/train", 900.0, map_name="room", preset="fast", time_budget_s=20.0,
                              wait=True)  # fmt: skip
    assert trained.success, trained.message
    assert graph.test.call(LoadMap, "/ace/load_map", map="room").success
    topic, begun, last = "/ace/localization_status", time.monotonic(), 0.0
    drives = 0

    def step() -> tuple[int, float]:
        nonlocal last, drives
        drive("kidnap", records=drives % 2 == 0)
        drives += 1
        elapsed = time.monotonic() - begun
        seconds, last = round(elapsed - last), elapsed
        return seconds, graph.newest[topic].latency_ms or float("nan")

    endure([simulator, *nodes], total, step)
    print(f"{drives} drives, {graph.newest[topic].images_localized} images localized")
    return [simulator, *nodes]


KINDS: dict[str, Callable[[Graph, int], list[Watched]]] = {
    "images": images, "recording": recording, "demo": demo,
}  # fmt: skip


def main() -> int:
    """Measure; return 0 where nothing grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--share", type=float, default=1.0, help="part of the whole (default: 1)")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs would let nodes ignore it
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    total = max(10 * TENTHS, round(TOTALS[options.kind] * options.share))
    print("process     tenth  memory MB  handles  threads  processor ms  latency ms", flush=True)
    with tempfile.TemporaryDirectory(prefix="ace_ros_endurance_") as folder:
        graph = Graph(Path(folder))
        try:
            watched = KINDS[options.kind](graph, total)
        finally:
            graph.close()
    slower = SLOWER if options.share >= 1.0 else SLOWER_IN_SHORT
    complaints = [what for process in watched for what in process.complaints(slower)]
    tenths = {process.name: [asdict(sample) for sample in process.samples] for process in watched}
    about = {"cores": os.cpu_count(), "machine": platform.machine(), "ros": os.environ.get("ROS_DISTRO")}
    print(json.dumps({"kind": options.kind, "total": total, **about, "tenths": tenths, "grew": complaints}))
    for sentence in complaints:
        print(f"endurance: {sentence}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
