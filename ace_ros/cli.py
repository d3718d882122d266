# SPDX-License-Identifier: Apache-2.0
"""The command `ace_ros`: maps, poses and figures without ROS.

Exit codes: 0 done, 1 interrupted, 2 an error that the user can correct (one sentence on stderr).
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ace_ros import __version__
from ace_ros.config import PRESETS, RansacConfig, training_preset
from ace_ros.errors import AceError, CameraError, SceneError

BAG_POSE_SOURCES = ("tf", "topic")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
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
    """Return the parser of all commands; defaults come from `ace_ros.config`."""
    parser = argparse.ArgumentParser(prog="ace_ros", description="Visual relocalization for robots.")
    parser.add_argument("--version", action="version", version=f"ace_ros {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_map(commands)
    _add_eval(commands)
    _add_localize(commands)
    _add_info(commands)
    _add_imports(commands)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str, figures: bool
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    if figures:
        parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def _add_map(commands: Any) -> None:
    parser = _command(commands, "map", run_map, "Train a map from a scene folder.", figures=True)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="folder with train/rgb, poses, calibration")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MAP", help="NAME.safetensors")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="standard")
    parser.add_argument(
        "--time-budget", type=float, default=0.0, metavar="S", help="train exactly S seconds (0: the preset's)"
    )
    parser.add_argument("--encoder", metavar="NAME", help="shipped encoder, or path of an encoder file")
    parser.add_argument("--map-frame", default="map", help="frame id that poses will carry")
    parser.add_argument("--seed", type=int, help="seed of views, batches and initial weights")
    parser.add_argument(
        "--progress-json", action="store_true", help="print progress and result as lines of JSON"
    )


def _add_eval(commands: Any) -> None:
    parser = _command(
        commands, "eval", run_eval, "Localize the test images; print figures against ground truth.", True
    )
    parser.add_argument("scene", type=Path, metavar="SCENE")
    parser.add_argument("map", type=Path, metavar="MAP")
    parser.add_argument("--split", default="test", choices=("test", "train"))
    parser.add_argument("--report", type=Path, metavar="DIR", help="write pictures and a table of frames")


def _add_localize(commands: Any) -> None:
    parser = _command(commands, "localize", run_localize, "Print the poses of single images.", True)
    parser.add_argument("map", type=Path, metavar="MAP")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="calibration: 3x3 matrix or focal length in a .txt, or a camera_info .yaml "
        "(default: calibration/NAME.txt beside the image's folder)",
    )


def _add_info(commands: Any) -> None:
    parser = _command(commands, "info", run_info, "Print what a map file says of itself.", True)
    parser.add_argument("map", type=Path, metavar="MAP")


def _add_imports(commands: Any) -> None:
    parser = _command(commands, "import-bag", run_import_bag, "Turn a rosbag into a scene folder.", False)
    parser.add_argument("bag", type=Path, metavar="BAG")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE")
    parser = _command(
        commands, "import-dataset", run_import_dataset, "Turn a public data set into a scene folder.", False
    )
    parser.add_argument("kind", metavar="KIND")
    parser.add_argument("source", type=Path, metavar="SRC")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SCENE")


def run_map(options: argparse.Namespace) -> None:
    """Train a map and write it."""
    from ace_ros.config import override
    from ace_ros.data.scene import load_scene
    from ace_ros.progress import bar, json_lines
    from ace_ros.training.trainer import train_map

    output = map_path(options.output)
    changes = {"encoder": options.encoder, "seed": options.seed}
    config = override(
        training_preset(options.preset, options.time_budget),
        {k: v for k, v in changes.items() if v is not None},
    )
    scene = load_scene(options.scene)
    show = json_lines if options.progress_json else bar
    with show("mapping") as on_progress:
        scene_map, report = train_map(scene, config, options.device, on_progress, options.map_frame)
    scene_map.save(output)
    result = {
        "map": str(output),
        "map_bytes": output.stat().st_size,
        "frames": report.frames,
        "steps": report.steps,
        "prepare_s": report.prepare_s,
        "train_s": report.train_s,
        "total_s": round(report.prepare_s + report.train_s, 2),
        "device": report.device,
        "median_error_px": report.median_error_px,
        "inlier_share": report.inlier_share,
    }
    if options.progress_json:
        print(_json({"event": "result", **result}), flush=True)
    elif options.json:
        print(_json(result))
    else:
        print(
            f"{output}: {result['map_bytes'] / 1e6:.1f} MB from {report.frames} images, "
            f"{report.steps} steps in {report.train_s:.0f} s after {report.prepare_s:.0f} s of preparation; "
            f"median error {report.median_error_px:.1f} px, {100 * report.inlier_share:.0f} % below 10 px"
        )


def run_eval(options: argparse.Namespace) -> None:
    """Evaluate a map on the images of a scene."""
    from ace_ros.data.scene import load_scene
    from ace_ros.evaluate import evaluate, write_report
    from ace_ros.progress import count_bar

    relocalizer = _relocalizer(options)
    scene = load_scene(options.scene, options.split)
    with count_bar("localizing") as on_frame:
        evaluation = evaluate(scene, relocalizer, on_frame)
    result = {**evaluation.summary(), "map_bytes": options.map.stat().st_size}
    files = write_report(options.report, evaluation, scene, relocalizer) if options.report else []
    if options.json:
        print(_json(result))
        return
    print(f"{result['localized']} of {result['frames']} images localized")
    print(
        f"median error {100 * result['median_translation_m']:.1f} cm, {result['median_rotation_deg']:.2f} deg"
    )
    for key, share in result["recall"].items():
        print(f"within {key.replace('_', ', '):>10}: {100 * share:5.1f} %")
    latency = result["latency_ms"]
    print(f"{latency['median']:.0f} ms per image (p99 {latency['p99']:.0f} ms) on {result['device']}")
    for path in files:
        print(path)


def run_localize(options: argparse.Namespace) -> None:
    """Print the pose of each image."""
    from ace_ros.data.scene import read_grey
    from ace_ros.pnp import Reason

    relocalizer = _relocalizer(options)
    for path in options.images:
        image = read_grey(path)
        found = relocalizer.localize(image, _camera_of(path, options.camera, image.shape))
        ok = bool(found.ok[0])
        result = {
            "image": str(path),
            "ok": ok,
            "reason": Reason(int(found.reason[0])).name.lower(),
            "inliers": int(found.inliers[0].sum()),
            "T_map_camera": found.T_map_camera[0].tolist() if ok else None,
            "sigma_m": found.covariance[0].diagonal()[:3].sqrt().tolist() if ok else None,
            "map_frame": relocalizer.scene_map.map_frame,
        }
        if options.json:
            print(_json(result))
        elif ok:
            x, y, z = found.T_map_camera[0, :3, 3].tolist()
            print(f"{path}: x {x:.3f} y {y:.3f} z {z:.3f} m, {result['inliers']} inliers")
            print("\n".join("  " + " ".join(f"{v: .6f}" for v in row) for row in result["T_map_camera"]))
        else:
            print(f"{path}: no pose ({result['reason'].replace('_', ' ')}), {result['inliers']} inliers")


def run_info(options: argparse.Namespace) -> None:
    """Print a map's header."""
    from ace_ros.scene_map import read_map_header

    header = {
        "map": str(options.map),
        "map_bytes": options.map.stat().st_size if options.map.exists() else 0,
        **read_map_header(options.map),
    }
    if options.json:
        print(_json(header))
        return
    for key, value in header.items():
        if isinstance(value, dict):
            print(f"{key}:")
            print("\n".join(f"  {k}: {v}" for k, v in value.items()))
        else:
            print(f"{key}: {value}")


def map_path(path: Path) -> Path:
    """Return the path of a map file with its suffix; another suffix is an error."""
    if path.suffix == "":
        return path.with_suffix(".safetensors")
    if path.suffix != ".safetensors":
        raise SceneError(f"{path}: a map's name ends in .safetensors")
    if path.is_dir():
        raise SceneError(f"{path}: is a folder, a map is a file")
    return path


def _relocalizer(options: argparse.Namespace) -> Any:
    from ace_ros.relocalizer import Relocalizer
    from ace_ros.scene_map import SceneMap

    return Relocalizer(SceneMap.load(options.map), RansacConfig(), options.device)


def _json(value: dict[str, Any]) -> str:
    """Return strict JSON: NaN, which JSON does not know, becomes null."""
    return json.dumps(_without_nan(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
