# SPDX-License-Identifier: Apache-2.0
"""How well a map does: figures, tables and pictures."""
