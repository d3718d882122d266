# SPDX-License-Identifier: Apache-2.0
"""Simulated time: with use_sim_time a node's clock shows what /clock says."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rosgraph_msgs.msg import Clock as ClockMsg

from .callback_groups import MutuallyExclusiveCallbackGroup
from .clock import Clock
from .duration import S_TO_NS
from .parameter import Parameter
from .qos import QoSProfile, ReliabilityPolicy

USE_SIM_TIME = "use_sim_time"


class TimeSource:
    """Sets a node's clock from /clock while its parameter use_sim_time is true."""

    def __init__(self, node: Any, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._subscription: Any = None
        if not node.has_parameter(USE_SIM_TIME):
            node.declare_parameter(USE_SIM_TIME, False)
        given = node.get_parameter(USE_SIM_TIME)
        if given.type_ is Parameter.Type.BOOL:
            self._follow(given.value)
        else:
            node.get_logger().error(
                f"Invalid type for parameter 'use_sim_time' {given.type_!r} should be bool"
            )
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._on_set)

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME and parameter.type_ is not Parameter.Type.BOOL:
                return SetParametersResult(successful=False, reason="use_sim_time must be a bool")
        return SetParametersResult(successful=True)

    def _on_set(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME:
                self._follow(parameter.value)

    def _follow(self, simulated: bool) -> None:
        if simulated == (self._subscription is not None):
            return
        if simulated:
            self._clock._simulate(0)  # until the first message, as in rclpy
            self._subscription = self._node.create_subscription(
                ClockMsg,
                "/clock",
                self._on_clock,
                QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
                callback_group=MutuallyExclusiveCallbackGroup(),
            )
        else:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._clock._simulate(None)

    def _on_clock(self, message: ClockMsg) -> None:
        self._clock._simulate(message.clock.sec * S_TO_NS + message.clock.nanosec)
