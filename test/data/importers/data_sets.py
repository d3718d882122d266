# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in their own layouts, all of the frames of `small_scenes`."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import cv2
import numpy as np
from small_scenes import HEIGHT, MATRIX, WIDTH, picture, pose

COUNT = 12
MIDDLE = [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]


def write_image(path: Path, i: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture(i))


def depth(i: int, lost: int) -> np.ndarray:
    """Return a depth image of half the images' size: nearer at the left, an unknown row above."""
    columns = np.repeat([1000 + i, 3000 + i], WIDTH // 4)
    image = np.tile(columns, (HEIGHT // 2, 1)).astype(np.uint16)
    image[0] = lost
    return image


def quaternion_wxyz(R: np.ndarray) -> list[float]:
    rotation = cv2.Rodrigues(R)[0][:, 0]
    angle = float(np.linalg.norm(rotation))
    axis = rotation / angle if angle else rotation
    return [math.cos(angle / 2), *(axis * math.sin(angle / 2))]


def write_7scenes(source: Path) -> None:
    for i in range(COUNT):
        base = source / f"seq-{1 + i // 6:02d}"
        write_image(base / f"frame-{i:06d}.color.png", i)
        np.savetxt(base / f"frame-{i:06d}.pose.txt", pose(i), "%.7f")
        if i != 3:
            of_full_size = depth(i, 65535).repeat(2, 0).repeat(2, 1)
            cv2.imwrite(str(base / f"frame-{i:06d}.depth.png"), of_full_size)
    (source / "TrainSplit.txt").write_text("sequence1\r\n")
    (source / "TestSplit.txt").write_text("sequence2\r\n")


def write_12scenes(source: Path) -> None:
    for i in range(COUNT):
        write_image(source / "data" / f"frame-{i:06d}.color.jpg", i)
        np.savetxt(source / "data" / f"frame-{i:06d}.pose.txt", pose(i))
        cv2.imwrite(str(source / "data" / f"frame-{i:06d}.depth.png"), depth(i, 0))
    (source / "data/frame-000007.pose.txt").write_text("-1.#IND " * 16)
    np.savetxt(source / "data/frame-000008.pose.txt", np.full((4, 4), -np.inf))
    (source / "split.txt").write_text(
        "sequence0 [frames=4]  [start=0 ; end=3]\nsequence1 [frames=8]  [start=4 ; end=11]\n"
    )
    K = np.eye(4)
    K[:3, :3] = MATRIX
    numbers = " ".join(map(str, K.ravel()))
    K[:2, :3] *= 0.5  # the depth camera has half of the pixels, and sees the same
    K[:2, 2] -= 0.25
    of_depth = " ".join(map(str, K.ravel()))
    (source / "info.txt").write_text(
        f"m_colorWidth = {WIDTH}\nm_calibrationColorIntrinsic = {numbers}\n"
        f"m_calibrationDepthIntrinsic = {of_depth}\n"
    )


def write_cambridge(source: Path) -> None:
    heading = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
    tables = {"train": heading, "test": heading}
    cameras = []
    for i in range(COUNT):
        name = f"seq{1 + i // 6}/frame{i:05d}"
        write_image(source / f"{name}.png", i)
        q = quaternion_wxyz(pose(i)[:3, :3].T)
        numbers = " ".join(f"{v:.9f}" for v in [*pose(i)[:3, 3], *q])
        tables["train" if i < 6 else "test"] += f"{name}.png {numbers}\n"
        turned = " ".join(f"{v:.9f}" for v in [*q, *pose(i)[:3, 3]])
        cameras.append(f"{name}.jpg\t{60 + i} {turned} -0.02 0\n")
    for split, text in tables.items():
        (source / f"dataset_{split}.txt").write_text(text)
    (source / "reconstruction.nvm").write_text(f"NVM_V3 \n\n{COUNT}\n{''.join(cameras)}\n0\n")


def write_colmap_text(source: Path) -> None:
    model = source / "sparse/0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(
        f"# cameras\n1 OPENCV {WIDTH} {HEIGHT} 60 61 32 24 0.1 0.01 0.001 0.002\n"
    )
    lines = ["# images\n"]
    for i in reversed(range(COUNT)):
        write_image(source / "images" / f"{i:04d}.jpg", i)
        T = np.linalg.inv(pose(i))
        values = " ".join(f"{v:.12f}" for v in [*quaternion_wxyz(T[:3, :3]), *T[:3, 3]])
        points = "1.0 2.0 -1 3.0 4.0 17" if i % 2 else ""
        lines.append(f"{i + 1} {values} 1 {i:04d}.jpg\n{points}\n")
    (model / "images.txt").write_text("".join(lines))


def write_colmap_binary(source: Path) -> None:
    model = source / "sparse"
    model.mkdir(parents=True)
    camera = struct.pack("<iiQQ8d", 7, 4, WIDTH, HEIGHT, 60, 61, 32, 24, 0.1, 0.01, 0.001, 0.002)
    other = struct.pack("<iiQQ3d", 8, 0, WIDTH, HEIGHT, 60, 32, 24)
    (model / "cameras.bin").write_bytes(struct.pack("<Q", 2) + other + camera)
    data = struct.pack("<Q", COUNT)
    for i in reversed(range(COUNT)):
        write_image(source / "images" / f"{i:04d}.jpg", i)
        T = np.linalg.inv(pose(i))
        data += struct.pack("<i7di", i, *quaternion_wxyz(T[:3, :3]), *T[:3, 3], 7)
        data += f"{i:04d}.jpg".encode() + b"\0" + struct.pack("<Q", i) + i * struct.pack("<ddq", 1, 2, 3)
    (model / "images.bin").write_bytes(data)


def nerf_frame(i: int, name: str) -> dict:
    T = pose(i) @ np.diag([1.0, -1.0, -1.0, 1.0])
    return {"file_path": name, "transform_matrix": T.tolist()}


def write_nerf(source: Path) -> None:
    frames = []
    for i in range(COUNT):
        write_image(source / "images" / f"{i:04d}.png", i)
        frames.append(nerf_frame(i, f"./images/{i:04d}.png"))
    # The images are at half of the size that the intrinsics are for.
    intrinsics = {"fl_x": 120, "fl_y": 122, "cx": 64, "cy": 48, "w": 2.0 * WIDTH, "h": 2.0 * HEIGHT}
    distortion = {"k1": 0.1, "k2": 0.01, "p1": 0.001, "p2": 0.002}
    contents = {**intrinsics, **distortion, "frames": frames[::-1]}
    (source / "transforms.json").write_text(json.dumps(contents))


def write_tum(source: Path) -> None:
    rgb, depths, truth = ["# colour\n"], ["# depth\n"], ["# truth\n"]
    for i in range(COUNT):
        stamp = f"13050311{i:02d}.123456"
        write_image(source / "rgb" / f"{stamp}.png", i)
        rgb.append(f"{stamp} rgb/{stamp}.png\n")
        # Taken 10 ms after the image or, once, too late.
        late = f"13050311{i:02d}.{'160000' if i == 6 else '133456'}"
        depths.append(f"{late} depth/{late}.png\n")
        (source / "depth").mkdir(exist_ok=True)
        cv2.imwrite(str(source / "depth" / f"{late}.png"), 5 * depth(i, 0))
        w, x, y, z = quaternion_wxyz(pose(i)[:3, :3])
        values = " ".join(f"{v:.9f}" for v in [*pose(i)[:3, 3], x, y, z, w])
        if i != 4:  # the motion capture lost the camera once
            truth += [f"13050311{i:02d}.{part} {values}\n" for part in ("1000", "1500")]
    (source / "rgb.txt").write_text("".join(rgb))
    (source / "depth.txt").write_text("".join(depths))
    (source / "groundtruth.txt").write_text("".join(truth))


WRITERS = {
    "7scenes": write_7scenes,
    "12scenes": write_12scenes,
    "cambridge": write_cambridge,
    "colmap": write_colmap_text,
    "nerf": write_nerf,
    "tum": write_tum,
}
