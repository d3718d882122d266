# SPDX-License-Identifier: Apache-2.0
"""The base class of events."""

from __future__ import annotations

from launch.events import Event

__all__ = ["Event"]
