# SPDX-License-Identifier: Apache-2.0
"""The base class of event handlers."""

from __future__ import annotations

from launch.event_handlers import EventHandler

__all__ = ["EventHandler"]
