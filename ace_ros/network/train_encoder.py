# SPDX-License-Identifier: Apache-2.0
"""Train the encoder from scratch on photographs: dense contrastive learning on warped pairs.

One point of the world keeps its feature across viewpoint and light, different points differ: the
InfoNCE loss (van den Oord et al., 2018, equation 4) over all feature cells of a batch of pairs.

    python -m ace_ros.network.train_encoder PHOTOS -o lite.safetensors

Resumable: a killed run continues from the checkpoint beside its output. It gives the weights that
an uninterrupted run gives, because every step draws its pairs from its own seed.
"""

from __future__ import annotations

import argparse
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.network.encoder import Encoder, cell_centres, save_encoder
from ace_ros.network.warped_pairs import load_photos, random_pair

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """How an encoder is trained; the recipe of the shipped one is the default."""

    steps: int = 8000
    pairs_per_step: int = 8
    view_px: int = 160
    channels: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    temperature: float = 0.07
    neighbour_px: float = 8.0  # cells nearer to the true match than this are no negatives
    validation_photos: int = 48
    checkpoint_every: int = 500
    seed: int = 2089


def contrastive_loss(
    first: Tensor, second: Tensor, homographies: Tensor, stride: int, config: EncoderTrainingConfig
) -> tuple[Tensor, Tensor]:
    """Return (loss, share of cells whose nearest feature is the true match).

    `first`, `second` (B, C, h, w) are features of the two views, `homographies` (B, 3, 3) take
    pixels of the first to pixels of the second. The positive of a cell is the second view's
    feature interpolated at the exact match; its negatives are all cells of all second views,
    except those within `neighbour_px` of the match.
    """
    batch, channels, h, w = first.shape
    centres = cell_centres(h * stride, w * stride, stride, first.device)  # (hw, 2)
    ones = torch.ones_like(centres[:, :1])
    warped = torch.cat([centres, ones], 1) @ homographies.transpose(1, 2)  # (B, hw, 3)
    matches = warped[..., :2] / warped[..., 2:].clamp(min=1e-6)
    # Cell units: bilinear interpolation needs a match between the outermost cell centres.
    cells = (matches - (stride - 1) / 2) / stride
    limit = cells.new_tensor([w - 1.0, h - 1.0])
    visible = ((cells >= 0) & (cells <= limit)).all(-1) & (warped[..., 2] > 1e-6)  # (B, hw)
    positives = F.grid_sample(
        second, (2 * cells / limit - 1)[:, None], align_corners=True, padding_mode="border"
    )[:, :, 0].transpose(1, 2)[visible]  # (n, C)
    anchors = F.normalize(first.flatten(2).transpose(1, 2)[visible], dim=-1)
    positives = F.normalize(positives, dim=-1)
    negatives = F.normalize(second.flatten(2).transpose(1, 2), dim=-1)  # (B, hw, C)

    with torch.autocast(first.device.type, torch.bfloat16):
        similarity = anchors @ negatives.reshape(-1, channels).T  # (n, B * hw)
    similarity = similarity.float()
    # Cells around the true match show nearly the same point; they are neither right nor wrong.
    distance = torch.cdist(matches, centres.expand(batch, -1, -1))[visible]  # (n, hw)
    image = torch.arange(batch, device=first.device)[:, None].expand(batch, h * w)[visible]  # (n,)
    own = image[:, None] == torch.arange(batch, device=first.device)  # (n, B)
    ignored = own[:, :, None] & (distance < config.neighbour_px)[:, None]  # (n, B, hw)
    similarity = similarity.masked_fill(ignored.flatten(1), -1.0)
    positive = (anchors * positives).sum(-1, keepdim=True)
    logits = torch.cat([positive, similarity], 1) / config.temperature
    target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return F.cross_entropy(logits, target), (logits.argmax(1) == 0).float().mean()


