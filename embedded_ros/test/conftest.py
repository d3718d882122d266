# SPDX-License-Identifier: Apache-2.0
"""What the tests of the embedded runtime share: private routers, domains, child processes."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# A real ROS 2 has its own tests; these are about the runtime in this folder.
SOURCE = Path(__file__).parents[1] / "src"
RCLPY = importlib.util.find_spec("rclpy")
EMBEDDED = RCLPY is not None and SOURCE in Path(RCLPY.origin).resolve().parents
collect_ignore_glob = [] if EMBEDDED else ["test_*.py"]


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Not the router of programs that happen to run on this machine.
os.environ["EMBEDDED_ROS_ROUTER"] = f"tcp/127.0.0.1:{free_port()}"
_domains = count(1)


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a domain that no other test uses, also set for child processes."""
    number = next(_domains)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


@pytest.fixture
def ros(domain: int) -> Iterator[SimpleNamespace]:
    """Give a context of its own: `ros.node(name, args=[...])`, `ros.spin_until(condition)`."""
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node

    contexts: list[Context] = []

    def make_context(args: list[str]) -> Context:
        context = Context()
        context.init(["test", *args], domain_id=domain)
        contexts.append(context)
        return context

    main = make_context([])
    executor = SingleThreadedExecutor(context=main)

    def node(name: str, args: list[str] | None = None, **options: Any) -> Node:
        context = main if args is None else make_context(args)
        made = Node(name, context=context, **options)
        if context is main:
            executor.add_node(made)
        return made

    def spin_until(condition: Callable[[], Any], timeout_s: float = 10.0) -> bool:
        import time

        end = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end:
            executor.spin_once(0.02)
        return bool(condition())

    yield SimpleNamespace(node=node, spin_until=spin_until, context=main, executor=executor)
    executor.shutdown()
    for context in contexts:
        context.try_shutdown()


@pytest.fixture
def run_python(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python code in a process of its own; it is killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *args: str) -> subprocess.Popen[str]:
        script = tmp_path / f"script_{len(started)}.py"
        script.write_text(textwrap.dedent(code))
        process = subprocess.Popen(
            [sys.executable, str(script), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
