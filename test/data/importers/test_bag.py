# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="reading bags needs rosbags")

from bags import IMAGE_NS, START_NS, T_BASE_CAMERA, Drive, true_pose
from rosbags.rosbag2 import StoragePlugin, Writer
from small_scenes import MATRIX, picture

from ace_ros.data.depth_image import read_depth
from ace_ros.data.importers.bag import BagConfig, import_bag
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.errors import SceneError

EVERY_IMAGE = {"keyframe_distance_m": 0.0, "keyframe_angle_deg": 0.0}


def check_against_truth(scene_folder: Path, frames: int, split: str = "train") -> None:
    """Compare poses, cameras, stamps and pixels of an imported scene with those of the drive."""
    scene = load_scene(scene_folder, split)
    assert len(scene.frames) == frames
    for frame in scene.frames:
        # Between neighbours 30 ms apart the drive is an arc; interpolation takes its chord.
        np.testing.assert_allclose(frame.T_map_camera, true_pose(frame.stamp_ns) @ T_BASE_CAMERA, atol=1e-5)
        np.testing.assert_allclose(frame.camera.matrix, MATRIX)
        np.testing.assert_allclose(frame.camera.distortion, [0.1, 0, 0, 0, 0])
        image = picture((frame.stamp_ns - START_NS) // IMAGE_NS)
        expected = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(int)
        assert np.abs(read_grey(frame.image_path) - expected).mean() < 3


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["sqlite3", "mcap", "ros1"])
def test_a_bag_becomes_a_scene_with_the_true_poses(tmp_path: Path, kind: str, compressed: bool) -> None:
    bag = Drive(kind, compressed=compressed).write(tmp_path / "bag")
    seen = []
    config = BagConfig(**EVERY_IMAGE)
    report = import_bag(bag, tmp_path / "scene", config, lambda *done: seen.append(done))
    assert (report.images, report.train_frames, report.dropped.total()) == (20, 20, 0)
    assert seen == [(i, 20) for i in range(1, 21)]
    check_against_truth(tmp_path / "scene", 20)


@pytest.mark.parametrize("poses, topic", [("odometry", "/wheels"), ("pose", "/camera_pose")])
def test_poses_may_come_from_a_topic(tmp_path: Path, poses: str, topic: str) -> None:
    bag = Drive(poses=poses).write(tmp_path / "bag")
    import_bag(bag, tmp_path / "scene", BagConfig(pose_topic=topic, **EVERY_IMAGE))
    check_against_truth(tmp_path / "scene", 20)


def test_a_file_of_a_bag_folder_can_be_named(tmp_path: Path) -> None:
    bag = Drive(images=3).write(tmp_path / "bag")
    import_bag(next(bag.glob("*.mcap")), tmp_path / "scene", BagConfig(**EVERY_IMAGE))
    check_against_truth(tmp_path / "scene", 3)


def test_keyframes_are_spaced_by_distance_or_angle(tmp_path: Path) -> None:
    bag = Drive().write(tmp_path / "bag")  # 0.1 m and 2.9 degrees from image to image
    report = import_bag(bag, tmp_path / "a", BagConfig(keyframe_distance_m=0.25))
    stamps = [frame.stamp_ns for frame in load_scene(tmp_path / "a").frames]
    assert stamps == [START_NS + 3 * i * IMAGE_NS for i in range(7)]
    assert report.dropped == {"near the last keyframe": 13}
    config = BagConfig(keyframe_distance_m=9.0, keyframe_angle_deg=10.0)
    assert import_bag(bag, tmp_path / "b", config).train_frames == 5


def test_a_share_of_the_keyframes_is_kept_for_testing_in_runs(tmp_path: Path) -> None:
    bag = Drive().write(tmp_path / "bag")
    report = import_bag(bag, tmp_path / "scene", BagConfig(test_share=0.5, **EVERY_IMAGE))
    assert (report.train_frames, report.test_frames) == (10, 10)
    check_against_truth(tmp_path / "scene", 10, "test")
    stamps = [frame.stamp_ns for frame in load_scene(tmp_path / "scene", "test").frames]
    assert stamps[:5] == [START_NS + i * IMAGE_NS for i in range(5, 10)]


