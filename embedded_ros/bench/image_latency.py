# SPDX-License-Identifier: Apache-2.0
"""Measure the way of an image between two processes, from stamp to callback.

Usage: python bench/image_latency.py [--frames 300] [--rate 30] [--width 640] [--height 480]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data

from sensor_msgs.msg import Image

DOMAIN = 231


def publish(frames: int, rate: float, width: int, height: int) -> None:
    """Publish stamped rgb8 images; print the processor time per image in ms."""
    rclpy.init(args=[], domain_id=DOMAIN)
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
    pixels = np.random.default_rng(0).integers(0, 255, width * height * 3, np.uint8)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    time.sleep(0.5)
    used = time.process_time()
    for _ in range(frames):
        image = Image(width=width, height=height, encoding="rgb8", step=3 * width)
        image.header.stamp = node.get_clock().now().to_msg()
        image.data = pixels
        publisher.publish(image)
        time.sleep(1.0 / rate)
    print(1e3 * (time.process_time() - used) / frames)
    rclpy.shutdown()


def receive(options: argparse.Namespace) -> dict[str, float]:
    """Receive the images of a child process; return the figures."""
    rclpy.init(args=[], domain_id=DOMAIN)
    node = rclpy.create_node("viewer")
    latencies_ms: list[float] = []

    def on_image(image: Image) -> None:
        now = time.time_ns()
        sent = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        latencies_ms.append((now - sent) / 1e6)
        np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)

    node.create_subscription(Image, "image", on_image, qos_profile_sensor_data)
    camera = subprocess.Popen(
        [sys.executable, __file__, "--publish", *sys.argv[1:]], stdout=subprocess.PIPE, text=True
    )
    used = time.process_time()
    while camera.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.1)
    used_ms = 1e3 * (time.process_time() - used) / max(len(latencies_ms), 1)
    rclpy.shutdown()
    latencies_ms.sort()
    return {
        "sent": options.frames,
        "received": len(latencies_ms),
        "median_ms": round(statistics.median(latencies_ms), 3),
        "p99_ms": round(latencies_ms[int(0.99 * (len(latencies_ms) - 1))], 3),
        "publisher_cpu_ms": round(float(camera.stdout.read()), 3),
        "subscriber_cpu_ms": round(used_ms, 3),
    }


def main() -> None:
    """Run either side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.frames, options.rate, options.width, options.height)
    else:
        print(json.dumps(receive(options)))


if __name__ == "__main__":
    main()
