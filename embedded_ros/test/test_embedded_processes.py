# SPDX-License-Identifier: Apache-2.0
"""Two processes and more: what one does, the other sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from conftest import free_port
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.srv import GetParameters, SetParameters
from sensor_msgs.msg import Image
from std_msgs.msg import Int64, String
from std_srvs.srv import SetBool
from tf2_ros import Buffer, TransformListener

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

PEER = """
    import rclpy
    from geometry_msgs.msg import TransformStamped
    from rclpy.executors import ExternalShutdownException
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from std_msgs.msg import Int64, String
    from std_srvs.srv import SetBool
    from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

    rclpy.init()
    node = rclpy.create_node("peer")
    node.declare_parameter("gain", 0.5)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    state = node.create_publisher(String, "state", latched)
    state.publish(String(data="old"))
    state.publish(String(data="ready"))
    echo = node.create_publisher(Int64, "echo", 10)
    node.create_subscription(Int64, "number", lambda m: echo.publish(Int64(data=2 * m.data)), 10)

    def answer(request, response):
        response.success, response.message = request.data, "from the peer"
        return response

    node.create_service(SetBool, "~/set", answer)
    fixed = TransformStamped(child_frame_id="camera")
    fixed.header.frame_id = "base"
    fixed.transform.translation.z = 1.5
    StaticTransformBroadcaster(node).sendTransform(fixed)
    moving = TransformStamped(child_frame_id="base")
    moving.header.frame_id = "odom"
    broadcaster = TransformBroadcaster(node)

    def move():
        moving.header.stamp = node.get_clock().now().to_msg()
        moving.transform.translation.x += 0.1
        broadcaster.sendTransform(moving)
        node.get_logger().info("up", once=True)  # spinning, signals are expected from now on

    node.create_timer(0.05, move)
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    except ExternalShutdownException:
        pass
    node.destroy_node()
    rclpy.try_shutdown()
    print("ended", flush=True)
