# SPDX-License-Identifier: Apache-2.0
"""The verbs of the `ros2` command that look at the graph, against a node in another process.

What they print is what the ros2topic, ros2service, ros2node and ros2param packages of ros2cli print.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import pytest
from ros2_command import Running, environment, ros2
from ros2cli.cli import main

NODE = """
import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

def switch(request, response):
    response.success = request.data
    response.message = f"switched to {request.data}"
    return response

def tick():
    said.publish(String(data="hello"))
    image.publish(Image(width=20, height=10, encoding="mono8", data=bytes(200)))

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
node.create_service(SetBool, "switch", switch)
node.create_timer(0.1, tick)
print("ready", flush=True)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""

Command = Callable[..., str]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment with the package `demo`."""
    return environment(tmp_path_factory.mktemp("verbs"), "demo", {"subject": NODE}, {})


@pytest.fixture(scope="module")
def subject(env: dict[str, str]) -> Iterator[Running]:
    """Run the node that the verbs look at."""
    with Running("run", "demo", "subject", env=env) as node:
        node.wait_for("ready")
        yield node


@pytest.fixture
def command(subject: Running, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs `ros2` in this process, checks its status and returns its output."""

    def run_here(*arguments: str, status: int = 0) -> str:
        result = main(argv=list(arguments))
        printed = "".join(capsys.readouterr())
        if isinstance(result, str):  # what sys.exit prints
            printed, result = f"{printed}{result}\n", 1
        assert (result or 0) == status, printed
        return printed

    return run_here


def test_topics_are_listed_and_described(command: Command) -> None:
    topics = command("topic", "list", "-t", "--no-daemon").splitlines()
    assert {"/demo/said [std_msgs/msg/String]", "/demo/heard [std_msgs/msg/String]"} <= set(topics)
    assert topics == sorted(topics) and not any("_hidden" in line for line in topics)
    verbose = command("topic", "info", "-v", "/demo/latched")
    assert verbose.startswith("Type: std_msgs/msg/String\n\nPublisher count: 1\n\nNode name: subject\n")
    assert "Topic type hash: RIHS01_" in verbose and "Durability: TRANSIENT_LOCAL" in verbose
    assert verbose.endswith("Subscription count: 0\n\n")
    unknown = command("topic", "info", "--spin-time", "0.1", "/nope", status=1)
    assert unknown == "Unknown topic '/nope'\n"


def test_messages_are_printed_as_yaml(command: Command) -> None:
    assert command("topic", "echo", "--once", "/demo/said") == "data: hello\n---\n"
    assert command("topic", "echo", "--once", "/demo/said", "--field", "data") == "hello\n---\n"
    assert command("topic", "echo", "--once", "-f", "/demo/image").count("\n- 0") == 200
    cut = command("topic", "echo", "--once", "/demo/image")
    assert cut.count("\n- 0") == 128 and cut.endswith("\n- '...'\n---\n")
    nobody = command("topic", "echo", "--spin-time", "0.1", "/nope", status=1)
    assert nobody == (
        "WARNING: topic [/nope] does not appear to be published yet\n"
        "Could not determine the type for the passed topic\n"
    )


def test_a_latched_message_is_heard_later_and_from_publishers_that_come_later(
    env: dict[str, str], command: Command
) -> None:
    assert command("topic", "echo", "--once", "/demo/latched") == "data: kept\n---\n"
    with Running("topic", "echo", "/demo/late", "std_msgs/msg/String", env=env) as echo:
        quality = ["--qos-durability", "transient_local", "/demo/late", "std_msgs/msg/String"]
        with Running("topic", "pub", "-r", "0.01", *quality, "data: kept", env=env):
            echo.wait_for("data: kept\n---\n")


def test_listening_ends_with_an_interrupt(env: dict[str, str], subject: Running) -> None:
    with (
        Running("topic", "echo", "/demo/said", env=env) as echo,
        Running("topic", "hz", "/demo/said", env=env) as hz,
    ):
        echo.wait_for("data: hello\n---\n", count=2)
        echo.process.send_signal(signal.SIGINT)
        assert echo.wait() == signal.SIGINT and "Traceback" not in echo.text
        pattern = r"average rate: [\d.]+\n\tmin: [\d.]+s max: [\d.]+s std dev: [\d.]+s window: (\d+)\n"
        windows = re.findall(pattern, hz.wait_for("window: ", count=3))
        assert int(windows[0]) < int(windows[2])


