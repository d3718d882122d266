# SPDX-License-Identifier: Apache-2.0
"""The error class that programs import from rclpy's compiled part."""

from __future__ import annotations


class RCLError(RuntimeError):
    """Use of something whose context or node is gone, or a connection that cannot be made."""