def make_batch(
    photos: list[np.ndarray], count: int, view_px: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return views (2 * count, 1, S, S), first views before second, and homographies (count, 3, 3)."""
    chosen = rng.choice(len(photos), count, replace=len(photos) < count)
    pairs = [random_pair(photos[i], view_px, rng) for i in chosen]
    views = np.stack([p[0] for p in pairs] + [p[1] for p in pairs])[:, None]
    return torch.from_numpy(views), torch.from_numpy(np.stack([p[2] for p in pairs])).float()


def run_batch(
    encoder: Encoder, batch: tuple[Tensor, Tensor], device: torch.device, config: EncoderTrainingConfig
) -> tuple[Tensor, Tensor]:
    """Return (loss, share of matched cells) of one batch."""
    views = batch[0].to(device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16):
        features = encoder(views)
    first, second = features.float().chunk(2)
    return contrastive_loss(first, second, batch[1].to(device), encoder.stride, config)


def validate(
    encoder: Encoder, photos: list[np.ndarray], device: torch.device, config: EncoderTrainingConfig
) -> dict[str, float]:
    """Return loss and share of matched cells on photographs that were not trained on."""
    rng = np.random.default_rng(config.seed)
    results = []
    with torch.no_grad():
        for _ in range(max(1, 2 * len(photos) // config.pairs_per_step)):
            batch = make_batch(photos, config.pairs_per_step, config.view_px, rng)
            results.append([float(x) for x in run_batch(encoder, batch, device, config)])
    loss, matched = np.mean(results, axis=0)
    return {"validation_loss": round(float(loss), 4), "validation_matched": round(float(matched), 4)}


def train_encoder(
    photo_folder: Path, output: Path, config: EncoderTrainingConfig, device: torch.device
) -> dict[str, float]:
    """Train an encoder and write it to `output`; return its validation figures."""
    photos = load_photos(photo_folder)
    held_out = photos[:: max(2, len(photos) // config.validation_photos)]
    used = [p for i, p in enumerate(photos) if i % max(2, len(photos) // config.validation_photos)]
    torch.manual_seed(config.seed)
    encoder = Encoder(config.channels).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        encoder.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    checkpoint = output.with_suffix(".checkpoint.pt")
    start = _resume(checkpoint, encoder, optimizer, config)

    def batch_of(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([config.seed, step])
        return make_batch(used, config.pairs_per_step, config.view_px, rng)

    began, running = time.monotonic(), []
    with ThreadPoolExecutor(1) as loader:
        coming = loader.submit(batch_of, start)
        for step in range(start, config.steps):
            batch, coming = coming.result(), loader.submit(batch_of, step + 1)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(step, config)
            loss, matched = run_batch(encoder, batch, device, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimizer.step()
            running.append((loss.detach(), matched))
            if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                _save(checkpoint, encoder, optimizer, config, step + 1)
                figures = validate(encoder, held_out, device, config)
                mean = torch.tensor([[float(a), float(b)] for a, b in running]).mean(0)
                running.clear()
                logger.info(
                    "step %d of %d, %.0f s, loss %.3f, matched %.3f, validation %s",
                    step + 1, config.steps, time.monotonic() - began, mean[0], mean[1], figures,
                )  # fmt: skip
    figures = {**validate(encoder, held_out, device, config), "steps": float(config.steps)}
    words = f"InfoNCE on warped pairs of {len(used)} photographs; {asdict(config)}"
    save_encoder(output, encoder, words, figures)
    checkpoint.unlink(missing_ok=True)
    return figures


def _schedule(step: int, config: EncoderTrainingConfig) -> float:
    """Return the learning rate at a step as a share of its maximum: linear warm-up, cosine decay."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return float(0.5 * (1 + np.cos(np.pi * progress))) + 1e-3


def _save(
    path: Path, encoder: Encoder, optimizer: torch.optim.Optimizer, config: EncoderTrainingConfig, step: int
) -> None:
    state = {
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
        "config": asdict(config),
        "step": step,
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


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
    parser.add_argument("--steps", type=int, default=EncoderTrainingConfig.steps)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    config = EncoderTrainingConfig(steps=options.steps)
    print(train_encoder(options.photos, options.output, config, torch.device(options.device)))


if __name__ == "__main__":
    main()
