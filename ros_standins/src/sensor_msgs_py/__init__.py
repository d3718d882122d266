# SPDX-License-Identifier: Apache-2.0
"""Sensor messages as numpy arrays."""
