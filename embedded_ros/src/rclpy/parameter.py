# SPDX-License-Identifier: Apache-2.0
"""Parameters: a name with a value of one of nine types."""

from __future__ import annotations

import array
from enum import Enum
from typing import Any

from embedded_ros import arguments
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterType, ParameterValue

PARAMETER_SEPARATOR_STRING = "."


class Parameter:
    """A name with a value."""

    class Type(Enum):
        """The types of parameters."""

        NOT_SET = ParameterType.PARAMETER_NOT_SET
        BOOL = ParameterType.PARAMETER_BOOL
        INTEGER = ParameterType.PARAMETER_INTEGER
        DOUBLE = ParameterType.PARAMETER_DOUBLE
        STRING = ParameterType.PARAMETER_STRING
        BYTE_ARRAY = ParameterType.PARAMETER_BYTE_ARRAY
        BOOL_ARRAY = ParameterType.PARAMETER_BOOL_ARRAY
        INTEGER_ARRAY = ParameterType.PARAMETER_INTEGER_ARRAY
        DOUBLE_ARRAY = ParameterType.PARAMETER_DOUBLE_ARRAY
        STRING_ARRAY = ParameterType.PARAMETER_STRING_ARRAY

        @classmethod
        def from_parameter_value(cls, value: Any) -> Parameter.Type:
            """Return the type of a Python value; raise TypeError if there is none for it."""
            if value is None:
                return cls.NOT_SET
            for kind, python in _SCALARS.items():  # bool before int, of which it is a subclass
                if isinstance(value, python):
                    return cls[kind]
            if not isinstance(value, (list, tuple, array.array)):
                raise TypeError(f"The given value is not one of the allowed types '{value}'.")
            for kind, python in _ELEMENTS.items():
                if all(isinstance(item, python) for item in value):
                    return cls[kind]
            raise TypeError(f"The given value is not a list of one of the allowed types '{value}'.")

        def check(self, value: Any) -> bool:
            """Return whether a Python value is of this type."""
            if self is Parameter.Type.NOT_SET:
                return value is None
            if self.name in _SCALARS:
                return isinstance(value, _SCALARS[self.name])
            element = _ELEMENTS[self.name]
            return isinstance(value, (list, tuple, array.array)) and all(
                isinstance(item, element) for item in value
            )

    def __init__(self, name: str, type_: Parameter.Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = Parameter.Type.from_parameter_value(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError(f"type must be an instance of '{Parameter.Type!r}'")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name = name
        self._type_ = type_
        self._value = value

    @property
    def name(self) -> str:
        """Return the name."""
        return self._name

    @property
    def type_(self) -> Parameter.Type:
        """Return the type."""
        return self._type_

    @property
    def value(self) -> Any:
        """Return the value, None if not set."""
        return self._value

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, {self.type_}, {self.value!r})"

    def get_parameter_value(self) -> ParameterValue:
        """Return the value as rcl_interfaces/ParameterValue."""
        message = ParameterValue(type=self.type_.value)
        if self.type_ is not Parameter.Type.NOT_SET:
            value = list(self.value) if isinstance(self.value, tuple) else self.value
            setattr(message, f"{self.type_.name.lower()}_value", value)
        return message

    def to_parameter_msg(self) -> ParameterMsg:
        """Return the parameter as rcl_interfaces/Parameter."""
        return ParameterMsg(name=self.name, value=self.get_parameter_value())

    @classmethod
    def from_parameter_msg(cls, message: ParameterMsg) -> Parameter:
        """Return the parameter of a message; numbers stay in its array.array, as in rclpy."""
        type_ = Parameter.Type(message.value.type)
        unset = type_ is Parameter.Type.NOT_SET
        value = None if unset else getattr(message.value, f"{type_.name.lower()}_value")
        return cls(message.name, type_, value)


_SCALARS: dict[str, type] = {"BOOL": bool, "INTEGER": int, "DOUBLE": float, "STRING": str}
_ELEMENTS: dict[str, type] = {
    "BYTE_ARRAY": bytes,
    "BOOL_ARRAY": bool,
    "INTEGER_ARRAY": int,
    "DOUBLE_ARRAY": float,
    "STRING_ARRAY": str,
}


def parameter_value_to_python(message: ParameterValue) -> Any:
    """Return the Python value of an rcl_interfaces/ParameterValue."""
    type_ = Parameter.Type(message.type)
    if type_ is Parameter.Type.NOT_SET:
        return None
    value = getattr(message, f"{type_.name.lower()}_value")
    return value.tolist() if isinstance(value, array.array) else value


def get_parameter_value(string_value: str) -> ParameterValue:
    """Return the message for a value written as YAML, such as "[1, 2]"."""
    try:
        value = arguments.parse_value(string_value)
        return Parameter("value", value=value).get_parameter_value()
    except (arguments.ArgumentError, TypeError):
        return Parameter("value", value=string_value).get_parameter_value()
