# SPDX-License-Identifier: Apache-2.0
"""Describe a system of processes and run it, with the API of ROS 2's launch."""

from __future__ import annotations

from launch import actions, conditions, event_handlers, events, logging, substitutions
from launch.action import Action, LaunchDescriptionEntity
from launch.conditions import Condition
from launch.event_handlers import EventHandler
from launch.events import Event
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_service import LaunchService
from launch.substitutions import SomeSubstitutionsType, Substitution
