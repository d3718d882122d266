# SPDX-License-Identifier: Apache-2.0
"""Count what the minimal solver finds of the poses of random triples of points, and its time.

    python bench/minimal_solver.py --triples 10000000

Prints a Markdown table and one line of JSON. A solution is false when it does not project the points onto
their rays, or is no rotation.
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import torch
from torch import Tensor

from ace_ros.pnp.p3p import p3p

TOLERANCE = 1e-6
CHUNK = 100_000


def random_triples(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rays and points (3, 3, CHUNK), coordinates first, and the pose R (3, 3, CHUNK), t (3, CHUNK)."""
    g = torch.Generator().manual_seed(seed)
    rays = torch.cat([2 * torch.rand(3, 2, CHUNK, generator=g, dtype=torch.float64) - 1,
                      torch.ones(3, 1, CHUNK, dtype=torch.float64)], 1)  # fmt: skip
    places = rays * (0.1 + 9.9 * torch.rand(3, 1, CHUNK, generator=g, dtype=torch.float64))
    Q, _ = torch.linalg.qr(torch.randn(CHUNK, 3, 3, generator=g, dtype=torch.float64))
    R = (Q * torch.linalg.det(Q)[:, None, None]).permute(1, 2, 0)
    t = torch.randn(3, CHUNK, generator=g, dtype=torch.float64)
    return rays, torch.einsum("jim,kjm->kim", R, places - t), R, t


def bench(count: int) -> dict[str, int]:
    """Count found, missed and false solutions of random triples, as solvers are usually compared."""
    totals = {"triples": 0, "found": 0, "missed": 0, "false": 0, "solutions": 0, "ns_per_triple": 0}
    spent = 0.0
    for seed in range(-(-count // CHUNK)):
        rays, points, R, t = random_triples(seed)
        start = time.perf_counter()
        R_found, t_found, valid = p3p(rays, points)
        spent += time.perf_counter() - start
        off = (R_found - R[:, :, None]).abs().amax((0, 1)) + (t_found - t[:, None]).abs().amax(0)
        found = (torch.nan_to_num(off, nan=torch.inf) < TOLERANCE).any(0)
        seen = torch.einsum("ijsm,kjm->kism", R_found, points) + t_found
        again = seen[:, :2] / seen[:, 2:] - rays[:, :2, None]
        skewed = (torch.einsum("jism,jksm->iksm", R_found, R_found)
                  - torch.eye(3, dtype=torch.float64)[..., None, None]).abs().amax((0, 1))  # fmt: skip
        false = valid & ((again.abs().amax((0, 1)) > TOLERANCE) | (skewed > TOLERANCE))
        totals["triples"] += CHUNK
        totals["found"] += int(found.sum())
        totals["missed"] += int((~found).sum())
        totals["false"] += int(false.sum())
        totals["solutions"] += int(valid.sum())
    totals["ns_per_triple"] = round(1e9 * spent / totals["triples"])
    return totals


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--triples", type=int, default=1_000_000, help=f"a multiple of {CHUNK}")
    parser.add_argument("--threads", type=int, default=2, help="processor threads for torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    totals = bench(options.triples)
    print("| " + " | ".join(totals) + " |\n|" + " --- |" * len(totals))
    print("| " + " | ".join(str(v) for v in totals.values()) + " |")
    machine = platform.processor() or platform.machine()
    print(json.dumps({"machine": machine, "threads": options.threads, "triples": totals}))


if __name__ == "__main__":
    main()
