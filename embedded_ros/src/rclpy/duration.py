# SPDX-License-Identifier: Apache-2.0
"""A span of time."""

from __future__ import annotations

from functools import total_ordering

import builtin_interfaces.msg

S_TO_NS = 10**9


@total_ordering
class Duration:
    """A span of time in whole nanoseconds; may be negative."""

    def __init__(self, *, seconds: float = 0, nanoseconds: int = 0) -> None:
        self._nanoseconds = int(seconds * S_TO_NS) + int(nanoseconds)
        if not -(2**63) <= self._nanoseconds < 2**63:
            raise OverflowError("Total nanoseconds value is too large to store in C duration.")

    @property
    def nanoseconds(self) -> int:
        """Return the span in nanoseconds."""
        return self._nanoseconds

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self.nanoseconds})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Duration):
            return self.nanoseconds == other.nanoseconds
        return NotImplemented

    def __lt__(self, other: Duration) -> bool:
        if isinstance(other, Duration):
            return self.nanoseconds < other.nanoseconds
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._nanoseconds)

    def to_msg(self) -> builtin_interfaces.msg.Duration:
        """Return a builtin_interfaces/Duration."""
        sec, nanosec = divmod(self.nanoseconds, S_TO_NS)
        return builtin_interfaces.msg.Duration(sec=sec, nanosec=nanosec)

    @classmethod
    def from_msg(cls, msg: builtin_interfaces.msg.Duration) -> Duration:
        """Return the duration of a message."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec)


Infinite = Duration(nanoseconds=2**63 - 1)
