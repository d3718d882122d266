# SPDX-License-Identifier: Apache-2.0
"""Scene folders, bags, recordings and data-set importers: everything that becomes a `Scene`."""
