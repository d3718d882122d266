# SPDX-License-Identifier: Apache-2.0
"""Train an encoder from scratch, from nothing but photographs.

    python -m ace_ros.encoder_training.training PHOTOS -o lite.safetensors

Dense contrastive learning on pairs of views of random scenes (see `planar_pairs` for the scenes,
`contrastive_loss` for the loss, docs/notes/encoder.md for what was tried). Resumable: a killed run continues
from the checkpoint beside its output, and gives the weights that an uninterrupted run gives, because
every step draws its pairs from its own seed.
"""

from __future__ import annotations

import argparse
import io
import logging
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ace_ros.compute.precision import autocast
from ace_ros.encoder_training.contrastive_loss import ContrastiveResult, Matches, contrastive_loss
from ace_ros.encoder_training.photos import load_photos
from ace_ros.encoder_training.planar_pairs import random_pair
from ace_ros.files.whole import make_folder, remove_leftovers, write_atomically
from ace_ros.files.writable import require_writable
from ace_ros.network.encoder import STRIDE, Encoder, EncoderShape, cell_centres
from ace_ros.network.encoder_file import save_encoder

logger = logging.getLogger(__name__)

SHAPES = {
    "lite": EncoderShape(stem=(24, 48, 128), inner=80, context=(96, 128, 152), blocks=1),
    "base": EncoderShape(stem=(32, 96, 256), inner=160, context=(256, 256), blocks=1),
}


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """How an encoder is trained; the recipe of the shipped `lite` is the default."""

    size: str = "lite"  # a key of SHAPES
    steps: int = 16_000
    pairs_per_step: int = 4
    view_px: int = 320
    anchors_per_step: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    temperature: float = 0.06
    neighbour_px: float = 4.0  # cells nearer to the true match than this are no negatives
    validation_photos: int = 48
    validation_batches: int = 16
    checkpoint_every: int = 500
    seed: int = 2089


# A GPU sees more pairs and more negatives in a step. Not run to its end yet: see docs/notes/encoder.md.
BASE = EncoderTrainingConfig(
    size="base", steps=60_000, pairs_per_step=24, view_px=320, anchors_per_step=8192, learning_rate=1e-3
)
RECIPES = {"lite": EncoderTrainingConfig(), "base": BASE}


@dataclass(frozen=True)
class Batch:
    """Views (2 B, 1, S, S), the first of all B pairs before the second, and the matches between them."""

    views: Tensor
    matches: Matches


def make_batch(photos: list[np.ndarray], config: EncoderTrainingConfig, seed: list[int]) -> Batch:
    """Return a batch of random pairs; the same seed gives the same batch."""
    rng = np.random.default_rng(seed)
    cells = cell_centres(config.view_px, config.view_px, STRIDE).numpy()
    pairs = [random_pair(photos, config.view_px, cells, rng) for _ in range(config.pairs_per_step)]
    views = np.stack([p.first for p in pairs] + [p.second for p in pairs])[:, None]
    pixels = torch.from_numpy(np.stack([p.matches for p in pairs]))
    visible = torch.from_numpy(np.stack([p.visible for p in pairs]))
    return Batch(torch.from_numpy(views), Matches(pixels, visible))


def run_batch(
    encoder: Encoder, batch: Batch, device: torch.device, config: EncoderTrainingConfig, seed: int
) -> ContrastiveResult:
    """Return loss and share of matched cells of one batch."""
    views = batch.views.to(device).contiguous(memory_format=torch.channels_last)
    with autocast(device):
        features = encoder(views)
    first, second = features.float().chunk(2)
    return contrastive_loss(
        first,
        second,
        Matches(batch.matches.pixels.to(device), batch.matches.visible.to(device)),
        stride=encoder.stride,
        temperature=config.temperature,
        neighbour_px=config.neighbour_px,
        anchors=config.anchors_per_step,
        generator=torch.Generator().manual_seed(seed),
    )


