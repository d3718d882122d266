# SPDX-License-Identifier: Apache-2.0
"""Networks: the scene-agnostic encoder, the scene-specific head and its loss."""
