# SPDX-License-Identifier: Apache-2.0
"""Where launch descriptions come from: Python launch files."""

from __future__ import annotations

import os
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING

from launch.launch_description import LaunchDescription
from launch.substitution import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class InvalidPythonLaunchFileError(RuntimeError):
    """Raised when a launch file lacks `generate_launch_description`."""


class PythonLaunchDescriptionSource:
    """A Python launch file, read when it is included."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        self._path = normalize_to_list_of_substitutions(launch_file_path)
        self._expanded_path: str | None = None
        self._description: LaunchDescription | None = None

    @property
    def location(self) -> str:
        """The file's path; a description of it while the path is not known."""
        if self._expanded_path is not None:
            return self._expanded_path
        return " + ".join(part.describe() for part in self._path)

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Return the file's description, loading it the first time."""
        if self._description is None:
            self._expanded_path = perform_substitutions(context, self._path)
            self._description = get_launch_description_from_python_launch_file(self._expanded_path)
        return self._description

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return the description where the path needs no running launch, otherwise None."""
        from launch.launch_context import LaunchContext

        if self._description is not None:
            return self._description
        try:  # not kept: the running launch may give another path
            path = perform_substitutions(LaunchContext(), self._path)
            return get_launch_description_from_python_launch_file(path)
        except Exception:  # whatever the file raises is raised again when it is included
            return None


AnyLaunchDescriptionSource = PythonLaunchDescriptionSource  # Python is the only format here


def get_launch_description_from_python_launch_file(path: str) -> LaunchDescription:
    """Run a launch file and return what its `generate_launch_description()` returns."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"launch file '{path}' does not exist")
    loader = SourceFileLoader("python_launch_file", path)
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    if not hasattr(module, "generate_launch_description"):
        raise InvalidPythonLaunchFileError(
            f"launch file at '{path}' does not contain the required function "
            "'generate_launch_description()'"
        )
    return module.generate_launch_description()
