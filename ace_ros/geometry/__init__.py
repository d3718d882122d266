# SPDX-License-Identifier: Apache-2.0
"""Pure functions on poses, cameras and errors: no files, no configuration, no logging."""
