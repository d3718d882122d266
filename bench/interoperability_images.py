# SPDX-License-Identifier: Apache-2.0
"""Count the images that reach a subscriber in another ROS 2; one shell has one ROS 2, the other another.

    python3 bench/interoperability_images.py count reliable       # first, in the receiver's shell
    python3 bench/interoperability_images.py send reliable        # in the sender's shell

640x480 rgb8 at 30 Hz. Prints a line of JSON: middleware, images sent or received, and how long they took.
Needs rclpy, sensor_msgs and numpy alone, so that any distribution can be at the other end.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image

WIDTH, HEIGHT = 640, 480
RATE_HZ = 30.0
TOPIC = "/interoperability/image"
DISCOVERY_S = 20.0
SILENCE_S = 4.0  # the sender has ended


def send(node: Node, qos: QoSProfile, count: int) -> dict[str, Any]:
    """Publish `count` images once somebody listens; return what was sent."""
    publisher = node.create_publisher(Image, TOPIC, qos)
    deadline = time.monotonic() + DISCOVERY_S
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.05)
    listeners = publisher.get_subscription_count()
    time.sleep(1.0)  # the listener finds the publisher, too
    image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    image.data = np.random.default_rng(0).integers(0, 255, 3 * WIDTH * HEIGHT, dtype=np.uint8).tobytes()
    begun = time.monotonic()
    for number in range(1, count + 1):
        image.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(image)
        time.sleep(max(0.0, begun + number / RATE_HZ - time.monotonic()))
    time.sleep(2.0)  # what was lost is sent again
    return {"sent": count, "listeners": listeners}


def count_arriving(node: Node, qos: QoSProfile, count: int) -> dict[str, Any]:
    """Return how many images arrive until `count` have, or nothing has for SILENCE_S."""
    stamps: set[int] = set()
    latencies_ms: list[float] = []
    last = float("inf")

    def take(image: Image) -> None:
        nonlocal last
        last = time.monotonic()
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        stamps.add(stamp)
        latencies_ms.append((node.get_clock().now().nanoseconds - stamp) / 1e6)

    node.create_subscription(Image, TOPIC, take, qos)
    deadline = time.monotonic() + DISCOVERY_S + 2 * count / RATE_HZ
    while len(stamps) < count and time.monotonic() < min(deadline, last + SILENCE_S):
        rclpy.spin_once(node, timeout_sec=0.1)
    median, p99 = np.percentile(latencies_ms, [50, 99]).round(1) if latencies_ms else (None, None)
    return {"received": len(stamps), "latency_ms": {"median": median, "p99": p99}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("role", choices=("send", "count"))
    parser.add_argument("reliability", choices=("reliable", "best_effort"))
    parser.add_argument("--count", type=int, default=120)
    arguments = parser.parse_args()
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy[arguments.reliability.upper()])
    rclpy.init()
    node = rclpy.create_node(f"interoperability_{arguments.role}")
    work = send if arguments.role == "send" else count_arriving
    result = {"middleware": get_rmw_implementation_identifier(), **work(node, qos, arguments.count)}
    print(json.dumps(result))
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
