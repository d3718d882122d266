# SPDX-License-Identifier: Apache-2.0
"""What is attacked: for each kind of input a small valid one, and the function that users reach with it.

A target's `make` writes a valid input into a folder, `use` does with the folder what a user would. What
`use` returns is not looked at: it must return, or raise an AceError.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import data_sets
import numpy as np
import torch
from bags import Drive
from small_scenes import HEIGHT, MATRIX, WIDTH, picture, pose

from ace_ros.atlas.folder import add_maps, check
from ace_ros.atlas.index import read_index
from ace_ros.cli.config_file import read_config
from ace_ros.config import BagConfig, TrainingConfig
from ace_ros.data.camera_file import read_camera
from ace_ros.data.depth_image import require_depth
from ace_ros.data.frames_file import format_note, read_frame_notes
from ace_ros.data.importers.bag import import_bag
from ace_ros.data.importers.data_sets import import_dataset
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.scene import load_scene, require_trainable
from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import Landmarks
from ace_ros.maps.chunk import Chunk
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import SceneMap, read_map_header
from ace_ros.network.ace_checkpoint import AceEncoder
from ace_ros.network.encoder import Encoder, EncoderShape
from ace_ros.network.encoder_file import load_encoder, save_encoder
from ace_ros.network.head import Head

OUT = "out"  # the folder in the target's that importers write


@dataclass(frozen=True)
class Target:
    """`mutable` says which files of the folder that `make` fills are damaged before `use` gets it.

    Where they stand for something else than files (`are_files`), only their contents are.
    """

    make: Callable[[Path], None]
    use: Callable[[Path], object]
    mutable: tuple[str, ...] = ("**/*",)
    are_files: bool = True


def write_map(path: Path, seed: int = 0) -> None:
    """Write a map of two chunks with random weights."""
    torch.manual_seed(seed)
    chunks = tuple(
        Chunk(
            Head(8, 8, 0).eval(),
            torch.full((3,), float(n), dtype=torch.float64),
            torch.tensor([[0.0, 0, 0], [4, 4, 4]], dtype=torch.float64) + n,
            torch.randn(4, 3),
            torch.arange(4, dtype=torch.uint8),
            Landmarks(torch.randn(5, 3), torch.randn(5, 3), torch.ones(5, 8, dtype=torch.int8)),
        )
        for n in range(2)
    )
    drive = torch.eye(4, dtype=torch.float64)[:3].expand(2, 3, 3, 4).clone()
    training, grade = {"inlier_share": 0.5, "median_error_px": 2.0}, {"covariance_scale": 4.0, "frames": 9}
    descriptors = torch.randn(4, SIZE).half()
    frame = f"map_{path.stem}"
    SceneMap(chunks, "lite", "0" * 16, frame, "2026", training, {}, grade, drive, descriptors).save(path)


def _use_map(folder: Path) -> object:
    path = folder / "room.safetensors"
    header = read_map_header(path)
    scene_map = SceneMap.load(path)
    numbers = scene_map.bounds, scene_map.cloud(), scene_map.covariance_scale
    return header["bounds"], numbers, scene_map.missing_text, len(scene_map.descriptors)


def _make_encoder(folder: Path) -> None:
    torch.manual_seed(0)
    save_encoder(
        folder / "own.safetensors", Encoder(EncoderShape((4, 8, 16), 8, (16,), 1)), "here", {"a": 1.0}
    )


def _use_encoder(folder: Path) -> object:
    loaded = load_encoder(folder / "own.safetensors")
    return loaded.module(torch.zeros(1, 1, 32, 32))


def _make_checkpoint(folder: Path) -> None:
    torch.save(
        {k: torch.zeros_like(v).half() for k, v in AceEncoder().state_dict().items()}, folder / "ace.pt"
    )


def _make_atlas(folder: Path) -> None:
    for number, name in enumerate(("hall", "office", "yard")):
        write_map(folder / f"{name}.safetensors", number)
    add_maps(folder / "atlas", sorted(folder.glob("*.safetensors")), position=(48.0, 11.0))
    for path in folder.glob("*.safetensors"):
        path.unlink()


def _use_atlas(folder: Path) -> object:
    index = read_index(folder / "atlas")
    query = torch.ones(SIZE) / SIZE**0.5
    found = index.rank(query, 2), index.near((48.0, 11.0), 100.0), index.find("office")
    around = index.around("map_hall", torch.zeros(3, dtype=torch.float64), 1.0)
    return found, around, index.in_frame("map_hall"), list(check(folder / "atlas")), list(index)


def write_scene(folder: Path, suffix: str = "png") -> None:
    """Write a recording of three frames with depth."""
    train = folder / "scene/train"
    for part in ("rgb", "poses", "calibration", "depth"):
        (train / part).mkdir(parents=True)
    camera = Camera(torch.from_numpy(MATRIX), (WIDTH, HEIGHT), "plumb_bob", torch.full((4,), 0.01))
    for i in range(3):
        cv2.imwrite(str(train / f"rgb/{i:06d}.{suffix}"), picture(i))
        cv2.imwrite(str(train / f"depth/{i:06d}.png"), np.full((HEIGHT, WIDTH), 2000, np.uint16))
        np.savetxt(train / f"poses/{i:06d}.txt", pose(i))
        np.savetxt(train / f"calibration/{i:06d}.txt", MATRIX)
        with (train / "frames.jsonl").open("ab") as file:
            file.write(format_note(f"{i:06d}.{suffix}", camera, i, "camera"))


def _use_scene(folder: Path) -> object:
    scene = load_scene(folder / "scene")
    require_trainable(scene)
    return require_depth(scene)


def _use_frames(folder: Path) -> object:
    return read_frame_notes(folder / "scene/train/frames.jsonl")


def _use_recording(folder: Path) -> object:
    recorder = SceneRecorder(folder / "scene")
    camera = Camera(torch.from_numpy(MATRIX), (WIDTH, HEIGHT))
    return recorder.add(picture(3), pose(3), camera, 3, "camera")


def _make_calibration(folder: Path) -> None:
    matrix = "".join(f"{v}, " for v in MATRIX.ravel())[:-2]
    (folder / "camera.yaml").write_text(
        f"image_width: {WIDTH}\nimage_height: {HEIGHT}\ncamera_name: front\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: [{matrix}]\ndistortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n"
    )
    np.savetxt(folder / "matrix.txt", MATRIX)


def _use_calibration(folder: Path) -> object:
    text = read_camera(folder / "matrix.txt", (WIDTH, HEIGHT))
    return text, read_camera(folder / "camera.yaml", (2 * WIDTH, 2 * HEIGHT))


def _make_config(folder: Path) -> None:
    (folder / "train.yaml").write_text("steps: 500\nscale: 1.5\nuse_depth: true\nencoder: lite\n")
    (folder / "bag.json").write_text('{"image_topic": "/a", "max_gap_s": 0.5, "rectified": true}')


def _use_config(folder: Path) -> object:
    values = read_config(folder / "train.yaml", TrainingConfig)
    return TrainingConfig(**values), BagConfig(**read_config(folder / "bag.json", BagConfig))


def _data_set(kind: str, write: Callable[[Path], None], *mutable: str) -> Target:
    def make(folder: Path) -> None:
        (folder / "source").mkdir()
        write(folder / "source")

    def use(folder: Path) -> object:
        counts = import_dataset(kind, folder / "source", folder / OUT)
        return counts, load_scene(folder / OUT)

    return Target(make, use, mutable)


def _bag(storage: str, compression: str = "") -> Target:
    def make(folder: Path) -> None:
        Drive(kind=storage, images=3, compressed=storage == "sqlite3").write(folder / "bag")
        if compression:
            pack_bag(folder / "bag", compression)

    def use(folder: Path) -> object:
        config = BagConfig(odom_frame="odom", keyframe_distance_m=0.01)
        path = folder / "bag" if (folder / "bag").exists() else folder / "bag.bag"
        return import_bag(path, folder / OUT, config)

    return Target(make, use, ("bag/*", "bag.bag"))


def pack_bag(bag: Path, mode: str) -> None:
    """Compress a rosbag2 folder of one sqlite3 or mcap file, each `message` or the whole `file`."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    plugin = StoragePlugin.SQLITE3 if list(bag.glob("*.db3")) else StoragePlugin.MCAP
    packed = bag.with_name("packed")
    writer = Writer(packed, version=9, storage_plugin=plugin)
    writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    types = get_typestore(Stores.ROS2_JAZZY)
    with Reader(bag) as reader, writer:
        made = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=types) for c in reader.connections}
        for connection, stamp, data in reader.messages():
            writer.write(made[connection.id], stamp, data)
    shutil.rmtree(bag)
    packed.rename(bag)


