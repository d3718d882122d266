# SPDX-License-Identifier: Apache-2.0
"""Which device to use, and which numbers are fast and safe on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ace_ros.errors import ConfigError

# torch has one precision for the whole process: the first of blocks that overlap keeps what it was.
_lock = threading.Lock()
_blocks = 0
_usual = ""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a user's choice; `auto` takes CUDA when there. Raises ConfigError."""
    return present_device(parse_device(name))


def parse_device(name: str) -> torch.device | None:
    """Return the device that a user names, be it there or on another machine; None for `auto`.

    Raises ConfigError when it is not a device that can be used.
    """
    if name == "auto":
        return None
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    return device


def present_device(device: torch.device | None) -> torch.device:
    """Return a device, or for None CUDA when there, else the CPU. Raises ConfigError when it is not there."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {str(device)!r} is not there; CUDA devices: {torch.cuda.device_count()}")
    return device


def autocast(device: torch.device) -> torch.autocast:
    """Return the autocast context for network layers on a device. Geometry never runs inside it."""
    fast = layer_type(device)
    if fast == torch.float32:
        return torch.autocast(device.type, torch.bfloat16, enabled=False)
    return torch.autocast(device.type, fast)


def layer_type(device: torch.device) -> torch.dtype:
    """Return the type of numbers that network layers work with on a device.

    bfloat16 where the processor multiplies it (three times faster than float32 on CPUs that do),
    float16 on GPUs that do not, float32 on other CPUs.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Return whether this machine's processor has instructions that multiply bfloat16."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # torch without oneDNN, as on some Arm boards
        return False


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep products of float32 matrices in float32: TF32's mantissa of ten bits ruins projections."""
    global _blocks, _usual
    with _lock:
        if _blocks == 0:
            _usual = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision("highest")
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                torch.set_float32_matmul_precision(_usual)
