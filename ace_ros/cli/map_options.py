# SPDX-License-Identifier: Apache-2.0
"""The arguments of `ace_ros map`, and the training config that they ask for."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ace_ros.cli.config_file import read_config
from ace_ros.cli.config_options import add_options, given_options
from ace_ros.config import PRESETS, TrainingConfig, exact_time, override, training_preset

PRECEDENCE = (
    "Training options come from the preset; those in the file of --config replace them, and those given here "
    "replace both. The defaults shown are those of the preset standard."
)


class PrintConfig(argparse.Action):
    """`--print-config`: no training, so SCENE and MAP need not be given."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, help: str, unneeded: list[argparse.Action]
    ) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, help=help)
        self._unneeded = unneeded

    def __call__(self, parser: Any, namespace: argparse.Namespace, *_: Any) -> None:
        """Take note of the option."""
        setattr(namespace, self.dest, True)
        for action in self._unneeded:
            action.required = False


def add_map_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every argument of `ace_ros map` but those that all commands have."""
    parser.usage = "%(prog)s SCENE -o MAP [OPTION ...]"  # the list of all fills a screen
    scene = parser.add_argument(
        "scene",
        type=Path,
        metavar="SCENE",
        help="Scene folder with train/rgb, train/poses, train/calibration.",
    )
    output = parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="MAP",
        help="Map file to write; its name ends in .safetensors, which is added if it has no ending.",
    )
    parser.add_argument(
        "--map-frame", default="map", metavar="FRAME", help="Frame id that poses will carry. (default: map)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="Continue with the features that a training of this map had prepared before it was killed.",
    )
    parser.add_argument(
        "--progress-json", action="store_true", help="Print progress and result as lines of JSON on stdout."
    )
    _add_machines(parser)
    group = parser.add_argument_group("common training options", PRECEDENCE)
    group.add_argument(
        "--preset", choices=tuple(PRESETS), default="standard", help="Set of values. (default: standard)"
    )
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML or JSON file of training options, with the names that --print-config shows.",
    )
    group.add_argument(
        "--print-config",
        action=PrintConfig,
        unneeded=[scene, output],
        help="Print the training options that result, as YAML for --config, and exit.",
    )
    group.add_argument(
        "--time-budget",
        type=_time_budget,
        default=0.0,
        metavar="S",
        help="Train for exactly this time after preparation, without other limits [s]. 0, the default, keeps "
        "the limits of the preset.",
    )
    add_options(group, [f for f in fields(TrainingConfig) if f.metadata["common"]])
    group = parser.add_argument_group("advanced training options", "Most maps need none of these.")
    add_options(group, [f for f in fields(TrainingConfig) if not f.metadata["common"]])


def _add_machines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="Number of processor threads. (default: 0, all)"
    )
    parser.add_argument(
        "--chunks",
        type=int,
        default=1,
        metavar="K",
        help="Train one head for each of K parts of a large place; 0 chooses K from its extent. Preset and "
        "time are those of one part. (default: 1)",
    )
    parser.add_argument(
        "--ray-address",
        default="",
        metavar="ADDRESS",
        help="Train chunks on this Ray cluster: auto, HOST:PORT or local. It needs 'ace_ros[ray]'.",
    )


def _time_budget(text: str) -> float:
    wrong = argparse.ArgumentTypeError(f"must be 0 or at least 1 s, got {text!r}")
    try:
        seconds = float(text)
    except ValueError:
        raise wrong from None
    if not (seconds == 0.0 or 1.0 <= seconds < math.inf):
        raise wrong
    return seconds


def training_config(options: argparse.Namespace) -> TrainingConfig:
    """Return the config that preset, config file and command line ask for, each replacing those before.

    Raises ConfigError, which names the option, and the file if it is set there.
    """
    from_file = read_config(options.config, TrainingConfig) if options.config else {}
    time = exact_time(options.time_budget) if options.time_budget else {}
    given = given_options(options, TrainingConfig)
    return override(training_preset(options.preset), {**from_file, **time, **given})
