# SPDX-License-Identifier: Apache-2.0
"""What the commands of `ace_ros` do. Heavy packages are imported only by the command that needs them."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ace_ros.cli.config_file import config_text
from ace_ros.cli.config_options import given_options
from ace_ros.cli.map_options import training_config
from ace_ros.config import BagConfig, RansacConfig, override
from ace_ros.errors import AceError, SceneError, one_line
from ace_ros.files.names import check_frame
from ace_ros.files.writable import require_writable_folder

if TYPE_CHECKING:
    from ace_ros.localization.relocalizer import Relocalizer
    from ace_ros.mapping.jobs.map_job import MapJob


# What `map --json` says of the training report.
REPORTED = (
    "steps", "prepare_s", "train_s", "grade_s", "device", "median_error_px", "inlier_share", "stopped_early",
    "peak_memory_mb", "refinement",
)  # fmt: skip


def run_map(options: argparse.Namespace) -> None:
    """Train a map and write it."""
    from ace_ros.mapping.jobs.map_job import MapJob

    config = training_config(options)
    if options.print_config:
        print(config_text(config))
        return
    job = MapJob(
        str(options.scene),
        str(options.output),
        config,
        options.device,
        options.map_frame,
        options.threads,
        options.chunks,
        options.ray_address,
        options.resume,
    )
    result = _make_map(job, options.progress_json)
    if options.progress_json:
        print(json_text({"event": "result", **result}), flush=True)
    elif options.json:
        print(json_text(result))
    else:
        print(_map_in_words(result))


def run_map_job(options: argparse.Namespace) -> None:
    """Make the map of a MapJob; progress and result are lines of JSON."""
    from ace_ros.mapping.jobs.map_job import MapJob

    result = _make_map(MapJob.from_json(options.job), as_lines=True)
    print(json_text({"event": "result", **result}), flush=True)


def _make_map(job: MapJob, as_lines: bool) -> dict[str, Any]:
    """Make the map of a job and return its figures; progress is shown as a bar or as lines of JSON."""
    from ace_ros.cli.progress import bar
    from ace_ros.compute.precision import parse_device
    from ace_ros.compute.process import limit_threads, usable_cores
    from ace_ros.data.depth_image import warn_of_depth
    from ace_ros.data.plausibility import warn_of_drive
    from ace_ros.data.scene import load_scene
    from ace_ros.mapping.jobs.messages import json_lines, print_cloud
    from ace_ros.mapping.jobs.place import MapRequest, Workers, map_place
    from ace_ros.mapping.progress import Listener

    limit_threads(job.threads or usable_cores())
    output = map_path(Path(job.output))
    request = MapRequest(output, job.chunks, check_frame(job.map_frame, "map frame"), job.resume)
    workers = Workers(parse_device(job.device), job.threads, job.ray_address)
    scene = load_scene(Path(job.scene))
    warn_of_drive(scene.folder, scene.frames)
    warn_of_depth(scene)
    show = json_lines if as_lines else bar
    began = time.monotonic()
    with show("mapping") as on_progress:
        listener = Listener(on_progress, print_cloud if as_lines else None)
        scene_map = map_place(scene, job.config, request, workers, listener)
    report = scene_map.training
    return {
        "map": str(output),
        "map_bytes": output.stat().st_size,
        "chunks": len(scene_map.chunks),
        "missing_chunks": _by_number(scene_map.missing),
        "frames": len(scene.frames),
        "total_s": round(time.monotonic() - began, 2),
        **{name: report[name] for name in REPORTED},
        "grade": scene_map.validation or None,
    }


def _map_in_words(result: dict[str, Any]) -> str:
    """Return the figures of a map that was trained for a person."""
    from ace_ros.mapping.poses.refinement import refinement_in_words
    from ace_ros.mapping.validation import validation_in_words

    chunks = f" in {result['chunks']} chunks" if result["chunks"] > 1 else ""
    lines = [
        f"{result['map']}: {result['map_bytes'] / 1e6:.1f} MB{chunks} from {result['frames']} images, "
        f"{result['steps']} steps in {result['train_s']:.0f} s after {result['prepare_s']:.0f} s of "
        f"preparation; median error {result['median_error_px']:.1f} px, "
        f"{100 * result['inlier_share']:.0f} % below 10 px"
    ]
    lines += [f"chunk {number} is missing: {why}" for number, why in result["missing_chunks"].items()]
    if result["refinement"]:
        lines.append(refinement_in_words(result["refinement"]))
    return "\n".join([*lines, validation_in_words(result["grade"] or {})])


def run_eval(options: argparse.Namespace) -> None:
    """Evaluate a map on the images of a scene."""
    from ace_ros.cli.progress import count_bar
    from ace_ros.data.scene import load_scene
    from ace_ros.evaluation.evaluate import evaluate, write_report

    if options.report:
        require_writable_folder(options.report)
    relocalizer = _relocalizer(options)
    scene = load_scene(options.scene, options.split)
    with count_bar("localizing") as on_frame:
        evaluation = evaluate(scene, relocalizer, on_frame)
    scene_map = relocalizer.scene_map
    result = {
        **evaluation.summary(),
        "map_bytes": options.map.stat().st_size,
        "missing_chunks": _by_number(scene_map.missing),
    }
    # Figures first: a report that cannot be written takes none of them away.
    if options.json:
        print(json_text(result), flush=True)
    else:
        _print_evaluation(result, scene_map.missing_text if scene_map.missing else "")
    files = write_report(options.report, evaluation, scene, relocalizer) if options.report else []
    if not options.json:
        print("".join(f"{path}\n" for path in files), end="")


def _print_evaluation(result: dict[str, Any], missing: str) -> None:
    """Print the figures of an evaluation for a person."""
    print(f"{result['localized']} of {result['frames']} images localized")
    print(
        f"median error {100 * result['median_translation_m']:.1f} cm, {result['median_rotation_deg']:.2f} deg"
    )
    for key, share in result["recall"].items():
        print(f"within {key.replace('_', ', '):>10}: {100 * share:5.1f} %")
    latency = result["latency_ms"]
    print(f"{latency['median']:.0f} ms per image (p99 {latency['p99']:.0f} ms) on {result['device']}")
    if missing:
        print(missing)
    sys.stdout.flush()


def run_localize(options: argparse.Namespace) -> None:
    """Print the pose of each image."""
    from ace_ros.data.scene import read_grey
    from ace_ros.data.scene_cameras import camera_of_image
    from ace_ros.pnp import Reason

    relocalizer = _relocalizer(options)
    for path in options.images:
        found = relocalizer.localize(read_grey(path), camera_of_image(path, options.camera))
        ok = bool(found.ok[0])
        result: dict[str, Any] = {
            "image": str(path),
            "ok": ok,
            "reason": Reason(int(found.reason[0])).name.lower(),
            "inliers": int(found.inliers[0].sum()),
            "T_map_camera": found.T_map_camera[0].tolist() if ok else None,
            "sigma_m": found.covariance[0].diagonal()[:3].sqrt().tolist() if ok else None,
            "map_frame": relocalizer.scene_map.map_frame,
        }
        if options.json:
            print(json_text(result))
        elif ok:
            x, y, z = found.T_map_camera[0, :3, 3].tolist()
            print(f"{path}: x {x:.3f} y {y:.3f} z {z:.3f} m, {result['inliers']} inliers")
            print("\n".join("  " + " ".join(f"{v: .6f}" for v in row) for row in result["T_map_camera"]))
        else:
            print(f"{path}: no pose ({result['reason'].replace('_', ' ')}), {result['inliers']} inliers")


def run_info(options: argparse.Namespace) -> None:
    """Print a map's header, and what of the map cannot be used."""
    from ace_ros.maps.scene_map import SceneMap, read_map_header

    header = {
        "map": str(options.map),
        "map_bytes": options.map.stat().st_size if options.map.exists() else 0,
        **read_map_header(options.map),
    }
    scene_map = SceneMap.load(options.map)
    if options.json:
        print(json_text({**header, "missing_chunks": _by_number(scene_map.missing)}))
        return
    if scene_map.missing:
        print(one_line(scene_map.missing_text))
    for number, about in enumerate(header.pop("chunks")):
        print(one_line(f"chunk {number}: " + ", ".join(f"{k} {v}" for k, v in about.items())))
    for key, value in header.items():
        if isinstance(value, dict):
            print(one_line(f"{key}:"))
            print("\n".join(one_line(f"  {k}: {v}") for k, v in value.items()))
        else:
            print(one_line(f"{key}: {value}"))


