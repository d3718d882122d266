# SPDX-License-Identifier: Apache-2.0
"""The options of the core as frozen dataclasses: each with its default, unit, limits and help, written once.

The nodes' options are in `ace_ros.nodes.options`, those of the simulator and of encoder training beside their
code. ROS parameters, the command line's options, config files and the tables in the documentation are made
from these dataclasses; `config/*.yaml` is tested equal to them.
"""

from ace_ros.config.importing import DATASETS, BagConfig
from ace_ros.config.localization import IMAGE_SHORT_SIDE, AtlasConfig, RansacConfig
from ace_ros.config.options import CheckedConfig, complaint, help_text, option, override, suggestion
from ace_ros.config.training import PRESETS, TrainingConfig, exact_time, training_preset

__all__ = [
    "DATASETS",
    "IMAGE_SHORT_SIDE",
    "PRESETS",
    "AtlasConfig",
    "BagConfig",
    "CheckedConfig",
    "RansacConfig",
    "TrainingConfig",
    "complaint",
    "exact_time",
    "help_text",
    "option",
    "override",
    "suggestion",
    "training_preset",
]
