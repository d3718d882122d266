# SPDX-License-Identifier: Apache-2.0
"""Short forms of the campaigns of faults and of endurance: each has a command for its long form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> str:
    """Run a program apart from this test's graph; return what it printed."""
    domain = 1 + (int(os.environ["ROS_DOMAIN_ID"]) + 50) % 100
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute on an idle machine
def test_nothing_is_lost_when_writers_and_nodes_are_struck() -> None:
    said = run("test/faults/campaign.py", "--seed", "3", "--kills", "1")
    assert said.splitlines()[-1].endswith("lost: 0")
    tried = {line[:12].strip() for line in said.splitlines()[1:-1] if int(line.split()[-4])}
    writers = {"recorder", "map", "atlas", "features", "import", "report", "trainer"}
    assert tried == writers | {"mapper", "localizer"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["images", "recording"])
def test_nodes_do_not_grow(kind: str) -> None:
    run("bench/endurance.py", kind, "--share", "0.002" if kind == "images" else "0.02")
