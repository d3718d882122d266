# SPDX-License-Identifier: Apache-2.0
"""The command `ros2`, as far as this package's users and tests need it."""
