# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
import time

import pytest
import zenoh
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from embedded_ros import router, wire
from embedded_ros.definitions import type_hash
from embedded_ros.link import direct
from std_msgs.msg import String
from std_srvs.srv import SetBool

STRING_HASH = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"


def entity(kind: str = wire.PUBLISHER, **changes) -> wire.Entity:
    values = dict(
        domain=2, session="aac3178e146ba6f1fc6e6a4085e77f21", node_id=0, entity_id=10, kind=kind,
        namespace="/", node="listener", topic="/rosout", type="rcl_interfaces/msg/Log",
        type_hash="RIHS01_0", qos=wire.Qos(depth=1000),
    )  # fmt: skip
    return wire.Entity(**{**values, **changes})


def test_a_topic_key_is_domain_name_type_and_hash() -> None:
    key = wire.topic_key(0, "/robot/chatter", "std_msgs/msg/String", STRING_HASH)
    assert key == f"0/robot/chatter/std_msgs::msg::dds_::String_/{STRING_HASH}"


def test_a_publisher_token_is_written_as_rmw_zenoh_does() -> None:
    assert wire.token(entity()) == (
        "@ros2_lv/2/aac3178e146ba6f1fc6e6a4085e77f21/0/10/MP/%/%/listener/"
        "%rosout/rcl_interfaces::msg::dds_::Log_/RIHS01_0/::,1000:,:,:,,"
    )


def test_a_node_token_ends_with_its_name() -> None:
    node = wire.Entity(2, "aac3", 0, 0, wire.NODE, "/ns", "listener")
    assert wire.token(node) == "@ros2_lv/2/aac3/0/0/NN/%/%ns/listener"
    assert wire.parse_token(wire.token(node)) == node


@pytest.mark.parametrize(
    ("qos", "text"),
    [
        (wire.Qos(), "::,:,:,:,,"),
        (wire.Qos(depth=10), "::,10:,:,:,,"),
        (wire.Qos(wire.BEST_EFFORT, depth=5), "2::,5:,:,:,,"),
        (wire.Qos(durability=wire.TRANSIENT_LOCAL, depth=1), ":1:,1:,:,:,,"),
        (wire.Qos(history=wire.KEEP_ALL), "::2,:,:,:,,"),
    ],
)
def test_only_what_is_not_default_stands_in_the_qos(qos, text) -> None:
    assert wire.qos_text(qos) == text
    assert wire.parse_qos(text) == qos


@pytest.mark.parametrize("kind", [wire.PUBLISHER, wire.SUBSCRIPTION, wire.SERVICE, wire.CLIENT])
def test_tokens_are_read_back(kind: str) -> None:
    one = entity(kind, namespace="/a/b", topic="/a/b/c")
    assert wire.parse_token(wire.token(one)) == one


@pytest.mark.parametrize("text", ["", "@ros2_lv/0/x", "other/2/3/4/5/6/7/8/9", "@ros2_lv/a/b/c"])
def test_foreign_tokens_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        wire.parse_token(text)


def test_an_attachment_has_33_bytes() -> None:
    data = wire.pack_attachment(7, 123456789, bytes(range(16)))
    assert data == struct.pack("<qq", 7, 123456789) + b"\x10" + bytes(range(16))
    assert len(data) == 33
    assert wire.unpack_attachment(data) == (7, 123456789, bytes(range(16)))
    with pytest.raises(ValueError):
        wire.unpack_attachment(data[:-1])


@pytest.mark.parametrize(
    ("offered", "requested", "policy"),
    [
        (wire.Qos(), wire.Qos(wire.BEST_EFFORT), None),
        (wire.Qos(wire.BEST_EFFORT), wire.Qos(), "RELIABILITY"),
        (wire.Qos(), wire.Qos(durability=wire.TRANSIENT_LOCAL), "DURABILITY"),
        (wire.Qos(durability=wire.TRANSIENT_LOCAL), wire.Qos(), None),
    ],
)
def test_incompatible_qos_is_known(offered, requested, policy) -> None:
    assert wire.incompatible_policy(offered, requested) == policy


@pytest.fixture
def stranger(ros):
    """A zenoh session that knows nothing of this runtime."""
    config = router.make_config(
        "peer", connect__endpoints=[router.endpoint()], listen__endpoints=["tcp/127.0.0.1:0"]
    )
    session = zenoh.open(config)
    yield session
    session.close()


def wait_for(found: list) -> bool:
    end = time.monotonic() + 5.0
    while not found and time.monotonic() < end:
        time.sleep(0.01)
    return bool(found)


def test_a_stranger_sees_key_payload_and_attachment(ros, domain, stranger) -> None:
    samples: list[zenoh.Sample] = []
    subscriber = stranger.declare_subscriber(f"{domain}/**", direct(samples.append))
    publisher = ros.node("talker").create_publisher(String, "chatter", 10)
    end = time.monotonic() + 5.0
    before = time.time_ns()
    while not samples and time.monotonic() < end:
        publisher.publish(String(data="hello"))
        time.sleep(0.02)
    subscriber.undeclare()
    first = samples[0]
    assert str(first.key_expr) == f"{domain}/chatter/std_msgs::msg::dds_::String_/{STRING_HASH}"
    assert first.payload.to_bytes() == bytes.fromhex("00010000 06000000 68656c6c6f00")
    sequence, time_ns, sender = wire.unpack_attachment(first.attachment.to_bytes())
    assert sequence >= 1 and before <= time_ns <= time.time_ns() and len(sender) == 16


def test_a_stranger_sees_tokens_come_and_go(ros, domain, stranger) -> None:
    node = ros.node("talker", namespace="/robot")
    qos = QoSProfile(
        depth=3,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    publisher = node.create_publisher(String, "chatter", qos)
    come: list[str] = []
    gone: list[str] = []

    def on_token(sample: zenoh.Sample) -> None:
        (come if sample.kind == zenoh.SampleKind.PUT else gone).append(str(sample.key_expr))

    watch = stranger.liveliness().declare_subscriber(
        f"@ros2_lv/{domain}/**/MP/**", direct(on_token), history=True
    )
    assert wait_for(come)
    start, _, end = come[0].partition("/MP/")
    assert start.startswith(f"@ros2_lv/{domain}/{ros.context.link.session_id}/")
    assert end == (
        f"%/%robot/talker/%robot%chatter/std_msgs::msg::dds_::String_/{STRING_HASH}/2:1:,3:,:,:,,"
    )
    node.destroy_publisher(publisher)
    assert wait_for(gone) and gone == come
    watch.undeclare()


def test_a_stranger_calls_a_service(ros, domain, stranger) -> None:
    def answer(request, response):
        response.success, response.message = request.data, "done"
        return response

    ros.node("server").create_service(SetBool, "set", answer)
    hash_ = type_hash("std_srvs/srv/SetBool")
    key = f"{domain}/set/std_srvs::srv::dds_::SetBool_/{hash_}"
    replies: list[zenoh.Reply] = []

    def ask() -> bool:
        if not replies:
            stranger.get(
                key,
                direct(replies.append),
                target=zenoh.QueryTarget.ALL_COMPLETE,
                payload=bytes.fromhex("00010000 01"),
                attachment=wire.pack_attachment(41, 5, bytes(16)),
            )
        return bool(replies)

    assert ros.spin_until(ask)
    reply = replies[0].ok
    assert reply.payload.to_bytes() == bytes.fromhex("00010000 01 000000 05000000 646f6e6500")
    sequence, _, client = wire.unpack_attachment(reply.attachment.to_bytes())
    assert (sequence, client) == (41, bytes(16))
