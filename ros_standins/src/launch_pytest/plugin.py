# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: it runs tests with the mark `launch` beside the launch of their fixture."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from launch import LaunchContext, LaunchService
from launch_pytest.fixture import Launch


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line(
        "markers", "launch(fixture, shutdown=False): run the test beside a launch, or after its end"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[pytest.Function] | None:
    """Collect launch tests, which may be generators and coroutines, and let them use their fixture."""
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that come after the end of a launch behind all others of the same launch."""
    for item in tuple(items):
        if not _is_after(item) or _launch_of(item).scope == "function":
            continue
        same = [other for other in items if _key(other) == _key(item) and not _is_after(other)]
        if same and items.index(same[-1]) > items.index(item):
            items.remove(item)
            items.insert(items.index(same[-1]) + 1, item)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Let pytest call, instead of a launch test, a function that runs it beside the launch."""
    if pyfuncitem.get_closest_marker("launch") is not None:
        launch = _launch_of(pyfuncitem)
        pyfuncitem.obj = _beside(launch, pyfuncitem.obj, _is_after(pyfuncitem))


@pytest.fixture
def launch_service(request: pytest.FixtureRequest) -> LaunchService:
    """The service of the test's launch."""
    return _used_launch(request).service


@pytest.fixture
def launch_context(request: pytest.FixtureRequest) -> LaunchContext:
    """The context of the test's launch."""
    return _used_launch(request).service.context


@pytest.fixture
def event_loop(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop:
    """The loop of the test's launch."""
    return _used_launch(request).loop


def _beside(launch: Launch, test: Callable[..., Any], after: bool) -> Callable[..., None]:
    """Return a plain function that runs a test in the launch's loop, in a thread beside it or later."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        if after:
            launch.finish()
        if inspect.iscoroutinefunction(test):
            launch.loop.run_until_complete(test(**fixtures))
        elif inspect.isgeneratorfunction(test):
            steps = test(**fixtures)
            launch.in_thread(next, steps, None)
            launch.finish()
            if next(steps, launch) is not launch:
                pytest.fail("launch tests using a generator must stop iteration after yielding once")
        elif after:
            test(**fixtures)
        else:
            launch.in_thread(test, **fixtures)

    return run


def _problem(mark: pytest.Mark, test: object) -> str | None:
    """Return what is wrong with a launch test."""
    launch = getattr(mark.kwargs.get("fixture"), "_launch_pytest", None)
    if launch is None:
        return "'fixture' is required in pytest.mark.launch(), a fixture of launch_pytest.fixture"
    if inspect.isasyncgenfunction(test):
        return "launch tests that are async generators are not supported"
    if inspect.isgeneratorfunction(test) and mark.kwargs.get("shutdown"):
        return "launch tests that are generators cannot be marked with shutdown=True"
    if inspect.isgeneratorfunction(test) and launch.scope != "function":
        return f"a generator with a launch of {launch.scope} scope is not supported: use shutdown=True"
    return None


def _launch_of(item: pytest.Item) -> Launch:
    return item.get_closest_marker("launch").kwargs["fixture"]._launch_pytest


def _is_after(item: pytest.Item) -> bool:
    """Tell whether a test is to be run after the end of its launch."""
    mark = item.get_closest_marker("launch")
    return mark is not None and mark.kwargs.get("shutdown", False)


def _key(item: pytest.Item) -> tuple[Launch, Any] | None:
    """Return what tests that use one launch have in common: the fixture and its parameter."""
    mark = item.get_closest_marker("launch")
    if mark is None:
        return None
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return _launch_of(item), parameters.get(mark.kwargs["fixture"].__name__)


def _used_launch(request: pytest.FixtureRequest) -> Launch:
    """Return the launch of a test, started; fail for a test without."""
    mark = request.node.get_closest_marker("launch")
    if mark is None:
        pytest.fail("this fixture is for tests with pytest.mark.launch")
    request.getfixturevalue(mark.kwargs["fixture"].__name__)
    return _launch_of(request.node)
