# SPDX-License-Identifier: Apache-2.0
"""Strike everything that writes, and the nodes, at random moments; nothing that was confirmed may be lost.

    python test/faults/campaign.py --seed 0 --kills 200
    python test/faults/campaign.py --seed 0 --only recorder/kill/17     # one trial again

Prints what was tried, how often the fault came in time, what survived and what was lost; exit code 1 where
something was. `make faults` runs it whole.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "nodes"), str(HERE.parents[1])]

import disk  # noqa: E402

OTHERS = 5  # of so many kills, one trial of each other fault


@dataclass
class Row:
    """The trials of one writer or node with one fault."""

    who: str
    fault: str
    tried: int = 0
    struck: int = 0
    lost: int = 0
    note: str = ""

    def __str__(self) -> str:
        counts = f"{self.tried:7d} {self.struck:8d} {self.tried - self.lost:9d} {self.lost:6d}"
        return f"{self.who:12s} {self.fault:24s} {counts}  {self.note}".rstrip()


HEADING = f"{'who':12s} {'fault':24s} {'tried':>7s} {'in time':>8s} {'survived':>9s} {'lost':>6s}"


def main() -> int:
    """Run the campaign; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=200, help="of each writer and node")
    parser.add_argument("--only", default="", metavar="WHO/FAULT/N", help="these trials alone")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs would let nodes ignore it
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.WARNING)
    if disk.INSIDE not in os.environ:
        return _outside()
    print(HEADING, flush=True)
    rows = []
    for row in _rows(options.seed, options.kills, [*options.only.split("/"), "", "", ""][:3]):
        print(row, flush=True)
        rows.append(row)
    lost = sum(row.lost for row in rows)
    print(f"seed {options.seed}: tried {sum(row.tried for row in rows)}, lost: {lost}")
    return 1 if lost else 0


def _outside() -> int:
    """Prepare what fails, and run the campaign in a process where it does."""
    with tempfile.TemporaryDirectory(prefix="ace_ros_faults_") as folder:
        library, words = disk.build(Path(folder)), disk.namespace()
        environment = {**disk.preloaded(library), disk.INSIDE: f"{folder}:{library or ''}"}
        command = [*words, sys.executable, str(HERE / "campaign.py"), *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode


def _rows(seed: int, kills: int, only: list[str]) -> Iterator[Row]:
    """Yield a row for each writer or node and each fault."""
    from inputs import make_inputs
    from trials import KINDS, Bench, trial
    from writers import WRITERS

    place, library = os.environ[disk.INSIDE].split(":")
    folder = Path(place)
    (folder / "inputs").mkdir()
    (folder / "small").mkdir()
    bench = Bench(folder, bool(library), disk.mount_small(folder / "small"))
    wanted = [kind for kind in WRITERS if only[0] in ("", kind.name)]
    if wanted:
        make_inputs(folder / "inputs")
    for writer in (kind(folder / "inputs") for kind in wanted):
        bench.measure(writer)
        for kind in KINDS:
            if only[1] in ("", kind):
                count = _count(writer.name, kind, kills, bench.has_library)
                row = Row(writer.name, kind, note=bench.missing(kind))
                yield _tried(row, count, seed, only[2], lambda key: trial(bench, writer, kind, key))  # noqa: B023
    if only[0] in ("", "mapper", "localizer"):
        yield from _node_rows(folder, bool(library), seed, kills, only)


def _node_rows(folder: Path, has_library: bool, seed: int, kills: int, only: list[str]) -> Iterator[Row]:
    from localizer_struck import LocalizerFaults
    from mapper_struck import MapperFaults
    from struck_graph import StruckGraph

    with StruckGraph(folder, has_library) as graph:
        for faults in (MapperFaults(graph), LocalizerFaults(graph)):
            for kind, attempt in faults.kinds():
                if only[0] in ("", faults.name) and only[1] in ("", kind):
                    row = Row(faults.name, kind, note=graph.unavailable or faults.missing(kind))
                    count = kills if kind == "kill" else -(-kills // OTHERS)
                    yield _tried(row, count, seed, only[2], attempt)
            graph.end(faults.name)


def _count(name: str, kind: str, kills: int, has_library: bool) -> int:
    """Return how many trials a writer has of a kind of fault."""
    if name == "trainer":  # takes seconds, in most of which it does not write
        return kills if kind == "kill in time" else kills // OTHERS
    if kind == "kill in time":  # by the clock, where no library counts
        return 0 if has_library else kills
    return kills if kind == "kill" else -(-kills // OTHERS)


def _tried(row: Row, count: int, seed: int, number: str, attempt: Callable[[str], bool]) -> Row:
    """Make the trials of a row; return it filled."""
    for n in [int(number)] if number else range(0 if row.note else count):
        row.tried += 1
        try:
            row.struck += attempt(f"{seed}/{row.who}/{row.fault}/{n}")
        except Exception as error:
            row.lost += 1
            words = " ".join(str(error).split()) or repr(error)
            print(f"LOST: {row.who}, {row.fault}, {n}: {words}", file=sys.stderr)
            print(
                f"again: {sys.argv[0]} --seed {seed} --only '{row.who}/{row.fault}/{n}'",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    return row


if __name__ == "__main__":
    sys.exit(main())
