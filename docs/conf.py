# SPDX-License-Identifier: Apache-2.0
"""Sphinx settings of the pages that rosdoc2 makes; all others are rosdoc2's own."""

# Modules that package.xml does not name as they are imported, and that are not where pages are made;
# launch, which would be this repository's folder; and a module that tries cv_bridge when imported.
autodoc_mock_imports = ["ace_ros.msg", "ace_ros.srv", "cv2", "safetensors", "tf2_ros", "torch"]
autodoc_mock_imports += ["launch", "ace_ros.nodes.images"]
# Pages link to headings of each other.
myst_heading_anchors = 3
