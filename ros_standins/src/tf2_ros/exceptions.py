# SPDX-License-Identifier: Apache-2.0
"""Why a transform is not to be had."""

from __future__ import annotations


class TransformException(Exception):
    """Base of all errors about transforms."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Two frames are not in the same tree."""


class ExtrapolationException(TransformException):
    """The time lies before or after what is known."""


class InvalidArgumentException(TransformException):
    """A frame name or transform that makes no sense."""


class TimeoutException(TransformException):
    """Waiting took too long."""
