# SPDX-License-Identifier: Apache-2.0
"""Triangulated points of a place: found in images, and poses refined on them."""
