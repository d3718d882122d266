# SPDX-License-Identifier: Apache-2.0
"""The map file, and what a place looks like in a few numbers."""
