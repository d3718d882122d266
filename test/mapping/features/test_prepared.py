# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ace_ros.config import TrainingConfig, override
from ace_ros.data.scene import load_scene
from ace_ros.files.whole import hold
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.mapping.features.prepared import (
    PreparedFile,
    fingerprint,
    load_prepared,
    prepared_path,
    save_prepared,
)
from ace_ros.mapping.map_scene import MappingSetup, map_scene, prepare_features
from ace_ros.mapping.progress import TRIANGULATE, Listener
from ace_ros.network.encoder_file import load_encoder
from support import SMALL, wait_for

CPU = torch.device("cpu")
CONFIG = override(
    TrainingConfig(),
    {**SMALL, "steps": 8, "buffer_features": 20_000, "views_per_image": 1, "keep_prepared_s": 0.0},
)


def test_a_resumed_training_gives_the_map_that_it_would_have_given(
    simulated_scene: Path, tmp_path: Path
) -> None:
    scene, kept = load_scene(simulated_scene), tmp_path / "kept"
    whole, _ = map_scene(scene, CONFIG, MappingSetup(CPU, prepared=PreparedFile(kept)))
    assert kept.exists()
    prepared: list[float] = []
    resumed, report = map_scene(
        scene,
        CONFIG,
        MappingSetup(CPU, prepared=PreparedFile(kept, resume=True)),
        Listener(lambda p: prepared.append(p.progress) if p.phase == "prepare" else None),
    )
    assert max(prepared) <= TRIANGULATE.end and report.features > 10_000
    assert torch.equal(*(m.chunks[0].landmarks.points for m in (whole, resumed)))
    for a, b in zip(*(m.chunks[0].head.parameters() for m in (whole, resumed)), strict=True):
        assert torch.equal(a, b)


def test_features_of_other_images_or_options_are_not_taken(simulated_scene: Path, tmp_path: Path) -> None:
    frames, encoder = load_scene(simulated_scene).frames, load_encoder("lite")
    key = fingerprint(frames, encoder.content_hash, CONFIG)
    moved = frames[0].T_map_camera.clone()
    moved[0, 3] += 1e-6
    assert key != fingerprint(frames[1:], encoder.content_hash, CONFIG)
    assert key != fingerprint(frames, "another", CONFIG)
    assert key != fingerprint(frames, encoder.content_hash, replace(CONFIG, scale=1.2))
    elsewhere = (replace(frames[0], T_map_camera=moved), *frames[1:])
    assert key != fingerprint(elsewhere, encoder.content_hash, CONFIG)
    assert key == fingerprint(frames, encoder.content_hash, replace(CONFIG, steps=9, learning_rate=0.001))


@pytest.mark.parametrize("damage", ["other", "cut", "missing"])
def test_a_file_that_cannot_be_used_is_named_and_left(
    damage: str, simulated_scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kept"
    buffer = prepare_features(
        EncodedImages(load_scene(simulated_scene).frames[:2], load_encoder("lite"), CPU), CONFIG
    )
    if damage != "missing":
        save_prepared(path, buffer, "other" if damage == "other" else "key")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        assert load_prepared(path, "key", CPU) is None
    assert str(path) in caplog.text and "anew" in caplog.text


def test_what_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "folder"
    blocked.mkdir()
    (blocked / "child").write_text("")  # a folder that is not empty cannot be replaced
    with caplog.at_level(logging.WARNING):
        save_prepared(blocked, FeatureBuffer.empty(4, 8, CPU), "key")
    assert "not kept" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_features_and_leaves_nothing_over(
    simulated_scene: Path, tmp_path: Path
) -> None:
    output = tmp_path / "room.safetensors"
    program = (
        "import ace_ros.config as c, dataclasses, sys\n"
        "from ace_ros.cli.parser import main\n"
        "c.PRESETS['fast'].update(keep_prepared_s=0.0, views_per_image=1)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["map", simulated_scene, "-o", output, "--preset", "fast", "--threads", "1", "--resume"]
    command = [sys.executable, "-c", program, *map(str, arguments), "--progress-json"]
    first = subprocess.Popen([*command, "--time-budget", "600"], stdout=subprocess.DEVNULL)
    wait_for("the features", lambda: first.poll() is not None or prepared_path(output).exists(), 120.0)
    assert first.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert [p.name for p in tmp_path.iterdir()] == [prepared_path(output).name]
    others = [prepared_path(tmp_path / f"{name}.safetensors") for name in ("dead", "living")]
    for other in others:  # of maps that are trained into the same folder
        other.touch()
    living = hold(others[1])
    second = subprocess.run([*command, "--time-budget", "2"], capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in second.stdout.splitlines() if '"phase"' in line]
    assert any(p["phase"] == "train" for p in told)
    # Landmarks are measured again; no view is encoded again.
    assert max(p["progress"] for p in told if p["phase"] == "prepare") <= TRIANGULATE.end
    assert living and {p.name for p in tmp_path.iterdir()} == {output.name, others[1].name}
