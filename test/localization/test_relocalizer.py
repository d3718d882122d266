# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ace_ros.config import RansacConfig, override, training_preset
from ace_ros.data.scene import Frame, load_scene, read_grey
from ace_ros.errors import CameraError, ConfigError, MapError
from ace_ros.evaluation.evaluate import evaluate, write_report
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.metrics import pose_error
from ace_ros.landmarks.landmarks import Landmarks
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.map_scene import MappingSetup, map_scene
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.network.encoder_file import EncoderCard, LoadedEncoder
from ace_ros.pnp import PoseBatch, Reason
from support import SMALL, Trained


@pytest.fixture(scope="module")
def relocalizer(trained: Trained) -> Relocalizer:
    return Relocalizer(SceneMap.load(trained.map_path), device="cpu")


def test_images_beside_the_drive_are_localized(relocalizer: Relocalizer, trained: Trained) -> None:
    evaluation = evaluate(load_scene(trained.scene, "test"), relocalizer)
    assert torch.isfinite(evaluation.translation_m).all()
    assert float(evaluation.translation_m.median()) < 0.01
    assert float(evaluation.rotation_rad.median().rad2deg()) < 0.3
    assert (evaluation.inliers > 50).all()


def test_landmarks_refine_what_the_head_says(relocalizer: Relocalizer, trained: Trained) -> None:
    """The head is moved by 3 cm, the landmarks are not."""
    (chunk,), off = trained.scene_map.chunks, torch.tensor([0.0, 0.03, 0.0], dtype=torch.float64)
    marks = chunk.landmarks
    assert len(marks) > 500
    points, seen_from = marks.points - off.float(), marks.seen_from - off.float()
    moved = replace(chunk, centre=chunk.centre + off, landmarks=Landmarks(points, seen_from, marks.features))
    scene_map = replace(trained.scene_map, chunks=(moved,))
    scene = load_scene(trained.scene, "test")
    refined, coarse = (
        float(
            evaluate(scene, Relocalizer(scene_map, device="cpu", use_landmarks=s)).translation_m.nanmedian()
        )
        for s in (True, False)
    )
    assert refined < 0.015 and 0.02 < coarse < 0.04


def test_mapping_images_are_localized_better_still(relocalizer: Relocalizer, trained: Trained) -> None:
    frame = load_scene(trained.scene).frames[5]
    found = relocalizer.localize(read_grey(frame.image_path), frame.camera)
    metres, radians = pose_error(found.T_map_camera[0], frame.T_map_camera)
    assert bool(found.ok[0]) and float(metres) < 0.02 and float(radians.rad2deg()) < 0.5
    sigma = found.covariance[0].diagonal().sqrt()
    assert torch.isfinite(sigma).all() and (sigma > 0).all() and float(sigma[:3].max()) < 1.0


def test_options_that_come_with_an_image_are_for_that_image_alone(
    relocalizer: Relocalizer, trained: Trained
) -> None:
    frame = load_scene(trained.scene).frames[5]
    image, strict = read_grey(frame.image_path), RansacConfig(min_inliers=100_000)
    poses = [relocalizer.localize(image, frame.camera, ransac=ransac) for ransac in (None, strict, None)]
    assert [bool(p.ok[0]) for p in poses] == [True, False, True]
    torch.testing.assert_close(poses[2].T_map_camera, poses[0].T_map_camera, atol=0, rtol=0)


@pytest.mark.parametrize("size", [(640, 480), (160, 120), (321, 239)])
def test_an_image_of_another_size_gives_the_same_pose(
    relocalizer: Relocalizer, trained: Trained, size: tuple[int, int]
) -> None:
    frame = load_scene(trained.scene).frames[5]
    image = cv2.resize(read_grey(frame.image_path), size, interpolation=cv2.INTER_AREA)
    found = relocalizer.localize(image, frame.camera.resize(*size))
    metres, radians = pose_error(found.T_map_camera[0], frame.T_map_camera)
    assert bool(found.ok[0]) and float(metres) < 0.25 and float(radians.rad2deg()) < 5.0


