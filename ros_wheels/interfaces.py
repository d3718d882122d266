# SPDX-License-Identifier: Apache-2.0
"""Build the interfaces of a package (.msg, .srv, .action) into a ROS 2 prefix, without CMake.

    python interfaces.py PREFIX PACKAGE FOLDER WORK_FOLDER

rosidl's own generators make the sources, and one compiler call for each makes them a library, as
rosidl_generate_interfaces() does. Runs with the prefix's packages on PYTHONPATH. Ends with a sentence and
status 1 where the compiler fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy
import rosidl_generator_c
import rosidl_generator_py
import rosidl_generator_type_description
import rosidl_typesupport_c
import rosidl_typesupport_fastrtps_c
import rosidl_typesupport_introspection_c
from rosidl_adapter import convert_to_idl

KINDS = ("msg", "srv", "action")
# What every generated library needs, besides those of the interfaces that it uses.
RUNTIME = (
    "rosidl_runtime_c", "rosidl_typesupport_c", "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_fastrtps_cpp", "rosidl_typesupport_introspection_c", "rcutils", "fastcdr", "rmw",
)  # fmt: skip
# Fast DDS serializes with the first and describes types to other participants with the second.
TYPE_SUPPORTS = ("rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c")
PARTS = ("rosidl_generator_c", "rosidl_typesupport_c", *TYPE_SUPPORTS, "rosidl_generator_py")


@dataclass(frozen=True)
class Build:
    """One package to build: its name, the folder with msg/, srv/ and action/, where to and where to work."""

    prefix: Path
    package: str
    folder: Path
    work: Path

    @property
    def share(self) -> Path:
        return self.prefix / "share"

    @property
    def includes(self) -> Path:
        return self.work / "include"

    @property
    def sources(self) -> Path:
        """Where the generated C is, below `includes`, as its own #include lines expect."""
        return self.includes / self.package

    @property
    def introspection(self) -> Path:
        """The same of the generator whose files have the names of another's."""
        return self.work / "introspection" / self.package

    @property
    def python(self) -> Path:
        return self.work / "python" / self.package

    def files(self) -> list[Path]:
        """Return the interface files, relative to the folder."""
        paths = (path for kind in KINDS for path in (self.folder / kind).glob(f"*.{kind}"))
        return sorted(path.relative_to(self.folder) for path in paths)

    def known(self) -> list[str]:
        """Return the interface packages that the prefix has."""
        index = self.share / "ament_index" / "resource_index" / "rosidl_interfaces"
        return sorted(path.name for path in index.iterdir() if path.name != self.package)


def generate(build: Build) -> None:
    """Write C and Python sources of all interfaces below the work folder."""
    files = build.files()
    for file in files:
        (build.work / "idl" / file.parent).mkdir(parents=True, exist_ok=True)
        with redirect_stdout(sys.stderr):
            convert_to_idl(build.folder, build.package, file, build.work / "idl")
    build.sources.mkdir(parents=True)
    rosidl_generator_type_description.generate_type_hash(
        _arguments(build, "rosidl_generator_type_description", build.sources)
    )
    types = [f"{f.with_suffix('.idl')}:{build.sources / f.with_suffix('.json')}" for f in files]
    arguments = _arguments(build, "rosidl_generator_c", build.sources, type_description_tuples=types)
    rosidl_generator_c.generate_c(arguments)
    _write_visibility_headers(build)
    rosidl_typesupport_c.generate_c(_arguments(build, "rosidl_typesupport_c", build.sources), TYPE_SUPPORTS)
    rosidl_typesupport_fastrtps_c.generate_typesupport_fastrtps_c(
        _arguments(build, "rosidl_typesupport_fastrtps_c", build.sources)
    )
    rosidl_typesupport_introspection_c.generate_c(
        _arguments(build, "rosidl_typesupport_introspection_c", build.introspection)
    )
    rosidl_generator_py.generate_py(
        _arguments(build, "rosidl_generator_py", build.python), ["rosidl_typesupport_c"]
    )


