# SPDX-License-Identifier: Apache-2.0
"""The inside of the embedded runtime: interfaces, wire format, router, sessions, names."""