def test_messages_are_published(env: dict[str, str], command: Command, subject: Running) -> None:
    arguments = ["/demo/heard", "std_msgs/msg/String", "data: from the shell"]
    waiting = "Waiting for at least 1 matching subscription(s)...\n"  # once a second
    assert command("topic", "pub", "--once", *arguments).replace(waiting, "") == (
        "publisher: beginning loop\npublishing #1: std_msgs.msg.String(data='from the shell')\n\n"
    )
    subject.wait_for("heard from the shell")
    again = ["-r", "20", "/demo/heard", "std_msgs/msg/String", "{data: again}"]
    with Running("topic", "pub", *again, env=env) as pub:
        pub.wait_for("publishing #3: std_msgs.msg.String(data='again')\n")
    refused = command("topic", "pub", "/demo/heard", "std_msgs/msg/Nope", status=1)
    assert refused == "The passed message type 'std_msgs/msg/Nope' is invalid\n"
    assert "Invalid topic name" in command("topic", "pub", "/a b", "std_msgs/msg/String", status=1)


def test_services_are_listed_and_called(command: Command) -> None:
    services = command("service", "list", "-t").splitlines()
    assert "/demo/switch [std_srvs/srv/SetBool]" in services
    assert "/demo/subject/get_parameters [rcl_interfaces/srv/GetParameters]" in services
    call = ["service", "call", "/demo/switch"]
    assert command(*call, "std_srvs/srv/SetBool", "{data: true}") == (
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='switched to True')\n\n"
    )
    unknown = command(*call, "std_srvs/srv/Nope", status=1)
    assert unknown == "The passed service type 'std_srvs/srv/Nope' is invalid\n"
    assert command(*call, "std_srvs/srv/SetBool", "{nope: 1}", status=1) == (
        "Failed to populate field: 'SetBool_Request' has no field 'nope'\n"
    )


def test_nodes_are_listed_and_described(command: Command) -> None:
    assert "/demo/subject" in command("node", "list").splitlines()
    info = command("node", "info", "/demo/subject")
    for section, entry in (
        ("Subscribers", "/demo/heard: std_msgs/msg/String"),
        ("Publishers", "/demo/said: std_msgs/msg/String"),
        ("Service Servers", "/demo/switch: std_srvs/srv/SetBool"),
    ):
        assert re.search(rf"^  {section}:\n(?:    .*\n)*    {entry}\n", info, re.MULTILINE), info
    unknown = command("node", "info", "--spin-time", "0.1", "/nope", status=1)
    assert unknown == "Unable to find node '/nope'\n"


def test_parameters_are_listed_read_and_set(command: Command) -> None:
    assert "/demo/subject:\n  group.counts\n  label\n  rate\n" in command("param", "list")
    subject = "/demo/subject"
    assert command("param", "list", subject).startswith("  group.counts\n  label\n  rate\n")
    assert command("param", "get", subject, "group.counts") == "Integer values are: [1, 2, 3]\n"
    assert command("param", "get", "--hide-type", "demo/subject", "label") == "blue\n"
    assert command("param", "get", subject, "nope", status=1) == "Parameter not set\n"
    unknown = command("param", "get", "--spin-time", "0.1", "/nope", "rate", status=1)
    assert unknown == "Node not found\n"
    assert command("param", "set", subject, "rate", "4.5") == "Set parameter successful\n"
    assert command("param", "get", subject, "rate") == "Double value is: 4.5\n"
    assert command("param", "set", subject, "rate", "99.0").startswith("Setting parameter failed: ")
    assert command("param", "describe", subject, "rate") == (
        "Parameter name: rate\n  Type: double\n  Description: How often\n  Constraints:\n"
        "    Min value: 0.0\n    Max value: 10.0\n"
    )
    assert "    Read only: true\n" in command("param", "describe", subject, "label")
    assert command("param", "describe", subject, "nope", status=1) == "Parameter not set\n"


def test_packages_are_found_and_what_is_not_there_is_named(env: dict[str, str]) -> None:
    prefix = env["AMENT_PREFIX_PATH"].partition(":")[0]
    assert ros2("pkg", "prefix", "demo", env=env) == (0, f"{prefix}\n", "")
    assert ros2("pkg", "prefix", "--share", "demo", env=env) == (0, f"{prefix}/share/demo\n", "")
    assert ros2("pkg", "prefix", "nope", env=env) == (1, "", "Package not found\n")
    assert ros2("run", "nope", "x", env=env) == (1, "", "Package 'nope' not found\n")
    assert ros2("run", "demo", "x", env=env) == (1, "", "No executable found\n")


def test_without_a_command_the_help_is_printed(command: Command) -> None:
    assert "launch" in command() and "echo" in command("topic")
    with pytest.raises(SystemExit):
        command("nope")


def test_a_middleware_that_is_not_installed_is_told_in_one_sentence(env: dict[str, str]) -> None:
    status, _, errors = ros2("topic", "list", env={**env, "RMW_IMPLEMENTATION": "rmw_of_another_machine"})
    assert status == 1 and errors.count("\n") == 1
    assert errors.startswith("RMW_IMPLEMENTATION is 'rmw_of_another_machine', but installed is only rmw_")
