# SPDX-License-Identifier: Apache-2.0
"""The arguments of the command `ace_ros`: maps, poses and figures without ROS.

Exit codes: 0 done, 2 an error that the user can correct (one sentence on stderr), 130 interrupted by Ctrl-C,
143 by SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from ace_ros import __version__
from ace_ros.cli import atlas_commands, commands
from ace_ros.cli.config_options import add_options
from ace_ros.cli.map_options import add_map_arguments
from ace_ros.compute.interrupts import catch_interrupts, interrupted_status
from ace_ros.compute.process import keep_memory, wait_briefly
from ace_ros.config import DATASETS, BagConfig
from ace_ros.errors import AceError


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2."""
        self.exit(2, f"ace_ros: {message.removeprefix('argument ')}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    catch_interrupts()
    wait_briefly()
    keep_memory()
    options = build_parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        options.run(options)
    except BaseException as error:
        if interrupted_status():
            _complain(options, "interrupted; nothing was written")
            return interrupted_status()
        if not isinstance(error, (AceError, OSError)):
            raise
        _complain(options, _in_words(error))
        return 2
    return 0


def _in_words(error: AceError | OSError) -> str:
    """Return what a user is told of an error, in one line."""
    if isinstance(error, AceError):
        return str(error)
    place = "the output" if error.filename is None else error.filename
    return str(AceError(f"{place}: {error.strerror or error}"))


def _complain(options: argparse.Namespace, message: str) -> None:
    if getattr(options, "progress_json", False):
        print(json.dumps({"event": "error", "message": message}), flush=True)
    print(f"ace_ros: {message}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; defaults come from `ace_ros.config`."""
    parser = Parser(prog="ace_ros", description="Visual relocalization for robots.")
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
    parser.add_argument(
        "--device", default="auto", help="Device to run on: auto, cpu, cuda or cuda:N. (default: auto)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="Print more on stderr.")
    if figures:
        parser.add_argument("--json", action="store_true", help="Print one JSON object on stdout.")
    return parser


def _add_map(subparsers: Any) -> None:
    parser = _command(subparsers, "map", commands.run_map, "Train a map from a scene folder.", figures=True)
    add_map_arguments(parser)
    parser = subparsers.add_parser("map-job")  # for programs: not in the list of commands
    parser.set_defaults(run=commands.run_map_job, progress_json=True, verbose=False)
    parser.add_argument("job", metavar="JSON", help="A mapping.jobs.map_job.MapJob.")


def _add_eval(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "eval",
        commands.run_eval,
        "Localize the test images and print how far off the poses are.",
        True,
    )
    parser.add_argument("scene", type=Path, metavar="SCENE", help="Scene folder with the images.")
    parser.add_argument("map", type=Path, metavar="MAP", help="Map file.")
    parser.add_argument(
        "--split", default="test", choices=("test", "train"), help="Which images to localize. (default: test)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="Write pictures and a table of images to this folder."
    )
    _add_encoder(parser)


def _add_localize(subparsers: Any) -> None:
    parser = _command(
        subparsers, "localize", commands.run_localize, "Print the poses of single images.", True
    )
    parser.add_argument("map", type=Path, metavar="MAP", help="Map file.")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="Image files.")
    parser.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="Calibration: a .txt with a 3x3 matrix or a focal length, or a camera_info .yaml. The default "
        "is calibration/NAME.txt beside the image's folder.",
    )
    _add_encoder(parser)


def _add_encoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoder",
        metavar="FILE",
        help="Encoder file of the map. Needed only if it was moved since training.",
    )


def _add_info(subparsers: Any) -> None:
    parser = _command(subparsers, "info", commands.run_info, "Print what a map file holds.", True)
    parser.add_argument("map", type=Path, metavar="MAP", help="Map file.")


def _add_imports(subparsers: Any) -> None:
    parser = _command(
        subparsers, "import-bag", commands.run_import_bag, "Turn a rosbag into a scene folder.", False
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="Bag file, or folder of a ROS 2 bag.")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="SCENE", help="Scene folder to write."
    )
    add_options(parser, fields(BagConfig))
    parser = _command(
        subparsers,
        "import-dataset",
        commands.run_import_dataset,
        "Turn a public data set into a scene folder.",
        False,
    )
    parser.add_argument(
        "kind", choices=DATASETS, metavar="KIND", help=f"Kind of data set: {', '.join(DATASETS)}."
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="Folder or file of the data set.")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="SCENE", help="Scene folder to write."
    )
    parser.add_argument(
        "--focal-px",
        type=float,
        default=0.0,
        metavar="PX",
        help="Focal length to use instead of the data set's [px]. (default: 0, the data set's)",
    )
    parser.add_argument(
        "--test-share",
        type=float,
        default=0.2,
        metavar="X",
        help="Share of the images kept for testing where the data set has no split. (default: 0.2)",
    )


def _add_atlas(subparsers: Any) -> None:
    parser = subparsers.add_parser("atlas", help="Keep the maps of many places in one folder.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    run = atlas_commands
    parser = _command(actions, "add", run.run_add, "Copy maps into an atlas, creating it if needed.", True)
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="Atlas: a folder of maps with an index.")
    parser.add_argument("maps", type=Path, nargs="+", metavar="MAP", help="Map files.")
    parser.add_argument("--name", default="", help="Plain name of the place. The default is the file's name.")
    parser.add_argument(
        "--map-frame",
        default="",
        metavar="FRAME",
        help="Frame id of poses in this place; {name} stands for its name. The default is the map's own.",
    )
    parser.add_argument(
        "--position", type=position, metavar="LAT,LON", help="Latitude and longitude of the place [deg]."
    )
    parser.add_argument("--replace", action="store_true", help="Replace a place of the same name.")
    parser = _command(actions, "remove", run.run_remove, "Remove places and delete their maps.", False)
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="Folder of the atlas.")
    parser.add_argument("places", nargs="+", metavar="NAME", help="Names of places.")
    parser = _command(actions, "list", run.run_list, "Print the places of an atlas.", True)
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="Folder of the atlas.")
    parser = _command(
        actions,
        "find",
        run.run_find,
        "Print which place images show, with the pose. Without images, print the places near a position.",
        True,
    )
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="Folder of the atlas.")
    parser.add_argument("images", type=Path, nargs="*", metavar="IMAGE", help="Image files.")
    parser.add_argument("--camera", type=Path, metavar="FILE", help="Calibration file, as for localize.")
    parser.add_argument("--place", default="", metavar="NAME", help="Place to try first.")
    parser.add_argument(
        "--near",
        type=position,
        metavar="LAT,LON",
        help="Try only places near this position [deg], for example --near=-33.9,151.2.",
    )
    parser.add_argument(
        "--radius",
        type=distance,
        default=100.0,
        metavar="M",
        help="Distance up to which a place counts as near the position of --near [m]. (default: 100)",
    )
    _add_encoder(parser)
    parser = _command(
        actions, "check", run.run_check, "Look for maps that are missing, damaged or not of this atlas.", True
    )
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="Folder of the atlas.")


def position(text: str) -> tuple[float, float]:
    """Return latitude and longitude; argparse says so where the text is none."""
    latitude, longitude = (float(part) for part in text.split(","))
    if not (abs(latitude) <= 90 and math.isfinite(longitude)):
        raise argparse.ArgumentTypeError(f"{text!r} is no latitude and longitude in degrees")
    return latitude, longitude


def distance(text: str) -> float:
    """Return a distance in metres; argparse says so where the text is none."""
    if not float(text) >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no distance in metres")
    return float(text)