"""


@pytest.fixture
def peer(ros, run_python) -> subprocess.Popen[str]:
    process = run_python(PEER)
    assert "up" in process.stderr.readline()
    return process


def call(ros, node, kind, name, request):
    client = node.create_client(kind, name)
    assert client.wait_for_service(10.0)
    future = client.call_async(request)
    ros.executor.spin_until_future_complete(future, 10.0)
    assert future.done()
    return future.result()


def test_messages_go_both_ways(ros, peer) -> None:
    node = ros.node("n")
    seen: list[int] = []
    node.create_subscription(Int64, "echo", lambda m: seen.append(m.data), 10)
    publisher = node.create_publisher(Int64, "number", 10)
    publish = lambda: publisher.publish(Int64(data=21)) or seen  # noqa: E731
    assert ros.spin_until(publish)
    assert seen[0] == 42


def test_a_late_joiner_gets_the_newest_latched_message(ros, peer) -> None:
    seen: list[str] = []
    ros.node("n").create_subscription(String, "state", lambda m: seen.append(m.data), LATCHED)
    assert ros.spin_until(lambda: seen)
    ros.spin_until(lambda: False, 0.2)
    assert seen == ["ready"]


def test_a_publisher_that_starts_later_is_heard_from_its_first_latched_message(
    ros, run_python
) -> None:
    seen: list[str] = []
    ros.node("n").create_subscription(String, "state", lambda m: seen.append(m.data), LATCHED)
    run_python(PEER)
    assert ros.spin_until(lambda: "ready" in seen)


def test_a_service_answers(ros, peer) -> None:
    reply = call(ros, ros.node("n"), SetBool, "/peer/set", SetBool.Request(data=True))
    assert reply == SetBool.Response(success=True, message="from the peer")


def test_a_parameter_is_read_and_set(ros, peer) -> None:
    node = ros.node("n")
    wanted = [Parameter("gain", value=0.75).to_parameter_msg()]
    results = call(
        ros, node, SetParameters, "/peer/set_parameters", SetParameters.Request(parameters=wanted)
    ).results
    assert [r.successful for r in results] == [True]
    request = GetParameters.Request(names=["gain"])
    values = call(ros, node, GetParameters, "/peer/get_parameters", request).values
    assert values[0].double_value == 0.75
    unknown = call(
        ros,
        node,
        SetParameters,
        "/peer/set_parameters",
        SetParameters.Request(parameters=[Parameter("odd", value=1).to_parameter_msg()]),
    ).results
    assert not unknown[0].successful and "undeclared" in unknown[0].reason


def test_transforms_arrive(ros, peer) -> None:
    buffer = Buffer()
    TransformListener(buffer, ros.node("n"))
    assert ros.spin_until(lambda: buffer.can_transform("odom", "camera", Time()))
    found: TransformStamped = buffer.lookup_transform("odom", "camera", Time())
    assert found.transform.translation.z == 1.5 and found.transform.translation.x > 0.0


def test_the_graph_shows_the_peer(ros, peer) -> None:
    node = ros.node("n")
    assert ros.spin_until(lambda: node.count_publishers("/tf_static") == 1)
    assert ("peer", "/") in node.get_node_names_and_namespaces()
    assert ("/echo", ["std_msgs/msg/Int64"]) in node.get_topic_names_and_types()
    assert ("/peer/set", ["std_srvs/srv/SetBool"]) in node.get_service_names_and_types()


def test_a_killed_peer_disappears_and_a_new_one_takes_its_place(ros, peer, run_python) -> None:
    node = ros.node("n")
    client = node.create_client(SetBool, "/peer/set")
    assert client.wait_for_service(10.0)
    peer.send_signal(signal.SIGKILL)
    assert ros.spin_until(lambda: node.count_publishers("/echo") == 0)
    assert not client.service_is_ready()
    run_python(PEER)
    assert client.wait_for_service(10.0)
    future = client.call_async(SetBool.Request(data=True))
    ros.executor.spin_until_future_complete(future, 10.0)
    assert future.result().success


def test_a_server_killed_while_it_works_leaves_the_client_alive(ros, run_python, capsys) -> None:
    process = run_python("""
        import time
        import rclpy
        from std_srvs.srv import SetBool
        rclpy.init()
        node = rclpy.create_node("slow")
        def work(request, response):
            print("working", flush=True)
            time.sleep(60)
        node.create_service(SetBool, "slow", work)
        rclpy.spin(node)
    """)
    client = ros.node("n").create_client(SetBool, "slow")
    assert client.wait_for_service(10.0)
    future = client.call_async(SetBool.Request())
    assert "working" in process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    ros.spin_until(lambda: not client.service_is_ready())
    ros.executor.spin_until_future_complete(future, 0.2)
    assert not future.done()
    assert "went away" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGINT, "interrupted\nended\n"), (signal.SIGTERM, "ended\n")]
)
def test_a_signal_ends_spinning_in_order(peer, number: int, words: str) -> None:
    peer.send_signal(number)
    out, err = peer.communicate(timeout=10)
    assert (out, peer.returncode) == (words, 0)
    assert "Traceback" not in err


def test_a_program_ends_without_shutdown(ros, run_python) -> None:
    process = run_python("""
        import rclpy
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("careless")
        node.create_subscription(String, "x", print, 10)
        node.create_publisher(String, "x", 10).publish(String(data="end"))
    """)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 0 and err == ""


def test_images_of_a_slow_reader_are_dropped_and_the_newest_stays(ros, run_python) -> None:
    run_python("""
        import time
        import rclpy
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import Image
        rclpy.init()
        node = rclpy.create_node("camera")
        publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
        image = Image(width=640, height=480, step=1920, encoding="rgb8", data=bytes(921600))
        while True:
            image.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(image)
            time.sleep(1 / 30)
    """)
    ages_s: list[float] = []

    def on_image(image: Image) -> None:
        stamp = image.header.stamp
        ages_s.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)
        time.sleep(0.3)

    qos = QoSProfile(depth=1, reliability=2)
    ros.node("n").create_subscription(Image, "image", on_image, qos)
    assert ros.spin_until(lambda: len(ages_s) == 5)
    # A queue that kept the oldest would show ages of 0.3 s, 0.6 s, ...
    assert max(ages_s[1:]) < 0.25


@pytest.fixture
def own_router(monkeypatch: pytest.MonkeyPatch) -> str:
    place = f"tcp/127.0.0.1:{free_port()}"
    monkeypatch.setenv("EMBEDDED_ROS_ROUTER", place)
    return place


TALKER = """
    import sys
    import rclpy
    from std_msgs.msg import String
    rclpy.init()
    node = rclpy.create_node(sys.argv[1])
    publisher = node.create_publisher(String, "names", 10)
    node.create_subscription(String, "names", lambda m: print(m.data, flush=True), 10)
    node.create_timer(0.05, lambda: publisher.publish(String(data=sys.argv[1])))
    rclpy.spin(node)
"""


def read_until(process: subprocess.Popen[str], word: str, timeout_s: float = 15.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if process.stdout.readline().strip() == word:
            return True
    return False


def test_when_the_router_process_dies_newcomers_are_still_found(
    domain, own_router, run_python
) -> None:
    first = run_python(TALKER, "first")
    assert read_until(first, "first")
    second = run_python(TALKER, "second")
    assert read_until(second, "first") and read_until(first, "second")
    first.send_signal(signal.SIGKILL)
    first.wait()
    third = run_python(TALKER, "third")
    assert read_until(third, "second") and read_until(second, "third")


def test_a_router_that_comes_late_or_stands_by(domain, own_router, run_python) -> None:
    def start_router() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "embedded_ros.router"], stderr=subprocess.PIPE, text=True
        )

    first, second = start_router(), None
    try:
        assert "router at" in first.stderr.readline()
        second = start_router()
        assert "standing by" in second.stderr.readline()
        for process in (first, second):
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.communicate()


def test_without_any_router_a_node_works_alone_until_one_comes(
    domain, monkeypatch, run_python
) -> None:
    # An address that this machine cannot bind as a router of another machine would be.
    port = free_port()
    monkeypatch.setenv("EMBEDDED_ROS_ROUTER", f"tcp/127.0.0.2:{port}")
    first, second = run_python(TALKER, "first"), run_python(TALKER, "second")
    assert read_until(first, "first") and read_until(second, "second")
    environment = dict(os.environ)
    code = (
        "import time, zenoh\n"
        "from embedded_ros.router import make_config\n"
        f"session = zenoh.open(make_config('router', listen__endpoints=['tcp/127.0.0.2:{port}']))\n"
        "time.sleep(60)\n"
    )
    router = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        assert read_until(first, "second") and read_until(second, "first")
    finally:
        router.kill()
        router.wait()
