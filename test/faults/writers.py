# SPDX-License-Identifier: Apache-2.0
"""Everything that writes files, so that it can be struck at any moment, and what must be true afterwards.

A writer's `work` tells what it has confirmed; `check` raises AssertionError where something of that is lost
or half of something new is there; `repeat` is the next attempt, after which nothing may be left over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from inputs import CAMERA, CPU, SHAPE, evaluated, features, golden, picture, pose, posed

from ace_ros.atlas.folder import add_maps, check, is_atlas, remove_places
from ace_ros.atlas.index import read_index
from ace_ros.config import override, training_preset
from ace_ros.data.importers.new_scene import write_scene
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.evaluation.evaluate import write_report
from ace_ros.files.whole import remove_leftovers
from ace_ros.mapping.features.prepared import ANY_PREPARED, load_prepared, prepared_path, save_prepared
from ace_ros.mapping.jobs.place import MapRequest, Workers, map_place
from ace_ros.maps.scene_map import SceneMap
from support import SMALL

Tell = Callable[[str], None]


class Writer:
    """What can be struck. `inputs` lies on a disk that does not fail; `folder` is where it writes."""

    name = ""

    def __init__(self, inputs: Path) -> None:
        self.inputs = inputs

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        """Write, and tell what is confirmed. Raises AceError or OSError."""
        raise NotImplementedError

    def check(self, folder: Path, told: list[str]) -> None:
        """Raise AssertionError where what was told cannot be read."""
        raise NotImplementedError

    def repeat(self, folder: Path) -> None:
        """Do it once more; no fault strikes."""
        self.work(folder, Random(0), lambda line: None)


class Recorder(Writer):
    """Keyframes with and without depth into a recording that goes on."""

    name = "recorder"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        recorder = SceneRecorder(folder / "drive")
        for _ in range(random.randint(2, 6)):
            number = recorder.frames
            depth = np.full(SHAPE, 1000 + number, np.uint16) if number % 3 == 0 else None
            recorder.add(picture(number), pose(number), CAMERA, 1 + number, "camera", depth)
            tell(str(number))

    def check(self, folder: Path, told: list[str]) -> None:
        if not told and not (folder / "drive" / "train" / "calibration").exists():
            return
        frames = load_scene(folder / "drive").frames if told or _has_poses(folder) else ()
        numbers = [(frame.stamp_ns or 0) - 1 for frame in frames]
        assert numbers == list(range(len(frames))) and len(frames) >= 1 + int(told[-1] if told else -1)
        for number, frame in zip(numbers, frames, strict=True):
            difference = read_grey(frame.image_path).astype(int) - picture(number).mean(2)
            assert np.abs(difference).mean() < 4.0, f"image {number} is another"
            assert torch.equal(frame.T_map_camera, torch.from_numpy(pose(number)))
            assert (frame.depth_path is not None) == (number % 3 == 0), f"depth of {number}"


class Map(Writer):
    """A map that replaces an older one, again and again."""

    name = "map"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        path = folder / "maps" / "room.safetensors"
        version = int(SceneMap.load(path).map_frame[1:]) + 1 if path.exists() else 0
        for number in range(version, version + random.randint(1, 3)):
            replace(golden(), map_frame=f"v{number}").save(path)
            tell(str(number))

    def check(self, folder: Path, told: list[str]) -> None:
        path = folder / "maps" / "room.safetensors"
        if told or path.exists():
            found = int(SceneMap.load(path).map_frame[1:])
            assert found >= int(told[-1] if told else 0), f"version {found} after {told[-1]}"


class Atlas(Writer):
    """Places are added, replaced and removed."""

    name = "atlas"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        atlas = folder / "atlas"
        for _ in range(random.randint(1, 4)):
            name = random.choice("abcd")
            known = {place.name for place in read_index(atlas)} if is_atlas(atlas) else set()
            removes = name in known and random.random() < 0.4
            tell(f"begin {'remove' if removes else 'add'} {name}")
            if removes:
                remove_places(atlas, [name])
            else:
                path = self.inputs / f"{name}{random.randint(0, 1)}.safetensors"
                add_maps(atlas, [path], name=name, replaces=True)
            tell(f"done {'remove' if removes else 'add'} {name}")

    def check(self, folder: Path, told: list[str]) -> None:
        atlas, places = folder / "atlas", set[str]()
        *_, unfinished = ["", *told]
        for words in (line.split() for line in told if line.startswith("done")):
            places = places | {words[2]} if words[1] == "add" else places - {words[2]}
        if not is_atlas(atlas):
            assert not places
            return
        touched = unfinished.split()[2] if unfinished.startswith("begin") else ""
        found = {place.name for place in read_index(atlas)}
        assert found - {touched} == places - {touched}, f"{found} are listed, {places} were confirmed"
        for problem in check(atlas):
            allowed = ("unlisted", "changed") if problem.name == touched else ()
            assert problem.kind in allowed, problem.message

    def repeat(self, folder: Path) -> None:
        for name in "abcd":
            add_maps(folder / "atlas", [self.inputs / f"{name}0.safetensors"], name=name, replaces=True)
        assert list(check(folder / "atlas")) == []


class Features(Writer):
    """Prepared features of a training; the next run that writes there removes what a dead one left."""

    name = "features"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        path = prepared_path(folder / "room.safetensors")
        for number in range(random.randint(1, 4)):
            save_prepared(path, features(), f"k{number}")
            if load_prepared(path, f"k{number}", CPU):  # a full disk is worth a warning only
                tell(str(number))

    def check(self, folder: Path, told: list[str]) -> None:
        path = prepared_path(folder / "room.safetensors")
        if told:
            keys = [f"k{n}" for n in range(5)]
            assert any(load_prepared(path, key, CPU) for key in keys), "no features can be read"

    def repeat(self, folder: Path) -> None:
        self.work(folder, Random(0), lambda line: None)
        remove_leftovers(folder)
        remove_leftovers(folder, ANY_PREPARED)
        assert list(folder.iterdir()) == [], list(folder.iterdir())


class Import(Writer):
    """Scenes that appear whole or not at all."""

    name = "import"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        for _ in range(random.randint(1, 2)):
            number = len(list(folder.glob("[!.]*")))
            write_scene(folder / f"scene{number}", posed(self.inputs / "wall"), 0.2)
            tell(str(number))

    def check(self, folder: Path, told: list[str]) -> None:
        scenes = sorted(folder.glob("[!.]*"))
        assert len(scenes) >= 1 + int(told[-1] if told else -1)
        for scene in scenes:
            frames = load_scene(scene).frames + load_scene(scene, "test").frames
            assert len(frames) == 6 and all(read_grey(frame.image_path).size for frame in frames)


class Report(Writer):
    """The pictures and the table of `ace_ros eval --report`."""

    name = "report"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        scene, relocalizer, evaluation = evaluated(self.inputs / "wall")
        write_report(folder / "report", evaluation, scene, relocalizer)
        tell("written")

    def check(self, folder: Path, told: list[str]) -> None:
        files = sorted((folder / "report").glob("*"))
        names = [path.name for path in files]
        assert names == (["errors.png", "frames.csv", "map_points.png", "trajectory.png"] if told else names)
        assert len(names) in (0, 4), f"half a report: {names}"
        for path in files:
            data = path.read_bytes()
            assert data.endswith(b"IEND\xaeB`\x82") if path.suffix == ".png" else data.count(b"\n") == 3


class Trainer(Writer):
    """A training in the place of an older map; the next one goes on from its features, or does not."""

    name = "trainer"

    def work(self, folder: Path, random: Random, tell: Tell) -> None:
        torch.set_num_threads(1)
        small = {**SMALL, "steps": 30, "buffer_features": 4000, "views_per_image": 1, "keep_prepared_s": 0.0}
        small |= {"head_width": 32, "batch": 256, "landmarks": 100, "map_points": 100}
        chunks, resume = random.choice((1, 2)), random.random() < 0.5
        request = MapRequest(folder / "room.safetensors", chunks, resume=resume)
        config = override(training_preset("fast"), small)
        map_place(load_scene(self.inputs / "small_wall"), config, request, Workers(CPU, 1))
        tell("trained")

    def check(self, folder: Path, told: list[str]) -> None:
        path = folder / "room.safetensors"
        if told or path.exists():
            loaded = SceneMap.load(path)  # a chunk whose file failed is missing, which the map says
            assert all("Errno" in why for why in loaded.missing.values()), loaded.missing_text

    def repeat(self, folder: Path) -> None:
        super().repeat(folder)
        assert [path.name for path in folder.iterdir()] == ["room.safetensors"]


WRITERS: tuple[type[Writer], ...] = (Recorder, Map, Atlas, Features, Import, Report, Trainer)


def _has_poses(folder: Path) -> bool:
    return any((folder / "drive" / "train" / "poses").glob("[!.]*.txt"))