def test_images_without_a_pose_are_dropped_and_counted(tmp_path: Path) -> None:
    bag = Drive(pose_shift_ns=500_000_000).write(tmp_path / "bag")
    report = import_bag(bag, tmp_path / "scene", BagConfig(**EVERY_IMAGE))
    assert report.train_frames == 15 and report.dropped == {"no pose": 5}


def refusal(bag: Path, **config: Any) -> str:
    """Return the message of the SceneError that importing raises; nothing is left of the scene."""
    target = bag.parent / "target"
    with pytest.raises(SceneError) as caught:
        import_bag(bag, target / "scene", BagConfig(**config))
    assert not target.exists() or not list(target.iterdir())
    message = str(caught.value)
    assert "\n" not in message and str(bag) in message
    return message


def test_topics_that_are_missing_or_of_another_type_are_listed(tmp_path: Path) -> None:
    bag = Drive(images=2).write(tmp_path / "bag")
    message = refusal(bag, image_topic="/camera/image")
    assert "no topic /camera/image for images" in message
    assert "/front/image_raw (sensor_msgs/msg/Image)" in message and "/tf (" in message
    assert "/tf for images is of type tf2_msgs/msg/TFMessage" in refusal(bag, image_topic="/tf")
    assert "no topic /info for camera_info" in refusal(bag, camera_info_topic="/info")
    assert "no topic /odom for poses" in refusal(bag, pose_topic="/odom")


def test_several_image_topics_must_be_chosen_from(tmp_path: Path) -> None:
    bag = Drive(images=2, more_images=True).write(tmp_path / "bag")
    assert "more than one topic for images, name one" in refusal(bag)
    import_bag(bag, tmp_path / "scene", BagConfig(image_topic="/front/image_raw"))


def test_a_bag_without_intrinsics_or_poses_is_refused(tmp_path: Path) -> None:
    assert "no topic for camera_info" in refusal(Drive(info=False).write(tmp_path / "a"))
    message = refusal(Drive(matrix=np.zeros((3, 3))).write(tmp_path / "b"))
    assert "/front/camera_info: camera_info has an all-zero K" in message
    message = refusal(Drive(poses="none").write(tmp_path / "c"))
    assert "no transform of frame 'odom'; there are base_link, camera_optical" in message


def test_a_bag_with_no_pose_at_any_image_says_why(tmp_path: Path) -> None:
    bag = Drive(pose_shift_ns=60 * 10**9).write(tmp_path / "bag")
    message = refusal(bag)
    assert "none of 20 images on /front/image_raw" in message
    assert "odom -> camera_optical: begins 60 s after the image" in message


def test_images_that_do_not_fit_the_intrinsics_are_named(tmp_path: Path) -> None:
    message = refusal(Drive(images=2, info_height=40).write(tmp_path / "bag"))
    assert "no usable image (image is 64x48, its camera is for 64x40)" in message