def test_colour_grey_and_batched_images_give_the_same_answer(
    relocalizer: Relocalizer, trained: Trained
) -> None:
    frames = load_scene(trained.scene).frames[5:7]
    grey = np.stack([read_grey(f.image_path) for f in frames])
    single = relocalizer.predict(grey[0], frames[0].camera)
    batch = relocalizer.predict(grey, frames[0].camera)
    colour = relocalizer.predict(np.repeat(grey[0][..., None], 3, axis=2), frames[0].camera)
    assert batch.points.shape[0] == 2
    torch.testing.assert_close(batch.points[0], single.points[0], atol=0.05, rtol=0)
    torch.testing.assert_close(colour.points, single.points)
    assert single.pixels.amin() >= 0
    assert (single.pixels.amax(0) <= torch.tensor([319.5, 239.5])).all()


@pytest.mark.parametrize("kind", ["noise", "black", "gradient"])
def test_an_image_of_nothing_known_has_no_pose_and_a_reason(relocalizer: Relocalizer, kind: str) -> None:
    images = {
        "noise": np.random.default_rng(0).integers(0, 255, (240, 320), dtype=np.uint8),
        "black": np.zeros((240, 320), np.uint8),
        "gradient": np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1)),
    }
    camera = Camera(torch.tensor([[260.0, 0, 159.5], [0, 260.0, 119.5], [0, 0, 1.0]]), (320, 240))
    found = relocalizer.localize(images[kind], camera)
    assert not bool(found.ok[0]) and int(found.reason[0]) > 0
    assert torch.isnan(found.T_map_camera).all() and torch.isnan(found.covariance).all()


def test_images_that_are_none_are_refused_by_name(relocalizer: Relocalizer) -> None:
    camera = Camera(torch.tensor([[260.0, 0, 159.5], [0, 260.0, 119.5], [0, 0, 1.0]]), (320, 240))
    with pytest.raises(CameraError, match="the image is 640x480, its camera_info says 320x240"):
        relocalizer.localize(np.zeros((480, 640), np.uint8), camera)
    with pytest.raises(CameraError, match="must be uint8"):
        relocalizer.localize(np.zeros((240, 320), np.float32), camera)
    with pytest.raises(CameraError, match="must be uint8"):
        relocalizer.localize(np.zeros((0, 320), np.uint8), camera)


def test_devices_that_are_not_there_are_refused(trained: Trained) -> None:
    for device in ("cuda:7", "tpu", "meta"):
        with pytest.raises(ConfigError, match="device"):
            Relocalizer(trained.scene_map, device=device)


def test_the_report_holds_a_table_of_all_frames_and_pictures(
    relocalizer: Relocalizer, trained: Trained, tmp_path: object
) -> None:
    pytest.importorskip("matplotlib")
    scene = load_scene(trained.scene, "test")
    evaluation = evaluate(scene, relocalizer)
    files = write_report(tmp_path, evaluation, scene, relocalizer)  # type: ignore[arg-type]
    lines = files[0].read_text().splitlines()
    assert len(lines) == 1 + len(scene.frames)
    assert lines[1].startswith(scene.frames[0].image_path.name)
    for path in files[1:]:
        assert path.suffix == ".png" and path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


class Patches(nn.Module):
    """The plainest encoder: the brightness of the cell's quarters."""

    def forward(self, grey: Tensor) -> Tensor:
        return nn.functional.pixel_unshuffle(nn.functional.avg_pool2d(grey, 4), 2)


@pytest.mark.slow
def test_any_module_can_be_the_encoder(trained: Trained) -> None:
    card = EncoderCard("patches", 4, 8, 8, "not at all", {})
    encoder = LoadedEncoder(Patches().eval(), card, "0123")
    config = override(training_preset("fast"), {**SMALL, "steps": 5})
    scene_map, _ = map_scene(
        load_scene(trained.scene), config, MappingSetup(torch.device("cpu"), encoder=encoder)
    )
    channels = scene_map.chunks[0].head.channels
    assert (scene_map.encoder, scene_map.encoder_hash, channels) == ("patches", "0123", 4)
    frame = load_scene(trained.scene).frames[0]
    relocalizer = Relocalizer(scene_map, device="cpu", encoder=encoder)
    seen = relocalizer.predict(read_grey(frame.image_path), frame.camera)
    assert torch.isfinite(seen.points).all()
    with pytest.raises(MapError, match="no encoder 'patches' ships"):
        Relocalizer(scene_map, device="cpu")


