# SPDX-License-Identifier: Apache-2.0
"""Quality of service profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from embedded_ros import wire

from .duration import Duration, Infinite


class HistoryPolicy(IntEnum):
    """How many messages are kept."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(IntEnum):
    """Whether messages may be lost."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class DurabilityPolicy(IntEnum):
    """Whether late subscribers get earlier messages."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class LivelinessPolicy(IntEnum):
    """How a publisher shows that it is alive; this runtime always acts as AUTOMATIC."""

    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4
    BEST_AVAILABLE = 5


QoSHistoryPolicy = HistoryPolicy
QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSLivelinessPolicy = LivelinessPolicy


class InvalidQoSProfileException(Exception):
    """A profile that contradicts itself."""

    def __init__(self, *args: object) -> None:
        super().__init__("Invalid QoSProfile", *args)


@dataclass
class QoSProfile:
    """A quality of service profile. deadline, lifespan and lease are carried but not acted on."""

    history: HistoryPolicy = HistoryPolicy.SYSTEM_DEFAULT
    depth: int = 0
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE
    lifespan: Duration = field(default_factory=Duration)
    deadline: Duration = field(default_factory=Duration)
    liveliness: LivelinessPolicy = LivelinessPolicy.SYSTEM_DEFAULT
    liveliness_lease_duration: Duration = field(default_factory=Duration)
    avoid_ros_namespace_conventions: bool = False

    def __init__(self, **kwargs: object) -> None:
        if "history" not in kwargs:
            if "depth" not in kwargs:
                raise InvalidQoSProfileException("History and/or depth settings are required.")
            kwargs["history"] = HistoryPolicy.KEEP_LAST
        if kwargs["history"] == HistoryPolicy.KEEP_LAST and "depth" not in kwargs:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        for name, spec in self.__dataclass_fields__.items():
            if callable(spec.default_factory):
                default: object = spec.default_factory()
            else:
                default = spec.default
            value = kwargs.pop(name, default)
            kind = type(default)
            setattr(self, name, kind(value) if isinstance(default, (int, IntEnum)) else value)
        if kwargs:
            raise TypeError(f"QoSProfile got unexpected arguments: {', '.join(kwargs)}")
        if self.depth < 0:
            raise ValueError("depth must be greater than or equal to zero")

    def to_wire(self) -> wire.Qos:
        """Return the profile in rmw's numbers with system defaults resolved as rmw_zenoh does."""
        best_effort = self.reliability == ReliabilityPolicy.BEST_EFFORT
        transient = self.durability == DurabilityPolicy.TRANSIENT_LOCAL
        keep_all = self.history == HistoryPolicy.KEEP_ALL
        return wire.Qos(
            wire.BEST_EFFORT if best_effort else wire.RELIABLE,
            wire.TRANSIENT_LOCAL if transient else wire.VOLATILE,
            wire.KEEP_ALL if keep_all else wire.KEEP_LAST,
            self.depth or wire.DEFAULT_DEPTH,
        )


def from_wire(qos: wire.Qos) -> QoSProfile:
    """Return the profile that an endpoint announced."""
    return QoSProfile(
        history=HistoryPolicy(qos.history),
        depth=qos.depth,
        reliability=ReliabilityPolicy(qos.reliability),
        durability=DurabilityPolicy(qos.durability),
        liveliness=LivelinessPolicy.AUTOMATIC,
        lifespan=Infinite,
        deadline=Infinite,
        liveliness_lease_duration=Infinite,
    )


def as_profile(qos: QoSProfile | int) -> QoSProfile:
    """Return a profile for what create_publisher() and the like accept."""
    if isinstance(qos, QoSProfile):
        return qos
    if isinstance(qos, int) and qos >= 0:
        return QoSProfile(depth=qos)
    raise TypeError(f"Expected QoSProfile or non-negative int as depth, got {qos!r}")


qos_profile_default = QoSProfile(depth=10)
qos_profile_system_default = QoSProfile(
    history=HistoryPolicy.SYSTEM_DEFAULT,
    depth=0,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)


class QoSPresetProfiles(Enum):
    """The named profiles."""

    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        """Return the profile named like "sensor_data"."""
        return cls[name.upper()].value
