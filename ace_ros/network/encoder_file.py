# SPDX-License-Identifier: Apache-2.0
"""Encoders on disk: shipped ones, a user's own, and the published ACE encoder's checkpoint.

Our files are safetensors with a card in the header. The content hash of the tensors is what a map
remembers of its encoder: features of other weights mean nothing to its head.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ace_ros.errors import MapError
from ace_ros.files.json_text import is_number, is_whole, parse_json
from ace_ros.files.outside import refusing
from ace_ros.files.tensor_file import read_tensor_file, write_tensor_file
from ace_ros.network import ace_checkpoint
from ace_ros.network.encoder import Encoder, EncoderShape, receptive_field_px

FORMAT = "ace_ros encoder"
FORMAT_VERSION = 2
WEIGHTS_DIR = Path(__file__).parent / "weights"
MAX_CHANNELS, MAX_LEVELS, MAX_BLOCKS = 2048, 4, 16  # limits on what a foreign header may ask for


@dataclass(frozen=True)
class EncoderCard:
    """What an encoder says about itself. `training` says in words how it was trained, and on what."""

    name: str
    channels: int
    stride: int
    receptive_field_px: int
    training: str
    figures: dict[str, float]


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder ready for use, its card, and the hash of its weights.

    `module` takes grey images (B, 1, H, W) in [0, 1] to features (B, C, H // stride, W // stride),
    of which cell i sits at pixel stride * i + (stride - 1) / 2. It is in evaluation mode, float32,
    without gradients; `load_encoder` leaves it on the CPU.
    """

    module: nn.Module
    card: EncoderCard
    content_hash: str

    def to(self, device: torch.device) -> LoadedEncoder:
        """Return the encoder on a device: this one if it is there, otherwise a copy of it."""
        if all(p.device == torch.empty(0, device=device).device for p in self.module.parameters()):
            return self
        return replace(self, module=copy.deepcopy(self.module).to(device))


def save_encoder(path: Path, encoder: Encoder, training: str, figures: dict[str, float]) -> None:
    """Write an encoder's weights in half precision, ready for use, with its card and content hash."""
    plain = encoder.folded()
    state = {k: v.half().contiguous() for k, v in plain.state_dict().items()}
    card = EncoderCard(
        path.stem, plain.channels, plain.stride, receptive_field_px(plain.shape), training, figures
    )
    header = {
        "card": json.dumps(asdict(card)),
        "shape": json.dumps(asdict(plain.shape)),
        "content_hash": content_hash(state),
    }
    write_tensor_file(path, state, FORMAT, FORMAT_VERSION, header)


def load_encoder(name_or_path: str | Path = "lite") -> LoadedEncoder:
    """Return a shipped encoder by its name, or the one in a file.

    A file ends in .safetensors if `save_encoder` wrote it, in .pt if it is the published encoder of
    ACE. Raises MapError when it is missing, foreign, damaged or altered.
    """
    path = Path(name_or_path)
    if path.suffix == ace_checkpoint.SUFFIX:
        return _load_ace_checkpoint(path)
    if path.suffix != ".safetensors":
        # Compared, not joined: the name may be from a map's header, and lead elsewhere.
        path = WEIGHTS_DIR / f"{path.name}.safetensors"
        if str(name_or_path) not in shipped_encoders():
            raise MapError(
                f"no encoder {str(name_or_path)[:80]!r} ships with ace_ros; there are "
                f"{', '.join(shipped_encoders())}, or name a .safetensors file or ACE's .pt checkpoint"
            )
    state, header = read_tensor_file(path, FORMAT, FORMAT_VERSION)
    found = content_hash(state)
    if header.get("content_hash") != found:
        raise MapError(
            f"{path}: the weights have been altered: content hash {found}, "
            f"the header says {header.get('content_hash', 'nothing')[:80]!r}"
        )
    card = _checked_card(path, header)
    shape = _checked_shape(path, header)
    if not all(torch.isfinite(v.float()).all() for v in state.values()):
        raise MapError(f"{path}: the weights have values that are not finite numbers")
    with torch.device("meta"):  # a header may ask for more memory than there is
        encoder = Encoder(shape)
    with refusing(MapError, path, "not an encoder that this version can run"):
        encoder.load_state_dict({k: v.float() for k, v in state.items()}, assign=True)
    if (card.channels, card.stride) != (encoder.channels, encoder.stride):
        raise MapError(
            f"{path}: its card says {card.channels} channels at stride {card.stride}, "
            f"its weights give {encoder.channels} at {encoder.stride}"
        )
    return _ready(encoder, card, found)


def shipped_encoders() -> list[str]:
    """Return the names of the encoders that ship with ace_ros."""
    return sorted(p.stem for p in WEIGHTS_DIR.glob("*.safetensors"))


def content_hash(state: dict[str, Tensor]) -> str:
    """Return a hash of names, shapes, types and values of tensors, whatever file they are in."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _checked_card(path: Path, header: dict[str, str]) -> EncoderCard:
    """Return what a header says of its encoder. Raises MapError."""
    values = parse_json(header.get("card", ""), f"{path}: card", MapError)
    numbers = ("channels", "stride", "receptive_field_px")
    if (
        not isinstance(values, dict)
        or values.keys() != EncoderCard.__annotations__.keys()
        or not all(isinstance(values[key], str) for key in ("name", "training"))
        or not all(is_whole(values[key], 1) for key in numbers)
        or not isinstance(values["figures"], dict)
        or not all(map(is_number, values["figures"].values()))
    ):
        raise MapError(f"{path}: its card is not that of an encoder: {str(values)[:80]}")
    return EncoderCard(**values)


def _checked_shape(path: Path, header: dict[str, str]) -> EncoderShape:
    """Return the shape that a header describes, within the limits of this version. Raises MapError."""
    values = parse_json(header.get("shape", ""), f"{path}: shape", MapError)
    if not (
        isinstance(values, dict)
        and values.keys() == EncoderShape.__annotations__.keys()
        and _are_channels(values["stem"], 3, 3)
        and _are_channels(values["context"], 0, MAX_LEVELS)
        and is_whole(values["inner"], 1, MAX_CHANNELS)
        and is_whole(values["blocks"], 0, MAX_BLOCKS)
    ):
        raise MapError(
            f"{path}: shape {str(values)[:80]} is none that this version can run: expected 1 to "
            f"{MAX_CHANNELS} channels at each of 3 to {3 + MAX_LEVELS} levels and up to {MAX_BLOCKS} blocks"
        )
    first, second, third = values["stem"]
    return EncoderShape((first, second, third), values["inner"], tuple(values["context"]), values["blocks"])


def _are_channels(values: Any, low: int, high: int) -> bool:
    """Return whether a value lists the channels of `low` to `high` levels."""
    return (
        isinstance(values, list)
        and low <= len(values) <= high
        and all(is_whole(value, 1, MAX_CHANNELS) for value in values)
    )


def _load_ace_checkpoint(path: Path) -> LoadedEncoder:
    encoder = ace_checkpoint.load(path)
    card = EncoderCard(
        path.stem,
        encoder.channels,
        encoder.stride,
        encoder.receptive_field_px,
        "by the authors of ACE on 100 scenes of ScanNet; under their licence, which is not ace_ros's",
        {},
    )
    return _ready(encoder, card, content_hash(encoder.state_dict()))


def _ready(encoder: nn.Module, card: EncoderCard, found_hash: str) -> LoadedEncoder:
    """Return an encoder for use: with weights in the order in which convolutions are fast."""
    module = encoder.eval().requires_grad_(False)
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return LoadedEncoder(module, card, found_hash)
