# SPDX-License-Identifier: Apache-2.0
"""What tests can wait for."""

from __future__ import annotations

from launch_pytest.tools import process
