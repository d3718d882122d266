# SPDX-License-Identifier: Apache-2.0
"""What a person sees of long work, without a terminal and on one."""

from __future__ import annotations

import io

import pytest

from ace_ros.cli.display import display


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_a_line_for_every_tenth() -> None:
    stream = io.StringIO()
    with display(["mapping"], stream) as shown:
        shown.begin("mapping")
        for step in range(101):
            shown.update(step / 100, f"step {step}")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("mapping:   0 %, step 0", "mapping: 100 %, step 100")


def test_several_phases_have_headings() -> None:
    stream = io.StringIO()
    with display(["drive", "train"], stream) as shown:
        shown.begin("train")
        shown.end("4 MB")
    assert stream.getvalue().splitlines() == ["[2/2] train", "train: done in 0 s: 4 MB"]


def test_on_a_terminal_every_phase_has_a_bar() -> None:
    pytest.importorskip("rich")
    stream = Terminal()
    with display(["drive", "train"], stream) as shown:
        shown.begin("drive")
        shown.update(1.5, "keyframes")  # more than all is all
        shown.end("30 keyframes")
    said = stream.getvalue()
    assert "drive" in said and "train" in said and "30 keyframes" in said and "━" in said
