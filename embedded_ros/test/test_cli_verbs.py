# SPDX-License-Identifier: Apache-2.0
"""Every verb of the `ros2` command, against a node in another process."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from ros2_command import ROS2, Running, environment, install, ros2
from ros2cli.main import run

DOMAIN = 172

NODE = """
import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

def main():
    rclpy.init()
    node = rclpy.create_node("subject", namespace="/demo")
    limits = FloatingPointRange(from_value=0.0, to_value=10.0)
    about = ParameterDescriptor(description="How often", floating_point_range=[limits])
    node.declare_parameter("rate", 2.5, about)
    node.declare_parameter("label", "blue", ParameterDescriptor(read_only=True))
    node.declare_parameter("group.counts", [1, 2, 3])
    said = node.create_publisher(String, "said", 10)
    image = node.create_publisher(Image, "image", 10)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_publisher(String, "latched", latched).publish(String(data="kept"))
    node.create_publisher(String, "_hidden", 10)
    node.create_subscription(String, "heard", lambda m: print("heard", m.data, flush=True), 10)

    def switch(request, response):
        response.success = request.data
        response.message = f"switched to {request.data}"
        return response

    def tick():
        said.publish(String(data="hello"))
        image.publish(Image(width=20, height=10, encoding="mono8", data=bytes(200)))

    node.create_service(SetBool, "switch", switch)
    node.create_timer(0.1, tick)
    print("ready", flush=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    node.destroy_node()
    rclpy.try_shutdown()

main()
"""

Command = Callable[..., str]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment with the package `demo`."""
    folder = tmp_path_factory.mktemp("verbs")
    install(folder, "demo", {"subject": NODE}, {})
    return environment(folder, DOMAIN)


@pytest.fixture(scope="module")
def subject(env: dict[str, str]) -> Iterator[Running]:
    """Run the node that the verbs look at."""
    with Running([*ROS2, "run", "demo", "subject"], env) as node:
        node.wait_for("ready")
        yield node


@pytest.fixture
def command(
    env: dict[str, str],
    subject: Running,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Return a function that runs `ros2`, checks its exit status and returns what it printed.

    It runs in this process, which saves the start of an interpreter for each command.
    """
    for name in ("AMENT_PREFIX_PATH", "ROS_DOMAIN_ID"):
        monkeypatch.setenv(name, env[name])

    def run_here(*arguments: str, status: int = 0) -> str:
        result = run(list(arguments))
        printed = "".join(capsys.readouterr())
        if isinstance(result, str):  # what sys.exit prints
            printed, result = f"{printed}{result}\n", 1
        assert (result or 0) == status, printed
        return printed

    return run_here


def test_topic_list(command: Command) -> None:
    topics = command("topic", "list").splitlines()
    assert {"/demo/said", "/demo/image", "/demo/latched", "/demo/heard"} <= set(topics)
    assert "/demo/_hidden" not in topics
    assert topics == sorted(topics)
    typed = command("topic", "list", "-t", "--include-hidden-topics").splitlines()
    assert "/demo/said [std_msgs/msg/String]" in typed
    assert "/demo/_hidden [std_msgs/msg/String]" in typed


def test_topic_type_and_info(command: Command) -> None:
    assert command("topic", "type", "/demo/image") == "sensor_msgs/msg/Image\n"
    assert command("topic", "type", "/nope", status=1) == ""
    assert command("topic", "info", "/demo/said") == (
        "Type: std_msgs/msg/String\nPublisher count: 1\nSubscription count: 0\n"
    )
    assert "Node name: subject" in command("topic", "info", "-v", "/demo/said")
    assert command("topic", "info", "/nope", status=1) == "Unknown topic '/nope'\n"


def test_topic_echo_prints_yaml(command: Command) -> None:
    assert command("topic", "echo", "--once", "/demo/said") == "data: hello\n---\n"
    assert command("topic", "echo", "--once", "/demo/said", "--field", "data") == "hello\n---\n"
    full = yaml.safe_load(
        command("topic", "echo", "--once", "-f", "/demo/image").partition("---")[0]
    )
    assert full["data"] == [0] * 200
    cut = yaml.safe_load(command("topic", "echo", "--once", "/demo/image").partition("---")[0])
    assert cut["data"] == [0] * 128 + ["..."]
    short = command("topic", "echo", "--once", "--no-arr", "/demo/image")
    assert "data: '<sequence type: uint8, length: 200>'\n" in short


def test_topic_echo_gets_a_latched_message_that_was_published_before(command: Command) -> None:
    assert command("topic", "echo", "--once", "/demo/latched") == "data: kept\n---\n"


def test_topic_echo_of_what_nobody_publishes_says_so(command: Command) -> None:
    assert command("topic", "echo", "/nope", status=1) == (
        "WARNING: topic [/nope] does not appear to be published yet\n"
        "Could not determine the type for the passed topic\n"
    )
    assert command("topic", "echo", "--timeout", "0.2", "/nope", "std_msgs/msg/String") == ""


def test_topic_echo_ends_on_sigint(env: dict[str, str], subject: Running) -> None:
    with Running([*ROS2, "topic", "echo", "/demo/said"], env) as echo:
        echo.wait_for("data: hello\n---\n", count=2)
        echo.send(signal.SIGINT)
        assert echo.wait() == signal.SIGINT
        assert "Traceback" not in echo.text


def test_topic_hz(env: dict[str, str], subject: Running) -> None:
    with Running([*ROS2, "topic", "hz", "/demo/said"], env) as hz:
        text = hz.wait_for("window: ")
        rate = float(re.search(r"average rate: ([\d.]+)\n", text)[1])
        assert 7.0 < rate < 12.0
        assert re.search(r"\tmin: [\d.]+s max: [\d.]+s std dev: [\d.]+s window: \d+\n", text)


def test_topic_pub(env: dict[str, str], command: Command, subject: Running) -> None:
    out = command(
        "topic", "pub", "--once", "/demo/heard", "std_msgs/msg/String", "data: from the shell"
    )
    assert "publisher: beginning loop\n" in out
    assert "publishing #1: std_msgs.msg.String(data='from the shell')\n" in out
    subject.wait_for("heard from the shell")
    arguments = ["-r", "20", "/demo/heard", "std_msgs/msg/String", "{data: again}"]
    with Running([*ROS2, "topic", "pub", *arguments], env) as pub:
        pub.wait_for("publishing #5")
        subject.wait_for("heard again", count=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["std_msgs/msg/Nope", "{}"], "The passed message type is invalid"),
        (
            ["std_msgs/msg/String", "text"],
            "The passed value needs to be a dictionary in YAML format",
        ),
        (["std_msgs/msg/String", "{nope: 1}"], "Failed to populate field: "),
    ],
)
def test_topic_pub_refuses_what_is_no_message(
    command: Command, arguments: list[str], message: str
) -> None:
    out = command("topic", "pub", "--once", "/demo/heard", *arguments, status=1)
    assert out.startswith(message)


def test_service_list_and_type(command: Command) -> None:
    services = command("service", "list").splitlines()
    assert "/demo/switch" in services
    assert "/demo/subject/get_parameters" in services
    assert "/demo/switch [std_srvs/srv/SetBool]" in command("service", "list", "-t").splitlines()
    assert command("service", "type", "/demo/switch") == "std_srvs/srv/SetBool\n"
    assert command("service", "type", "/nope", status=1) == ""


def test_service_call(command: Command) -> None:
    assert command("service", "call", "/demo/switch", "std_srvs/srv/SetBool", "{data: true}") == (
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\n"
        "std_srvs.srv.SetBool_Response(success=True, message='switched to True')\n\n"
    )
    assert "data=False" in command("service", "call", "/demo/switch", "std_srvs/SetBool")


def test_service_call_refuses_what_is_no_request(command: Command) -> None:
    call = ["service", "call", "/demo/switch"]
    assert command(*call, "std_srvs/srv/Nope", status=1) == "The passed service type is invalid\n"
    out = command(*call, "std_srvs/srv/SetBool", "{nope: 1}", status=1)
    assert out.startswith("Failed to populate field: ")


def test_node_list_and_info(command: Command) -> None:
    assert command("node", "list") == "/demo/subject\n"
    info = command("node", "info", "/demo/subject")
    for section, entry in (
        ("Subscribers", "/demo/heard: std_msgs/msg/String"),
        ("Publishers", "/demo/said: std_msgs/msg/String"),
        ("Service Servers", "/demo/switch: std_srvs/srv/SetBool"),
    ):
        lines = info.partition(f"  {section}:\n")[2].splitlines()
        assert f"    {entry}" in list(takewhile(lambda line: line.startswith("    "), lines))
    assert command("node", "info", "/nope", status=1) == "Unable to find node '/nope'\n"


def test_param_list_and_get(command: Command) -> None:
    listed = command("param", "list", "/demo/subject").splitlines()
    assert {"  group.counts", "  label", "  rate"} <= set(listed)
    assert command("param", "list").startswith("/demo/subject:\n")
    assert command("param", "get", "/demo/subject", "rate") == "Double value is: 2.5\n"
    assert command("param", "get", "demo/subject", "label") == "String value is: blue\n"
    counts = command("param", "get", "/demo/subject", "group.counts")
    assert counts == "Integer values are: [1, 2, 3]\n"
    assert command("param", "get", "--hide-type", "/demo/subject", "label") == "blue\n"
    assert command("param", "get", "/demo/subject", "nope", status=1) == "Parameter not set\n"
    assert command("param", "get", "/nope", "rate", status=1) == "Node not found\n"


def test_param_set(command: Command) -> None:
    assert command("param", "set", "/demo/subject", "rate", "4.5") == "Set parameter successful\n"
    assert command("param", "get", "/demo/subject", "rate") == "Double value is: 4.5\n"
    assert command("param", "set", "/demo/subject", "label", "red").startswith(
        "Setting parameter failed: "
    )
    assert command("param", "set", "/demo/subject", "rate", "99.0").startswith(
        "Setting parameter failed: "
    )
    command("param", "set", "/demo/subject", "rate", "2.5")


def test_param_describe_and_dump(command: Command) -> None:
    assert command("param", "describe", "/demo/subject", "rate") == (
        "Parameter name: rate\n  Type: double\n  Description: How often\n  Constraints:\n"
        "    Min value: 0.0\n    Max value: 10.0\n"
    )
    assert "    Read only: true\n" in command("param", "describe", "/demo/subject", "label")
    dumped = yaml.safe_load(command("param", "dump", "/demo/subject"))
    parameters = dumped["/demo/subject"]["ros__parameters"]
    assert parameters["label"] == "blue"
    assert parameters["group"] == {"counts": [1, 2, 3]}


def test_interface_list_and_show(env: dict[str, str]) -> None:
    listed = ros2("interface", "list", env=env)[1].splitlines()
    assert "    std_srvs/srv/SetBool" in listed
    assert "    sensor_msgs/msg/Image" in listed
    assert ros2("interface", "list", "-s", env=env)[1].startswith("Services:\n")
    shown = ros2("interface", "show", "geometry_msgs/msg/PointStamped", env=env)[1]
    assert "std_msgs/Header header\n\tbuiltin_interfaces/Time stamp\n\t\tint32 sec\n" in shown
    assert shown.endswith("\tfloat64 z\n")
    shown = ros2("interface", "show", "std_srvs/srv/SetBool", env=env)[1]
    assert [
        line.split("#")[0].strip() for line in shown.splitlines() if line.split("#")[0].strip()
    ] == [*("bool data", "---", "bool success", "string message")]
    assert ros2("interface", "show", "nope/msg/X", env=env) == (1, "", "Unknown package 'nope'\n")
    status, _, error = ros2("interface", "show", "std_msgs", env=env)
    assert status == 1
    assert error.startswith("Invalid name 'std_msgs'. Expected three parts separated by '/'")


def test_ros2_without_a_command_prints_its_help(env: dict[str, str]) -> None:
    status, out, _ = ros2(env=env)
    assert status == 0
    assert "launch" in out
    assert ros2("topic", env=env)[0] == 0
    assert ros2("nope", env=env)[0] == 2


def test_a_sourced_ros_goes_first(env: dict[str, str], tmp_path: Path) -> None:
    real = tmp_path / "ros2"
    real.write_text('#!/bin/sh\necho "the real one: $*"\nexit 9\n')
    real.chmod(0o755)
    (tmp_path / "ros2cli").mkdir()  # the real one has a package of this name, without our module
    (tmp_path / "ros2cli" / "__init__.py").write_text("")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with_real = {**env, "PATH": path, "PYTHONPATH": str(tmp_path)}
    assert ros2("topic", "list", env=with_real) == (9, "the real one: topic list\n", "")
    unsourced = {**env, "PATH": path}
    del unsourced["AMENT_PREFIX_PATH"]
    unsourced.pop("ROS_DISTRO", None)
    assert ros2("pkg", "executables", "tf2_ros", env=unsourced)[0] == 0
