# SPDX-License-Identifier: Apache-2.0
"""Test launch files with pytest, with the API of ROS 2's launch_pytest."""

from __future__ import annotations

from launch_pytest.fixture import fixture
