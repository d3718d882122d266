# SPDX-License-Identifier: Apache-2.0
"""What the service load_map may be asked to open, and what it tells of files that are no maps."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ace_ros.config import AtlasConfig, RansacConfig
from ace_ros.errors import MapError
from ace_ros.nodes.map_loading import MapNotFoundError, check_map_frame, load_map
from ace_ros.nodes.storage import Storage

SECRET = "hunter2"


def refusal(folder: Path, name: str) -> MapError:
    with pytest.raises(MapError) as refused:
        load_map(Storage(str(folder)), name, "", RansacConfig(), AtlasConfig(), "cpu")
    return refused.value


@pytest.mark.parametrize("name", ["../secret", "maps/../../secret", "~/secret", "", ".", "a\0b", "a.b"])
def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.safetensors").write_text(SECRET)
    error = refusal(tmp_path / "data", name)
    assert isinstance(error, MapNotFoundError) and "is no plain name" in str(error)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text(f"password: {SECRET}"),
        lambda path: path.write_text(f'{{"format": "{SECRET}"}}'),
        lambda path: save_file({"x": torch.zeros(1)}, path, {"password": SECRET}),
    ],
    ids=["text", "json", "tensors"],
)
def test_a_file_that_is_no_map_tells_nothing_of_what_it_holds(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "secret")
    error = refusal(tmp_path / "data", str(tmp_path / "secret"))
    assert str(tmp_path / "secret") in str(error) and SECRET not in str(error)


def test_pipes_devices_and_folders_are_no_maps(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        assert isinstance(refusal(tmp_path / "data", str(path)), MapNotFoundError)


@pytest.mark.parametrize("frame", ["odom", "base_link", "camera"])
def test_a_map_in_a_frame_of_the_robot_is_refused(frame: str) -> None:
    with pytest.raises(MapError, match=f"the map is in frame '{frame}', which is the frame"):
        check_map_frame(frame, "/odom", "base_link", "camera")
    check_map_frame(frame, "", "", "")
    check_map_frame("map", "odom", "base_link", "camera")
