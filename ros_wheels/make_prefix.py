# SPDX-License-Identifier: Apache-2.0
"""Make `.venv/ros`, a small real ROS 2, from wheels: `.venv/bin/python ros_wheels/make_prefix.py`.

The wheels of requirements.txt, with the interfaces of ace_ros and tf2_msgs built into them, this package and
the stand-ins of `ros_standins/`. Everything is made in `.venv/ros.part`, tried, and renamed at the end: a
prefix is whole or is not there. One that is up to date is left alone. Exit status 0; 3 where this machine
cannot have one (it is said in one sentence), 1 where making it failed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from ace_ros_prefix import MARKER, packages_folder
from run_paths import set_run_paths

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
STANDINS = CHECKOUT / "ros_standins"
PYTHONS = ((3, 10), (3, 14))  # the first and the last that the wheels are for
WITHOUT = "The command ace_ros works without; the nodes need this, or a sourced ROS 2 (docs/install.md)."


class CannotMakeError(Exception):
    """This machine cannot have the prefix; the message says why and what to do."""


def check_machine() -> None:
    """Raise CannotMakeError where there are no wheels or interfaces cannot be compiled."""
    system, machine, version = platform.system(), platform.machine(), sys.version_info[:2]
    if (system, machine) != ("Linux", "x86_64") or platform.libc_ver()[0] != "glibc":
        raise CannotMakeError(
            "No ROS 2 was installed: its wheels are for Linux with glibc on x86_64, "
            f"this is {system} on {machine}."
        )
    if not PYTHONS[0] <= version <= PYTHONS[1]:
        first, last = (".".join(map(str, python)) for python in PYTHONS)
        raise CannotMakeError(
            f"No ROS 2 was installed: its wheels are for Python {first} to {last}, "
            f"this is {version[0]}.{version[1]}; run: make clean, then make setup PYTHON=python{last}"
        )
    missing = [name for name in ("cc", "c++") if shutil.which(name) is None]
    if missing:
        raise CannotMakeError(
            "No ROS 2 was installed: its messages need a compiler, and there is "
            f"no {' and no '.join(missing)}; run: apt install g++, then make setup"
        )
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        package = f"python{version[0]}.{version[1]}-dev"
        raise CannotMakeError(
            f"No ROS 2 was installed: its messages need Python's headers, and there is no {header}; "
            f"run: apt install {package}, then make setup"
        )


def stamp() -> str:
    """Return what the prefix is made from, as a hash: another stamp, another prefix."""
    of_checkout = ("scripts/*", "msg/*", "srv/*", "action/*", "ros_standins/pyproject.toml")
    sources = [HERE / "requirements.txt", *HERE.glob("*.py"), *HERE.glob("tf2_msgs/msg/*")]
    sources += [path for pattern in of_checkout for path in CHECKOUT.glob(pattern) if path.is_file()]
    links = sorted(path.name for folder in ("launch", "config") for path in (CHECKOUT / folder).iterdir())
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {CHECKOUT} {links}".encode())
    for path in sorted(sources):
        digest.update(f"{path.name} {path.stat().st_size}".encode() + path.read_bytes())
    return digest.hexdigest()


def make(prefix: Path, packages: Path) -> None:
    """Fill an empty folder. Raises CalledProcessError with what the failed command wrote."""
    requirements = ["--require-hashes", "--requirement", str(HERE / "requirements.txt")]
    install(prefix, *requirements)
    set_run_paths(prefix, packages)
    for package, folder in (("tf2_msgs", HERE / "tf2_msgs"), ("ace_ros", CHECKOUT)):
        work = prefix / "interfaces"
        command = [sys.executable, str(HERE / "interfaces.py"), str(prefix), package, str(folder), str(work)]
        run(command, {"PYTHONPATH": str(packages)})
        shutil.rmtree(work)
        library = packages / package / f"{package}_s__rosidl_typesupport_c.so"
        set_run_path_of(library, prefix)
    install(prefix, "--no-build-isolation", "--editable", str(STANDINS))  # with the setuptools of the lock
    add_packages(prefix)


def install(prefix: Path, *what: str) -> None:
    """Install with pip into the prefix, and nothing that was not named."""
    options = [
        "--quiet",
        "--no-deps",
        "--ignore-installed",
        "--no-warn-script-location",
        "--prefix",
        str(prefix),
    ]
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options, *what])


def set_run_path_of(library: Path, prefix: Path) -> None:
    """Let one library find those of the prefix."""
    run_path = f"$ORIGIN/{os.path.relpath(prefix / 'lib', library.parent)}"
    run([str(prefix / "bin" / "patchelf"), "--force-rpath", "--set-rpath", run_path, str(library)])


def add_packages(prefix: Path) -> None:
    """Make this checkout and the stand-ins packages of the prefix, as a symlinked colcon build does."""
    standins = [path.parent.name for path in (STANDINS / "src").glob("*/__init__.py")]
    for name in ("ace_ros", "tf2_msgs", *standins):
        (prefix / "share" / name).mkdir(exist_ok=True)
        (prefix / "share" / "ament_index" / "resource_index" / "packages" / name).touch()
    # Links to files, not to folders: `ros2 launch` does not look into linked folders.
    for path in [CHECKOUT / "package.xml", *CHECKOUT.glob("launch/*.py"), *CHECKOUT.glob("config/*")]:
        link = prefix / "share" / "ace_ros" / path.relative_to(CHECKOUT)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
    add_executables(prefix / "lib" / "ace_ros", sorted((CHECKOUT / "scripts").iterdir()))
    add_executables(prefix / "lib" / "tf2_ros", sorted((STANDINS / "scripts").glob("*")))


def add_executables(folder: Path, programs: list[Path]) -> None:
    """Write starters of Python programs: their own first lines would start the machine's Python."""
    folder.mkdir(exist_ok=True)
    for program in programs:
        starter = folder / program.name
        command = shlex.join([sys.executable, str(program)])
        starter.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        starter.chmod(0o755)


