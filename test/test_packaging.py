# SPDX-License-Identifier: Apache-2.0
"""What the package says about itself, to ROS, to pip and to people, fits what is in it."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import sys
import types
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

import ace_ros

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ET.parse(ROOT / "package.xml").getroot()
INTERFACES = sorted(
    str(path.relative_to(ROOT)) for kind in ("msg", "srv", "action") for path in ROOT.glob(f"{kind}/*")
)
ROS_MODULES = re.compile(
    r"rclpy|cv_bridge|launch(_ros|_pytest|_testing)?|tf2_\w+"
    r"|\w+_(msgs|srvs|interfaces|msgs_py|index_python|runtime_py)"
)
PACKAGE_OF = {"tf2_ros": "tf2_ros_py"}
# What Ubuntu's key for a requirement of pip is called.
KEYS = {"torch": "python3-pytorch-pip", "opencv-python-headless": "python3-opencv", "pyyaml": "python3-yaml"}


def keys(*kinds: str) -> set[str]:
    """Return the packages that package.xml depends on in these ways."""
    return {element.text or "" for kind in kinds for element in MANIFEST.iter(kind)}


def ros_packages(folder: Path) -> Iterator[str]:
    """Yield the packages of ROS that Python files below a folder import."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for module in {name.split(".")[0] for name in names}:
                if ROS_MODULES.fullmatch(module):
                    yield PACKAGE_OF.get(module, module)


def requirements(group: str) -> list[str]:
    """Return the requirements of a line `group = [...]` of pyproject.toml."""
    line = re.search(rf"^{group} = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return re.findall(r'"([^"]+)"', line.group(1)) if line else []


def pip_installs(text: str) -> set[str]:
    """Return the requirements that lines beginning with `pip install` name."""
    lines = [line.split("#")[0] for line in text.splitlines() if line.strip().startswith("pip install")]
    return {word for line in lines for word in shlex.split(line)[2:] if not word.startswith("-")}


def test_package_xml_names_every_ros_package_that_is_imported() -> None:
    used = set(ros_packages(ROOT / "ace_ros")) | set(ros_packages(ROOT / "launch"))
    assert {"rclpy", "launch", "geometry_msgs", "tf2_ros_py"} <= used
    assert used <= keys("depend", "exec_depend")
    assert set(ros_packages(ROOT / "test")) <= keys("depend", "exec_depend", "test_depend")


def test_package_xml_names_the_plugins_of_the_rviz_set_up() -> None:
    plugins = set(re.findall(r"Class: (\w+)/", (ROOT / "config" / "ace.rviz").read_text()))
    assert plugins
    assert plugins | {"rviz2"} <= keys("exec_depend")


def test_cmake_generates_every_interface() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert sorted(re.findall(r'"((?:msg|srv|action)/\w+\.\w+)"', cmake)) == INTERFACES


def test_pip_installs_every_file_that_ros_finds_in_share(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, list[tuple[str, list[str]]]] = {}
    recorder = types.SimpleNamespace(setup=lambda **arguments: given.update(arguments))
    monkeypatch.setitem(sys.modules, "setuptools", recorder)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    installed = {source for _, sources in given["data_files"] for source in sources}
    folders = ["launch", "config", "scripts"]
    present = {str(p.relative_to(ROOT)) for name in folders for p in (ROOT / name).iterdir() if p.is_file()}
    assert present | {*INTERFACES, "package.xml", "resource/ace_ros"} == installed


def test_the_version_is_the_same_everywhere() -> None:
    assert MANIFEST.findtext("version") == ace_ros.__version__


def test_what_has_no_key_in_ubuntu_is_installed_by_pip() -> None:
    required = requirements("dependencies")
    assert len(required) >= 4
    page = pip_installs((ROOT / "docs" / "install.md").read_text())
    for requirement in [*required, *requirements("extras")]:
        name = re.split(r"[<>=~]", requirement)[0]
        key = KEYS.get(name, f"python3-{name}")
        if key not in keys("exec_depend"):
            assert requirement in page, f"docs/install.md does not install {requirement}"
        elif key.endswith("-pip"):
            assert requirement in page


def test_the_oldest_versions_are_those_that_are_allowed() -> None:
    tested = dict(line.split("==") for line in lines_of("constraints-oldest.txt"))
    for requirement in [*requirements("dependencies"), *requirements("extras")]:
        name, _, lowest = requirement.partition(">=")
        if lowest:
            assert tested[name].startswith(lowest), requirement


def test_what_is_installed_by_pip_is_pinned_by_hash() -> None:
    pinned = re.compile(r"[\w.-]+==\S+( ;.*)? \\\n    --hash=sha256:\w{64}")
    for name in ("requirements.lock", "ros_wheels/requirements.txt"):
        pins = re.split(r"^(?=\w)", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
        assert pins and all(map(pinned.match, pins)), name
    locked = dict(line.split(" ")[0].split("==") for line in lines_of("requirements.lock") if "==" in line)
    wanted = [*requirements("dependencies"), *requirements("extras"), *requirements("dev")]
    missing = {re.split(r"[<>=~]", requirement)[0] for requirement in wanted} - set(locked)
    assert missing == {"torch"}, "run make lock"
    tested = dict(line.split("==") for line in lines_of("constraints.txt"))
    assert tested["torch"] and all(locked.get(n, v) == v for n, v in tested.items()), "run make lock"


def lines_of(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
