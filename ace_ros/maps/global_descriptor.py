# SPDX-License-Identifier: Apache-2.0
"""What a whole image looks like, in a few numbers: how a place is found among many others.

The products of every two channels of an image's features, averaged over the image, tell images of
one place from those of others; averages of the features themselves do it less well (docs/benchmarks.md
has the figures). The products are summed into a few numbers with random signs: a count sketch
(Charikar et al. 2002; of products of features: Gao et al., "Compact Bilinear Pooling", CVPR 2016),
which keeps angles and needs no training, so that it goes with any encoder.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SIZE = 64  # numbers of a descriptor
SEED = 2089
FEATURES_PER_IMAGE = 1024  # fewer blur the descriptor, more do not help
MIN_VIEWS, MAX_VIEWS, IMAGES_PER_VIEW = 16, 128, 8  # descriptors kept of a place
MAX_IMAGES = 2048  # considered for them: the work grows with the square


def global_descriptor(features: Tensor) -> Tensor:
    """Return the descriptor (64,) float32, of unit length, of an image's features (N, C)."""
    features = features.float()
    moments = features.T @ features / max(1, len(features))
    first, second, bins, signs = _sketch(features.shape[1])
    device = features.device
    products = moments[first.to(device), second.to(device)] * signs.to(device)
    # On the CPU, where sums have one order: the same image gives the same descriptor every time.
    sums = torch.zeros(SIZE).index_add_(0, bins, products.cpu())
    return F.normalize(sums, dim=0)


def no_descriptors() -> Tensor:
    """Return the descriptors (0, 64) of a place of which none are known."""
    return torch.zeros(0, SIZE, dtype=torch.float16)


def place_descriptors(features: Tensor, image: Tensor) -> Tensor:
    """Return the descriptors (K, 64) float16 that stand for a place.

    features (F, C) are of the mapping images with numbers image (F,), those of an image in no order:
    the first ones of every image count. Images that have few are joined with those that follow, which
    were taken near them. K is 16 for a place of up to 128 images, more for larger ones,
    fewer if there are fewer images.
    """
    image = image.long().cpu()
    images = int(image.max()) + 1
    image = image // max(1, round(FEATURES_PER_IMAGE * images / len(image)))
    order = image.argsort(stable=True)
    numbers, counts = image[order].unique_consecutive(return_counts=True)
    ends = counts.cumsum(0)
    evenly = torch.linspace(0, len(numbers) - 1, min(len(numbers), MAX_IMAGES)).round().long()
    rows = [order[int(ends[i] - counts[i]) : int(ends[i])][:FEATURES_PER_IMAGE] for i in evenly.tolist()]
    descriptors = torch.stack([global_descriptor(features[r.to(features.device)]) for r in rows])
    wanted = max(MIN_VIEWS, min(MAX_VIEWS, len(numbers) // IMAGES_PER_VIEW))
    return medoids(descriptors, wanted).half()


def medoids(descriptors: Tensor, count: int) -> Tensor:
    """Return up to `count` of the descriptors (I, 64) that are close to all of them together."""
    distance = 1.0 - descriptors @ descriptors.T
    chosen = [int(distance.sum(1).argmin())]
    while len(chosen) < min(count, len(descriptors)):
        chosen.append(int(distance[:, chosen].amin(1).argmax()))  # the farthest from those chosen
    for _ in range(20):
        nearest = distance[:, chosen].argmin(1)
        moved = []
        for number, old in enumerate(chosen):
            members = (nearest == number).nonzero()[:, 0]
            inner = distance[members][:, members].sum(1)
            moved.append(int(members[inner.argmin()]) if len(members) else old)
        if moved == chosen:
            break
        chosen = moved
    return descriptors[chosen]


@functools.lru_cache(maxsize=4)
def _sketch(channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return channel pairs (P,), (P,), the bin of each, and its sign.

    From the raw bits of PCG64, a stream that NumPy promises never to change: descriptors are kept in
    files. (How bits become numbers of a distribution may change.)
    """
    first, second = torch.triu_indices(channels, channels)
    bits = np.random.PCG64(SEED).random_raw(len(first))
    bins = torch.from_numpy((bits % np.uint64(SIZE)).astype(np.int64))
    signs = torch.from_numpy(1.0 - 2.0 * (bits >> np.uint64(63)).astype(np.float32))
    return first, second, bins, signs
