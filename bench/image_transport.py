# SPDX-License-Identifier: Apache-2.0
"""How many camera images reach the localizer's callback, and after how long.

    python bench/image_transport.py [--images 900] [--map MAP]

A process publishes 640x480 rgb8 images at 30 Hz, reliably or with best effort, and the localizer node
in another one counts them; each with the Fast DDS profile of the launch files or without. Prints a
table and a line of JSON. Needs ROS 2.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (640, 480)
RATE_HZ = 30.0
SETTLE_S = 3.0  # the localizer looks once in half a second what its publishers offer
PATIENCE_S = 120.0
PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds_large_images.xml"

# Publisher's reliability, whether it has the profile, whether the localizer has it, image_reliability.
CASES = (
    ("reliable", True, True, "auto"),
    ("best_effort", True, True, "auto"),
    ("reliable", False, True, "auto"),
    ("best_effort", False, True, "auto"),
    ("reliable", False, False, "auto"),
    ("best_effort", False, False, "auto"),
    ("reliable", False, False, "best_effort"),
)


def publish(reliability: str, images: int) -> None:
    """Publish images, with camera_info, once the localizer is connected."""
    import array

    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CameraInfo, Image

    rclpy.init()
    node = rclpy.create_node("camera")
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy[reliability.upper()])
    image_publisher = node.create_publisher(Image, "image", qos)
    info_publisher = node.create_publisher(CameraInfo, "camera_info", qos)
    width, height = SIZE
    image = Image(width=width, height=height, step=3 * width, encoding="rgb8")
    noise = np.random.default_rng(0).integers(0, 256, 3 * width * height, np.uint8)
    image.data = array.array("B", noise.tobytes())
    deadline = time.monotonic() + PATIENCE_S
    while not (image_publisher.get_subscription_count() and info_publisher.get_subscription_count()):
        if time.monotonic() > deadline:
            sys.exit("the localizer has not subscribed")
        time.sleep(0.1)
    time.sleep(SETTLE_S)
    begun = time.monotonic()
    for number in range(images):
        time.sleep(max(0.0, begun + number / RATE_HZ - time.monotonic()))
        image.header.stamp = node.get_clock().now().to_msg()
        info_publisher.publish(CameraInfo(header=image.header, width=width, height=height))
        image_publisher.publish(image)
    time.sleep(2.0)  # for those that are still on their way
    rclpy.try_shutdown()


def count(reliability: str, map_path: str) -> None:
    """Run the localizer until it is interrupted; print when images reached its callback, after how long."""
    import rclpy

    from ace_ros.compute.process import keep_memory, wait_briefly
    from ace_ros.nodes.conversions import stamp_ns
    from ace_ros.nodes.executor import NodeExecutor
    from ace_ros.nodes.localizer import Localizer
    from ace_ros.nodes.shutdown import until_shutdown

    latency_ms: dict[int, float] = {}

    class CountingLocalizer(Localizer):
        def _on_image(self, message: Any) -> None:
            stamp = stamp_ns(message.header.stamp)
            latency_ms[stamp] = (time.time_ns() - stamp) / 1e6
            super()._on_image(message)

    wait_briefly()
    keep_memory()
    options = ["-p", f"image_reliability:={reliability}", *(["-p", f"map:={map_path}"] if map_path else [])]
    rclpy.init(args=["--ros-args", *options])
    with until_shutdown():
        node = CountingLocalizer()
        executor = NodeExecutor(node.faults)
        executor.add_node(node)
        executor.spin()
    print(json.dumps(list(latency_ms.values())))


def measure(case: tuple[str, bool, bool, str], images: int, map_path: str) -> dict[str, Any]:
    """Return what arrived in one case."""
    offered, publisher_has_profile, localizer_has_profile, asked = case
    own = [sys.executable, __file__]
    localizer = subprocess.Popen(
        [*own, "--count", asked, "--map", map_path], env=_environment(localizer_has_profile),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        subprocess.run(
            [*own, "--publish", offered, "--images", str(images)], env=_environment(publisher_has_profile),
            check=True, timeout=PATIENCE_S + SETTLE_S + images / RATE_HZ + 30.0,
        )  # fmt: skip
    finally:
        localizer.send_signal(signal.SIGINT)
        said, _ = localizer.communicate(timeout=60.0)
    latency_ms = json.loads(said.splitlines()[-1])
    median, p99 = np.percentile(latency_ms, (50, 99)).round(1).tolist() if latency_ms else (None, None)
    return {
        "publisher": offered, "publisher_profile": publisher_has_profile,
        "localizer_profile": localizer_has_profile, "image_reliability": asked,
        "images": images, "arrived": len(latency_ms), "latency_ms": {"median": median, "p99": p99},
    }  # fmt: skip


def _environment(profile: bool) -> dict[str, str]:
    from ace_ros.nodes.large_images import OLD_PROFILES, PROFILES, variables

    names = (PROFILES, OLD_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if profile:
        environment.update(dict.fromkeys(variables(environment), str(PROFILE)))
    return environment


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=900, help="images of each case (default: %(default)s)")
    parser.add_argument("--map", default="", help="map that the localizer works with meanwhile")
    parser.add_argument("--publish", help=argparse.SUPPRESS)
    parser.add_argument("--count", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.publish:
        return publish(given.publish, given.images)
    if given.count:
        return count(given.count, given.map)
    print("publisher    its profile  localizer's  asked        arrived     median / p99 ms")
    rows = []
    for case in CASES:
        row = measure(case, given.images, given.map)
        rows.append(row)
        offered, *profiles, asked = case
        yes_no = ["yes" if one else "no" for one in profiles]
        latency = f"{row['latency_ms']['median']} / {row['latency_ms']['p99']}"
        arrived = f"{row['arrived']} of {row['images']}"
        print(f"{offered:12} {yes_no[0]:12} {yes_no[1]:12} {asked:12} {arrived:11} {latency}", flush=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "ros": os.environ.get("ROS_DISTRO")}
    print(json.dumps({**machine, "rows": rows}))
    return None


if __name__ == "__main__":
    main()
