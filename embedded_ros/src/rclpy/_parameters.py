# SPDX-License-Identifier: Apache-2.0
"""The parameters of a node: declaring, reading, setting, checking."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import (
    ListParametersResult,
    ParameterDescriptor,
    SetParametersResult,
)

from ._ranges import outside_floats, outside_integers
from .exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from .parameter import PARAMETER_SEPARATOR_STRING, Parameter

OnSet = Callable[[list[Parameter]], SetParametersResult]
WRONG_TYPE = "Wrong parameter type"


class Parameters:
    """The part of Node that is about parameters."""

    def __init__(self, overrides: dict[str, Any], allow_undeclared: bool) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, ParameterDescriptor] = {}
        self._parameter_overrides = {
            name: value if isinstance(value, Parameter) else Parameter(name, value=value)
            for name, value in overrides.items()
        }
        self._allow_undeclared_parameters = allow_undeclared
        self._pre_set_callbacks: list[Callable[[list[Parameter]], list[Parameter]]] = []
        self._on_set_callbacks: list[OnSet] = []
        self._post_set_callbacks: list[Callable[[list[Parameter]], None]] = []

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: ParameterDescriptor | None = None,
        ignore_override: bool = False,
    ) -> Parameter:
        """Declare a parameter with a default value or a Parameter.Type; return what it is now."""
        if value is None and descriptor is None:
            return self.declare_parameters("", [(name,)], ignore_override)[0]
        entry = (name, value, ParameterDescriptor() if descriptor is None else descriptor)
        return self.declare_parameters("", [entry], ignore_override)[0]

    def declare_parameters(
        self, namespace: str, parameters: Iterable[tuple[Any, ...]], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declare parameters given as (name, value, descriptor), the latter two optional."""
        entries = [self._declaration(namespace, entry) for entry in parameters]
        already = [name for name, _, _ in entries if name in self._parameters]
        if already:
            raise ParameterAlreadyDeclaredException(already)
        for name, value, descriptor in entries:
            if not ignore_override and name in self._parameter_overrides:
                value = self._parameter_overrides[name].value
            parameter = Parameter(name, value=value)
            result = self._set_together([parameter], {name: descriptor}, keep_unset=True)
            if result.successful:
                continue
            if result.reason.startswith(WRONG_TYPE):
                raise InvalidParameterTypeException(parameter, Parameter.Type(descriptor.type).name)
            raise InvalidParameterValueException(name, parameter.value, result.reason)
        return [self._parameters[name] for name, _, _ in entries]

    def undeclare_parameter(self, name: str) -> None:
        """Remove a parameter."""
        if not self.has_parameter(name):
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        del self._parameters[name], self._descriptors[name]

    def has_parameter(self, name: str) -> bool:
        """Return whether a parameter is declared."""
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        """Return a parameter; raise if it is not declared or has no value."""
        parameter = self._parameters.get(name)
        if parameter is not None:
            unset = parameter.type_ is Parameter.Type.NOT_SET
            if unset and not self._descriptors[name].dynamic_typing:
                raise ParameterUninitializedException(name)
            return parameter
        if self._allow_undeclared_parameters:
            return Parameter(name)
        raise ParameterNotDeclaredException(name)

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        """Return several parameters."""
        if not all(isinstance(name, str) for name in names):
            raise TypeError("All names must be instances of type str")
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        """Return a parameter, or the alternative if it is not declared or has no value."""
        parameter = self._parameters.get(name)
        if parameter is not None and parameter.type_ is not Parameter.Type.NOT_SET:
            return parameter
        return Parameter(name) if alternative_value is None else alternative_value

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Return the parameters below `prefix`, named without it."""
        start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
        names = [name for name in self._parameters if name.startswith(start)]
        return {name.removeprefix(start): self._parameters[name] for name in names}

    def get_parameter_types(self, names: list[str]) -> list[int]:
        """Return the types of parameters, as numbers of rcl_interfaces/ParameterType."""
        return [self.get_parameter_type(name) for name in names]

    def get_parameter_type(self, name: str) -> int:
        """Return the type of a parameter, as a number of rcl_interfaces/ParameterType."""
        if self.has_parameter(name):
            return self._parameters[name].type_.value
        if self._allow_undeclared_parameters:
            return Parameter.Type.NOT_SET.value
        raise ParameterNotDeclaredException(name)

    def describe_parameter(self, name: str) -> ParameterDescriptor:
        """Return the descriptor of a parameter."""
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared_parameters:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: list[str]) -> list[ParameterDescriptor]:
        """Return the descriptors of parameters."""
        return [self.describe_parameter(name) for name in names]

    def list_parameters(self, prefixes: list[str], depth: int) -> ListParametersResult:
        """Return names at most `depth` levels below any prefix; 0 is any depth."""
        result = ListParametersResult()
        for name in self._parameters:
            if not any(_is_below(name, prefix, depth) for prefix in prefixes or [""]):
                continue
            result.names.append(name)
            prefix = name.rpartition(PARAMETER_SEPARATOR_STRING)[0]
            if prefix and prefix not in result.prefixes:
                result.prefixes.append(prefix)
        return result

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters one by one; a refused one is in the results, an undeclared one raises."""
        self._check_declared(parameter_list)
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set all parameters or none."""
        for callback in self._pre_set_callbacks:
            parameter_list = callback(parameter_list)
            if not parameter_list:
                return SetParametersResult(
                    successful=False, reason="parameter list is empty after the pre set callback"
                )
        self._check_declared(parameter_list)
        return self._set_together(parameter_list, None, keep_unset=False)

    def add_pre_set_parameters_callback(
        self, callback: Callable[[list[Parameter]], list[Parameter]]
    ) -> None:
        """Let `callback` change what is about to be set."""
        self._pre_set_callbacks.insert(0, callback)

    def add_on_set_parameters_callback(self, callback: OnSet) -> None:
        """Let `callback` refuse values before they are set; it must not have other effects."""
        self._on_set_callbacks.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: Callable[[list[Parameter]], None]) -> None:
        """Call `callback` with parameters after they were set."""
        self._post_set_callbacks.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Forget a callback."""
        self._pre_set_callbacks.remove(callback)

    def remove_on_set_parameters_callback(self, callback: OnSet) -> None:
        """Forget a callback."""
        self._on_set_callbacks.remove(callback)

    def remove_post_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Forget a callback."""
        self._post_set_callbacks.remove(callback)

    def _declaration(
        self, namespace: str, entry: tuple[Any, ...]
    ) -> tuple[str, Any, ParameterDescriptor]:
        """Return name, default value and completed descriptor of an entry to declare."""
        if not 1 <= len(entry) <= 3:
            raise TypeError(f"Invalid parameter tuple length: {entry}; expecting 1 to 3 elements")
        if not isinstance(entry[0], str):
            raise TypeError(f"First element {entry[0]} in parameters list is not a str.")
        name = f"{namespace}.{entry[0]}" if namespace else entry[0]
        if not re.fullmatch(r"[^\s.]+(\.[^\s.]+)*", name):
            raise InvalidParameterException(name)
        value = entry[1] if len(entry) > 1 else None
        descriptor = entry[2] if len(entry) > 2 else ParameterDescriptor()
        if not isinstance(descriptor, ParameterDescriptor):
            raise TypeError(f"Third element {descriptor} is not a ParameterDescriptor.")
        if len(entry) == 1:
            warnings.warn(
                f"parameter '{name}': declaring only a name is deprecated, give a default value, "
                "a type, or a descriptor with dynamic_typing",
                stacklevel=5,
            )
            descriptor.dynamic_typing = True
        if isinstance(value, Parameter.Type):
            if value is Parameter.Type.NOT_SET:
                raise ValueError(f"Cannot declare parameter {name} as statically typed of NOT_SET")
            if descriptor.dynamic_typing:
                raise ValueError(f"parameter {name}: dynamic_typing contradicts the type {value}")
            descriptor.type = value.value
            value = None
        elif not descriptor.dynamic_typing:
            descriptor.type = Parameter.Type.from_parameter_value(value).value
            if value is None:
                raise ValueError(
                    "Cannot declare a statically typed parameter with default value "
                    "of type PARAMETER_NOT_SET"
                )
        return name, value, descriptor

    def _check_declared(self, parameter_list: list[Parameter]) -> None:
        if not all(isinstance(parameter, Parameter) for parameter in parameter_list):
            raise TypeError(f"parameter must be instance of type '{Parameter!r}'")
        missing = [p.name for p in parameter_list if p.name not in self._parameters]
        if missing and not self._allow_undeclared_parameters:
            raise ParameterNotDeclaredException(missing)

    def _set_together(
        self,
        parameter_list: list[Parameter],
        descriptors: dict[str, ParameterDescriptor] | None,
        *,
        keep_unset: bool,
    ) -> SetParametersResult:
        """Check and store parameters, with new descriptors when they are declared."""
        for parameter in parameter_list:
            descriptor = (descriptors or self._descriptors).get(parameter.name)
            reason = self._objection(parameter, descriptor, declaring=descriptors is not None)
            if reason is not None:
                return SetParametersResult(successful=False, reason=reason)
        for callback in self._on_set_callbacks:
            result = callback(parameter_list)
            if not result.successful:
                return result
        for parameter in parameter_list:
            name = parameter.name
            if parameter.type_ is Parameter.Type.NOT_SET and not keep_unset:
                self._parameters.pop(name, None)
                self._descriptors.pop(name, None)
                continue
            if descriptors is not None:
                self._descriptors[name] = descriptors[name]
            elif name not in self._descriptors:
                self._descriptors[name] = ParameterDescriptor(
                    name=name, type=parameter.type_.value, dynamic_typing=True
                )
            self._parameters[name] = parameter
        for post in self._post_set_callbacks:
            post(parameter_list)
        return SetParametersResult(successful=True)

    def _objection(
        self, parameter: Parameter, descriptor: ParameterDescriptor | None, *, declaring: bool
    ) -> str | None:
        """Return why a descriptor forbids a value, None if it does not; complete the descriptor."""
        if descriptor is None:
            return None
        descriptor.name = parameter.name
        unset = parameter.type_ is Parameter.Type.NOT_SET
        if descriptor.read_only and not declaring:
            return f"Trying to set a read-only parameter: {parameter.name}."
        if descriptor.dynamic_typing:
            descriptor.type = parameter.type_.value
        elif unset and not declaring:
            return "Static parameter cannot be undeclared"
        elif not unset and parameter.type_.value != descriptor.type:
            return (
                f"{WRONG_TYPE}, expected '{Parameter.Type(descriptor.type)}' "
                f"got '{parameter.type_}'"
            )
        if parameter.type_ is Parameter.Type.INTEGER and descriptor.integer_range:
            return outside_integers(parameter, descriptor.integer_range[0])
        if parameter.type_ is Parameter.Type.DOUBLE and descriptor.floating_point_range:
            return outside_floats(parameter, descriptor.floating_point_range[0])
        return None


def _is_below(name: str, prefix: str, depth: int) -> bool:
    if prefix and name == prefix:
        return True
    start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
    rest = name.removeprefix(start)
    return name.startswith(start) and (depth == 0 or rest.count(".") < depth)
