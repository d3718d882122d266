# SPDX-License-Identifier: Apache-2.0
"""Scene folders, recordings and importers: everything that becomes a `Scene`."""
