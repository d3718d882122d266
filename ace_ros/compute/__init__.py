# SPDX-License-Identifier: Apache-2.0
"""What the work runs on: devices and number types, threads, memory."""