def run_import_bag(options: argparse.Namespace) -> None:
    """Turn a bag into a scene folder."""
    from ace_ros.cli.progress import count_bar
    from ace_ros.data.importers.bag import import_bag

    config = override(BagConfig(), given_options(options, BagConfig))
    with count_bar("reading") as on_image, _needs("rosbags"):
        report = import_bag(options.bag, options.output, config, on_image)
    print(
        f"{options.output}: {report.train_frames} frames to map, {report.test_frames} to test, "
        f"of {report.images} images"
    )
    if config.depth_topic:
        print(f"  {report.with_depth} of them with depth")
    for reason, count in report.dropped.most_common():
        print(f"  {count} left out: {reason}")


def run_import_dataset(options: argparse.Namespace) -> None:
    """Turn a public data set into a scene folder."""
    from ace_ros.data.importers.data_sets import import_dataset

    counts = import_dataset(
        options.kind, options.source, options.output, options.focal_px, options.test_share
    )
    print(f"{options.output}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


@contextmanager
def _needs(package: str) -> Iterator[None]:
    """Turn the absence of an optional package into a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == package:
            raise AceError(
                f"reading bags needs {package}: install it with pip install 'ace_ros[extras]'"
            ) from error
        raise


def map_path(path: Path) -> Path:
    """Return the path of a map file with its suffix; another suffix is an error."""
    if path.is_dir():
        raise SceneError(f"{path}: is a folder; expected the path of a map file")
    if path.suffix not in ("", ".safetensors"):
        raise SceneError(f"{path}: the name of a map file ends in .safetensors")
    return path.with_suffix(".safetensors")


def _relocalizer(options: argparse.Namespace) -> Relocalizer:
    from ace_ros.localization.relocalizer import Relocalizer
    from ace_ros.maps.scene_map import SceneMap
    from ace_ros.network.encoder_file import load_encoder

    encoder = load_encoder(options.encoder) if options.encoder else None
    return Relocalizer(SceneMap.load(options.map), RansacConfig(), options.device, encoder)


def _by_number(missing: dict[int, str]) -> dict[str, str]:
    """Return why chunks cannot be used, with keys that JSON knows."""
    return {str(number): why for number, why in missing.items()}


def json_text(value: dict[str, Any]) -> str:
    """Return strict JSON: NaN, which JSON does not know, becomes null."""
    return json.dumps(_without_nan(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
