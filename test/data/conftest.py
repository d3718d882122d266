# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from small_scenes import scene_folder

__all__ = ["scene_folder"]
