# SPDX-License-Identifier: Apache-2.0
from embedded_ros.interfaces import module

__getattr__, __dir__ = module(__name__)
