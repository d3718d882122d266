# SPDX-License-Identifier: Apache-2.0
"""A point in time."""

from __future__ import annotations

from typing import overload

import builtin_interfaces.msg

from .clock_type import ClockType
from .duration import S_TO_NS, Duration


class Time:
    """A point in time in whole nanoseconds on one kind of clock."""

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: int = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        if seconds < 0:
            raise ValueError("Seconds value must not be negative")
        if nanoseconds < 0:
            raise ValueError("Nanoseconds value must not be negative")
        self._nanoseconds = int(seconds * S_TO_NS) + int(nanoseconds)
        if self._nanoseconds >= 2**63:
            raise OverflowError("Total nanoseconds value is too large to store in C time point.")
        self._clock_type = clock_type

    @property
    def nanoseconds(self) -> int:
        """Return nanoseconds since the epoch."""
        return self._nanoseconds

    @property
    def clock_type(self) -> ClockType:
        """Return the kind of clock that the time belongs to."""
        return self._clock_type

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """Return whole seconds and the nanoseconds above them."""
        return divmod(self._nanoseconds, S_TO_NS)

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self.nanoseconds}, clock_type={self.clock_type.name})"

    def __add__(self, other: Duration) -> Time:
        if isinstance(other, Duration):
            return self._at(self.nanoseconds + other.nanoseconds, "addition leads to")
        return NotImplemented

    def __radd__(self, other: Duration) -> Time:
        return self.__add__(other)

    @overload
    def __sub__(self, other: Time) -> Duration: ...

    @overload
    def __sub__(self, other: Duration) -> Time: ...

    def __sub__(self, other: Time | Duration) -> Time | Duration:
        if isinstance(other, Time):
            if self.clock_type != other.clock_type:
                raise TypeError("Can't subtract times with different clock types")
            return Duration(nanoseconds=self.nanoseconds - other.nanoseconds)
        if isinstance(other, Duration):
            return self._at(self.nanoseconds - other.nanoseconds, "subtraction leads to negative")
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._compare(other, "__eq__")

    def __lt__(self, other: Time) -> bool:
        return self._compare(other, "__lt__")

    def __le__(self, other: Time) -> bool:
        return self._compare(other, "__le__")

    def __gt__(self, other: Time) -> bool:
        return self._compare(other, "__gt__")

    def __ge__(self, other: Time) -> bool:
        return self._compare(other, "__ge__")

    def __hash__(self) -> int:
        return hash((self._nanoseconds, self._clock_type))

    def to_msg(self) -> builtin_interfaces.msg.Time:
        """Return a builtin_interfaces/Time."""
        sec, nanosec = self.seconds_nanoseconds()
        return builtin_interfaces.msg.Time(sec=sec, nanosec=nanosec)

    @classmethod
    def from_msg(
        cls, msg: builtin_interfaces.msg.Time, clock_type: ClockType = ClockType.ROS_TIME
    ) -> Time:
        """Return the time of a message."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)

    def _at(self, nanoseconds: int, what: str) -> Time:
        if not 0 <= nanoseconds < 2**63:
            raise OverflowError(f"{what} a time that cannot be stored: {nanoseconds} ns")
        return Time(nanoseconds=nanoseconds, clock_type=self.clock_type)

    def _compare(self, other: object, operation: str) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        if self.clock_type != other.clock_type:
            raise TypeError("Can't compare times with different clock types")
        return getattr(self._nanoseconds, operation)(other._nanoseconds)
