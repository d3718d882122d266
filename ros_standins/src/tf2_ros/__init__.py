# SPDX-License-Identifier: Apache-2.0
"""Coordinate frames: who stands where at what time."""

from .buffer import Buffer as Buffer
from .static_transform_broadcaster import StaticTransformBroadcaster as StaticTransformBroadcaster
from .transform_broadcaster import TransformBroadcaster as TransformBroadcaster
from .transform_listener import TransformListener as TransformListener
from .tree import ConnectivityException as ConnectivityException
from .tree import ExtrapolationException as ExtrapolationException
from .tree import InvalidArgumentException as InvalidArgumentException
from .tree import LookupException as LookupException
from .tree import TransformException as TransformException
