# SPDX-License-Identifier: Apache-2.0
"""From a scene folder to a map: poses, landmarks, depth, features, head, validation."""