def try_out(packages: Path) -> None:
    """Make a node in a process that has nothing but the new prefix. Raises CalledProcessError."""
    code = (
        "import ace_ros.msg, tf2_msgs.msg, rclpy; rclpy.init(); node = rclpy.create_node('setup'); "
        "node.create_publisher(ace_ros.msg.MappingStatus, 'a', 1); "
        "node.create_publisher(tf2_msgs.msg.TFMessage, 'b', 1); node.destroy_node(); rclpy.shutdown()"
    )
    with tempfile.TemporaryDirectory() as logs:
        run([sys.executable, "-c", code], {"PYTHONPATH": f"{packages}:{CHECKOUT}", "ROS_LOG_DIR": logs})


def run(command: list[str], more: dict[str, str] | None = None) -> None:
    """Run a command without the user's ROS and Python settings. Raises CalledProcessError."""
    left_out = ("PYTHON", "ROS_", "RMW_", "AMENT_", "FASTRTPS_", "FASTDDS_", "LD_LIBRARY_PATH", "COLCON_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    subprocess.run(command, env={**environment, **(more or {})}, check=True, capture_output=True, text=True)


def explain(error: subprocess.CalledProcessError) -> str:
    """Return one sentence about a command that failed."""
    if "HASH" in error.stderr:
        return (
            "No ROS 2 was installed: a wheel is not the one whose hash ros_wheels/requirements.txt names "
            "(see above); it was not used."
        )
    command = shlex.join(error.cmd[:6])
    return f"No ROS 2 was installed: {command} ... ended with status {error.returncode} (see above)."


def main() -> int:
    """Make the prefix of the environment that this Python is of, where it is needed."""
    prefix = Path(sys.prefix, "ros")
    part = prefix.with_name("ros.part")
    switch = Path(sysconfig.get_paths()["purelib"])
    wanted = stamp()
    if (prefix / MARKER).is_file() and (prefix / MARKER).read_text() == wanted:
        return 0
    try:
        check_machine()
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        make(part, packages_folder(part))
        try_out(packages_folder(part))
    except CannotMakeError as error:
        print(f"{error}\n{WITHOUT}", file=sys.stderr)
        return 3
    except subprocess.CalledProcessError as error:
        print(f"{error.stdout}{error.stderr}\n{explain(error)}\n{WITHOUT}", file=sys.stderr)
        return 1
    (part / MARKER).write_text(wanted)
    shutil.rmtree(prefix, ignore_errors=True)  # only now: until here a failure has cost nothing
    part.rename(prefix)
    shutil.copy2(HERE / "ace_ros_prefix.py", switch)
    (switch / "ace_ros_prefix.pth").write_text("import ace_ros_prefix; ace_ros_prefix.activate()\n")
    ros2 = Path(sys.prefix, "bin", "ros2")
    ros2.unlink(missing_ok=True)
    ros2.symlink_to(Path("..", "ros", "bin", "ros2"))
    return 0


def alone() -> int:
    """Run `main` once no other process does in this environment."""
    with Path(sys.prefix, "ros.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return main()


if __name__ == "__main__":
    try:
        sys.exit(alone())
    except KeyboardInterrupt:
        sys.exit(130)
