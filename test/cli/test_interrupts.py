# SPDX-License-Identifier: Apache-2.0
"""Commands and nodes that are interrupted while they import what they need end quietly."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ["-m", "ace_ros", "eval", "no_such_scene", "no_such_map"]
# A shell that is no terminal's starts background processes with SIGINT ignored; those here listen to it.
LISTEN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def interrupt(arguments: list[str], module: str, number: signal.Signals) -> tuple[int, list[str]]:
    """Send a process a signal when it has imported a module; return its status and the lines on stderr."""
    # -X importtime prints a line for each module as soon as it is imported.
    command = [sys.executable, "-c", LISTEN, "-X", "importtime", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split("|")[-1].strip() == module:
                process.send_signal(number)
                break
        said = process.stderr.read().splitlines()
    return process.returncode, [line for line in said if not line.startswith("import time:")]


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("argparse", signal.SIGINT),
        ("numpy.linalg", signal.SIGINT),
        ("torch._C", signal.SIGINT),
        ("torch._C", signal.SIGTERM),
        ("cv2", signal.SIGINT),
    ],
)
def test_a_command_that_is_interrupted_while_it_imports_ends_quietly(
    module: str, number: signal.Signals
) -> None:
    status, said = interrupt(COMMAND, module, number)
    assert (status, said) == (128 + number, ["ace_ros: interrupted; nothing was written"])


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("mapper", "rclpy.node"),
        ("mapper", "numpy.linalg"),
        ("mapper", "torch._C"),
        ("localizer", "torch.nn"),
        ("player", "torch._C"),
        ("simulator", "torch._C"),
        ("demo", "torch._C"),
    ],
)
def test_a_node_that_is_interrupted_while_it_imports_ends_quietly(name: str, module: str) -> None:
    pytest.importorskip("rclpy")
    status, said = interrupt([str(ROOT / "scripts" / name)], module, signal.SIGINT)
    assert (status, said) == (130, [])


IN_A_DESTRUCTOR = """
import signal, sys, time
from ace_ros.compute.interrupts import catch_interrupts, interrupted_status

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

catch_interrupts()
try:
    Interrupted()
    time.sleep(60.0)
except KeyboardInterrupt:
    sys.exit(interrupted_status())
"""


def test_an_interrupt_within_a_destructor_is_not_lost() -> None:
    command = [sys.executable, "-c", LISTEN, "-c", IN_A_DESTRUCTOR]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60.0)
    assert (run.returncode, run.stderr) == (130, "")
