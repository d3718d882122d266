# SPDX-License-Identifier: Apache-2.0
"""How the shipped encoders are trained: once, for all scenes."""
