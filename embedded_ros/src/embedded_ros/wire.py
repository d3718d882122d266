# SPDX-License-Identifier: Apache-2.0
"""The wire conventions of rmw_zenoh_cpp on ROS 2 Jazzy: key expressions, attachments, tokens."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

NODE, PUBLISHER, SUBSCRIPTION, SERVICE, CLIENT = "NN", "MP", "MS", "SS", "SC"
ADMIN = "@ros2_lv"

# rmw's numbers of the policies; 0 is "system default".
RELIABLE, BEST_EFFORT = 1, 2
TRANSIENT_LOCAL, VOLATILE = 1, 2
KEEP_LAST, KEEP_ALL = 1, 2
DEFAULT_DEPTH = 42

_ATTACHMENT = struct.Struct("<qqB16s")  # sequence number, time in ns, length 16, gid
ATTACHMENT_SIZE = _ATTACHMENT.size  # 33 bytes


@dataclass(frozen=True)
class Qos:
    """The part of a QoS profile that this runtime acts on, in rmw's numbers."""

    reliability: int = RELIABLE
    durability: int = VOLATILE
    history: int = KEEP_LAST
    depth: int = DEFAULT_DEPTH


@dataclass(frozen=True)
class Entity:
    """A node, or an endpoint of a node (then with topic, type, type hash and QoS)."""

    domain: int
    session: str
    node_id: int
    entity_id: int
    kind: str
    namespace: str
    node: str
    topic: str = ""
    type: str = ""  # as ROS writes it: "std_msgs/msg/String"
    type_hash: str = ""
    qos: Qos = Qos()

    @property
    def full_node_name(self) -> str:
        """Return "/namespace/node"."""
        return f"{self.namespace.rstrip('/')}/{self.node}"


def dds_type(ros_type: str) -> str:
    """Return "std_msgs::msg::dds_::String_" for "std_msgs/msg/String"."""
    package, kind, base = ros_type.split("/")
    return f"{package}::{kind}::dds_::{base}_"


def ros_type(dds: str) -> str:
    """Return "std_msgs/msg/String" for "std_msgs::msg::dds_::String_"."""
    return dds.replace("::dds_::", "::").replace("::", "/").removesuffix("_")


def topic_key(domain: int, topic: str, type_name: str, type_hash: str) -> str:
    """Return the key expression that carries a topic's messages or a service's requests."""
    return f"{domain}/{topic.strip('/')}/{dds_type(type_name)}/{type_hash}"


def qos_text(qos: Qos) -> str:
    """Return a QoS profile as it stands in a liveliness token; what is default stays empty."""
    reliability = "" if qos.reliability == RELIABLE else qos.reliability
    durability = "" if qos.durability == VOLATILE else qos.durability
    history = "" if qos.history == KEEP_LAST else qos.history
    depth = "" if qos.depth == DEFAULT_DEPTH else qos.depth
    return f"{reliability}:{durability}:{history},{depth}:,:,:,,"


def parse_qos(text: str) -> Qos:
    """Read what qos_text() wrote; raise ValueError on anything else."""
    reliability, durability, history, *_ = text.split(":")
    history, depth = history.split(",")
    return Qos(
        int(reliability or RELIABLE),
        int(durability or VOLATILE),
        int(history or KEEP_LAST),
        int(depth or DEFAULT_DEPTH),
    )


def token(entity: Entity) -> str:
    """Return the liveliness token that announces an entity."""
    parts = [
        ADMIN, str(entity.domain), entity.session, str(entity.node_id), str(entity.entity_id),
        entity.kind, "%", _mangle(entity.namespace), entity.node,
    ]  # fmt: skip
    if entity.kind != NODE:
        parts += [_mangle(entity.topic), dds_type(entity.type), entity.type_hash]
        parts.append(qos_text(entity.qos))
    return "/".join(parts)


def parse_token(text: str) -> Entity:
    """Return the entity that a liveliness token announces; raise ValueError on a foreign one."""
    parts = text.split("/")
    if len(parts) not in (9, 13) or parts[0] != ADMIN:
        raise ValueError(f"not a liveliness token of a ROS 2 entity: {text}")
    _, domain, session, node_id, entity_id, kind, _, namespace, node = parts[:9]
    common = (int(domain), session, int(node_id), int(entity_id), kind)
    names = (_demangle(namespace), _demangle(node))
    if kind == NODE:
        return Entity(*common, *names)
    topic, dds, type_hash, qos = parts[9:]
    return Entity(*common, *names, _demangle(topic), ros_type(dds), type_hash, parse_qos(qos))


def gid(liveliness_token: str) -> bytes:
    """Return the 16 bytes that identify an endpoint; only their uniqueness is relied on."""
    return hashlib.blake2b(liveliness_token.encode(), digest_size=16).digest()


def pack_attachment(sequence: int, time_ns: int, sender: bytes) -> bytes:
    """Return the 33 bytes that go with every message, request and reply."""
    return _ATTACHMENT.pack(sequence, time_ns, len(sender), sender)


def unpack_attachment(data: bytes) -> tuple[int, int, bytes]:
    """Return sequence number, time in ns and gid; raise ValueError if malformed."""
    if len(data) != ATTACHMENT_SIZE or data[16] != 16:
        raise ValueError(f"malformed attachment of {len(data)} bytes")
    sequence, time_ns, _, sender = _ATTACHMENT.unpack(data)
    return sequence, time_ns, sender


def incompatible_policy(offered: Qos, requested: Qos) -> str | None:
    """Return the policy because of which DDS would not connect two endpoints, or None."""
    if offered.reliability == BEST_EFFORT and requested.reliability == RELIABLE:
        return "RELIABILITY"
    if offered.durability == VOLATILE and requested.durability == TRANSIENT_LOCAL:
        return "DURABILITY"
    return None


def _mangle(name: str) -> str:
    return name.replace("/", "%")


def _demangle(name: str) -> str:
    return name.replace("%", "/")
