# SPDX-License-Identifier: Apache-2.0
"""The base class of conditions."""

from __future__ import annotations

from launch.conditions import Condition

__all__ = ["Condition"]