def validate(
    encoder: Encoder, photos: list[np.ndarray], device: torch.device, config: EncoderTrainingConfig
) -> dict[str, float]:
    """Return loss and share of matched cells on photographs that were not trained on."""
    encoder.eval()
    with torch.no_grad():
        results = [
            run_batch(encoder, make_batch(photos, config, [config.seed, 1, i]), device, config, i)
            for i in range(config.validation_batches)
        ]
    encoder.train()
    loss = float(np.mean([float(r.loss) for r in results]))
    matched = float(np.mean([float(r.matched) for r in results]))
    return {"validation_loss": round(loss, 4), "validation_matched": round(matched, 4)}


def train_encoder(
    photo_folder: Path, output: Path, config: EncoderTrainingConfig, device: torch.device
) -> dict[str, float]:
    """Train an encoder and write it to `output`; return its validation figures.

    Raises SceneError where there are too few photographs, OutputError where nothing can be written.
    """
    require_writable(output)
    photos = load_photos(photo_folder)
    every = max(2, len(photos) // config.validation_photos)
    held_out, used = photos[::every], [p for i, p in enumerate(photos) if i % every]
    torch.manual_seed(config.seed)
    encoder = Encoder(SHAPES[config.size], norm=True).to(device)
    encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        encoder.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    checkpoint = output.with_suffix(".checkpoint.pt")
    start = _resume(checkpoint, encoder, optimizer, config)

    began, running = time.monotonic(), []
    for step, batch in _batches(used, config, start):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        result = run_batch(encoder, batch, device, config, step)
        optimizer.zero_grad(set_to_none=True)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        running.append(torch.stack([result.loss.detach(), result.matched]))
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            _save(checkpoint, encoder, optimizer, config, step + 1)
            figures = validate(encoder, held_out, device, config)
            loss, matched = torch.stack(running).mean(0).tolist()
            running.clear()
            logger.info(
                "step %d of %d, %.0f s, loss %.3f, matched %.3f, validation %s",
                step + 1, config.steps, time.monotonic() - began, loss, matched, figures,
            )  # fmt: skip
    figures = {**validate(encoder, held_out, device, config), "steps": float(config.steps)}
    words = f"InfoNCE on pairs of views of random scenes made of {len(used)} photographs; {asdict(config)}"
    save_encoder(output, encoder, words, figures)
    checkpoint.unlink(missing_ok=True)
    return figures


def _batches(
    photos: list[np.ndarray], config: EncoderTrainingConfig, start: int
) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) from a step on; the next batch is made while the caller works on this one."""
    with ThreadPoolExecutor(1) as loader:
        coming = loader.submit(make_batch, photos, config, [config.seed, 0, start])
        for step in range(start, config.steps):
            batch = coming.result()
            coming = loader.submit(make_batch, photos, config, [config.seed, 0, step + 1])
            yield step, batch


def _schedule(step: int, config: EncoderTrainingConfig) -> float:
    """Return the learning rate at a step as a share of its maximum: linear warm-up, cosine decay."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * progress)) + 1e-3


def _save(
    path: Path, encoder: Encoder, optimizer: torch.optim.Optimizer, config: EncoderTrainingConfig, step: int
) -> None:
    state = {
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
        "config": asdict(config),
        "step": step,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getbuffer())


def _resume(
    path: Path, encoder: Encoder, optimizer: torch.optim.Optimizer, config: EncoderTrainingConfig
) -> int:
    """Return the step to continue from, after loading a checkpoint of the same configuration."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["config"] != asdict(config):
        logger.warning("%s is of another configuration; training starts anew", path)
        return 0
    encoder.load_state_dict(state["encoder"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photographs, searched with its subfolders")
    parser.add_argument("-o", "--output", type=Path, required=True, help="NAME.safetensors")
    parser.add_argument("--size", choices=tuple(RECIPES), default="lite")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: all)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
        cv2.setNumThreads(options.threads)
    make_folder(options.output.parent)
    remove_leftovers(options.output.parent)
    config = RECIPES[options.size]
    config = replace(config, steps=options.steps) if options.steps else config
    print(train_encoder(options.photos, options.output, config, torch.device(options.device)))


if __name__ == "__main__":
    main()
