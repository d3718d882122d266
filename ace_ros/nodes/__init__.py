# SPDX-License-Identifier: Apache-2.0
"""The ROS nodes: thin, and the only part of the package that imports ROS."""
