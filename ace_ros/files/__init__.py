# SPDX-License-Identifier: Apache-2.0
"""Plain files: written whole or not at all, with plain names and a typed header."""
