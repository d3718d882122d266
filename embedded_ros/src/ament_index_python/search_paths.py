# SPDX-License-Identifier: Apache-2.0
"""The prefixes under which packages are looked for."""

from __future__ import annotations

import os
import site
import sys


def get_search_paths() -> list[str]:
    """Return the existing prefixes, first one wins: AMENT_PREFIX_PATH, then Python's own.

    pip puts a package's share files under `sys.prefix`, or with `--user` under the user base.
    """
    candidates = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates.append(sys.prefix)
    if site.ENABLE_USER_SITE:
        candidates.append(site.getuserbase())
    return list(dict.fromkeys(p for p in candidates if os.path.isdir(p)))
