# SPDX-License-Identifier: Apache-2.0
"""The command `ace_ros`: maps, poses and figures without ROS.

Exit codes: 0 done, 1 interrupted, 2 an error that the user can correct (one sentence on stderr).
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ace_ros import __version__
from ace_ros.cli import atlas_commands, commands
from ace_ros.compute.process import keep_memory, wait_briefly
from ace_ros.config import DATASETS, PRESETS, BagConfig
from ace_ros.errors import AceError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    wait_briefly()
    keep_memory()
    options = build_parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.run(options)
    except (AceError, OSError) as error:
        _complain(options, str(error))
        return 2
    except KeyboardInterrupt:
        _complain(options, "interrupted; nothing was written")
        return 1
    return 0


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _complain(options: argparse.Namespace, message: str) -> None:
    if getattr(options, "progress_json", False):
        print(json.dumps({"event": "error", "message": message}), flush=True)
    print(f"ace_ros: {message}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subparsers; defaults come from `ace_ros.config`."""
    parser = argparse.ArgumentParser(prog="ace_ros", description="Visual relocalization for robots.")
    parser.add_argument("--version", action="version", version=f"ace_ros {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_map(subparsers)
    _add_eval(subparsers)
    _add_localize(subparsers)
    _add_info(subparsers)
    _add_imports(subparsers)
    _add_atlas(subparsers)
    return parser


def _command(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], None], help: str, figures: bool
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    if figures:
        parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def _add_map(subparsers: Any) -> None:
    parser = _command(subparsers, "map", commands.run_map, "Train a map from a scene folder.", figures=True)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="folder with train/rgb, poses, calibration")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MAP", help="NAME.safetensors")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="standard")
    parser.add_argument(
        "--time-budget",
        type=float,
        default=0.0,
        metavar="S",
        help="train exactly S seconds (0: the preset's)",
    )
    parser.add_argument(
        "--encoder", metavar="NAME", help="shipped encoder, or a file: .safetensors, or the .pt of ACE"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the features that a training of this map had prepared when it was killed",
    )
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: all)")
    parser.add_argument(
        "--chunks",
        type=int,
        default=1,
        metavar="K",
        help="train one head for each of K parts of a large place (0: as many as its extent asks for); "
        "presets and time budget are those of one part",
    )
    parser.add_argument(
        "--ray-address",
        default="",
        metavar="ADDRESS",
        help="train chunks on the Ray cluster there (auto, HOST:PORT, or local); needs 'ace_ros[ray]'",
    )
    parser.add_argument("--map-frame", default="map", help="frame id that poses will carry")
    parser.add_argument("--seed", type=int, help="seed of views, batches and initial weights")
    parser.add_argument(
        "--refine-poses",
        action="store_true",
        help="correct the drift of the recorded poses first, by what the images show",
    )
    parser.add_argument(
        "--refine-focal",
        action="store_true",
        help="correct the focal length with them; use it only where the calibration is a guess",
    )
    parser.add_argument(
        "--use-depth",
        action="store_true",
        help="start from the scene's depth images (train/depth); localizing needs none",
    )
    parser.add_argument(
        "--progress-json", action="store_true", help="print progress and result as lines of JSON"
    )
    parser = subparsers.add_parser("map-job")  # for programs: not in the list of commands
    parser.set_defaults(run=commands.run_map_job, progress_json=True, verbose=False)
    parser.add_argument("job", metavar="JSON", help="a mapping.jobs.map_job.MapJob")


def _add_eval(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "eval",
        commands.run_eval,
        "Localize the test images; print figures against ground truth.",
        True,
    )
    parser.add_argument("scene", type=Path, metavar="SCENE")
    parser.add_argument("map", type=Path, metavar="MAP")
    parser.add_argument("--split", default="test", choices=("test", "train"))
    parser.add_argument("--report", type=Path, metavar="DIR", help="write pictures and a table of frames")
    _add_encoder(parser)


def _add_localize(subparsers: Any) -> None:
    parser = _command(
        subparsers, "localize", commands.run_localize, "Print the poses of single images.", True
    )
    parser.add_argument("map", type=Path, metavar="MAP")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="calibration: 3x3 matrix or focal length in a .txt, or a camera_info .yaml "
        "(default: calibration/NAME.txt beside the image's folder)",
    )
    _add_encoder(parser)


