# SPDX-License-Identifier: Apache-2.0
"""Makes the programs of ros_wheels/ importable; they are no package, for they run before one is installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
