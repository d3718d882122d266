# SPDX-License-Identifier: Apache-2.0
"""The command line as a user runs it; in a process of its own where that is the point."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ace_ros.cli.parser import main
from ace_ros.data.scene import load_scene
from ace_ros.geometry.metrics import pose_error
from ace_ros.network.encoder import Encoder, EncoderShape
from ace_ros.network.encoder_file import save_encoder
from support import Trained

TINY = EncoderShape(stem=(4, 8, 16), inner=8, context=(16,), blocks=1)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which saves the seconds that importing torch takes."""
    words = list(map(str, arguments))
    out, err = io.StringIO(), io.StringIO()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threads = torch.get_num_threads()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as end:  # of argparse
            code = end.code if isinstance(end.code, int) else 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            torch.set_num_threads(threads)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def run_program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "ace_ros", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240.0)


def refused(*arguments: object) -> str:
    """Return the one sentence on stderr of a command that must end with exit code 2."""
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("ace_ros: "), done.stderr
    return lines[0]


def check_evaluation(done: subprocess.CompletedProcess[str]) -> dict:
    """Return the figures of `eval --json` after a check of their names."""
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures) == {
        "frames", "localized", "median_translation_m", "median_rotation_deg", "recall", "latency_ms",
        "map_bytes", "missing_chunks", "device",
    }  # fmt: skip
    assert set(figures["recall"]) == {"10cm_5deg", "5cm_5deg", "2cm_2deg", "1cm_1deg"}
    assert set(figures["latency_ms"]) == {"median", "p99"}
    assert figures["frames"] == 8 and figures["device"] == "cpu"
    return figures


def test_eval_and_info_of_a_map(trained: Trained) -> None:
    figures = check_evaluation(run("eval", trained.scene, trained.map_path, "--json", "--device", "cpu"))
    assert figures["localized"] == 8 and figures["recall"]["5cm_5deg"] == 1.0
    assert 0.0 < figures["median_translation_m"] < 0.01 and figures["median_rotation_deg"] < 0.2
    assert figures["map_bytes"] == trained.map_path.stat().st_size
    assert json.loads(run("info", trained.map_path, "--json").stdout)["encoder"] == "lite"
    assert "map_frame: map" in run("info", trained.map_path).stdout


def test_the_program_is_the_command() -> None:
    done = run_program("--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: ace_ros")


@pytest.mark.slow
def test_map_then_eval_then_localize_then_info(simulated_scene: Path, tmp_path: Path) -> None:
    path = tmp_path / "room.safetensors"
    done = run_program("map", simulated_scene, "-o", path, "--preset", "fast", "--time-budget", 4, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert {"map", "map_bytes", "frames", "steps", "prepare_s", "train_s", "total_s", "device"} <= set(made)
    assert made["frames"] == 24 and made["map_bytes"] == path.stat().st_size < 4.5e6
    assert made["train_s"] >= 4.0  # as long as asked; how much longer depends on the machine

    figures = check_evaluation(run_program("eval", simulated_scene, path, "--json", "--device", "cpu"))
    assert figures["localized"] > 0

    done = run("info", path, "--json")
    assert json.loads(done.stdout)["encoder"] == "lite"
    assert "map_frame: map" in run("info", path).stdout


def test_localize_prints_one_pose_per_image(trained: Trained) -> None:
    frames = load_scene(trained.scene, "test").frames[:2]
    paths = [f.image_path for f in frames]
    done = run("localize", trained.map_path, *paths, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["image"] for r in rows] == [str(p) for p in paths]
    for row, frame in zip(rows, frames, strict=True):
        assert (row["ok"], row["reason"]) == (True, "none")
        found = torch.tensor(row["T_map_camera"], dtype=torch.float64)
        assert float(pose_error(found, frame.T_map_camera)[0]) < 0.02


def test_localize_prints_no_pose_of_an_image_of_nothing(trained: Trained, tmp_path: Path) -> None:
    frame = load_scene(trained.scene, "test").frames[0]
    camera = tmp_path / "camera.txt"
    camera.write_text("\n".join(" ".join(map(str, row)) for row in frame.camera.matrix.tolist()))
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((240, 320), np.uint8))
    done = run("localize", trained.map_path, tmp_path / "black.png", "--camera", camera, "--json")
    row = json.loads(done.stdout)
    assert (row["ok"], row["T_map_camera"]) == (False, None) and row["reason"] != "none"


def test_localize_prints_inliers(trained: Trained) -> None:
    paths = [f.image_path for f in load_scene(trained.scene, "test").frames[:1]]
    assert "inliers" in run("localize", trained.map_path, paths[0]).stdout


