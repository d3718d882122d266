# SPDX-License-Identifier: Apache-2.0
"""The features that the head is trained on: augmented views, the buffer, what is kept of it."""
