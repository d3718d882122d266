# SPDX-License-Identifier: Apache-2.0
"""The direction of the imports, and what the core may need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ace_ros"

# Every module or folder of the package, and what it may import of the others. Arrows point one way.
LAYERS: list[set[str]] = [
    {"errors", "process"},
    {"config", "geometry", "names", "tensor_file"},
    {"pnp", "network", "data"},
    {"scene_map", "sharpening"},
    {"landmark_pose"},
    {"relocalizer"},
    {"training"},
    {"atlas", "plots", "progress"},
    {"evaluate"},
    {"commands", "demo_report"},
    {"atlas_commands"},
    {"cli", "nodes"},
    {"__main__"},
]
ROS_PACKAGES = {
    "rclpy", "launch", "launch_ros", "tf2_ros", "tf2_msgs", "ament_index_python", "std_msgs", "std_srvs",
    "sensor_msgs", "geometry_msgs", "nav_msgs", "builtin_interfaces", "rcl_interfaces", "rosidl_runtime_py",
    "cv_bridge", "sensor_msgs_py",
}  # fmt: skip


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the dotted names that a file imports, relative ones resolved; type-checking ones left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    nodes = tree.body if top_level_only else ast.walk(tree)
    package = ["ace_ros", *path.relative_to(PACKAGE).parts[:-1]]
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rank(unit: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if unit in layer)


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def test_every_module_has_a_layer() -> None:
    units = {unit_of(p) for p in SOURCES}
    assert units == set().union(*LAYERS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = unit_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "ace_ros" or len(parts) < 2 or parts[1] in (own, "msg", "srv", "__version__"):
            continue
        assert rank(parts[1]) < rank(own), f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_ros_is_imported_only_by_the_nodes(path: Path) -> None:
    if unit_of(path) == "nodes":
        return
    for name in imports(path):
        assert name.split(".")[0] not in ROS_PACKAGES, f"{path} imports {name}"
        assert not name.startswith(("ace_ros.msg", "ace_ros.srv")), f"{path} imports {name}"


def test_the_check_sees_absolute_and_relative_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    path = tmp_path / "geometry" / "se3.py"
    path.parent.mkdir()
    path.write_text("from ace_ros.mapping import map_scene\nfrom ..nodes import mapper\nimport rclpy.node\n")
    assert {"ace_ros.mapping.map_scene", "ace_ros.nodes.mapper", "rclpy.node"} <= set(imports(path))


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import ace_ros, sys; print(sorted({'torch', 'cv2', 'numpy', 'rclpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_core_imports_without_optional_packages() -> None:
    code = """
import sys
for name in ("rich", "matplotlib", "rosbags", "yaml", "rclpy", "zenoh", "poselib", "ray"):
    sys.modules[name] = None  # importing it now raises ImportError
import ace_ros.cli.parser, ace_ros.localization.relocalizer, ace_ros.evaluation.evaluate, ace_ros.cli.progress
import ace_ros.mapping.map_scene, ace_ros.mapping.jobs.place, ace_ros.pnp
import ace_ros.data.scene, ace_ros.data.recorder
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
