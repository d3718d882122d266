# SPDX-License-Identifier: Apache-2.0
"""What is said of errors that nobody expected, and after which of them a node ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

pytest.importorskip("rclpy")

import rclpy
from rclpy.context import Context
from std_msgs.msg import String

from ace_ros.errors import CameraError
from ace_ros.msg import LocalizationStatus as Status
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.image_reader import NotLocalized, why_not


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


@pytest.fixture
def faults(context: Context) -> Faults:
    return Faults(rclpy.create_node("faulty", context=context))


def test_a_sentence_can_be_published_whatever_an_error_says(faults: Faults) -> None:
    for text in ("", "two\nlines", "a\0b", "\udcff", "x" * 10_000):
        sentence = faults.take(ValueError(text), "reading")
        assert sentence.startswith("reading: ValueError: ") and len(sentence) <= 400
        assert "\n" not in sentence and "\0" not in sentence
        String(data=sentence).data.encode()
    assert faults.count == 5 and not faults.fatal


def test_after_an_error_that_only_a_new_process_can_mend_the_node_ends(
    context: Context, faults: Faults
) -> None:
    faults.take(torch.cuda.OutOfMemoryError("CUDA error: out of memory"), "localizing")
    assert context.ok() and not faults.fatal
    faults.take(RuntimeError("CUDA error: an illegal memory access was encountered"), "localizing")
    assert faults.fatal and not context.ok()


def test_an_image_tells_why_it_gave_no_pose(faults: Faults) -> None:
    expected = NotLocalized(Status.REASON_BAD_IMAGE, "the image has no time stamp")
    assert why_not(expected, faults) == (Status.REASON_BAD_IMAGE, "the image has no time stamp")
    assert why_not(CameraError("too wide"), faults) == (Status.REASON_NO_CAMERA, "too wide")
    assert faults.count == 0
    reason, sentence = why_not(KeyError("x"), faults)
    assert (reason, sentence) == (Status.REASON_FAILED, "localizing an image: KeyError: 'x'")
    reason, sentence = why_not(torch.cuda.OutOfMemoryError("CUDA out of memory"), faults)
    assert reason == Status.REASON_FAILED and sentence.startswith("memory ran out: close other programs")
    assert faults.count == 2 and "2 unexpected errors" in faults.message
