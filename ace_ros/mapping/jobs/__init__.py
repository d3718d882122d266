# SPDX-License-Identifier: Apache-2.0
"""A place in chunks: how it is split, where chunks are trained, how they are joined."""
