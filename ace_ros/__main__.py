# SPDX-License-Identifier: Apache-2.0
"""`python -m ace_ros` is the command `ace_ros`."""

import sys

from ace_ros.cli import main

sys.exit(main())
