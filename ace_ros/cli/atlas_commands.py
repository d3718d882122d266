# SPDX-License-Identifier: Apache-2.0
"""What the commands of `ace_ros atlas` do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ace_ros.cli.commands import json_text
from ace_ros.errors import ConfigError, MapError

if TYPE_CHECKING:
    from ace_ros.atlas.finder import Finding
    from ace_ros.atlas.index import Place


def run_add(options: argparse.Namespace) -> None:
    """Copy maps into an atlas."""
    from ace_ros.atlas.folder import add_maps
    from ace_ros.files.writable import require_writable_folder

    require_writable_folder(options.atlas)
    places = add_maps(
        options.atlas, options.maps, options.name, options.map_frame, options.position, options.replace
    )
    _print_places(places, options.json)


def run_remove(options: argparse.Namespace) -> None:
    """Take places out of an atlas and delete their maps."""
    from ace_ros.atlas.folder import remove_places

    remove_places(options.atlas, options.places)


def run_list(options: argparse.Namespace) -> None:
    """Print the places of an atlas."""
    from ace_ros.atlas.index import read_index

    _print_places(list(read_index(options.atlas)), options.json)


def run_find(options: argparse.Namespace) -> None:
    """Print which places images show, or which are near a position."""
    from ace_ros.atlas.finder import Hint, PlaceFinder
    from ace_ros.atlas.index import read_index
    from ace_ros.data.scene import read_grey
    from ace_ros.data.scene_cameras import camera_of_image
    from ace_ros.network.encoder_file import load_encoder

    if not options.images:
        if options.near is None:
            raise ConfigError("there is nothing to find: name images, or a position with --near LAT,LON")
        index = read_index(options.atlas)
        _print_places([index[int(n)] for n in index.near(options.near, options.radius)], options.json)
        return
    encoder = load_encoder(options.encoder) if options.encoder else None
    finder = PlaceFinder(options.atlas, device=options.device, encoder=encoder)
    if options.place and finder.index.find(options.place) is None:
        raise MapError(f"{options.atlas}: this atlas has no place {options.place[:80]!r}")
    hint = Hint(place=options.place, position=options.near, radius_m=options.radius)
    for path in options.images:
        found = finder.find(read_grey(path), camera_of_image(path, options.camera), hint)
        result = {"image": str(path), **_finding(found)}
        if options.json:
            print(json_text(result))
        elif result["ok"]:
            x, y, z = (row[3] for row in result["T_map_camera"][:3])
            print(f"{path}: {result['place']}, x {x:.3f} y {y:.3f} z {z:.3f} m in {result['map_frame']}")
        else:
            print(f"{path}: no place ({result['reason'].replace('_', ' ')}); {found.message}")


def run_check(options: argparse.Namespace) -> None:
    """Print what is wrong with an atlas; MapError at the end if anything is."""
    from ace_ros.atlas.folder import check

    count = 0
    for problem in check(options.atlas):
        count += 1
        if options.json:
            print(json_text({"name": problem.name, "kind": problem.kind, "message": problem.message}))
        else:
            print(f"{problem.kind}: {problem.message}")
    if count:
        raise MapError(f"{options.atlas}: found {count} problem{'s' if count > 1 else ''}")


def _finding(found: Finding) -> dict[str, Any]:
    """Return the figures of one image, as `localize` prints them, with the place."""
    from ace_ros.pnp import Reason

    ok = found.reason is Reason.NONE
    best = found.trials[0] if found.trials else None
    return {
        "ok": ok,
        "reason": found.reason.name.lower(),
        "place": best.place.name if ok and best else None,
        "map_frame": best.place.map_frame if ok and best else None,
        "inliers": int(best.poses.inliers[0].sum()) if best else 0,
        "T_map_camera": best.poses.T_map_camera[0].tolist() if ok and best else None,
        "sigma_m": best.poses.covariance[0].diagonal()[:3].sqrt().tolist() if ok and best else None,
        "tried": [
            {"place": t.place.name, "similarity": t.similarity, "inlier_share": t.inlier_share}
            for t in found.trials
        ],
        "not_tried": found.unusable,
    }


def _print_places(places: list[Place], as_json: bool) -> None:
    for place in places:
        size = (place.bounds[1] - place.bounds[0]).tolist()
        if as_json:
            about = {
                "place": place.name, "map_frame": place.map_frame, "bounds": place.bounds.tolist(),
                "position": place.position, "map_bytes": place.map_bytes, "created": place.created,
                "grade": place.validation,
            }  # fmt: skip
            print(json_text(about))
            continue
        where = f", at {place.position[0]:.6f},{place.position[1]:.6f}" if place.position else ""
        extent = " x ".join(f"{metres:.1f}" for metres in size)
        print(f"{place.name}: {extent} m in frame {place.map_frame}{where}, {place.map_bytes / 1e6:.1f} MB")
