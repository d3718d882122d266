# SPDX-License-Identifier: Apache-2.0
"""Coarse depth of mapping images, swept or recorded: where training starts."""