def _arguments(build: Build, generator: str, output: Path, **more: object) -> str:
    """Write the arguments file of a generator, as its CMake macro would, and return its path."""
    known = {name: build.share / name for name in build.known()}
    idl = [f"{name}:{path}" for name, share in known.items() for kind in KINDS
           for path in (share / kind).glob("*.idl")]  # fmt: skip
    values = {
        "package_name": build.package,
        "output_dir": str(output),
        "template_dir": str(build.share / generator / "resource"),
        "idl_tuples": [f"{build.work / 'idl'}:{file.with_suffix('.idl')}" for file in build.files()],
        "ros_interface_files": [str(build.folder / file) for file in build.files()],
        "ros_interface_dependencies": idl,
        "target_dependencies": [],
        "include_paths": [f"{name}:{share}" for name, share in known.items()],
        **more,
    }
    path = build.work / f"{generator}.json"
    path.write_text(json.dumps(values))
    return str(path)


def _write_visibility_headers(build: Build) -> None:
    """Write the headers that rosidl makes by CMake's configure_file."""
    (build.sources / "msg").mkdir(exist_ok=True)
    for generator in ("rosidl_generator_c", *TYPE_SUPPORTS):
        name = f"{generator}__visibility_control.h"
        text = next((build.share / generator).glob(f"resource/{name}.in")).read_text()
        text = text.replace("@PROJECT_NAME_UPPER@", build.package.upper())
        (build.sources / "msg" / name).write_text(text.replace("@PROJECT_NAME@", build.package))


def compile_sources(build: Build) -> Path:
    """Compile and link everything that was generated; return the library. Raises CalledProcessError."""
    folders = (build.sources, build.introspection, build.python)
    units = [path for folder in folders for suffix in ("c", "cpp") for path in folder.rglob(f"*.{suffix}")]
    headers = build.prefix / "include"
    generated = [build.includes, build.introspection.parent, build.python.parent]
    of_prefix = [headers, *(path for path in headers.iterdir() if path.is_dir())]
    includes = [*generated, *of_prefix, sysconfig.get_paths()["include"], numpy.get_include()]
    flags = ["-O1", "-fPIC", "-w", *(f"-I{path}" for path in includes)]

    def compile_one(item: tuple[int, Path]) -> Path:
        number, unit = item
        target = build.work / f"{number}.o"
        language = ["c++", "-std=c++17"] if unit.suffix == ".cpp" else ["cc", "-std=gnu11"]
        _run([*language, *flags, "-c", unit, "-o", target])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, enumerate(units)))
    return _link(build, objects)


def _link(build: Build, objects: list[Path]) -> Path:
    folder = build.prefix / "lib"
    names = [*(f"{package}__{part}" for package in build.known() for part in PARTS), *RUNTIME]
    libraries = [path for name in names if (path := folder / f"lib{name}.so").exists()]
    target = build.work / f"{build.package}_s__rosidl_typesupport_c.so"
    options = ["-Wl,--as-needed", *libraries, f"-Wl,-rpath-link,{folder}"]
    _run(["c++", "-shared", "-s", "-o", target, *objects, f"-L{folder}", *options])
    return target


def _run(command: Iterable[str | Path]) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)


def install(build: Build, library: Path, packages: Path) -> None:
    """Put the library, the Python classes and the definitions where ROS 2 looks for them."""
    target = packages / build.package
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(library, target)
    for name in TYPE_SUPPORTS:  # they are looked for by these names, and are all in one library
        link = build.prefix / "lib" / f"lib{build.package}__{name}.so"
        link.symlink_to(os.path.relpath(target / library.name, link.parent))
    for kind in KINDS:
        if (build.python / kind).is_dir():
            shutil.copytree(build.python / kind, target / kind, ignore=shutil.ignore_patterns("*.c"))
            shutil.copytree(build.folder / kind, build.share / build.package / kind)
            shutil.copytree(build.work / "idl" / kind, build.share / build.package / kind, dirs_exist_ok=True)
            shutil.copytree(
                build.sources / kind, build.share / build.package / kind, dirs_exist_ok=True,
                ignore=lambda folder, names: [n for n in names if not n.endswith(".json")],
            )  # fmt: skip
    index = build.share / "ament_index" / "resource_index"
    (index / "rosidl_interfaces" / build.package).write_text("\n".join(map(str, build.files())))


def main(prefix: str, package: str, folder: str, work: str) -> int:
    """Build one package; return the exit status."""
    build = Build(Path(prefix).resolve(), package, Path(folder).resolve(), Path(work).resolve())
    packages = Path(rosidl_generator_py.__file__).parent.parent
    generate(build)
    try:
        library = compile_sources(build)
    except subprocess.CalledProcessError as error:
        print(f"{package}: the compiler failed: {' '.join(error.cmd)}\n{error.stderr}", file=sys.stderr)
        return 1
    install(build, library, packages)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