def _add_encoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoder", metavar="FILE", help="the map's encoder, if it lies elsewhere than where it was trained"
    )


def _add_info(subparsers: Any) -> None:
    parser = _command(subparsers, "info", commands.run_info, "Print what a map file says of itself.", True)
    parser.add_argument("map", type=Path, metavar="MAP")


def _add_imports(subparsers: Any) -> None:
    parser = _command(
        subparsers, "import-bag", commands.run_import_bag, "Turn a rosbag into a scene folder.", False
    )
    parser.add_argument("bag", type=Path, metavar="BAG")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE")
    _add_options(parser, BagConfig)
    parser = _command(
        subparsers,
        "import-dataset",
        commands.run_import_dataset,
        "Turn a public data set into a scene folder.",
        False,
    )
    parser.add_argument("kind", choices=DATASETS, metavar="KIND", help=", ".join(DATASETS))
    parser.add_argument("source", type=Path, metavar="SRC")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE")
    parser.add_argument(
        "--focal-px", type=float, default=0.0, help="replaces the data set's focal length (0: keep it)"
    )
    parser.add_argument(
        "--test-share", type=float, default=0.2, help="share kept for testing where the data set has no split"
    )


def _add_atlas(subparsers: Any) -> None:
    parser = subparsers.add_parser("atlas", help="Keep the maps of many places in one folder.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    run = atlas_commands
    parser = _command(actions, "add", run.run_add, "Copy maps into an atlas, which is made if needed.", True)
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="folder of maps with an index")
    parser.add_argument("maps", type=Path, nargs="+", metavar="MAP")
    parser.add_argument("--name", default="", help="plain name of the place (default: the file's)")
    parser.add_argument(
        "--map-frame",
        default="",
        metavar="FRAME",
        help="frame id of poses there, {name} stands for the place's name (default: the map's own)",
    )
    parser.add_argument("--position", type=position, metavar="LAT,LON", help="latitude, longitude in degrees")
    parser.add_argument("--replace", action="store_true", help="replace a place of the same name")
    parser = _command(actions, "remove", run.run_remove, "Take places out and delete their maps.", False)
    parser.add_argument("atlas", type=Path, metavar="ATLAS")
    parser.add_argument("places", nargs="+", metavar="NAME")
    parser = _command(actions, "list", run.run_list, "Print the places of an atlas.", True)
    parser.add_argument("atlas", type=Path, metavar="ATLAS")
    parser = _command(
        actions,
        "find",
        run.run_find,
        "Print which place images show, with the pose; without images, the places near a position.",
        True,
    )
    parser.add_argument("atlas", type=Path, metavar="ATLAS")
    parser.add_argument("images", type=Path, nargs="*", metavar="IMAGE")
    parser.add_argument("--camera", type=Path, metavar="FILE", help="calibration, as for localize")
    parser.add_argument("--place", default="", metavar="NAME", help="place to try first")
    parser.add_argument(
        "--near", type=position, metavar="LAT,LON", help="try only places near (--near=-33.9,151.2)"
    )
    parser.add_argument("--radius", type=float, default=100.0, metavar="M", help="... to so many metres")
    _add_encoder(parser)
    parser = _command(actions, "check", run.run_check, "Look for maps missing, damaged or foreign.", True)
    parser.add_argument("atlas", type=Path, metavar="ATLAS")


def position(text: str) -> tuple[float, float]:
    """Return latitude and longitude; argparse says so where the text is none."""
    latitude, longitude = (float(part) for part in text.split(","))
    return latitude, longitude


def _add_options(parser: argparse.ArgumentParser, config: type) -> None:
    """Add a flag for every option of a config class."""
    for f in fields(config):
        about = f.metadata
        unit = f" [{about['unit']}]" if about["unit"] else ""
        flag = f"--{f.name.replace('_', '-')}"
        text = f"{about['help']}{unit} (default: {f.default!r})"
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=f.default, help=text)
        else:
            choices = about["choices"] or None
            parser.add_argument(flag, type=type(f.default), default=f.default, choices=choices, help=text)
