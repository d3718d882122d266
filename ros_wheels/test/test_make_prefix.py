# SPDX-License-Identifier: Apache-2.0
"""Machines that cannot have a prefix, set-ups that fail or are cut off, and interfaces that are compiled."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import make_prefix
from ace_ros_prefix import MARKER, packages_folder

PREFIX = Path(sys.prefix, "ros")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty virtual environment as far as the set-up looks at it; its `make` only leaves a file."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(make_prefix.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    monkeypatch.setattr(make_prefix, "check_machine", lambda: None)
    monkeypatch.setattr(make_prefix, "try_out", lambda packages: None)
    monkeypatch.setattr(make_prefix, "make", lambda prefix, packages: finish(prefix))
    return tmp_path


def finish(prefix: Path) -> None:
    (prefix / "share").mkdir()
    (prefix / "made").touch()


def test_a_set_up_that_was_cut_off_is_begun_anew(environment: Path) -> None:
    (environment / "ros.part" / "share").mkdir(parents=True)
    (environment / "ros" / "share").mkdir(parents=True)  # without its marker: not whole
    (environment / "ros" / "left_over").touch()
    assert make_prefix.main() == 0
    assert (environment / "ros" / "made").exists() and not (environment / "ros" / "left_over").exists()
    assert not (environment / "ros.part").exists()


def test_what_the_prefix_is_made_of_decides_whether_it_is_made_anew(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_prefix.main() == 0
    (environment / "ros" / "kept").touch()
    assert make_prefix.main() == 0
    assert (environment / "ros" / "kept").exists()
    monkeypatch.setattr(make_prefix, "stamp", lambda: "other requirements")
    assert make_prefix.main() == 0
    assert not (environment / "ros" / "kept").exists()
    assert (environment / "ros" / MARKER).read_text() == "other requirements"


def test_a_prefix_that_does_not_work_is_not_kept(
    environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(packages: Path) -> None:
        make_prefix.run([sys.executable, "-c", "import sys; sys.exit('no library')"])

    monkeypatch.setattr(make_prefix, "try_out", fail)
    (environment / "ros" / "share").mkdir(parents=True)
    (environment / "ros" / "share" / "of_before").touch()
    assert make_prefix.main() == 1
    assert "no library" in capsys.readouterr().err
    assert list((environment / "ros").glob("**/*")) != [] and not (environment / "ros" / MARKER).exists()


def test_without_a_compiler_the_sentence_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make_prefix.main() == 3
    assert "apt install g++" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_pythons_headers_the_sentence_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_prefix.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(make_prefix.CannotMakeError, match=r"Python\.h; run: apt install python3\.\d+-dev"):
        make_prefix.check_machine()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("platform", "machine", lambda: "aarch64"), "this is Linux on aarch64"),
        (("platform", "system", lambda: "Darwin"), "this is Darwin on"),
        (("platform", "libc_ver", lambda: ("", "")), "Linux with glibc"),
        (("sys", "version_info", (3, 9, 1)), r"Python 3\.10 to 3\.14, this is 3\.9"),
    ],
)
def test_a_machine_without_wheels_is_told_so(
    change: tuple[str, str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, value = change
    monkeypatch.setattr(getattr(make_prefix, module), name, value)
    with pytest.raises(make_prefix.CannotMakeError, match=words):
        make_prefix.check_machine()


def test_a_wheel_with_another_hash_is_refused_in_one_sentence(tmp_path: Path) -> None:
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not what was pinned")
    pinned = hashlib.sha256(b"what was pinned").hexdigest()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"tiny==1.0 --hash=sha256:{pinned}\n")
    options = ["--no-index", "--find-links", str(tmp_path), "--require-hashes"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        make_prefix.install(tmp_path / "prefix", *options, "--requirement", str(requirements))
    assert "a wheel is not the one whose hash" in make_prefix.explain(caught.value)
    assert not list((tmp_path / "prefix").glob("**/tiny*"))


BUILD_PROBE = """
import sys
from pathlib import Path
from interfaces import Build, compile_sources, generate, shutil
build = Build(Path(sys.argv[1]), "probe", Path(sys.argv[2]), Path(sys.argv[3]))
generate(build)
shutil.copy2(compile_sources(build), build.python)
"""
USE_PROBE = """
import rclpy
from probe.action import Drive
from probe.msg import Place
from probe.srv import Find
from rclpy.serialization import deserialize_message, serialize_message
place = Place(name="lobby", corners=[1.5, 2.5])
place.header.frame_id = "map"
assert deserialize_message(serialize_message(place), Place) == place
request = Find.Request(name="lobby")
assert deserialize_message(serialize_message(request), Find.Request) == request
goal = Drive.Goal(to=place)
assert deserialize_message(serialize_message(goal), Drive.Goal) == goal
print(Place.__module__)
"""


@pytest.mark.skipif(not (PREFIX / MARKER).is_file(), reason="no ROS 2 from wheels in this environment")
def test_messages_services_and_actions_are_compiled(tmp_path: Path) -> None:
    definitions: dict[str, str] = {
        "msg/Place.msg": "std_msgs/Header header\nstring name\nfloat64[] corners\n",
        "srv/Find.srv": "string name\n---\nbool found\nPlace place\n",
        "action/Drive.action": "Place to\n---\nbool arrived\n---\nfloat32 remaining_m\n",
    }
    for name, text in definitions.items():
        (tmp_path / "probe" / name).parent.mkdir(parents=True)
        (tmp_path / "probe" / name).write_text(text)
    here = Path(make_prefix.__file__).parent
    run: Callable[..., None] = make_prefix.run
    run(
        [sys.executable, "-c", BUILD_PROBE, str(PREFIX), str(tmp_path / "probe"), str(tmp_path / "work")],
        {"PYTHONPATH": f"{packages_folder(PREFIX)}:{here}"},
    )
    (library,) = (tmp_path / "work" / "python" / "probe").glob("*.so")
    make_prefix.set_run_path_of(library, PREFIX)
    for name in ("rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c"):
        (library.parent / f"libprobe__{name}.so").symlink_to(library)
    paths = {"PYTHONPATH": str(library.parent.parent), "LD_LIBRARY_PATH": str(library.parent)}
    run([sys.executable, "-c", USE_PROBE], paths)
