# SPDX-License-Identifier: Apache-2.0
"""Which of these tests are slow: all that train."""

from __future__ import annotations

from pathlib import Path

import pytest

FILES = {"test_place.py", "test_ray_workers.py"}
TESTS = {
    "test_a_killed_training_goes_on_from_its_features_and_leaves_only_the_map",
    "test_a_resumed_training_gives_the_map_that_it_would_have_given",
    "test_the_command_trains_with_depth",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that train chunks or maps."""
    for item in items:
        file = Path(item.location[0])  # item.path is not in pytest 6, which Ubuntu 22.04 has
        if file.name in FILES or item.name in TESTS:
            item.add_marker(pytest.mark.slow)
