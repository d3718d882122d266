# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to an input, a reader returns or refuses it; `make fuzz` does the same for longer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("rosbags")

import hypothesis
from attack import Arena, Outcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import MESSAGES, TARGETS, Target

from ace_ros.errors import SceneError

NUMBERS = st.integers(0, 2**32)
QUICK, LONG = 12, 60  # inputs of a target


@contextmanager
def arena(name: str, folder: Path) -> Iterator[Arena]:
    """Give a target's arena, and leave the process as it was."""
    made = Arena(TARGETS[name], folder)
    try:
        yield made
    finally:
        made.close()


def attack(name: str, folder: Path, count: int) -> list[Outcome]:
    """Use so many damaged inputs of a target, always the same ones; return what came of them."""
    outcomes = []
    with arena(name, folder) as made:

        @settings(
            max_examples=count, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate],
        )  # fmt: skip
        @given(NUMBERS)
        def try_one(number: int) -> None:
            outcomes.append(made.attack(number))
            assert not outcomes[-1].failure, f"make fuzz TARGET='{name}' SEED={number} COUNT=1"

        try_one()
    return outcomes


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "checkpoint"])
def test_damaged_inputs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    outcomes = attack(name, tmp_path, QUICK)
    # Else nothing was damaged; of a message only values that it can hold reach the reader.
    assert any(outcome.refused for outcome in outcomes) or name in MESSAGES


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_inputs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    attack(name, tmp_path, LONG)


def outcome_of(use: object, folder: Path) -> Outcome:
    """Return what an arena says of a target that does something with its one file."""
    target = Target(lambda made: made.joinpath("file.txt").write_bytes(b"1 2 3") and None, use)  # type: ignore[arg-type]
    made = Arena(target, folder)
    try:
        return made.attack(1)
    finally:
        made.close()


class Once:
    """Does something in all uses but the first, which is the undamaged one."""

    def __init__(self, do: object) -> None:
        self._do, self._used = do, False

    def __call__(self, folder: Path) -> None:
        if self._used:
            self._do(folder)  # type: ignore[operator]
        self._used = True


def raise_key_error(folder: Path) -> None:
    raise KeyError("x")


def refuse(folder: Path) -> None:
    raise SceneError("no scene")


def write_outside(folder: Path) -> None:
    (folder.parent.parent / "elsewhere").write_text("x")


def read_outside(folder: Path) -> None:
    (folder / "../outside/secret.png").read_bytes()


def start(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def take_memory(folder: Path) -> None:
    bytearray(1_000_000_000)


@pytest.mark.parametrize(
    ("do", "failure"),
    [
        (raise_key_error, "KeyError"),
        (write_outside, "trespassed: opened"),
        (read_outside, "trespassed: opened"),
        (start, "trespassed: subprocess.Popen"),
        (take_memory, "MB of memory"),
    ],
)
def test_the_harness_sees_what_must_not_happen(do: object, failure: str, tmp_path: Path) -> None:
    assert failure in outcome_of(Once(do), tmp_path).failure


def test_the_harness_tells_what_is_refused_from_what_is_accepted(tmp_path: Path) -> None:
    refused = outcome_of(Once(refuse), tmp_path / "one")
    assert (refused.refused, refused.accepted, refused.failure) == (True, False, "")
    accepted = outcome_of(lambda folder: None, tmp_path / "two")
    assert (accepted.refused, accepted.accepted, accepted.failure) == (False, True, "")
