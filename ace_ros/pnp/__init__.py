# SPDX-License-Identifier: Apache-2.0
"""Camera poses from 2-D to 3-D correspondences: robust, batched, with covariance and reasons."""

from ace_ros.config import RansacConfig
from ace_ros.pnp.solve import PoseBatch, Reason, solve_pose

__all__ = ["PoseBatch", "RansacConfig", "Reason", "solve_pose"]
