# SPDX-License-Identifier: Apache-2.0
"""The published encoder of ACE, for users who have its checkpoint and accept its licence.

The weights are not ours to ship: they are for non-commercial use. This module knows the
architecture (Brachmann et al., CVPR 2023, supplement) and reads the tensors; nothing in the file
is executed.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ace_ros.errors import MapError
from ace_ros.files.limits import MAX_CHECKPOINT_BYTES
from ace_ros.files.outside import open_plain, refusing

SUFFIX = ".pt"
# In versions before, `weights_only` can be circumvented: CVE-2025-32434, CVE-2026-24747.
SAFE_TORCH = "2.10"
# What the description of a state dict of dense tensors calls, as pickle's opcode names it.
CALLED = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
    "torch FloatStorage", "torch HalfStorage", "torch BFloat16Storage", "torch DoubleStorage",
}  # fmt: skip


class AceEncoder(nn.Module):
    """Eleven convolutions with two residual blocks: 512 channels at stride 8.

    Names are those of the checkpoint. Its stride-2 convolutions have a kernel of 3, so a cell looks
    at a window around pixel 8i; like its authors we say that it shows the middle of the cell.
    """

    stride = 8
    channels = 512
    receptive_field_px = 81

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 2, 1)
        self.conv3 = nn.Conv2d(64, 128, 3, 2, 1)
        self.conv4 = nn.Conv2d(128, 256, 3, 2, 1)
        self.res1_conv1 = nn.Conv2d(256, 256, 3, 1, 1)
        self.res1_conv2 = nn.Conv2d(256, 256, 1)
        self.res1_conv3 = nn.Conv2d(256, 256, 3, 1, 1)
        self.res2_conv1 = nn.Conv2d(256, 512, 3, 1, 1)
        self.res2_conv2 = nn.Conv2d(512, 512, 1)
        self.res2_conv3 = nn.Conv2d(512, 512, 3, 1, 1)
        self.res2_skip = nn.Conv2d(256, 512, 1)

    def forward(self, grey: Tensor) -> Tensor:
        """Return features (B, 512, H // 8, W // 8) of grey images (B, 1, H, W) in [0, 1]."""
        height, width = (n // self.stride * self.stride for n in grey.shape[2:])
        x = (grey[:, :, :height, :width] - 0.4) / 0.25
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(conv(x))
        y = x
        for conv in (self.res1_conv1, self.res1_conv2, self.res1_conv3):
            y = F.relu(conv(y))
        x = x + y
        y = x
        for conv in (self.res2_conv1, self.res2_conv2, self.res2_conv3):
            y = F.relu(conv(y))
        return self.res2_skip(x) + y


def load(path: Path) -> AceEncoder:
    """Read a checkpoint. Raises MapError when it is missing or holds anything but these weights."""
    if torch.__version__ < SAFE_TORCH:  # these compare as versions, not as text
        raise MapError(
            f"{path}: is a pickle, which torch {torch.__version__} cannot read without the risk of running "
            f"what is hidden in it; expected torch {SAFE_TORCH} or newer"
        )
    with open_plain(path, MapError) as file:
        _check_archive(path, file)
        file.seek(0)
        with refusing(MapError, path, "not a checkpoint of tensors alone"):
            # weights_only reads tensors and plain containers; any other object in the file is refused.
            state = torch.load(file, map_location="cpu", weights_only=True)
    encoder = AceEncoder()
    expected = encoder.state_dict()
    if not isinstance(state, dict) or set(state) != set(expected):
        raise MapError(f"{path}: not the encoder of ACE, whose tensors are {', '.join(sorted(expected))}")
    for name, tensor in expected.items():
        if not isinstance(state[name], Tensor) or state[name].shape != tensor.shape:
            found = tuple(getattr(state[name], "shape", ()))
            raise MapError(f"{path}: {name} must be {tuple(tensor.shape)} as in ACE's encoder, got {found}")
        if state[name].layout != torch.strided or not torch.isfinite(state[name].float()).all():
            raise MapError(f"{path}: {name} has values that are not finite numbers")
    with refusing(MapError, path, "not the encoder of ACE"):
        encoder.load_state_dict({k: v.float() for k, v in state.items()})
    return encoder


def _check_archive(path: Path, file: BinaryIO) -> None:
    """Raise MapError unless unpacking a checkpoint takes no more than its size, and makes tensors alone.

    `weights_only` executes nothing, but it lets a few bytes ask for any amount of memory.
    """
    what = "not a checkpoint as PyTorch 1.6 or later writes it"
    with refusing(MapError, path, what), zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise MapError(f"{path}: has compressed parts, which PyTorch does not write")
        size = sum(member.file_size for member in members)
        if size > MAX_CHECKPOINT_BYTES:
            raise MapError(f"{path}: holds {size} bytes, ACE's encoder has about 22 million")
        for member in members:
            if member.filename.endswith("/data.pkl"):
                _check_pickle(path, archive.read(member))


def _check_pickle(path: Path, data: bytes) -> None:
    """Raise MapError where the description of the tensors calls anything but what makes tensors."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("STACK_GLOBAL", "INST") or (opcode.name == "GLOBAL" and argument not in CALLED):
            raise MapError(f"{path}: not a checkpoint of tensors alone: it calls {str(argument)[:80]}")
