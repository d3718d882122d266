# SPDX-License-Identifier: Apache-2.0
"""Train a map: fill the buffer once, then fit the head to shuffled features of all images."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Scene, require_trainable
from ace_ros.errors import TrainingError
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.head import Head
from ace_ros.network.loss import LossResult, Views, reprojection_loss
from ace_ros.network.precision import autocast, choose_device
from ace_ros.network.signature import place_signature
from ace_ros.scene_map import SceneMap
from ace_ros.training.buffer import FeatureBuffer, fill_buffer
from ace_ros.training.extent import local_views, scene_extent
from ace_ros.training.optimizer import Muon
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
    encoder: LoadedEncoder | None = None,
) -> tuple[SceneMap, TrainingReport]:
    """Train a map of a scene; return it with a report.

    Poses of the scene define the map frame. `encoder` replaces the one that the config names.
    Raises SceneError when the scene cannot be used, TrainingError when training diverges, MapError
    when the encoder cannot be loaded.
    """
    require_trainable(scene)
    began = time.monotonic()
    config = replace(config, steps=step_limit(len(scene.frames), config))
    chosen = choose_device(device)
    encoder_name = encoder.card.name if encoder else _absolute(config.encoder)
    encoder = encoder or load_encoder(config.encoder)
    reporter = _Reporter(on_progress, began, config)
    buffer = fill_buffer(scene.frames, encoder, config, chosen, reporter.on_view)
    if not len(buffer):
        raise TrainingError(f"{scene.folder}: no pixel of any image can be used; check the calibration")
    extent = scene_extent(scene.frames, buffer, torch.Generator().manual_seed(config.seed))
    centre, views = extent.centre, local_views(scene.frames, extent.centre, chosen)

    torch.manual_seed(config.seed)
    head = Head(encoder.card.channels, config.head_width, config.head_blocks).to(chosen)
    prepare_s = time.monotonic() - began
    clock = _fit(head, buffer, views, extent.radius_m, config, reporter)
    head.scale_points(extent.radius_m)

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
        encoder=encoder_name,
        encoder_hash=encoder.content_hash,
        map_frame=map_frame,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        training={**asdict(config), **asdict(report)},
        signature=place_signature(buffer.features, buffer.image),
    )
    return scene_map, report


def step_limit(frames: int, config: TrainingConfig) -> int:
    """Return the largest number of steps for a scene of so many images."""
    return max(1, min(config.steps, frames * config.features_per_image // config.batch))


def _absolute(encoder: str) -> str:
    """Return how a map names its encoder: a shipped one by its name, a file by where it lies."""
    return str(Path(encoder).resolve()) if Path(encoder).suffix else encoder


def _fit(
    head: Head,
    buffer: FeatureBuffer,
    views: Views,
    radius_m: float,
    config: TrainingConfig,
    reporter: _Reporter,
) -> Clock:
    """Fit the head until the steps or the time are used up; return the clock that counted them.

    The head is trained to give points in units of `radius_m`: numbers of order one in any scene.
    """
    device = buffer.features.device
    optimizers = _optimizers(head, config)
    scaler = torch.amp.GradScaler(device.type, enabled=_needs_scaling(device))
    batches = buffer.batches(config.batch, torch.Generator().manual_seed(config.seed))
    clock = reporter.clock = Clock(config.steps, config.time_budget_s)
    for rows in batches:
        progress = clock.progress
        with autocast(device):
            points = radius_m * head(buffer.features[rows])
        result = reprojection_loss(
            points, buffer.pixels[rows], buffer.image[rows], buffer.depth_m[rows], views, progress, config
        )
        head.zero_grad(set_to_none=True)
        scaler.scale(result.loss).backward()
        for optimizer, learning_rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * one_cycle(progress)
            scaler.step(optimizer)
        scaler.update()
        clock.step += 1
        ended = clock.progress >= 1.0
        if ended or clock.step % REPORT_EVERY == 0:
            reporter.on_step(result)
        if ended:
            break
    return clock


def _optimizers(head: Head, config: TrainingConfig) -> list[tuple[torch.optim.Optimizer, float]]:
    """Return optimisers with their largest learning rates: Muon for hidden matrices, AdamW for the rest."""
    hidden = head.hidden_matrices()
    ids = {id(p) for p in hidden}
    rest = [p for p in head.parameters() if id(p) not in ids]
    adamw = torch.optim.AdamW(rest, config.learning_rate, weight_decay=config.weight_decay)
    return [
        (Muon(hidden, config.hidden_learning_rate), config.hidden_learning_rate),
        (adamw, config.learning_rate),
    ]


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
                predicted, buffer.pixels[part], buffer.image[part], buffer.depth_m[part], views, 1.0, config
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
