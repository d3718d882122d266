# SPDX-License-Identifier: Apache-2.0
"""The command `ace_ros`."""

from ace_ros.cli.parser import main

__all__ = ["main"]
