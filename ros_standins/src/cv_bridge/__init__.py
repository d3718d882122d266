# SPDX-License-Identifier: Apache-2.0
"""Image messages as OpenCV arrays and back."""

from .core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]
