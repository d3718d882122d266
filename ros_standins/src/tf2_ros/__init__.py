# SPDX-License-Identifier: Apache-2.0
"""Coordinate frames over time: where each is in the others."""

from .broadcasters import StaticTransformBroadcaster as StaticTransformBroadcaster
from .broadcasters import TransformBroadcaster as TransformBroadcaster
from .buffer import Buffer as Buffer
from .transform_listener import TransformListener as TransformListener
from .tree import ConnectivityException as ConnectivityException
from .tree import ExtrapolationException as ExtrapolationException
from .tree import InvalidArgumentException as InvalidArgumentException
from .tree import LookupException as LookupException
from .tree import TransformException as TransformException
