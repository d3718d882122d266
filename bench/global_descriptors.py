# SPDX-License-Identifier: Apache-2.0
"""Which few numbers tell places apart: ways to make a descriptor from an encoder's features, compared.

    python bench/global_descriptors.py SCENES --others IMAGES --every 2

Every scene is a place, known by some of its mapping images; every image of IMAGES is one more place.
Prints how many test images are most similar to their own place, and the similarities to it and to
the best other scene.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.compute.process import limit_threads
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.maps import global_descriptor as own
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.network.input import network_batch

SEED = 7
CODES = 16  # of the VLAD-like ones
QUANTILES = torch.tensor([0.0, 0.05, 0.5, 0.95, 1.0])


def unit(values: Tensor) -> Tensor:
    """Return vectors (..., D) of length 1."""
    return F.normalize(values, dim=-1)


def power_mean(features: Tensor) -> Tensor:
    """Return the generalised mean of the positive and of the negative parts (2 C,), with power 3."""
    parts = torch.cat([features.clamp(min=0), (-features).clamp(min=0)], 1)
    return (parts**3).mean(0) ** (1 / 3)


def residuals(features: Tensor) -> Tensor:
    """Return sums (16 C,) of differences from random unit vectors, by softly nearest one (VLAD)."""
    generator = torch.Generator().manual_seed(SEED)
    codes = unit(torch.randn(CODES, features.shape[1], generator=generator))
    features = unit(features)
    share = (10.0 * features @ codes.T).softmax(1)
    return unit(share.T @ features - share.sum(0)[:, None] * codes).flatten()


def moments(features: Tensor, power: float = 1.0) -> Tensor:
    """Return the mean products of every two channels (P,), raised to a power with their sign kept."""
    products = features.T @ features / len(features)
    first, second = torch.triu_indices(*products.shape)
    values = products[first, second]
    return values.sign() * values.abs() ** power


def sketched(values: Tensor, size: int) -> Tensor:
    """Return a count sketch (size,) of values (P,)."""
    bits = np.random.PCG64(SEED).random_raw(len(values))
    bins = torch.from_numpy((bits % np.uint64(size)).astype(np.int64))
    signs = torch.from_numpy(1.0 - 2.0 * (bits >> np.uint64(63)).astype(np.float32))
    return torch.zeros(size).index_add_(0, bins, signs * values)


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda f: f.mean(0),
    "power mean (GeM)": power_mean,
    "residuals (VLAD)": residuals,
    "moments": moments,
    "moments, square root": lambda f: moments(f, 0.5),
    "sketch, 32": lambda f: sketched(moments(f), 32),
    "sketch, 64": lambda f: sketched(moments(f), 64),
    "sketch, 128": lambda f: sketched(moments(f), 128),
    "sketch of square roots, 64": lambda f: sketched(moments(f, 0.5), 64),
    "as shipped (64)": own.global_descriptor,
    "as shipped, of 1024 features": lambda f: own.global_descriptor(some(f, 1024)),
    "as shipped, of 100 features": lambda f: own.global_descriptor(some(f, 100)),
}


def some(features: Tensor, count: int) -> Tensor:
    """Return some of the features (N, C)."""
    return features[torch.randperm(len(features), generator=torch.Generator().manual_seed(SEED))[:count]]


def describe(paths: list[Path], encoder: LoadedEncoder) -> dict[str, Tensor]:
    """Return the descriptors (I, D) of images, made in every way."""
    made: dict[str, list[Tensor]] = {way: [] for way in WAYS}
    for path in paths:
        batch = torch.from_numpy(network_batch(read_grey(path)[None], encoder.card.stride))[:, None]
        with torch.inference_mode():
            features = encoder.module(batch.float() / 255.0)[0].flatten(1).T
            for way, function in WAYS.items():
                made[way].append(unit(function(features)))
    return {way: torch.stack(values) for way, values in made.items()}


def row(way: str, kept: int, places: list[Tensor], queries: list[Tensor], others: Tensor) -> str:
    """Return the figures of one way, with so many descriptors kept of every place."""
    known = [own.medoids(p, kept) for p in places]
    first = first_of_all = 0
    to_own, to_other = [], []
    for number, query in enumerate(queries):
        similarity = torch.stack([(query @ k.T).amax(1) for k in known], 1)
        mine = similarity[:, number].clone()
        similarity[:, number] = -2.0
        rival = similarity.amax(1)
        stranger = (query @ others.T).amax(1) if len(others) else torch.full_like(rival, -2.0)
        first += int((mine > rival).sum())
        first_of_all += int((mine > torch.maximum(rival, stranger)).sum())
        to_own.append(mine)
        to_other.append(rival)
    least, low, median, _, _ = torch.cat(to_own).quantile(QUANTILES).tolist()
    _, _, _, high, most = torch.cat(to_other).quantile(QUANTILES).tolist()
    figures = (f"{value:.2f}" for value in (least, low, median, high, most))
    counts = map(str, (places[0].shape[1], kept, first, first_of_all))
    return f"| {' | '.join([way, *counts, *figures])} |"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, help="folder of scene folders")
    parser.add_argument("--others", type=Path, help="folder of images, each a place of its own")
    parser.add_argument("--every", type=int, default=1, help="use every so manyth of the others")
    parser.add_argument("--encoder", default="lite")
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: half of them)")
    options = parser.parse_args()
    limit_threads(options.threads)
    encoder = load_encoder(options.encoder)
    scenes = sorted(p.parent for p in options.scenes.glob("*/train"))
    places, queries = (
        [describe([f.image_path for f in load_scene(s, split).frames], encoder) for s in scenes]
        for split in ("train", "test")
    )
    paths = sorted(options.others.iterdir())[:: options.every] if options.others else []
    others = describe(paths, encoder) if paths else {way: torch.zeros(0) for way in WAYS}
    tested = sum(len(q["mean"]) for q in queries)
    print(f"{len(scenes)} places, {tested} test images, {len(paths)} others\n")
    print(
        "| descriptor | numbers | kept | own place first | ... among others too | own: least | 5 % | median "
        "| best other: 95 % | most |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for way in WAYS:
        for kept in (4, 8, 16, 32):
            if kept == 16 or way.startswith("as shipped (") or way == "moments":
                print(row(way, kept, [p[way] for p in places], [q[way] for q in queries], others[way]))


if __name__ == "__main__":
    main()
