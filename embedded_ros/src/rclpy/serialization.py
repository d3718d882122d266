# SPDX-License-Identifier: Apache-2.0
"""Messages as CDR bytes."""

from __future__ import annotations

from typing import Any

from embedded_ros import codec


def serialize_message(message: Any) -> bytes:
    """Return a message as CDR."""
    return bytes(codec.serialize(message))


def deserialize_message(serialized_message: bytes, message_type: type) -> Any:
    """Return the message that CDR bytes hold."""
    return codec.deserialize(serialized_message, message_type)
