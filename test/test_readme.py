# SPDX-License-Identifier: Apache-2.0
"""What the README tells a newcomer to type works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from ace_ros.cli.parser import build_parser
from ace_ros.data.scene import load_scene
from support import Trained

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_lines(program: str) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith(program + " ")]


def test_the_python_example_runs(trained: Trained, tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    shutil.copy(trained.map_path, tmp_path / "place.safetensors")
    image = cv2.imread(str(load_scene(trained.scene).frames[5].image_path))
    cv2.imwrite(str(tmp_path / "image.jpg"), cv2.resize(image, (640, 480)))
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "float64" in done.stdout or "no pose" in done.stdout


@pytest.mark.parametrize("line", shell_lines("ace_ros"))
def test_every_ace_ros_command_has_these_arguments(line: str) -> None:
    build_parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("line", shell_lines("ros2 launch"))
def test_every_launch_file_and_argument_exists(line: str) -> None:
    _, _, package, name, *arguments = shlex.split(line)
    source = (ROOT / "launch" / name).read_text()
    assert package == "ace_ros"
    for argument in arguments:
        assert f'"{argument.split(":=")[0]}"' in source


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) >= 5
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in shell_lines("make"):
        assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE), line