@pytest.mark.parametrize("kind", ["sqlite3", "mcap", "ros1"])
def test_damaged_bags_are_refused(tmp_path: Path, kind: str) -> None:
    bag = Drive(kind).write(tmp_path / "bag")
    file = bag if bag.is_file() else next(p for p in bag.iterdir() if p.suffix != ".yaml")
    data = file.read_bytes()
    for damaged in (b"", b"no bag at all", data[: len(data) // 2], data[:200] + bytes(len(data))):
        file.write_bytes(damaged)
        refusal(bag)


def test_what_is_not_there_or_no_bag_is_refused(tmp_path: Path) -> None:
    assert "no such bag" in refusal(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "not a readable bag" in refusal(tmp_path / "empty")


def test_a_scene_that_exists_is_not_overwritten(tmp_path: Path, scene_folder: Path) -> None:
    bag = Drive(images=2).write(tmp_path / "bag")
    with pytest.raises(SceneError, match="scene: exists already"):
        import_bag(bag, scene_folder)
    assert len(load_scene(scene_folder).frames) == 4


def test_without_rosbags_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("rosbags"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SceneError, match="pip install rosbags"):
        import_bag(tmp_path, tmp_path / "scene")


@pytest.mark.parametrize("kind", ["mcap", "ros1"])
@pytest.mark.parametrize("shift_ns", [0, 20_000_000, -20_000_000])
def test_keyframes_have_the_depth_nearest_in_time(tmp_path: Path, kind: str, shift_ns: int) -> None:
    bag = Drive(kind, depth_shift_ns=shift_ns).write(tmp_path / "bag")
    config = BagConfig(depth_topic="/front/depth", test_share=0.5, keyframe_distance_m=0.15)
    report = import_bag(bag, tmp_path / "scene", config)
    assert report.with_depth == report.train_frames + report.test_frames > report.test_frames > 0
    for split in ("train", "test"):
        for frame in load_scene(tmp_path / "scene", split).frames:
            number = (frame.stamp_ns - START_NS) // IMAGE_NS
            assert np.unique(read_depth(frame.depth_path)).tolist() == [1000 + number]


def test_depth_too_far_in_time_belongs_to_no_image(tmp_path: Path) -> None:
    bag = Drive(images=4, depth_shift_ns=30_000_000).write(tmp_path / "bag")
    config = BagConfig(depth_topic="/front/depth", max_depth_gap_s=0.02, **EVERY_IMAGE)
    assert import_bag(bag, tmp_path / "scene", config).with_depth == 0
    assert all(frame.depth_path is None for frame in load_scene(tmp_path / "scene").frames)


def test_depth_that_is_not_registered_is_refused(tmp_path: Path) -> None:
    bag = Drive(images=4, depth_frame="depth_optical").write(tmp_path / "bag")
    with pytest.raises(SceneError, match="depth is in frame 'depth_optical', the images in 'camera_optical'"):
        import_bag(bag, tmp_path / "scene", BagConfig(depth_topic="/front/depth"))
    with pytest.raises(SceneError, match="topic /front/image_raw: depth image has the encoding 'rgb8'"):
        import_bag(bag, tmp_path / "scene", BagConfig(depth_topic="/front/image_raw"))
    with pytest.raises(SceneError, match="no topic /depth for depth"):
        import_bag(bag, tmp_path / "scene", BagConfig(depth_topic="/depth"))
    assert not (tmp_path / "scene").exists()


CODE = "__import__('pathlib').Path({path!r}).touch()"


@pytest.mark.parametrize(
    ("msgtype", "definition"),
    [
        ('a/msg/B"""\n    {code}\n    """', "int32 a"),
        ("a/msg/B:\n    {code}\nclass C", "int32 a"),
        ("a/msg/B", "int32 a = {code}"),
        ("a/msg/B", "int32 a\n{code} b"),
        ("a/msg/B", 'string A="\' + {code} + \'"'),
    ],
)
def test_what_a_bag_says_of_its_messages_is_never_executed(
    tmp_path: Path, msgtype: str, definition: str
) -> None:
    executed = tmp_path / "executed"
    code = CODE.format(path=str(executed))
    msgtype, definition = msgtype.format(code=code), definition.format(code=code)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        bag.add_connection("/a", msgtype, msgdef=definition, rihs01="RIHS01")
    with pytest.raises(SceneError, match="not a readable bag"):
        import_bag(tmp_path / "bag", tmp_path / "scene", BagConfig())
    assert not executed.exists()


IDL = "=" * 80 + "\nIDL: a/msg/B\nmodule a {{ module msg {{ {constants} struct B {{ long a; }}; }}; }};"

HASH = "RIHS01_d2981050b5381314c911cdd53f89c5f9a71c153d1edb4fce2d9ceeded9bd6d2c"  # of its struct


@pytest.mark.parametrize(
    "constants",
    [
        "const long A = (1 << 30000000000) & 1;",
        "const long A = 1 /* of a bit */ <<\n 30000000000;",
        "const long A0 = 99; " + "".join(f"const long A{n + 1} = A{n} * A{n};" for n in range(60)),
    ],
)
def test_constants_of_messages_are_not_computed(tmp_path: Path, constants: str) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        bag.add_connection("/a", "a/msg/B", msgdef=IDL.format(constants=constants), rihs01="RIHS01")
    with pytest.raises(SceneError, match="computes constants; expected plain numbers"):
        import_bag(tmp_path / "bag", tmp_path / "scene", BagConfig())


def test_signs_in_comments_and_strings_compute_nothing(tmp_path: Path) -> None:
    constants = "/* 1 << 3, */ const string A = \"2 * 3\"; // 2 * 3\n"
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        bag.add_connection("/a", "a/msg/B", msgdef=IDL.format(constants=constants), rihs01=HASH)
    with pytest.raises(SceneError, match="no topic for images"):
        import_bag(tmp_path / "bag", tmp_path / "scene", BagConfig())


@pytest.mark.parametrize("kind", ["sqlite3", "mcap"])
@pytest.mark.parametrize("metadata", [None, "", "rosbag2_bagfile_information:\n  version: 9\n", "\0{"])
def test_a_bag_without_usable_metadata_is_read(
    tmp_path: Path, kind: str, metadata: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    bag = Drive(kind, images=3).write(tmp_path / "bag")
    (bag / "metadata.yaml").unlink()
    if metadata is not None:
        (bag / "metadata.yaml").write_text(metadata)
    import_bag(bag, tmp_path / "scene", BagConfig(**EVERY_IMAGE))
    check_against_truth(tmp_path / "scene", 3)
    assert "bag: metadata.yaml is" in caplog.text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("mcap", "mcap recover bag.mcap"),
        ("ros1", "rosbag reindex bag.bag"),
        ("sqlite3", "sqlite3 bag.db3 .recover"),
    ],
)
def test_a_bag_that_is_cut_off_says_what_to_run(tmp_path: Path, kind: str, words: str) -> None:
    bag = Drive(kind, images=3).write(tmp_path / "bag")
    path = bag if bag.is_file() else next(p for p in bag.iterdir() if p.suffix in (".mcap", ".db3"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    for named in (bag, path):
        with pytest.raises(SceneError, match=f"{named}.*{words}"):
            import_bag(named, tmp_path / "scene", BagConfig(**EVERY_IMAGE))


def test_a_bag_that_was_not_closed_says_what_to_run(tmp_path: Path) -> None:
    bag = Drive("ros1", images=3).write(tmp_path / "bag")
    active = bag.rename(tmp_path / "bag.bag.active")
    with pytest.raises(SceneError, match="did not close it; 'rosbag reindex bag.bag.active'"):
        import_bag(active, tmp_path / "scene")


def test_leading_slashes_of_frames_mean_nothing(tmp_path: Path) -> None:
    bag = Drive(slash="/").write(tmp_path / "bag")
    config = BagConfig(odom_frame="/odom", depth_topic="/front/depth", **EVERY_IMAGE)
    assert import_bag(bag, tmp_path / "scene", config).with_depth == 20
    check_against_truth(tmp_path / "scene", 20)
    notes = (tmp_path / "scene/train/frames.jsonl").read_text()
    assert '"camera_optical"' in notes and "/camera_optical" not in notes


@pytest.mark.parametrize("compressed", [False, True])
def test_images_of_16_bits_are_stretched_alike(tmp_path: Path, compressed: bool) -> None:
    bag = Drive(images=8, bits=12, compressed=compressed).write(tmp_path / "bag")
    import_bag(bag, tmp_path / "scene", BagConfig(image_format="png", **EVERY_IMAGE))
    slopes = []
    for i, frame in enumerate(load_scene(tmp_path / "scene").frames):
        given = picture(i)[..., 1].astype(float) * (1 + i % 2) / 2
        found = read_grey(frame.image_path).astype(float)
        inside = (found > 0) & (found < 255)
        slopes.append(np.polyfit(given[inside], found[inside], 1)[0])
    np.testing.assert_allclose(slopes, slopes[0], rtol=0.02)


def test_a_camera_that_changes_takes_no_image_with_it(tmp_path: Path) -> None:
    """Zoomed at image 10; the camera_info of images 9 and 10 are lost, so nobody knows of which they are."""
    bag = Drive(zoom_at=10, infos_lost=(9, 10)).write(tmp_path / "bag")
    report = import_bag(bag, tmp_path / "scene", BagConfig(**EVERY_IMAGE))
    assert report.dropped == {"no usable camera_info": 2}
    for frame in load_scene(tmp_path / "scene").frames:
        number = (frame.stamp_ns - START_NS) // IMAGE_NS
        assert float(frame.camera.matrix[0, 0]) == MATRIX[0, 0] * (2 if number >= 10 else 1)


def test_a_bag_of_quaternions_without_length_says_so(tmp_path: Path) -> None:
    bag = Drive(images=3, poses="zero").write(tmp_path / "bag")
    with pytest.raises(
        SceneError, match="transforms odom -> base_link were left out: their quaternions have no"
    ):
        import_bag(bag, tmp_path / "scene", BagConfig(**EVERY_IMAGE))
