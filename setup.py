# SPDX-License-Identifier: Apache-2.0
"""pip's view of the package; pyproject.toml has the rest. ROS builds it by CMakeLists.txt.

Share files and executables go where an ament_python package puts them, so that launch files find
them in an environment without ROS as well.
"""

from glob import glob

from setuptools import setup

NAME = "ace_ros"

setup(
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
        (f"share/{NAME}/config", glob("config/*")),
        *((f"share/{NAME}/{kind}", glob(f"{kind}/*.{kind}")) for kind in ("msg", "srv", "action")),
        (f"lib/{NAME}", glob("scripts/*")),
    ],
)
