# SPDX-License-Identifier: Apache-2.0
"""A long attack on all readers, or one: `make fuzz SECONDS=600 SEED=1 TARGET=map`.

Each target runs in a process of its own, which is started again after an input that ends it. Input N of a
target follows from N alone: `make fuzz TARGET=... SEED=N COUNT=1` tries it again. A failure is also saved in
out/fuzz.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import selectors
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "out/fuzz"
SILENT_SECONDS = 90.0  # after which a process is taken to hang
MORE_BYTES = 3 << 30  # what a process may take at most: more ends in an error, and is told as one
SHOWN_FAILURES = 5  # of a target

sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("", "data", "data/importers"))]


def main() -> int:
    """Attack the targets that the command line names and print a table; return 1 if an input failed."""
    parser = argparse.ArgumentParser(description="Attack the readers of files and messages.")
    parser.add_argument("--target", default="", help="one target; all without it")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--count", type=int, default=0, help="inputs of each target, in place of seconds")
    parser.add_argument(
        "--seed", type=int, default=-1, help="number of the first input; by the time without it"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--save", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.seed = time.time_ns() // 1_000_000_000 * 1_000_000 if options.seed < 0 else options.seed
    if options.child:
        return _attack(options)
    from targets import TARGETS

    if options.target and options.target not in TARGETS:
        parser.error(f"there is no target {options.target!r}; there are {', '.join(TARGETS)}")
    OUT.mkdir(parents=True, exist_ok=True)
    print(f"inputs from number {options.seed}", flush=True)
    failures = 0
    print(f"{'target':30} {'tried':>9} {'accepted':>9} {'refused':>9} {'failed':>7} {'MB':>6} {'per s':>7}")
    for name in [options.target] if options.target else TARGETS:
        counts, seconds = _supervise(name, options)
        failures += counts["failed"]
        columns = [f"{counts[key]:9}" for key in ("tried", "accepted", "refused")]
        rate = counts["tried"] / max(seconds, 1e-9)
        print(
            f"{name:30} {' '.join(columns)} {counts['failed']:7} {counts['peak_mb']:6} {rate:7.0f}",
            flush=True,
        )
    return 1 if failures else 0


def _supervise(name: str, options: argparse.Namespace) -> tuple[Counter[str], float]:
    """Attack one target, in as many processes as it takes; return counts and seconds of attacks."""
    counts: Counter[str] = Counter()
    first, left, ended = options.seed, options.seconds, options.seed + options.count
    spent = 0.0
    while left > 0 and (not options.count or first < ended):
        arguments = ["--target", name, "--seed", str(first), "--seconds", str(left)]
        began = counts["tried"]
        state = _run(arguments + (["--count", str(ended - first)] if options.count else []), counts, name)
        left, spent = left - state["seconds"], spent + state["seconds"]
        if state["whole"]:
            break
        number = int(_number_file(name).read_text())
        counts["tried"] = began + number + 1 - first
        counts["failed"] += 1
        _tell(name, number, state["how"], counts)
        save = [*_command(), "--save", "--target", name, "--seed", str(number)]
        subprocess.run(save, check=False, timeout=SILENT_SECONDS)
        first = number + 1
    return counts, spent


def _command() -> list[str]:
    return [sys.executable, str(Path(__file__)), "--child"]


def _run(arguments: list[str], counts: Counter[str], name: str) -> dict[str, Any]:
    """Run one process and add up what it says, a line of JSON for each input that tells something."""
    state: dict[str, Any] = {"seconds": 0.0, "whole": False, "how": ""}
    with (OUT / f"{_plain(name)}.log").open("ab") as log:
        child = subprocess.Popen([*_command(), *arguments], stdout=subprocess.PIPE, stderr=log)
    assert child.stdout
    with selectors.DefaultSelector() as selector, child.stdout as lines:
        selector.register(lines, selectors.EVENT_READ)
        while selector.select(SILENT_SECONDS):
            if not (line := lines.readline()):
                break
            said = json.loads(line)
            if "failure" in said:
                counts["failed"] += 1
                _tell(name, said["number"], said["failure"], counts)
            counts.update(tried=said["tried"], accepted=said["accepted"], refused=said["refused"])
            counts["peak_mb"] = max(counts["peak_mb"], said["peak_mb"])
            state.update(seconds=said["seconds"], whole=said["whole"])
        else:
            state["how"] = f"nothing heard for {SILENT_SECONDS:.0f} s"
            child.kill()
    code = child.wait()
    state["how"] = state["how"] or f"the process ended with {code}"
    return state


def _tell(name: str, number: int, failure: str, counts: Counter[str]) -> None:
    if counts["failed"] <= SHOWN_FAILURES:
        print(f"  FAILED: {failure}\n    make fuzz TARGET='{name}' SEED={number} COUNT=1")


def _number_file(name: str) -> Path:
    """Return the file that holds the number of the input that is tried."""
    return OUT / f"{_plain(name)}.number"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)


def _attack(options: argparse.Namespace) -> int:
    """Attack a target in this process; print what came of it as lines of JSON."""
    import torch
    from attack import Arena, limit_memory
    from targets import TARGETS

    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="ace_ros_fuzz_") as folder:
        arena = Arena(TARGETS[options.target], Path(folder))
        if options.save:
            arena.save(options.seed, OUT / f"{_plain(options.target)}-{options.seed}")
            return 0
        at = os.open(_number_file(options.target), os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(at, f"{options.seed:20}".encode(), 0)
        limit_memory(MORE_BYTES)
        counts: Counter[str] = Counter()
        began, number, more, peak = time.monotonic(), options.seed, {}, 0
        while True:
            seconds = time.monotonic() - began
            count_done = options.count and number >= options.seed + options.count
            whole = bool(count_done or (not options.count and seconds >= options.seconds))
            if whole or more or number % 64 == 0 or seconds < 1:
                said = {k: counts[k] for k in ("tried", "accepted", "refused")}
                counts.clear()
                print(
                    json.dumps({**said, "peak_mb": peak, "seconds": seconds, "whole": whole, **more}),
                    flush=True,
                )
            if whole:
                break
            os.pwrite(at, f"{number:20}".encode(), 0)  # read where this input ends the process
            outcome = arena.attack(number)
            more = {"failure": outcome.failure, "number": number} if outcome.failure else {}
            if more:
                arena.save(number, OUT / f"{_plain(options.target)}-{number}")
            peak = max(peak, outcome.peak_bytes // 1_000_000)
            counts.update(tried=1, accepted=int(outcome.accepted), refused=int(outcome.refused))
            number += 1
    tempfile.tempdir = None
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
