# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: it runs tests with the mark `launch` beside the launch of their fixture."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from launch_pytest.fixture import Launch


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", "launch(fixture): run the test beside a launch")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[pytest.Function] | None:
    """Collect launch tests, which may be generators, and let them use their fixture."""
    if not (collector.funcnamefilter(name) and inspect.isroutine(obj)):
        return None
    marks = [*getattr(obj, "pytestmark", []), *collector.iter_markers()]
    mark = next((mark for mark in marks if mark.name == "launch"), None)
    if mark is None:
        return None
    problem = _problem(mark, obj)
    if problem:
        raise collector.CollectError(f"{name}: {problem}")
    pytest.mark.usefixtures(mark.kwargs["fixture"].__name__)(obj)
    return list(collector._genfunctions(name, obj))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Let pytest call, instead of a launch test, a function that runs it beside the launch."""
    mark = pyfuncitem.get_closest_marker("launch")
    if mark is not None:
        pyfuncitem.obj = _beside(mark.kwargs["fixture"]._launch_pytest, pyfuncitem.obj)


def _beside(launch: Launch, test: Callable[..., Any]) -> Callable[..., None]:
    """Return a plain function that runs a test in a thread; what follows a yield, after the launch."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        if not inspect.isgeneratorfunction(test):
            launch.in_thread(test, **fixtures)
            return
        steps = test(**fixtures)
        launch.in_thread(next, steps, None)
        launch.finish()
        if next(steps, launch) is not launch:
            pytest.fail("launch tests using a generator must stop iteration after yielding once")

    return run


def _problem(mark: pytest.Mark, test: object) -> str | None:
    """Return what is wrong with a launch test."""
    launch = getattr(mark.kwargs.get("fixture"), "_launch_pytest", None)
    if launch is None:
        return "'fixture' is required in pytest.mark.launch(), a fixture of launch_pytest.fixture"
    others = [f"'{name}'" for name in mark.kwargs if name != "fixture"]
    if others:
        return f"pytest.mark.launch() takes nothing but a 'fixture' here, got {', '.join(others)}"
    if inspect.iscoroutinefunction(test) or inspect.isasyncgenfunction(test):
        return "a launch test must be a function or a generator here, not a coroutine"
    if inspect.isgeneratorfunction(test) and launch.scope != "function":
        return f"a generator needs a launch of function scope, not of {launch.scope} scope"
    return None