BEST = RansacConfig(ambiguous_share=1.0)  # the chunk with most inliers wins, however near another is


def spoiled(chunk: Chunk, noise: float, seed: int) -> Chunk:
    """Return a chunk that knows the place less well, or with much noise not at all."""
    head = copy.deepcopy(chunk.head)
    generator = torch.Generator().manual_seed(seed)
    for weight in head.parameters():
        weight += noise * weight.std() * torch.randn(weight.shape, generator=generator)
    shift = torch.tensor([100.0 * seed, 0.0, 0.0], dtype=torch.float64)
    marks = chunk.landmarks
    if noise > 1.0:
        marks = replace(marks, features=marks.features.flip(1))
    centre, bounds = chunk.centre + shift, chunk.bounds + shift
    return replace(chunk, head=head, centre=centre, bounds=bounds, landmarks=marks)


@pytest.fixture(scope="module")
def ensemble(trained: Trained) -> SceneMap:
    """Return a place of five chunks, of which number 3 knows the trained scene best."""
    scene_map = SceneMap.load(trained.map_path)
    noise = (3.0, 0.15, 3.0, 0.0, 0.3)
    chunks = tuple(spoiled(scene_map.chunks[0], n, seed) for seed, n in enumerate(noise))
    return replace(scene_map, chunks=chunks)


def test_an_ensemble_answers_as_the_best_of_its_chunks_alone(ensemble: SceneMap, trained: Trained) -> None:
    together = Relocalizer(ensemble, BEST, device="cpu")
    alone = [Relocalizer(replace(ensemble, chunks=(c,)), device="cpu") for c in ensemble.chunks]
    frames = load_scene(trained.scene, "test").frames[::3]
    for frame in frames:
        image = read_grey(frame.image_path)
        found = together.localize(image, frame.camera)
        each = [r.localize(image, frame.camera) for r in alone]
        best = max(each, key=lambda p: (bool(p.ok[0]), int(p.inliers.sum())))
        assert bool(found.ok[0]) and bool(best.ok[0])
        torch.testing.assert_close(found.T_map_camera, best.T_map_camera, atol=2e-3, rtol=0)
        assert abs(int(found.inliers.sum()) - int(best.inliers.sum())) < 10
        assert 290.0 < float(found.T_map_camera[0, 0, 3]) < 310.0  # chunk 3 lies 300 m away


def test_a_batch_of_images_answers_as_its_images_alone(ensemble: SceneMap, trained: Trained) -> None:
    relocalizer = Relocalizer(ensemble, BEST, device="cpu")
    frames = load_scene(trained.scene).frames[5:8]
    images = np.stack([read_grey(f.image_path) for f in frames])
    images[1] = 0  # nothing there: no chunk, but it has its row
    batch = relocalizer.localize(images, frames[0].camera)
    assert batch.ok.tolist() == [True, False, True]
    assert batch.inliers.shape[0] == 3
    for row in (0, 2):
        single = relocalizer.localize(images[row], frames[0].camera)
        torch.testing.assert_close(batch.T_map_camera[row], single.T_map_camera[0], atol=0.02, rtol=0)


def test_without_one_of_its_chunks_a_map_still_localizes_there_by_the_others(
    ensemble: SceneMap, trained: Trained
) -> None:
    chunks = tuple(c for n, c in enumerate(ensemble.chunks) if n != 3)
    relocalizer = Relocalizer(replace(ensemble, chunks=chunks, missing={3: "damaged"}), BEST, "cpu")
    frame = load_scene(trained.scene).frames[5]
    found = relocalizer.localize(read_grey(frame.image_path), frame.camera)
    assert bool(found.ok[0]) and 90.0 < float(found.T_map_camera[0, 0, 3]) < 110.0


AWAY = torch.tensor([100.0, 0.0, 0.0], dtype=torch.float64)  # from chunk to chunk of the following


def place_of(trained: Trained, *noise: float) -> SceneMap:
    """Return a place of chunks 100 m apart, which know the trained scene less the more noise they have."""
    scene_map = SceneMap.load(trained.map_path)
    return replace(scene_map, chunks=tuple(spoiled(scene_map.chunks[0], n, i) for i, n in enumerate(noise)))


