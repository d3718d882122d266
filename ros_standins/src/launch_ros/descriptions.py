# SPDX-License-Identifier: Apache-2.0
"""The descriptions that launch_ros actions take."""

from __future__ import annotations

from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

__all__ = ["ParameterFile", "ParameterValue"]
