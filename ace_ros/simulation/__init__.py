# SPDX-License-Identifier: Apache-2.0
"""The simulated robot, its rooms and its drives."""
