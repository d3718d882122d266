# SPDX-License-Identifier: Apache-2.0
"""The options of training on the command line and in config files."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import Field, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from ace_ros.cli.config_file import config_text, read_config
from ace_ros.cli.map_options import training_config
from ace_ros.cli.parser import build_parser
from ace_ros.config import (
    PRESETS,
    AtlasConfig,
    BagConfig,
    RansacConfig,
    TrainingConfig,
    override,
    training_preset,
)
from ace_ros.errors import ConfigError
from ace_ros.nodes.options import LocalizerConfig, MapperConfig, PlayerConfig

OPTIONS = {f.name: f for f in fields(TrainingConfig)}
TEXTS = (
    "lite",
    "",
    "/maps/my encoder.pt",
    "yes",
    "null",
    "1e3",
    "#",
    'a: "b\\c"',
    "é\u0085\u200b😀\n\t\x7f",
    "'",
)


def asked(*arguments: object) -> TrainingConfig:
    """Return the config that `ace_ros map` trains with."""
    return training_config(build_parser().parse_args(["map", "scene", "-o", "map", *map(str, arguments)]))


def random_value(f: Field[Any], rng: random.Random) -> Any:
    """Return a value within the limits of an option, quite often one of the limits."""
    if isinstance(f.default, bool):
        return rng.random() < 0.5
    if isinstance(f.default, str):
        return rng.choice(TEXTS)
    low, high = f.metadata["low"], f.metadata["high"] or 10**12
    if isinstance(f.default, int):
        return rng.choice([low, high, rng.randint(low, high)])
    # Of any order of magnitude: small and large ones are written with an exponent.
    small = max(low, high * 1e-12)
    return float(rng.choice([low, high, small * (high / small) ** rng.random(), rng.uniform(low, high)]))


@pytest.mark.parametrize("seed", range(50))
def test_a_config_that_was_printed_is_read_back_as_it_was(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    config = TrainingConfig(**{name: random_value(f, rng) for name, f in OPTIONS.items()})
    path = tmp_path / "train.yaml"
    path.write_text(config_text(config), encoding="utf-8")
    assert asked("--config", path) == config
    (tmp_path / "train.json").write_text(json.dumps(asdict(config)))
    assert asked("--preset", "accurate", "--config", tmp_path / "train.json") == config


@pytest.mark.parametrize("seed", range(10))
def test_every_option_can_be_given_on_the_command_line(seed: int) -> None:
    rng = random.Random(seed)
    values = {name: random_value(f, rng) for name, f in OPTIONS.items()}
    arguments = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            arguments.append(f"--{flag}={value}")
    assert asked(*arguments) == TrainingConfig(**values)


def test_without_options_the_config_is_the_presets() -> None:
    assert asked() == TrainingConfig()
    for preset in PRESETS:
        assert asked("--preset", preset) == training_preset(preset)


def test_the_file_replaces_the_preset_and_the_command_line_both(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("steps: 70\nbatch: 64\nrefine_poses: true\nlearning_rate: 1e-3\n")
    config = asked("--batch", 32, "--config", path, "--preset", "fast", "--no-refine-poses")
    expected = {"steps": 70, "batch": 32, "refine_poses": False, "learning_rate": 1e-3}
    assert config == override(training_preset("fast"), expected)


def test_a_time_budget_replaces_the_files_limits_but_no_option_given_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("steps: 70\nseed: 4\n")
    exact = asked("--time-budget", 30, "--config", path)
    assert exact == replace(training_preset("standard", 30.0), seed=4)
    assert asked("--time-budget", 30, "--steps", 9).steps == 9


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.yaml", "stepz: 5", "there is no option 'stepz'; did you mean 'steps'?"),
        ("a.yaml", "refine-poses: true", "there is no option 'refine-poses'; did you mean 'refine_poses'?"),
        ("a.yaml", "xyz: 5", "there is no option 'xyz'; known are batch, buffer_features, "),
        ("a.yaml", "7: 5", "there is no option '7'; known are batch, "),
        ("a.yaml", "steps: 0", "steps must be at least 1, got 0"),
        ("a.yaml", "rotation_deg: 181", "rotation_deg must be at most 180.0 deg, got 181.0"),
        ("a.yaml", "steps: many", "steps must be a whole number, got 'many'"),
        ("a.yaml", "steps: 1.5", "steps must be a whole number, got 1.5"),
        ("a.yaml", "steps: true", "steps must be a whole number, got True"),
        ("a.yaml", "scale: wide", "scale must be a number, got 'wide'"),
        ("a.yaml", "scale: .nan", "scale must be a finite number, got nan"),
        ("a.yaml", "scale: true", "scale must be a number, got True"),
        ("a.yaml", "use_depth: 1", "use_depth must be true or false, got 1"),
        ("a.yaml", "encoder: 3", "encoder must be text, got 3"),
        ("a.yaml", "encoder:", "encoder must be text, got None"),
        ("a.yaml", "- steps", "expected options as NAME: VALUE, found ['steps']"),
        ("a.yaml", "steps: [", "is not valid YAML: while parsing"),
        ("a.json", "steps: 5", "is not valid JSON: Expecting value: line 1"),
        ("a.json", '{"scale": 1' + "0" * 400 + "}", "is not valid JSON: the number 1000"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_config(path, TrainingConfig)
    assert str(refused.value).startswith(f"{path}: {sentence}")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("# steps: 5\n")
    assert asked("--config", path) == TrainingConfig()


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read_config(tmp_path / "none.yaml", TrainingConfig)
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not a text file in UTF-8"):
        read_config(path, TrainingConfig)


def test_only_yaml_needs_pyyaml(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('{"steps": 5}')
    (tmp_path / "train.yaml").write_text("steps: 5")
    code = (
        "import sys; sys.modules['yaml'] = None; from ace_ros.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "map", "--print-config", "--config", str(tmp_path / name)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    done = run("train.json")
    assert done.returncode == 0 and "\nsteps: 5\n" in done.stdout, done.stderr
    done = run("train.yaml")
    assert done.returncode == 2 and done.stderr == (
        f"ace_ros: {tmp_path / 'train.yaml'}: reading YAML needs PyYAML: install it with "
        "pip install 'ace_ros[extras]', or write the options as JSON into a file that ends in .json\n"
    )


def test_the_config_is_printed_with_help_and_without_training(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ace_ros", "map", "--print-config", "--preset", "fast", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "train.yaml"
    path.write_text(done.stdout)
    assert asked("--config", path) == replace(training_preset("fast"), seed=5)
    assert "# Longest training time after the images are prepared [s]. Raise it" in done.stdout
    assert set(read_config(path, TrainingConfig)) == set(OPTIONS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["map", "scene"], "the following arguments are required: -o/--output; see ace_ros map --help"),
        (
            ["map", "s", "-o", "m", "--steps", "0"],
            "--steps: must be at least 1, got 0; see ace_ros map --help",
        ),
        (
            ["map", "s", "-o", "m", "--scale", "x"],
            "--scale: must be a number, got 'x'; see ace_ros map --help",
        ),
        (
            ["map", "--print-config", "--time-budget", "-4"],
            "--time-budget: must be 0 or at least 1 s, got '-4'",
        ),
        (
            ["import-bag", "b", "-o", "s", "--image-format", "gif"],
            "--image-format: must be one of jpg, png, got",
        ),
        (["info"], "the following arguments are required: MAP; see ace_ros info --help"),
        (
            ["map", "--print-config", "--config", "no.yaml"],
            "no.yaml: cannot be read: No such file or directory",
        ),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "ace_ros", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ace_ros: {sentence}") and len(done.stderr.splitlines()) == 1


def test_common_options_are_listed_before_advanced_ones() -> None:
    help_of_map = next(parser for name, parser in commands() if name == "map").format_help()
    order = [
        help_of_map.index(text) for text in ("--preset {", "  --refine-poses", "advanced", "  --batch N")
    ]
    assert order == sorted(order)
    for name in OPTIONS:
        assert f"  --{name.replace('_', '-')}" in help_of_map


def commands(parser: argparse.ArgumentParser | None = None) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield name and parser of every command and action."""
    for action in (parser or build_parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, own in action.choices.items():
                yield name, own
                yield from commands(own)


def helps() -> dict[str, str]:
    """Return every help of the command line and of the nodes by a name."""
    kinds = (
        TrainingConfig,
        RansacConfig,
        AtlasConfig,
        BagConfig,
        MapperConfig,
        LocalizerConfig,
        PlayerConfig,
    )
    found = {f"{kind.__name__}.{f.name}": f.metadata["help"] for kind in kinds for f in fields(kind)}
    for name, parser in commands():
        for action in parser._actions:
            if not isinstance(action, (argparse._SubParsersAction, argparse._HelpAction)):
                text = str(action.help).split(" (default: ")[0]
                found[f"{name} {action.dest}"] = text if text.endswith(".") else f"{text}."
    return found


@pytest.mark.parametrize(("name", "text"), helps().items())
def test_every_help_is_a_sentence_of_its_own(name: str, text: str) -> None:
    assert text[0].isupper(), text
    assert text.endswith(".") and ".." not in text.replace("(.../", ""), text
    assert text.count(". ") <= 2 and len(text) < 240, text
