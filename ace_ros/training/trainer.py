# SPDX-License-Identifier: Apache-2.0
"""Train a map: fill the buffer once, then fit the head to shuffled features of all images."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame, Scene, require_trainable
from ace_ros.errors import TrainingError
from ace_ros.geometry.se3 import inverse
from ace_ros.network.encoder import load_encoder
from ace_ros.network.head import Head
from ace_ros.network.input import network_size
from ace_ros.network.loss import LossResult, Views, reprojection_loss
from ace_ros.network.precision import autocast, choose_device
from ace_ros.scene_map import SceneMap
from ace_ros.training.buffer import FeatureBuffer, fill_buffer
from ace_ros.training.schedule import Clock, one_cycle

logger = logging.getLogger(__name__)

INLIER_PX = 10.0  # of the L1 training error; what a person is shown as the share of inliers
CLOUD_ERROR_PX = 3.0  # points worse than this are not shown
REPORT_EVERY = 25  # steps


@dataclass(frozen=True)
class Progress:
    """Where training is. Unknown numbers are NaN; `progress` runs 0 to 1 over the whole job."""

    phase: str  # "prepare" or "train"
    progress: float
    step: int
    steps: int
    elapsed_s: float
    remaining_s: float
    median_error_px: float = math.nan
    inlier_share: float = math.nan


@dataclass(frozen=True)
class TrainingReport:
    """What a training did."""

    frames: int
    features: int
    steps: int
    prepare_s: float
    train_s: float
    median_error_px: float
    inlier_share: float
    device: str


def train_map(
    scene: Scene,
    config: TrainingConfig,
    device: str = "auto",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    map_frame: str = "map",
) -> tuple[SceneMap, TrainingReport]:
    """Train a map of a scene; return it with a report.

    Poses of the scene define the map frame. Raises SceneError when the scene cannot be used,
    TrainingError when training diverges, MapError when the encoder cannot be loaded.
    """
    require_trainable(scene)
    began = time.monotonic()
    chosen = choose_device(device)
    encoder, card, encoder_hash = load_encoder(config.encoder)
    encoder = encoder.to(chosen, memory_format=torch.channels_last)
    reporter = _Reporter(on_progress, began, config)
    buffer = fill_buffer(scene.frames, encoder, config, chosen, reporter.on_view)
    if not len(buffer):
        raise TrainingError(f"{scene.folder}: no pixel of any image can be used; check the calibration")
    centre, views = local_views(scene.frames, chosen)

    torch.manual_seed(config.seed)
    head = Head(card.channels, config.head_width, config.head_blocks).to(chosen)
    prepare_s = time.monotonic() - began
    clock = _fit(head, buffer, views, config, reporter)

    report = TrainingReport(
        frames=len(scene.frames),
        features=len(buffer),
        steps=clock.step,
        prepare_s=round(prepare_s, 2),
        train_s=round(clock.elapsed_s, 2),
        median_error_px=round(reporter.median_error_px, 3),
        inlier_share=round(reporter.inlier_share, 4),
        device=str(chosen),
    )
    points, grey = _sample_cloud(head, buffer, views, config)
    seen = torch.cat([points.double() + centre, torch.stack([f.T_map_camera[:3, 3] for f in scene.frames])])
    scene_map = SceneMap(
        head=head.cpu().eval().requires_grad_(False),
        centre=centre,
        bounds=torch.stack([seen.amin(0), seen.amax(0)]),
        cloud_points=points,
        cloud_grey=grey,
        encoder=config.encoder,
        encoder_hash=encoder_hash,
        map_frame=map_frame,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        training={**asdict(config), **asdict(report)},
    )
    return scene_map, report


def local_views(frames: tuple[Frame, ...], device: torch.device) -> tuple[Tensor, Views]:
    """Return the centre (3,) float64 of the cameras, and their views relative to it in float32."""
    T_map_camera = torch.stack([f.T_map_camera for f in frames])
    centre = T_map_camera[:, :3, 3].mean(0)
    T_local_camera = T_map_camera.clone()
    T_local_camera[:, :3, 3] -= centre
    cameras = [f.camera.resize(*network_size(*f.camera.size)) for f in frames]
    K = torch.stack([c.matrix for c in cameras])
    return centre, Views(
        inverse(T_local_camera)[:, :3].float().to(device),
        K.float().to(device),
        torch.linalg.inv(K).float().to(device),
    )


def _fit(
    head: Head, buffer: FeatureBuffer, views: Views, config: TrainingConfig, reporter: _Reporter
) -> Clock:
    """Fit the head until the steps or the time are used up; return the clock that counted them."""
    device = buffer.features.device
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    scaler = torch.amp.GradScaler(device.type, enabled=_needs_scaling(device))
    batches = buffer.batches(config.batch, torch.Generator().manual_seed(config.seed))
    clock = reporter.clock = Clock(config.steps, config.time_budget_s)
    for rows in batches:
        progress = clock.progress
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * one_cycle(progress)
        with autocast(device):
            points = head(buffer.features[rows])
        result = reprojection_loss(points, buffer.pixels[rows], buffer.image[rows], views, progress, config)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(result.loss).backward()
        scaler.step(optimizer)
        scaler.update()
        clock.step += 1
        ended = clock.progress >= 1.0
        if ended or clock.step % REPORT_EVERY == 0:
            reporter.on_step(result)
        if ended:
            break
    return clock


def _needs_scaling(device: torch.device) -> bool:
    return device.type == "cuda" and not torch.cuda.is_bf16_supported()


def _sample_cloud(
    head: Head, buffer: FeatureBuffer, views: Views, config: TrainingConfig
) -> tuple[Tensor, Tensor]:
    """Return points (P, 3) float32, local, and brightness (P,) uint8 of well predicted features."""
    generator = torch.Generator().manual_seed(config.seed)
    wanted = min(3 * config.map_points, len(buffer))
    rows = torch.randperm(len(buffer), generator=generator)[:wanted].to(buffer.features.device)
    points, good = [torch.zeros(0, 3)], [torch.zeros(0, dtype=torch.bool)]
    with torch.no_grad():
        for part in rows.split(16384):
            predicted = head(buffer.features[part].float())
            result = reprojection_loss(
                predicted, buffer.pixels[part], buffer.image[part], views, 1.0, config
            )
            points.append(predicted.cpu())
            good.append((result.valid & (result.error_px < CLOUD_ERROR_PX)).cpu())
    kept = torch.cat(good).nonzero()[: config.map_points, 0]
    return torch.cat(points)[kept], buffer.grey[rows.cpu()][kept]


class _Reporter:
    """Turns what happens into Progress for the caller, and keeps the last figures."""

    def __init__(
        self, on_progress: Callable[[Progress], None], began: float, config: TrainingConfig
    ) -> None:
        self._on_progress, self._began, self._config = on_progress, began, config
        self._prepare_share = 0.2  # of the whole job; known better once training runs
        self.clock: Clock | None = None
        self.median_error_px = self.inlier_share = math.nan

    def on_view(self, done: int, total: int) -> None:
        """Report a view that was encoded."""
        elapsed = time.monotonic() - self._began
        remaining = elapsed / done * (total - done) + self._config.time_budget_s
        self._on_progress(
            Progress("prepare", self._prepare_share * done / total, 0, self._config.steps, elapsed, remaining)
        )

    def on_step(self, result: LossResult) -> None:
        """Report a training step; stops a training that has diverged."""
        assert self.clock is not None
        if not math.isfinite(float(result.loss.detach())):
            raise TrainingError(f"training diverged at step {self.clock.step}: the loss is not finite")
        error = torch.where(result.valid, result.error_px, math.inf)
        self.median_error_px = float(error.median())
        self.inlier_share = float((error < INLIER_PX).float().mean())
        done = self._prepare_share + (1.0 - self._prepare_share) * self.clock.progress
        self._on_progress(
            Progress(
                "train",
                done,
                self.clock.step,
                self.clock.expected_steps,
                time.monotonic() - self._began,
                self.clock.remaining_s,
                self.median_error_px,
                self.inlier_share,
            )
        )
