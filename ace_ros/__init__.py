# SPDX-License-Identifier: Apache-2.0
"""Visual relocalization for robots: one drive, minutes of training, a pose from one image."""

from pkgutil import extend_path

# The source tree and the interfaces generated from msg/ and srv/ are one package.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
