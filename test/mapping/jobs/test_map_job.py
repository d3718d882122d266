# SPDX-License-Identifier: Apache-2.0
"""What one program asks another for, as JSON."""

from __future__ import annotations

import json

import pytest

from ace_ros.config import override, training_preset
from ace_ros.errors import ConfigError
from ace_ros.mapping.jobs.map_job import MapJob


def test_a_job_comes_back_from_json_as_it_was() -> None:
    config = override(training_preset("accurate", 90.0), {"seed": 7, "use_depth": True, "encoder": "/e.pt"})
    job = MapJob("/scenes/hall", "/maps/hall", config, "cpu", "hall", 2, 3, "auto", True)
    assert MapJob.from_json(job.to_json()) == job
    assert MapJob.from_json('{"scene": "s", "output": "o"}') == MapJob("s", "o")


@pytest.mark.parametrize(
    "text, words",
    [
        ("hall", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("[" * 100_000, "must be a JSON object"),
        ('{"scene": "s"}', "needs output"),
        ('{"scene": "s", "output": "o", "colour": 3}', "has no 'colour'"),
        ('{"scene": "s", "output": "o", "threads": "2"}', "threads of a mapping job must be of type int"),
        ('{"scene": "s", "output": "o", "chunks": true}', "chunks of a mapping job must be of type int"),
        ('{"scene": "s", "output": "o", "config": 3}', "config of a mapping job"),
    ],
)
def test_what_is_no_job_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MapJob.from_json(text)


def test_unknown_and_impossible_options_of_training_are_refused() -> None:
    for wrong, words in (({"colour": 3}, "there is no option 'colour'"), ({"steps": -1}, "steps")):
        with pytest.raises(ConfigError, match=words):
            MapJob.from_json(json.dumps({"scene": "s", "output": "o", "config": wrong}))
