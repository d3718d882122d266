# SPDX-License-Identifier: Apache-2.0
"""What each interface consists of: standard ones from rosbags, others from .msg and .srv text."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys.base import TypesysError, create_field_desc
from rosbags.typesys.msg import MSGParser
from rosbags.typesys.store import Typestore
from rosbags.typesys.stores import ros2_jazzy

BUNDLED = Path(__file__).parent / "definitions"

# An empty structure is not allowed in IDL, so the generators put this byte into it.
PLACEHOLDER = "structure_needs_at_least_one_member"

# The type store keeps no default values; these are the only ones in the standard messages.
STANDARD_DEFAULTS: dict[str, dict[str, Any]] = {
    "geometry_msgs/msg/Quaternion": {"w": 1.0},
    "sensor_msgs/msg/NavSatStatus": {"status": -2},
}


class InterfaceError(ImportError):
    """An interface that cannot be had."""


class InterfaceNotFoundError(InterfaceError):
    """An interface that no folder on this machine defines."""


class Definition(NamedTuple):
    """One structure: its constants, its fields in wire order and their default values."""

    constants: dict[str, Any]
    fields: tuple[tuple[str, Any], ...]  # (name, rosbags field description)
    defaults: dict[str, Any]


@cache
def definition(name: str) -> Definition:
    """Return the definition of a structure such as "std_msgs/msg/String".

    The parts of a service are structures too: "std_srvs/srv/SetBool_Request".
    Raises InterfaceError where there is none.
    """
    package, kind, base = name.split("/")
    if kind == "srv":
        base, _, part = base.rpartition("_")
        text = find_file(package, "srv", base).read_text(encoding="utf-8")
        halves = split_service(text, f"{package}/srv/{base}")
        return parse(halves[0] if part == "Request" else halves[1], name)
    if name in ros2_jazzy.FIELDDEFS:
        constants, fields = ros2_jazzy.FIELDDEFS[name]
        return Definition(
            {key: _constant(kind, value) for key, kind, value in constants},
            tuple((field, _plain(desc)) for field, desc in fields),
            STANDARD_DEFAULTS.get(name, {}),
        )
    return parse(find_file(package, "msg", base).read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Definition:
    """Parse the text of a .msg file, or of one half of a .srv file, of the structure `name`."""
    try:
        # The parser reads names of its own kind only; a package's own types resolve alike.
        message = MSGParser(f"MSG: {name.replace('/srv/', '/msg/')}\n{text}\n").specification()[0]
    except TypesysError as error:
        raise InterfaceError(f"{name} cannot be parsed: {error}") from error
    fields = tuple((f.name, _plain(create_field_desc(f.typ))) for f in message.fields)
    return Definition(
        {c.name: _constant(c.typ.value, c.value) for c in message.constants},
        fields or ((PLACEHOLDER, (Nodetype.BASE, ("uint8", 0))),),
        {f.name: f.value for f in message.fields if f.value is not None},
    )


def split_service(text: str, name: str) -> tuple[str, str]:
    """Return request and response text of a .srv file."""
    lines = text.splitlines()
    marks = [i for i, line in enumerate(lines) if line.strip() == "---"]
    if len(marks) != 1:
        raise InterfaceError(f"{name}: expected one line '---', found {len(marks)}")
    return "\n".join(lines[: marks[0]]), "\n".join(lines[marks[0] + 1 :])


def find_file(package: str, kind: str, base: str) -> Path:
    """Return the .msg or .srv file of an interface; raise InterfaceError where there is none."""
    for folder in folders(package, kind):
        path = folder / f"{base}.{kind}"
        if path.is_file():
            return path
    raise InterfaceNotFoundError(f"no interface {package}/{kind}/{base} on this machine")


def folders(package: str, kind: str) -> list[Path]:
    """Return the folders that may hold interface files of a package, best first."""
    roots = [Path(entry).parent for entry in getattr(sys.modules.get(package), "__path__", [])]
    found = [BUNDLED / package / kind]
    found += [root / kind for root in roots]  # a source checkout keeps them beside the package
    share = _share(package)
    if share is not None:
        found.append(share / kind)
    return [folder for folder in found if folder.is_dir()]


def names(package: str, kind: str) -> list[str]:
    """Return the names of all messages ("msg") or services ("srv") of a package, sorted."""
    found = {path.stem for folder in folders(package, kind) for path in folder.glob(f"*.{kind}")}
    if kind == "msg":
        prefix = f"{package}/msg/"
        found |= {n.removeprefix(prefix) for n in ros2_jazzy.FIELDDEFS if n.startswith(prefix)}
    return sorted(found)


@cache
def type_hash(name: str) -> str:
    """Return the RIHS01 hash of a message or service type, such as "RIHS01_df668c74..."."""
    hashes = Typestore()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in hashes.fielddefs:
            continue
        fields = _service_fields(current) or list(definition(current).fields)
        hashes.fielddefs[current] = ([], fields)
        pending.extend(nested for _, desc in fields if (nested := _nested(desc)))
    return hashes.hash_rihs01(name)


def _service_fields(name: str) -> list[tuple[str, Any]] | None:
    """Return the members that the type description of a service or its event has."""
    _, kind, base = name.split("/")
    if kind != "srv" or base.endswith(("_Request", "_Response")):
        return None
    if base.endswith("_Event"):
        stem = name.removesuffix("_Event")
        return [
            ("info", (Nodetype.NAME, "service_msgs/msg/ServiceEventInfo")),
            ("request", (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{stem}_Request"), 1))),
            ("response", (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{stem}_Response"), 1))),
        ]
    return [
        ("request_message", (Nodetype.NAME, f"{name}_Request")),
        ("response_message", (Nodetype.NAME, f"{name}_Response")),
        ("event_message", (Nodetype.NAME, f"{name}_Event")),
    ]


def _nested(desc: Any) -> str | None:
    """Return the structure that a field holds, if it holds one."""
    kind, rest = desc if desc[0] in (Nodetype.BASE, Nodetype.NAME) else desc[1][0]
    return rest if kind == Nodetype.NAME else None


def _plain(desc: Any) -> Any:
    """Return a field description in which char is uint8, as it is in ROS 2's own IDL."""
    if desc[0] == Nodetype.BASE:
        return (desc[0], ("uint8", 0)) if desc[1][0] == "char" else desc
    if desc[0] == Nodetype.NAME:
        return desc
    return (desc[0], (_plain(desc[1][0]), desc[1][1]))


def _constant(kind: str, value: Any) -> Any:
    return bytes([value]) if kind == "byte" else value


def _share(package: str) -> Path | None:
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        return Path(get_package_share_directory(package))
    except PackageNotFoundError:
        return None
