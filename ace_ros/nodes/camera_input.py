# SPDX-License-Identifier: Apache-2.0
"""A camera's topics: its images and calibration, and whether all of its images arrive."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ace_ros.nodes.conversions import stamp_ns
from ace_ros.nodes.diagnostics import Diagnostics, Health
from ace_ros.nodes.faults import Faults, printable
from ace_ros.nodes.image_rate import ImageRate, Rate
from ace_ros.nodes.image_subscription import ImageSubscription, ReliabilityChoice
from ace_ros.nodes.publishing import SENSOR

MEASURE_PERIOD_S = 1.0
BELIEVED_AFTER = 3  # measurements in a row: a camera that starts or changes its rate is none
LOG_EVERY_S = 30.0
MAX_MESSAGE = 2000
HELP = "docs/images_do_not_arrive.md has more"


class CameraInput:
    """Subscribes to `image` (or `image/compressed`) and `camera_info`.

    `complaint` is a sentence on images that do not arrive, empty where they do; `on_complaint` is
    called when it begins. `faults` are told in statuses and diagnostics, too.
    """

    def __init__(
        self,
        node: Node,
        transport: str,
        reliability: str,
        on_image: Callable[[Any], None],
        on_camera_info: Callable[[Any], None],
        on_complaint: Callable[[], None],
        faults: Faults,
    ) -> None:
        self.complaint = ""
        self.rate = Rate()
        self._node = node
        self._transport, self._on_complaint, self._faults = transport, on_complaint, faults
        self._on_image, self._on_camera_info = on_image, on_camera_info
        self._rates = ImageRate()
        self._missing = 0
        kind, topic = (CompressedImage, "image/compressed") if transport == "compressed" else (Image, "image")
        self._images = ImageSubscription(node, kind, topic, ReliabilityChoice(reliability), self._take_image)
        group = MutuallyExclusiveCallbackGroup()
        self._infos = node.create_subscription(
            CameraInfo, "camera_info", self._take_info, SENSOR, callback_group=group
        )
        self._timer = node.create_timer(MEASURE_PERIOD_S, self._measure, callback_group=group)
        self._diagnostics = Diagnostics(node)
        self._diagnostics.add("images", self._images.topic, self._health)
        self._diagnostics.add("errors", "", faults.health)

    def fill(self, status: Any) -> None:
        """Write the rates into a status message, and behind its sentence what is wrong with the node."""
        status.images_per_s, status.images_offered_per_s = self.rate.arriving, self.rate.offered
        fault = self._faults.message
        own = "" if status.message in fault else status.message  # it is said of this very image
        said = [own, self.complaint, fault]
        status.message = printable("; ".join(filter(None, said)), MAX_MESSAGE)

    def _take_image(self, message: Any) -> None:
        self._rates.take_image(stamp_ns(message.header.stamp))
        self._on_image(message)

    def _take_info(self, message: Any) -> None:
        self._rates.take_info(stamp_ns(message.header.stamp))
        self._on_camera_info(message)

    def _measure(self) -> None:
        self.rate = self._rates.measure()
        unheard = self._images.unheard > 0
        self._missing = self._missing + 1 if unheard or self.rate.much_is_missing else 0
        if self._missing < BELIEVED_AFTER:
            self.complaint = ""
            return
        topic = self._images.topic
        if unheard:
            self.complaint = unheard_complaint(topic)
        else:
            self.complaint = complaint_of(self.rate, topic, self._images.reliable, self._transport)
        self._node.get_logger().warning(self.complaint, throttle_duration_sec=LOG_EVERY_S)
        if self._missing == BELIEVED_AFTER:
            self._on_complaint()

    def _health(self) -> Health:
        publishers = self._images.publishers
        values = {
            "topic": self._images.topic,
            "publishers": publishers,
            "reliability": "reliable" if self._images.reliable else "best effort",
            "images_per_s": round(self.rate.arriving, 1),
            "images_offered_per_s": round(self.rate.offered, 1),
        }
        if self.complaint:
            return Health(self.complaint, True, values)
        if not publishers:
            return Health(f"nobody publishes {self._images.topic}", True, values)
        if math.isnan(self.rate.arriving):
            return Health(f"no images arrive on {self._images.topic}", True, values)
        return Health(f"{_number(self.rate.arriving)} images a second arrive", False, values)


def complaint_of(rate: Rate, topic: str, reliable: bool, transport: str) -> str:
    """Return the sentence on images that are lost on their way, and what to do about it."""
    arriving = _number(rate.arriving) if rate.arriving > 0 else "none"
    how = "reliable" if reliable else "best effort"
    found = f"{arriving} of {_number(rate.offered)} images a second arrive on {topic} ({how})"
    if reliable:
        remedy = "" if transport == "compressed" else "set image_transport to compressed; "
        return f"{found}: network or processor cannot keep up; {remedy}{HELP}"
    return (
        f"{found}: start the camera's driver with the Fast DDS profile config/fastdds_large_images.xml, or "
        f"let it publish reliably with image_reliability auto here; {HELP}"
    )


def unheard_complaint(topic: str) -> str:
    """Return the sentence on a publisher that nothing can arrive from."""
    return (
        f"images on {topic} are published with best effort, so none can arrive where image_reliability is "
        f"reliable: set it to auto; {HELP}"
    )


def _number(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 1.0 else f"{per_second:.1f}"
