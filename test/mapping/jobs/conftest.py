# SPDX-License-Identifier: Apache-2.0
"""Which of these tests are slow: all that train chunks."""

from __future__ import annotations

import pytest

TRAIN = {"test_place.py", "test_ray_workers.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of files that train chunks."""
    for item in items:
        if item.path.name in TRAIN:
            item.add_marker(pytest.mark.slow)
