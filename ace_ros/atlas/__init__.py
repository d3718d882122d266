# SPDX-License-Identifier: Apache-2.0
"""Many places: a folder of maps with an index, and which of them an image shows."""