@pytest.fixture(scope="module")
def known(trained: Trained) -> list[Frame]:
    """Return some test images; the scene's own map localizes all."""
    alone = Relocalizer(SceneMap.load(trained.map_path), device="cpu")
    frames = load_scene(trained.scene, "test").frames
    found = [f for f in frames if alone.localize(read_grey(f.image_path), f.camera).ok]
    assert len(found) == len(frames)
    return found[::3]


def show(relocalizer: Relocalizer, frame: Frame, expected: Tensor | None = None) -> PoseBatch:
    return relocalizer.localize(read_grey(frame.image_path), frame.camera, expected)


def chunk_of(found: PoseBatch) -> int:
    return round(float(found.T_map_camera[0, 0, 3]) / 100.0)


@pytest.mark.parametrize("noise", [(0.0, 0.0), (3.0, 0.0, 0.05), (0.0, 3.0, 3.0, 0.0)])
def test_chunks_that_look_alike_are_ambiguous(
    trained: Trained, known: list[Frame], noise: tuple[float, ...]
) -> None:
    relocalizer = Relocalizer(place_of(trained, *noise), device="cpu")
    for frame in known:
        found = show(relocalizer, frame)
        assert not bool(found.ok[0]) and Reason(int(found.reason[0])) is Reason.AMBIGUOUS_PLACE
        assert torch.isnan(found.T_map_camera).all() and torch.isnan(found.covariance).all()
        assert int(found.inliers[0].sum()) > 50


def test_of_chunks_that_look_alike_the_expected_one_is_believed(trained: Trained, known: list[Frame]) -> None:
    relocalizer = Relocalizer(place_of(trained, 0.0, 3.0, 0.0), device="cpu")
    for frame in known:
        for number in (0, 2):
            expected = frame.T_map_camera[:3, 3] + number * AWAY + 0.5
            found = show(relocalizer, frame, expected)
            assert bool(found.ok[0]) and chunk_of(found) == number
        halfway = show(relocalizer, frame, frame.T_map_camera[:3, 3] + AWAY)
        assert int(halfway.reason[0]) == Reason.AMBIGUOUS_PLACE


def test_overlapping_chunks_that_agree_are_one_answer(trained: Trained, known: list[Frame]) -> None:
    scene_map = place_of(trained, 0.0, 0.1)
    own, other = scene_map.chunks
    beside = replace(other, centre=own.centre, bounds=own.bounds)
    together = Relocalizer(replace(scene_map, chunks=(own, beside)), device="cpu")
    alone = Relocalizer(replace(scene_map, chunks=(own,)), device="cpu")
    for frame in known:
        found, expected = show(together, frame), show(alone, frame)
        assert bool(found.ok[0])
        assert float(pose_error(found.T_map_camera[0], expected.T_map_camera[0])[0]) < 0.1


def test_a_robot_that_was_carried_is_found_as_if_nothing_was_expected(
    trained: Trained, known: list[Frame]
) -> None:
    # Where it is expected nothing is known, or a part of what it sees: a room that looks similar.
    for there in (3.0, 0.5):
        relocalizer = Relocalizer(place_of(trained, there, 3.0, 0.0), device="cpu")
        for frame in known:
            anywhere = show(relocalizer, frame)
            carried = show(relocalizer, frame, frame.T_map_camera[:3, 3])
            assert torch.equal(carried.ok, anywhere.ok)
            assert torch.equal(carried.T_map_camera.nan_to_num(), anywhere.T_map_camera.nan_to_num())
            assert bool(carried.ok[0]) and chunk_of(carried) == 2


def test_chunks_away_from_the_expected_position_explain_an_image_only_if_those_around_it_do_not(
    trained: Trained,
) -> None:
    ransac = RansacConfig(ambiguous_share=0.3)
    relocalizer = Relocalizer(place_of(trained, 3.0, 0.0, 3.0, 0.0), ransac, device="cpu")
    frame = load_scene(trained.scene).frames[5]  # a mapping image, of which the map is sure
    at = frame.T_map_camera[:3, 3]

    def explaining(expected: Tensor | None) -> set[int]:
        return set(relocalizer.predict(read_grey(frame.image_path), frame.camera, expected).chunk.tolist())

    assert explaining(None) == {1, 3}
    assert explaining(at + AWAY) == {1}
    assert explaining(at) == {1, 3}  # chunk 0 does not know the image
