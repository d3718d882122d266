# SPDX-License-Identifier: Apache-2.0
"""The direction of the imports, and what the core may need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ace_ros"
MAX_FILES_AT_THE_TOP = 6

# Every folder and module at the top of the package. Each imports from layers before its own.
LAYERS: list[set[str]] = [
    {"errors"},
    {"files"},
    {"config", "geometry", "compute"},
    {"pnp", "network", "data"},
    {"landmarks"},
    {"maps"},
    {"localization", "encoder_training", "simulation"},
    {"mapping"},
    {"atlas", "evaluation"},
    {"cli"},
    {"nodes"},
    {"__main__"},
]
ROS_PACKAGES = {
    "rclpy", "launch", "launch_ros", "tf2_ros", "tf2_msgs", "ament_index_python", "std_msgs", "std_srvs",
    "sensor_msgs", "geometry_msgs", "nav_msgs", "builtin_interfaces", "rcl_interfaces", "rosidl_runtime_py",
    "cv_bridge", "sensor_msgs_py", "diagnostic_msgs",
}  # fmt: skip


def imports(path: Path, modules: Collection[str] = ()) -> Iterator[str]:
    """Yield the dotted names that a file imports anywhere, in functions and for types too.

    Relative ones are resolved. A package is left out where only `modules` are taken from it.
    """
    package = ["ace_ros", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
            yield from names if all(name in modules for name in names) else [module, *names]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def own_imports() -> dict[str, set[str]]:
    """Return which modules of the package every one of its modules imports."""
    modules = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    return {
        name: {other for other in imports(path, modules) if other in modules} - {"ace_ros"}
        for name, path in modules.items()
    }


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the names of a cycle, empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def child_of(name: str, folder: str) -> str:
    """Return which file or folder directly in a folder a module belongs to."""
    return name.removeprefix(f"{folder}.").split(".")[0] if name != folder else "__init__"


def children(folder: str, modules: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return which files and folders directly in a folder import which others of them."""
    inside = {name for name in modules if f"{name}.".startswith(f"{folder}.")}
    graph: dict[str, set[str]] = {child_of(name, folder): set() for name in inside}
    for name in inside:
        own = child_of(name, folder)
        graph[own] |= {child_of(other, folder) for other in modules[name] & inside} - {own}
    return graph


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rank(unit: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if unit in layer)


def folders() -> Iterable[str]:
    return sorted(module_of(path) for path in PACKAGE.rglob("__init__.py"))


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def test_every_module_has_a_layer() -> None:
    units = {unit_of(p) for p in SOURCES}
    assert units == set().union(*LAYERS)


def test_few_files_lie_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_FILES_AT_THE_TOP


def test_every_folder_says_what_it_holds() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse((path.parent / "__init__.py").read_text())), path.parent


def test_imports_point_one_way() -> None:
    for path in SOURCES:
        own = unit_of(path)
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "ace_ros" or len(parts) < 2 or parts[1] in (own, "msg", "srv", "__version__"):
                continue
            assert rank(parts[1]) < rank(own), f"{path} imports {name}"


def test_no_two_files_import_each_other() -> None:
    assert cycle(own_imports()) == []


def test_imports_point_one_way_inside_a_folder() -> None:
    modules = own_imports()
    for folder in folders():
        assert cycle(children(folder, modules)) == [], folder


def test_the_check_sees_a_cycle_of_files_and_one_of_folders() -> None:
    files = {"ace_ros.a.one": {"ace_ros.a.two"}, "ace_ros.a.two": {"ace_ros.a.one"}}
    assert set(cycle(files)) == set(files)
    folders = {
        "ace_ros.a": set[str](),
        "ace_ros.a.b.one": {"ace_ros.a.c.one"},
        "ace_ros.a.c.one": set[str](),
        "ace_ros.a.c.two": {"ace_ros.a.b.one"},
    }
    assert cycle(folders) == []
    assert children("ace_ros.a", folders) == {"__init__": set(), "b": {"c"}, "c": {"b"}}
    assert set(cycle(children("ace_ros.a", folders))) == {"b", "c"}


def test_ros_is_imported_only_by_the_nodes() -> None:
    for path in SOURCES:
        if unit_of(path) == "nodes":
            continue
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


# A program that imports the package keeps its own threads and its own memory allocator.
SETTINGS = {"limit_threads", "keep_memory", "wait_briefly"}
ENTRY_POINTS = {"cli", "nodes", "mapping/jobs/ray_workers.py"}
SET_THREADS = {"nodes", "compute", "encoder_training/training.py"}


def test_only_entry_points_set_up_the_process() -> None:
    for path in SOURCES:
        places = {unit_of(path), path.relative_to(PACKAGE).as_posix()}
        settings = {name.rpartition(".")[2] for name in imports(path) if ".compute.process." in name}
        assert not settings & SETTINGS or places & ENTRY_POINTS, path
        assert "set_num_threads(" not in path.read_text() or places & SET_THREADS, path


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import ace_ros, sys; print(sorted({'torch', 'cv2', 'numpy', 'rclpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_core_imports_without_optional_packages() -> None:
    code = """
import sys
for name in ("rich", "matplotlib", "rosbags", "yaml", "rclpy", "poselib", "ray"):
    sys.modules[name] = None  # importing it now raises ImportError
import ace_ros.cli.parser, ace_ros.localization.relocalizer, ace_ros.evaluation.evaluate, ace_ros.cli.progress
import ace_ros.mapping.map_scene, ace_ros.mapping.jobs.place, ace_ros.pnp
import ace_ros.data.scene, ace_ros.data.recorder
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
