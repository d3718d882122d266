# SPDX-License-Identifier: Apache-2.0
"""The scene-agnostic encoder: a grey image in, one feature per 8x8 pixels out.

Weights are safetensors files with a card in the header (name, channels, stride, receptive field,
training in words). The content hash of the tensors is what a map remembers of its encoder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ace_ros.errors import MapError
from ace_ros.tensor_file import read_tensor_file, write_tensor_file

FORMAT = "ace_ros encoder"
FORMAT_VERSION = 1
WEIGHTS_DIR = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class EncoderCard:
    """What a weight file says about itself."""

    name: str
    channels: int
    stride: int
    receptive_field_px: int
    training: str
    figures: dict[str, float]


class Encoder(nn.Module):
    """Ten convolutions, stride 8, grey input, unit-variance features.

    The stride-2 convolutions have a kernel of 4 and a padding of 1: they are centred between
    pixels 2i and 2i + 1, so after three of them feature cell i sits exactly at pixel 8i + 3.5.
    (Kernel 3 would centre it at 8i and turn every rotation or rescaling of the image into an error
    of up to two pixels.)
    """

    stride = 8
    receptive_field_px = 88

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        self.channels = channels
        self.stem = nn.ModuleList(
            [
                nn.Conv2d(1, channels // 8, 3, 1, 1),
                nn.Conv2d(channels // 8, channels // 4, 4, 2, 1),
                nn.Conv2d(channels // 4, channels // 2, 4, 2, 1),
                nn.Conv2d(channels // 2, channels, 4, 2, 1),
            ]
        )
        self.blocks = nn.ModuleList([_residual_block(channels) for _ in range(2)])

    def forward(self, grey: Tensor) -> Tensor:
        """Return features (B, C, H // 8, W // 8) of grey images (B, 1, H, W) in [0, 1]."""
        x = (grey - 0.4) / 0.25
        for conv in self.stem:
            x = F.relu(conv(x))
        for block in self.blocks:
            x = x + block(x)
        # Unit length would be 1/sqrt(C) per channel, too small a scale for half precision and for
        # the head's default initialisation; unit variance suits both.
        return F.normalize(x.float(), dim=1) * self.channels**0.5


def _residual_block(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, 1, 1),
    )


def cell_centres(height: int, width: int, stride: int, device: torch.device | None = None) -> Tensor:
    """Return the pixel positions (h * w, 2) of the feature cells of an image, row by row.

    The centre of the top-left pixel is (0, 0), so cell i sits at stride * i + (stride - 1) / 2.
    """
    offset = (stride - 1) / 2
    ys = torch.arange(height // stride, device=device, dtype=torch.float32) * stride + offset
    xs = torch.arange(width // stride, device=device, dtype=torch.float32) * stride + offset
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2)


def content_hash(state: dict[str, Tensor]) -> str:
    """Return a hash of names, shapes, types and values of tensors, whatever file they are in."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save_encoder(path: Path, encoder: Encoder, training: str, figures: dict[str, float]) -> None:
    """Write an encoder's weights in half precision, with its card and content hash."""
    state = {k: v.detach().half().contiguous() for k, v in encoder.state_dict().items()}
    card = EncoderCard(
        path.stem, encoder.channels, encoder.stride, encoder.receptive_field_px, training, figures
    )
    header = {"card": json.dumps(asdict(card)), "content_hash": content_hash(state)}
    write_tensor_file(path, state, FORMAT, FORMAT_VERSION, header)


def load_encoder(name_or_path: str | Path = "lite") -> tuple[Encoder, EncoderCard, str]:
    """Return (encoder, card, content hash) of a shipped encoder's name or of a weight file.

    The encoder is in evaluation mode, float32, on the CPU, without gradients. Raises MapError when
    the file is missing, foreign, damaged or altered.
    """
    path = Path(name_or_path)
    if path.suffix != ".safetensors":
        path = WEIGHTS_DIR / f"{name_or_path}.safetensors"
    state, header = read_tensor_file(path, FORMAT, FORMAT_VERSION)
    found = content_hash(state)
    if header.get("content_hash") != found:
        raise MapError(
            f"{path}: the weights have been altered: content hash {found}, "
            f"the header says {header.get('content_hash')}"
        )
    try:
        card = EncoderCard(**json.loads(header["card"]))
        encoder = Encoder(card.channels)
        encoder.load_state_dict({k: v.float() for k, v in state.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise MapError(f"{path}: not an encoder that this version can run: {error}") from error
    return encoder.eval().requires_grad_(False), card, found