def test_localize_takes_a_calibration_file(trained: Trained, tmp_path: Path) -> None:
    frame = load_scene(trained.scene, "test").frames[0]
    image = tmp_path / "query.png"
    shutil.copy(frame.image_path, image)
    assert "calibration" in refused("localize", trained.map_path, image)
    text = tmp_path / "camera.txt"
    text.write_text("\n".join(" ".join(map(str, row)) for row in frame.camera.matrix.tolist()))
    assert run("localize", trained.map_path, image, "--camera", text).returncode == 0
    yaml = tmp_path / "camera.yaml"
    K = [v for row in frame.camera.matrix.tolist() for v in row]
    yaml.write_text(
        "image_width: 320\nimage_height: 240\ncamera_name: front\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: {K}\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [0.0, 0.0, 0.0, 0.0, 0.0]\n"
    )
    assert run("localize", trained.map_path, image, "--camera", yaml).returncode == 0
    yaml.write_text("camera_matrix: 3\n")
    assert "camera.yaml" in refused("localize", trained.map_path, image, "--camera", yaml)


@pytest.mark.slow
def test_progress_lines_are_json_and_end_with_the_result(simulated_scene: Path, tmp_path: Path) -> None:
    done = run("map", simulated_scene, "-o", tmp_path / "m", "--time-budget", 2, "--progress-json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {e["event"] for e in events[:-1]} <= {"progress", "cloud"}
    assert {e["phase"] for e in events[:-1] if e["event"] == "progress"} == {"prepare", "train", "grade"}
    assert events[-1]["event"] == "result" and Path(events[-1]["map"]) == tmp_path / "m.safetensors"


@pytest.mark.slow
def test_a_place_in_chunks_is_one_map(simulated_scene: Path, tmp_path: Path) -> None:
    path = tmp_path / "place.safetensors"
    done = run("map", simulated_scene, "-o", path, "--time-budget", 2, "--chunks", 2, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["chunks"], made["missing_chunks"], made["frames"]) == (2, {}, 24)
    assert made["train_s"] >= 4.0 and "100 %" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert json.loads(run("info", path, "--json").stdout)["heads"] == 2
    assert "chunk 1: centre" in run("info", path).stdout
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    begin, _ = json.loads(data[8 : 8 + length])["head.1.entry.weight"]["data_offsets"]
    data[8 + length + begin + 1] ^= 0x02
    path.write_bytes(data)
    done = run_program("eval", simulated_scene, path, "--json", "--device", "cpu")
    assert done.returncode == 0 and "changed since" in done.stderr
    missing = {"1": "its contents have changed since they were written"}
    assert json.loads(done.stdout)["missing_chunks"] == missing
    assert json.loads(run("info", path, "--json").stdout)["missing_chunks"] == missing
    sentence = f"1 of 2 chunks of the map cannot be used: chunk 1: {missing['1']}"
    assert sentence in run("info", path).stdout
    assert sentence in run("eval", simulated_scene, path, "--device", "cpu").stdout
    assert "cannot be split into 7 chunks" in refused("map", simulated_scene, "-o", path, "--chunks", 7)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_leaves_no_map(
    simulated_scene: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    command = [
        sys.executable,
        "-m",
        "ace_ros",
        "map",
        simulated_scene,
        "-o",
        tmp_path / "m",
        "--progress-json",
    ]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first view is encoded
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + stop, errors
    assert "interrupted" in errors and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_maps_that_cannot_be_used_are_refused_in_one_sentence(trained: Trained, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(pickle.dumps(Bomb()))
    assert "not an ace_ros map" in refused("eval", trained.scene, bad)
    assert not (tmp_path / "executed").exists()
    bad.write_bytes(trained.map_path.read_bytes()[:-1000])
    assert "truncated" in refused("eval", trained.scene, bad)
    bad.write_bytes(trained.map_path.read_bytes().replace(b'"format_version":"3"', b'"format_version":"9"'))
    assert "format version '9'" in refused("eval", trained.scene, bad)
    assert "cannot be read" in refused("info", tmp_path / "nowhere.safetensors")


@pytest.mark.slow
def test_a_map_of_another_encoder_is_refused(simulated_scene: Path, tmp_path: Path) -> None:
    encoder = tmp_path / "own.safetensors"
    save_encoder(encoder, Encoder(TINY), "untrained", {})
    path = tmp_path / "m.safetensors"
    done = run("map", simulated_scene, "-o", path, "--time-budget", 1, "--encoder", encoder)
    assert done.returncode == 0, done.stderr
    save_encoder(encoder, Encoder(TINY), "untrained, but with other weights", {})
    assert "was trained with encoder" in refused("eval", simulated_scene, path)


@pytest.mark.slow
def test_an_encoder_that_was_moved_can_be_named_again(simulated_scene: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    encoder = tmp_path / "here" / "own.safetensors"
    save_encoder(encoder, Encoder(TINY), "untrained", {})
    path = tmp_path / "m.safetensors"
    done = run("map", simulated_scene, "-o", path, "--time-budget", 1, "--encoder", encoder)
    assert done.returncode == 0, done.stderr
    moved = encoder.rename(tmp_path / "own.safetensors")
    assert "here/own.safetensors: cannot be read" in refused("eval", simulated_scene, path)
    done = run("eval", simulated_scene, path, "--encoder", moved, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 8


def test_wrong_scenes_and_outputs_are_refused(simulated_scene: Path, tmp_path: Path) -> None:
    assert "no such folder" in refused("map", tmp_path, "-o", tmp_path / "m")
    assert "ends in .safetensors" in refused("map", simulated_scene, "-o", tmp_path / "m.pt")
    for folder in (".", "..", "/", "", tmp_path, f"{tmp_path}/"):
        assert "is a folder; expected the path of a map" in refused("map", simulated_scene, "-o", folder)
    assert "device must be" in refused("map", simulated_scene, "-o", tmp_path / "m", "--device", "tpu")
    broken = tmp_path / "scene"
    shutil.copytree(simulated_scene, broken)
    next((broken / "train" / "poses").iterdir()).unlink()
    assert "no pose for" in refused("map", broken, "-o", tmp_path / "m")


@pytest.mark.parametrize("command", ["", "map", "eval", "localize", "info", "import-bag", "import-dataset"])
def test_every_command_explains_itself(command: str) -> None:
    done = run(*([command] if command else []), "--help")
    assert done.returncode == 0 and "--help" in done.stdout
    assert not command or "--device" in done.stdout


def test_what_cannot_be_written_is_refused_before_the_work(
    simulated_scene: Path, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    inside = tmp_path / "file/inside"
    began = time.process_time()
    for arguments in (
        ("map", simulated_scene, "-o", inside),
        ("map", simulated_scene, "-o", inside, "--chunks", 2),
        ("eval", trained.scene, trained.map_path, "--report", inside),
        ("atlas", "add", inside, trained.map_path),
        ("import-dataset", "nerf", simulated_scene, "-o", inside),
    ):
        assert f"{inside}" in refused(*arguments), arguments
    assert time.process_time() - began < 20
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_figures_are_printed_even_where_the_report_fails(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "queries.png")

    monkeypatch.setattr("ace_ros.evaluation.evaluate.write_report", disk_is_full)
    for more in ((), ("--json",)):
        done = run("eval", trained.scene, trained.map_path, "--report", tmp_path / "report", *more)
        assert done.returncode == 2 and "No space left" in done.stderr
        assert "localized" in done.stdout


def test_localize_takes_the_lens_and_the_names_that_eval_takes(trained: Trained, tmp_path: Path) -> None:
    frames = load_scene(trained.scene, "test").frames[:2]
    base = tmp_path / "scene/test"
    for part in ("rgb", "calibration", "poses"):
        (base / part).mkdir(parents=True)
    for i, frame in enumerate(frames):
        K, (width, height) = frame.camera.matrix.numpy(), frame.camera.size
        distortion = np.array([-0.25, 0.08, 0.0, 0.0])
        y, x = np.mgrid[:height, :width].astype(np.float32)
        ideal = cv2.undistortPoints(np.stack([x, y], -1).reshape(-1, 1, 2), K, distortion, P=K)
        source = ideal.reshape(height, width, 2).astype(np.float32)
        image = cv2.remap(cv2.imread(str(frame.image_path)), source, None, cv2.INTER_LINEAR)
        name = f"seq-01-frame-{i:06d}"
        cv2.imwrite(str(base / f"rgb/{name}.color.png"), image)
        np.savetxt(base / f"poses/{name}.pose.txt", frame.T_map_camera)
        np.savetxt(base / f"calibration/{name}.calibration.txt", K)
        note = {"image": f"{name}.color.png", "model": "plumb_bob", "distortion": distortion.tolist()}
        with (base / "frames.jsonl").open("a") as file:
            file.write(json.dumps(note) + "\n")
    images = sorted((base / "rgb").iterdir())
    done = run("localize", trained.map_path, *images, "--json")
    assert done.returncode == 0, done.stderr
    for frame, line in zip(frames, done.stdout.splitlines(), strict=True):
        found = json.loads(line)
        assert found["ok"], found
        T = torch.tensor(found["T_map_camera"], dtype=torch.float64)
        assert float(pose_error(T, frame.T_map_camera)[0]) < 0.1
