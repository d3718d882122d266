# SPDX-License-Identifier: Apache-2.0
"""Landmarks of a place, triangulated from tracks."""
