# SPDX-License-Identifier: Apache-2.0
"""The mapper node: records keyframes while the robot drives, and trains maps from them."""

from __future__ import annotations

import threading
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger
from torch import Tensor

from ace_ros.errors import AceError
from ace_ros.msg import MappingStatus
from ace_ros.nodes.camera_input import CameraInput
from ace_ros.nodes.camera_source import CameraSource
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.mapping_views import MappingViews
from ace_ros.nodes.options import MapperConfig
from ace_ros.nodes.parameters import Parameters
from ace_ros.nodes.pose_source import OdometryBuffer
from ace_ros.nodes.publishing import LATCHED, SENSOR, SERVICE, publish, subscribe_depth
from ace_ros.nodes.recording import STOP_TIMEOUT_S, Recording
from ace_ros.nodes.storage import Storage
from ace_ros.nodes.tf_tree import TfTree
from ace_ros.nodes.train_request import RefusedError, read_train_request
from ace_ros.nodes.trainer_process import TrainerProcess, map_command
from ace_ros.nodes.training_messages import fill_train_response, fill_training_status
from ace_ros.srv import Train

STATUS_PERIOD_S = 0.5


class Mapper(Node):
    """Services record, train, cancel_training; topics mapping_status, keyframes and mapping_cloud."""

    def __init__(self) -> None:
        super().__init__("mapper", automatically_declare_parameters_from_overrides=True)
        self.faults = Faults(self)
        self._parameters_of = Parameters(self, MapperConfig)
        config = self.config
        self._storage = Storage(config.data_dir)
        self._lock = threading.RLock()  # guards the change between idle, recording and training
        self._recording: Recording | None = None
        self._trainer: TrainerProcess | None = None
        self._map_name = ""
        self._failure = ""
        self._message = "ready to record"
        self._published_state = -1
        self._cameras = CameraSource(self.resolve_topic_name("camera_info"), config.rectified)
        self._tf = TfTree(self, self._on_jump)
        self._odometry: OdometryBuffer | None = None
        if config.pose_source == "topic":
            self._subscribe_odometry(config)
        self._odometry_changed = (self._odometry or self._tf).changed
        self._depth = subscribe_depth(self, lambda: self.config, self._look_up, self._odometry_changed)
        self._input = CameraInput(
            self, config.image_transport, config.image_reliability, self._on_image, self._cameras.take,
            self._publish_status, self.faults,
        )  # fmt: skip
        self._status_publisher = self.create_publisher(MappingStatus, "mapping_status", LATCHED)
        self._views = MappingViews(self)
        service: Any = {"qos_profile": SERVICE, "callback_group": ReentrantCallbackGroup()}
        self.create_service(SetBool, "record", self._on_record, **service)
        self.create_service(Train, "train", self._on_train, **service)  # may wait for minutes
        self.create_service(Trigger, "cancel_training", self._on_cancel, **service)
        self.create_timer(STATUS_PERIOD_S, self._on_timer, callback_group=MutuallyExclusiveCallbackGroup())
        self._publish_status()

    @property
    def config(self) -> MapperConfig:
        """The options as they are now."""
        config: MapperConfig = self._parameters_of[MapperConfig]
        return config

    def close(self) -> None:
        """End recording and training; what was recorded is kept."""
        with self._lock:
            recording, trainer = self._recording, self._trainer
        if recording is not None:
            recording.stop()
        if trainer is not None and trainer.outcome is None:
            trainer.cancel()
            trainer.wait()

    # Poses and images

    def _subscribe_odometry(self, config: MapperConfig) -> None:
        self._odometry = OdometryBuffer(
            config.odom_frame, config.base_frame, config.max_odometry_gap_s, self._on_jump
        )
        group = MutuallyExclusiveCallbackGroup()
        self.create_subscription(Odometry, "odom", self._odometry.add, SENSOR, callback_group=group)

    def _look_up(self, frame: str, stamp: int) -> Tensor:
        """Return T_odom_frame (4, 4) of a frame on the robot at a stamp in nanoseconds. Raises NoPose."""
        config = self.config
        if self._odometry is None:
            return self._tf.look_up(config.odom_frame, frame, stamp)
        T_odom_base = self._odometry.look_up(stamp)
        return T_odom_base @ self._tf.look_up(config.base_frame, frame, stamp)

    def _on_jump(self, reason: str) -> None:
        recording = self._recording
        if recording is not None and recording.active and not recording.odometry_jump:
            recording.odometry_jump = f"{reason}; what was recorded before is kept, start a new recording"
            self.get_logger().warning(recording.odometry_jump)

    def _on_image(self, message: Any) -> None:
        recording = self._recording
        if recording is not None and recording.active:
            recording.offer(message)

    # Services

    def _on_record(self, request: Any, response: Any) -> Any:
        response.success, response.message = self._start() if request.data else self._stop()
        self.get_logger().info(f"record {str(bool(request.data)).lower()}: {response.message}")
        self._publish_status()
        return response

    def _start(self) -> tuple[bool, str]:
        with self._lock:
            if self._recording is not None and not self._recording.ended:
                return False, f"a recording into {self._recording.folder} runs already"
            if self._is_training():
                return False, f"map {self._map_name!r} is being trained; wait, or call cancel_training"
            config, last = self.config, self._recording
            try:
                if config.continue_recording and last is not None:
                    folder = last.folder
                else:
                    folder = self._storage.new_scene(config.scene_name)
                self._recording = Recording(
                    folder, lambda: self.config, self._cameras, self._look_up, self._odometry_changed,
                    self._on_failed, self.faults.take, self._depth,
                )  # fmt: skip
            except (AceError, OSError) as error:
                self._failure = f"recording could not begin: {error}"
                return False, self._failure
            self._failure = ""
            self._views.begin_recording()
            self._message = f"recording into {folder}"
            return True, self._message

    def _stop(self) -> tuple[bool, str]:
        recording = self._recording
        if recording is None or recording.ended:
            return True, "nothing was being recorded"
        ended = recording.stop()
        if recording.failure:
            return False, recording.failure
        if ended:
            self._message = f"recorded {recording.summary}"
        else:
            self._message = (
                f"the recording has not ended within {STOP_TIMEOUT_S:.0f} s, {recording.unwritten + 1} "
                f"images are still to be written; until now {recording.summary}"
            )
        self._show_keyframes()
        return ended, self._message

    def _on_train(self, request: Any, response: Any) -> Any:
        trainer = self._begin_training(request, response)
        self._publish_status()
        if trainer is None:
            self.get_logger().warning(f"train refused: {response.message}")
            return response
        if not request.wait:
            response.success, response.result = True, Train.Response.STARTED
            response.message = f"training has begun; follow {self._status_publisher.topic_name}"
            return response
        outcome = trainer.wait()
        return fill_train_response(response, outcome) if outcome else response

    def _begin_training(self, request: Any, response: Any) -> TrainerProcess | None:
        """Start the trainer and return it; None with the response filled where it is refused."""
        with self._lock:
            try:
                least = self.config.min_keyframes
                wanted = read_train_request(request, self._storage, least, self._busy())
                command = map_command(
                    self.config, str(wanted.scene), str(wanted.map_path), wanted.preset, wanted.budget_s
                )
            except AceError as error:
                invalid = Train.Response.INVALID_REQUEST
                response.success, response.message = False, str(error)
                response.result = error.result if isinstance(error, RefusedError) else invalid
                return None
            response.map_path = str(wanted.map_path)
            self._failure = ""
            self._map_name = request.map_name
            self._message = (
                f"training map {request.map_name!r} from {wanted.keyframes} keyframes in {wanted.scene}"
            )
            self._trainer = TrainerProcess(command, self._on_trainer, on_error=self.faults.take)
            return self._trainer

    def _busy(self) -> str:
        """Return why no training can begin now, empty where one can."""
        if self._is_recording():
            return "images are being recorded; stop that first"
        return f"map {self._map_name!r} is being trained already" if self._is_training() else ""

    def _on_cancel(self, request: Any, response: Any) -> Any:
        trainer = self._trainer
        if trainer is None or trainer.outcome is not None:
            response.success, response.message = False, "nothing is being trained"
            return response
        trainer.cancel()
        outcome = trainer.wait()
        response.success = outcome is not None and outcome.kind == "cancelled"
        response.message = outcome.message if outcome else ""
        return response

    # Status

    def _is_recording(self) -> bool:
        return self._recording is not None and not self._recording.ended

    def _is_training(self) -> bool:
        return self._trainer is not None and self._trainer.outcome is None

    def _on_failed(self) -> None:
        assert self._recording is not None  # it calls this
        self._failure = self._recording.failure
        self._publish_status()  # before logging: the log may be on the same full disk
        self.get_logger().error(self._failure)

    def _on_trainer(self, trainer: TrainerProcess) -> None:
        outcome = trainer.outcome
        if outcome is None:
            return  # progress may come faster than anyone wants to read it; the timer publishes it
        with self._lock:  # which `_begin_training` holds until it knows the trainer
            self._message = f"map {self._map_name!r}: {outcome.message}"
            if outcome.kind == "failed":
                self._failure = self._message
        self._publish_status()
        self.get_logger().info(self._message)

    def _on_timer(self) -> None:
        if self._is_recording():
            self._show_keyframes()
        changed = self._state() != self._published_state
        if changed and self._published_state == MappingStatus.RECORDING and self._recording is not None:
            self._message = f"recorded {self._recording.summary}"  # it ended later than it was asked to
        if self._is_recording() or self._is_training() or changed:
            self._publish_status()
        self._views.show_cloud(self._trainer.cloud if self._trainer else {}, self.config.map_frame)

    def _show_keyframes(self) -> None:
        assert self._recording is not None  # there is none to show before the first
        self._views.show_keyframes(list(self._recording.keyframes), self.config.odom_frame)

    def _state(self) -> int:
        if self._is_training():
            return int(MappingStatus.TRAINING)
        if self._is_recording():
            return int(MappingStatus.RECORDING)
        return int(MappingStatus.FAILED if self._failure else MappingStatus.IDLE)

    def _publish_status(self) -> None:
        status = MappingStatus(message=self._message)
        status.header.stamp = self.get_clock().now().to_msg()
        status.header.frame_id = self.config.map_frame
        status.state = self._published_state = self._state()
        if status.state == MappingStatus.FAILED:
            status.message = self._failure
        self._fill_recording(status)
        self._input.fill(status)
        status.map_name = self._map_name
        fill_training_status(status, self._trainer.progress if self._trainer else {})
        publish(self, self._status_publisher, status)

    def _fill_recording(self, status: Any) -> None:
        recording = self._recording
        if recording is None:
            return
        status.scene = str(recording.folder)
        status.keyframes = recording.frames
        status.distance_m = float(recording.distance_m)
        status.last_drop = recording.last_drop
        for name, count in vars(recording.counts).items():
            setattr(status, name, count)
