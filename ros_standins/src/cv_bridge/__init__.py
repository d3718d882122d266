# SPDX-License-Identifier: Apache-2.0
"""Image messages as OpenCV arrays and back."""

from __future__ import annotations

from cv_bridge.core import CvBridge
from cv_bridge.encodings import CvBridgeError
