# SPDX-License-Identifier: Apache-2.0
"""Mapping poses without drift: tracks through the images, and bundle adjustment."""
