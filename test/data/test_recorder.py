# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scenes import HEIGHT, MATRIX, WIDTH, picture, pose

from ace_ros.data.depth_image import read_depth
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.errors import AceError, CameraError, SceneError
from ace_ros.geometry.camera import Camera

CAMERA = Camera(torch.from_numpy(MATRIX), (WIDTH, HEIGHT), "plumb_bob", torch.full((5,), 0.01))


def record(recorder: SceneRecorder, first: int, count: int) -> None:
    """Record frames; every second one has depth."""
    for i in range(first, first + count):
        recorder.add(picture(i), pose(i), CAMERA, 10**18 + i, "camera_optical", None if i % 2 else depth(i))


def depth(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 65536, (HEIGHT // 2, WIDTH // 2), np.uint16)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_what_is_recorded_is_what_is_loaded(tmp_path: Path, image_format: str) -> None:
    recorder = SceneRecorder(tmp_path, image_format=image_format)
    record(recorder, 0, 3)
    path = recorder.add(picture(3)[..., 1], pose(3), CAMERA, 10**18 + 3, "camera_optical")
    assert path == tmp_path / "train/rgb" / f"000003.{image_format}"
    frames = load_scene(tmp_path).frames
    assert recorder.frames == len(frames) == 4
    for i, frame in enumerate(frames):
        np.testing.assert_allclose(frame.T_map_camera, pose(i), atol=1e-11)
        np.testing.assert_allclose(frame.camera.matrix, MATRIX)
        np.testing.assert_allclose(frame.camera.distortion, CAMERA.distortion)
        assert frame.stamp_ns == 10**18 + i and frame.camera.model == "plumb_bob"
        if i % 2:
            assert frame.depth_path is None
        else:
            np.testing.assert_array_equal(read_depth(frame.depth_path), depth(i))
    error = np.abs(read_grey(path).astype(int) - picture(3)[..., 1]).mean()
    assert error == 0 if image_format == "png" else error < 3


def test_a_recording_goes_on_where_it_ended(tmp_path: Path) -> None:
    record(SceneRecorder(tmp_path), 0, 3)
    recorder = SceneRecorder(tmp_path)
    assert recorder.frames == 3
    record(recorder, 3, 2)
    positions = np.array([pose(i)[:3, 3] for i in range(5)])
    length = np.linalg.norm(np.diff(positions, axis=0), axis=1).sum()
    assert recorder.frames == 5 and recorder.distance_m == pytest.approx(length)
    frames = load_scene(tmp_path).frames
    assert [frame.image_path.stem for frame in frames] == [f"{i:06d}" for i in range(5)]


def test_going_on_removes_what_a_killed_recorder_left(tmp_path: Path) -> None:
    record(SceneRecorder(tmp_path), 0, 3)
    train = tmp_path / "train"
    whole = files_below(train)
    record(SceneRecorder(tmp_path), 3, 1)
    (train / "poses/000003.txt").unlink()
    (train / "rgb/.000004.jpg.k2").write_bytes(b"half an image")
    (train / "depth/000004.png").write_bytes(b"half a depth image")
    with (train / "frames.jsonl").open("ab") as file:
        file.write(b'{"image": "0000')
    assert len(load_scene(tmp_path).frames) == 3
    assert SceneRecorder(tmp_path).frames == 3
    assert files_below(train) == whole


def test_a_recording_that_cannot_be_loaded_is_not_gone_on_with(tmp_path: Path) -> None:
    record(SceneRecorder(tmp_path), 0, 3)
    (tmp_path / "train/poses/000001.txt").write_text("1 0 0")
    before = files_below(tmp_path)
    with pytest.raises(SceneError, match=r"poses/000001\.txt: holds 3 numbers"):
        SceneRecorder(tmp_path)
    assert files_below(tmp_path) == before


def test_a_scene_that_is_no_recording_is_left_alone(scene_folder: Path) -> None:
    before = files_below(scene_folder)
    with pytest.raises(SceneError, match="not a recording"):
        SceneRecorder(scene_folder)
    assert files_below(scene_folder) == before


@pytest.mark.parametrize(
    "change, kind",
    [
        ({"image": picture(0).astype(np.uint16)}, CameraError),
        ({"image": picture(0)[:, :-1]}, CameraError),
        ({"image": np.zeros((HEIGHT, WIDTH, 4), np.uint8)}, CameraError),
        ({"T_map_camera": np.full((4, 4), np.nan)}, SceneError),
        ({"T_map_camera": 2 * np.eye(4)}, SceneError),
        ({"T_map_camera": np.eye(3)}, SceneError),
        ({"depth_mm": depth(0).astype(np.float32)}, CameraError),
        ({"depth_mm": depth(0)[:, :-4]}, CameraError),
        ({"depth_mm": np.zeros((0, 0), np.uint16)}, CameraError),
    ],
)
def test_a_frame_that_could_not_be_loaded_is_not_recorded(
    tmp_path: Path, change: dict, kind: type[AceError]
) -> None:
    recorder = SceneRecorder(tmp_path)
    record(recorder, 0, 1)
    before = files_below(tmp_path)
    frame = {"image": picture(1), "T_map_camera": pose(1), "camera": CAMERA, **change}
    with pytest.raises(kind):
        recorder.add(**frame, stamp_ns=1, frame_id="camera")
    assert files_below(tmp_path) == before and recorder.frames == 1


def test_an_unknown_image_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="png, jpg, got 'webp'"):
        SceneRecorder(tmp_path, image_format="webp")


@pytest.mark.parametrize(
    "limit, file", [(1000, "rgb/000002.png"), (1000, "depth/000002.png"), (400, "frames.jsonl")]
)
def test_a_full_disk_takes_the_frame_back_and_names_the_file(tmp_path: Path, limit: int, file: str) -> None:
    """A limit on the size of files fails in write() as a full disk does."""
    recorder = SceneRecorder(tmp_path, image_format="png")
    small = Camera(torch.tensor([[8.0, 0, 3.5], [0, 8, 3.5], [0, 0, 1]]), (8, 8))
    for i in range(2):
        recorder.add(np.zeros((8, 8), np.uint8), pose(i), small, 10**18, "camera")
    before = files_below(tmp_path)
    frame = (picture(2), CAMERA) if file.startswith("rgb") else (np.zeros((8, 8), np.uint8), small)
    depth_mm = np.resize(depth(2), (64, 64)) if file.startswith("depth") else None
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    if file == "frames.jsonl":
        limit = (tmp_path / "train" / file).stat().st_size + 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        with pytest.raises(OSError) as caught:
            recorder.add(frame[0], pose(2), frame[1], 10**18, "camera", depth_mm)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert caught.value.filename.endswith(file)
    assert files_below(tmp_path) == before and recorder.frames == 2
    recorder.add(frame[0], pose(2), frame[1], 10**18, "camera")
    assert len(load_scene(tmp_path).frames) == 3


# One process imports once and forks the recorders that die. Some are ended at the n-th change of
# the disk, so that each point in between is met; the others by SIGKILL some frames later, wherever they
# are then.
KILLED_RECORDERS = """
import os, random, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from test_recorder import record
from ace_ros.data.depth_image import read_depth
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.scene import load_scene

folder = Path(sys.argv[1])
rng = random.Random(1)

def die_at(step):
    count = 0
    def counted(function):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == step:
                os._exit(9)
            return function(*args, **kwargs)
        return call
    os.replace, os.fsync, os.chmod = map(counted, (os.replace, os.fsync, os.chmod))
    os.fdopen = counted(os.fdopen)

record(SceneRecorder(folder), 0, 1)
known = 1
for trial in range(40):
    child = os.fork()
    if child == 0:
        if trial < 30:
            die_at(trial + 1)
        recorder = SceneRecorder(folder)
        record(recorder, recorder.frames, 100_000)
    if trial >= 30:
        wanted = known + rng.randint(1, 10)
        while sum(1 for _ in (folder / "train/rgb").iterdir()) < wanted:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), trial
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    frames = load_scene(folder).frames
    assert len(frames) >= known, (trial, len(frames), known)
    assert all(frame.stamp_ns == 10**18 + i for i, frame in enumerate(frames)), trial
    assert all(frame.camera.model == "plumb_bob" for frame in frames), trial
    assert all((frame.depth_path is None) == bool(i % 2) for i, frame in enumerate(frames)), trial
    for frame in frames[::2]:
        read_depth(frame.depth_path)
    known = len(frames)
print(known)
"""


def test_a_killed_recorder_leaves_a_scene_that_loads_and_goes_on(tmp_path: Path) -> None:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", KILLED_RECORDERS, str(tmp_path), str(here)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 10  # the recorders got on between their deaths
    assert len(load_scene(tmp_path).frames) == SceneRecorder(tmp_path).frames == int(run.stdout)


def test_a_frame_that_cannot_even_be_taken_back_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = SceneRecorder(tmp_path)
    record(recorder, 0, 1)

    def fails(*arguments: object, **more: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "truncate", fails)
        broken.setattr(Path, "unlink", fails)
        real = os.fsync
        # The pose is written after the fifth sync: image and its folder, calibration and its folder, notes.
        left = iter(range(5))
        broken.setattr(os, "fsync", lambda handle: real(handle) if next(left, None) is not None else fails())
        with pytest.raises(OSError, match=r"Input/output error: '.*poses/000001\.txt'"):
            record(recorder, 1, 1)
    record(recorder, 1, 1)
    assert len(load_scene(tmp_path).frames) == 2
    assert len((tmp_path / "train" / "frames.jsonl").read_text().splitlines()) == 2
