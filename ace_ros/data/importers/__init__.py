# SPDX-License-Identifier: Apache-2.0
"""Bags and public data sets as scene folders."""
