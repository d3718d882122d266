# SPDX-License-Identifier: Apache-2.0
"""What README, CONTRIBUTING and the documentation tell a reader to type works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
from wall_scene import write_wall_scene

from ace_ros.cli.parser import build_parser
from ace_ros.data.scene import load_scene
from support import Trained

ROOT = Path(__file__).resolve().parent.parent
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
CAMERA_YAML = """\
image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.0, 0.0, 0.0, 0.0, 0.0]}
"""


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell_lines(program: str) -> list[str]:
    """Return the commands of a program in all texts, comments taken off and continued lines joined."""
    scripts = [block.replace("\\\n", " ") for text in TEXTS.values() for block in blocks("sh", text)]
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for script in scripts for line in script.splitlines()]
    return sorted({line for line in lines if line.startswith(program + " ")})


def marked(name: str) -> Any:
    """Return the name of a page, marked slow where its examples train a map."""
    slow = "map_scene(" in TEXTS[name]
    return pytest.param(name, marks=pytest.mark.slow) if slow else name


@pytest.mark.parametrize("name", [marked(name) for name, text in TEXTS.items() if blocks("python", text)])
def test_python_examples_run_in_their_order(name: str, trained: Trained, tmp_path: Path) -> None:
    shutil.copy(trained.map_path, tmp_path / "place.safetensors")
    write_wall_scene(tmp_path / "SCENE", frames=10, test_frames=3)
    image = cv2.imread(str(load_scene(trained.scene).frames[5].image_path))
    cv2.imwrite(str(tmp_path / "image.jpg"), cv2.resize(image, (640, 480)))
    (tmp_path / "camera.yaml").write_text(CAMERA_YAML)
    for snippet in blocks("python", TEXTS[name]):
        done = run(snippet, tmp_path)
        assert done.returncode == 0, f"{snippet}\n{done.stderr}"
        assert done.stdout


def run(snippet: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", snippet]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("line", shell_lines("ace_ros"))
def test_every_ace_ros_command_has_these_arguments(line: str) -> None:
    command, _, _ = line.partition(" > ")
    build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("line", shell_lines("ros2 launch"))
def test_every_launch_file_and_argument_exists(line: str) -> None:
    _, _, package, name, *arguments = shlex.split(line)
    source = (ROOT / "launch" / name).read_text()
    assert package == "ace_ros"
    for argument in arguments:
        assert f'"{argument.split(":=")[0]}"' in source


@pytest.mark.parametrize("line", [line for line in shell_lines("ros2 service") if "ace_ros/srv/" in line])
def test_every_service_call_has_fields_of_its_type(line: str) -> None:
    _, _, _, service, kind, values = shlex.split(line)
    request = (ROOT / "srv" / f"{kind.split('/')[-1]}.srv").read_text().split("\n---\n")[0]
    fields = {entry.split(":")[0].strip() for entry in values.strip("{}").split(",")}
    assert service.startswith("/ace/")
    assert fields <= {line.split()[1] for line in request.splitlines() if line and line[0] != "#"}


@pytest.mark.parametrize("line", shell_lines("python") + shell_lines(".venv/bin/python"))
def test_every_python_script_and_flag_exists(line: str) -> None:
    _, first, *words = shlex.split(line)
    if first == "-m":
        first, *words = words
        script = ROOT / f"{first.replace('.', '/')}.py"
        if first == "pytest":
            assert all((ROOT / word).exists() for word in words if word.startswith("test/"))
            return
    else:
        script = ROOT / first
    source = script.read_text()
    for flag in (word for word in words if word.startswith("--")):
        assert f'"{flag}"' in source, f"{script} has no {flag}"


def test_the_readme_takes_two_screens() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 120


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in shell_lines("make"):
        assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE), line
