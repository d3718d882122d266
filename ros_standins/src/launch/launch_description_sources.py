# SPDX-License-Identifier: Apache-2.0
"""Where launch descriptions come from: Python launch files."""

from __future__ import annotations

import os
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import SomeSubstitutionsType, normalize_to_list_of_substitutions, perform_text


class PythonLaunchDescriptionSource:
    """A Python launch file, read when it is included."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        self._path = normalize_to_list_of_substitutions(launch_file_path)

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Run the file and return its description; raise what the file raises."""
        return get_launch_description_from_python_launch_file(perform_text(context, self._path))

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return the description where the path needs no running launch, otherwise None."""
        try:
            return self.get_launch_description(LaunchContext())
        except Exception:  # whatever the file raises is raised again when it is included
            return None


def get_launch_description_from_python_launch_file(path: str) -> LaunchDescription:
    """Run a launch file and return what its `generate_launch_description()` returns.

    Raises FileNotFoundError without such a file, RuntimeError without such a function.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"launch file '{path}' does not exist")
    loader = SourceFileLoader("python_launch_file", path)
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    if not hasattr(module, "generate_launch_description"):
        raise RuntimeError(
            f"launch file at '{path}' does not contain the required function 'generate_launch_description()'"
        )
    return module.generate_launch_description()
