# SPDX-License-Identifier: Apache-2.0
"""What each test costs in processor time, of its own and of the processes it started and waited for.

Elapsed time says more about the machine than about a test; processor time is comparable between machines
that are idle and machines that are not. The ten most expensive tests are listed at the end of a run, and
all of them, as tab-separated seconds and names, in the file that `--durations-file` names.
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

LISTED = 10
PROPERTY = "processor_s"


def processor_s() -> float:
    """Return the user and system time of this process and of its ended children, in seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the full table."""
    parser.addoption("--durations-file", type=Path, help="write the processor time of every test there")


@pytest.hookimpl(hookwrapper=True)  # older than wrapper=True: the pytest of Ubuntu 22.04 has it
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Count what the fixtures of a test cost."""
    yield from _counted(item, "setup")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Count what a test costs."""
    yield from _counted(item, "call")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Count what cleaning up costs: node processes end here."""
    yield from _counted(item, "teardown")


def _counted(item: pytest.Item, phase: str) -> Iterator[None]:
    begin = processor_s()
    yield
    item.user_properties.append((f"{PROPERTY}_{phase}", processor_s() - begin))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the tests that cost the most, and write the table of all."""
    spent: dict[tuple[str, str], float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, seconds in getattr(report, "user_properties", []):
                if key == f"{PROPERTY}_{getattr(report, 'when', '')}":
                    spent[report.nodeid, report.when] += seconds
    if not spent:
        return
    ranked = sorted(spent.items(), key=lambda entry: -entry[1])
    terminalreporter.section(f"{LISTED} most expensive of {sum(spent.values()):.0f} s of processor time")
    for (name, phase), seconds in ranked[:LISTED]:
        terminalreporter.write_line(f"{seconds:8.2f} s {phase:8} {name}")
    if path := config.getoption("--durations-file"):
        path.write_text("".join(f"{s:.3f}\t{phase}\t{name}\n" for (name, phase), s in ranked))
