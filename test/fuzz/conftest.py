# SPDX-License-Identifier: Apache-2.0
"""Where the attacks find the writers of small inputs that other tests have."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("data", "data/importers")]