TARGETS: dict[str, Target] = {
    "map": Target(lambda folder: write_map(folder / "room.safetensors"), _use_map),
    "encoder": Target(_make_encoder, _use_encoder),
    "checkpoint": Target(_make_checkpoint, lambda folder: load_encoder(folder / "ace.pt")),
    "atlas": Target(_make_atlas, _use_atlas),
    "scene": Target(write_scene, _use_scene),
    "frames.jsonl": Target(write_scene, _use_frames, ("scene/train/frames.jsonl",)),
    "recording": Target(write_scene, _use_recording),
    "calibration": Target(_make_calibration, _use_calibration),
    "config": Target(_make_config, _use_config),
    "colmap text": _data_set("colmap", data_sets.write_colmap_text, "**/*.txt", "**/0003.jpg"),
    "colmap binary": _data_set("colmap", data_sets.write_colmap_binary, "**/*.bin", "**/0003.jpg"),
    "transforms.json": _data_set("nerf", data_sets.write_nerf, "**/*.json", "**/0003.png"),
    "tum": _data_set("tum", data_sets.write_tum, "**/*.txt", "**/depth/*00*.png"),
    "7scenes": _data_set("7scenes", data_sets.write_7scenes, "**/*.txt", "**/*0003*.png"),
    "12scenes": _data_set("12scenes", data_sets.write_12scenes, "**/*.txt", "**/*0003*.???"),
    "cambridge": _data_set("cambridge", data_sets.write_cambridge, "**/*.txt", "**/*.nvm"),
    "bag mcap": _bag("mcap"),
    "bag mcap, chunks packed": _bag("mcap", "storage"),
    "bag sqlite3": _bag("sqlite3"),
    "bag sqlite3, messages packed": _bag("sqlite3", "message"),
    "bag sqlite3, files packed": _bag("sqlite3", "file"),
    "bag ROS 1": _bag("ros1"),
}

try:
    from messages import MESSAGES
except ImportError as error:  # without ROS
    if (error.name or "").startswith(("ace_ros", "messages")):
        raise
    MESSAGES = {}
TARGETS |= {name: Target(make, use, are_files=False) for name, (make, use) in MESSAGES.items()}
