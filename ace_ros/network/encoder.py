# SPDX-License-Identifier: Apache-2.0
"""The scene-agnostic encoder: a grey image in, one feature per 8x8 pixels out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE = 8
# Of coarse levels. A border of zeros would tell them where in the image they are, which helps to tell
# points of a training pair apart and is of no use in a map.
Padding = Literal["zeros", "replicate"]
PADDING: Padding = "replicate"


@dataclass(frozen=True)
class EncoderShape:
    """How large an encoder is.

    `stem` are the channels at strides 2, 4 and 8, of which the last are the features'. `inner` is
    the width inside the block at stride 8. `context` are the channels at strides 16, 32, ..., and
    `blocks` the residual blocks at each of these resolutions.
    """

    stem: tuple[int, int, int]
    inner: int
    context: tuple[int, ...]
    blocks: int


class Encoder(nn.Module):
    """A small U-shaped network: details at stride 8, their surroundings at strides 16 and 32.

    A window of a hundred pixels does not tell one tile of a ceiling from the next; what lies
    around it does, and costs little where it is computed coarsely.

    Every stride-2 convolution has a kernel of 4 and a padding of 1: it is centred between pixels
    2i and 2i + 1, so after three of them feature cell i sits exactly at pixel 8i + 3.5, and coarser
    cells between finer ones, where bilinear upsampling expects them. (Kernel 3 would centre cell i
    at 8i and turn every rotation or rescaling of the image into an error of up to two pixels.)

    `norm` adds the batch normalisation that training needs; `folded` returns the encoder without.
    """

    stride = STRIDE

    def __init__(self, shape: EncoderShape, norm: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.channels = shape.stem[-1]
        widths = (1, *shape.stem)
        self.stem = nn.Sequential(*(_ConvNorm(a, b, 4, 2, norm) for a, b in pairwise(widths)))
        self.detail = _Block(self.channels, shape.inner, norm)
        self.context = _Context(self.channels, shape.context, shape.blocks, norm) if shape.context else None
        self.output = nn.Conv2d(self.channels, self.channels, 1)

    def forward(self, grey: Tensor) -> Tensor:
        """Return features (B, C, H // 8, W // 8) of grey images (B, 1, H, W) in [0, 1]."""
        x = self.detail(self.stem((grey - 0.4) / 0.25))
        if self.context is not None:
            x = self.context(x)
        x = self.output(F.relu(x))
        # Unit length would be 1/sqrt(C) per channel, too small a scale for half precision and for
        # the head's default initialisation; unit variance suits both.
        return F.normalize(x.float(), dim=1) * self.channels**0.5

    def folded(self) -> Encoder:
        """Return the same encoder for use: normalisation folded into the convolutions, no gradients."""
        plain = Encoder(self.shape).eval().requires_grad_(False)
        sources = dict(self.named_modules())
        for name, module in plain.named_modules():
            if isinstance(module, _ConvNorm):
                module.conv.load_state_dict(sources[name].fused().state_dict())
            elif isinstance(module, nn.Conv2d) and not name.endswith(".conv"):
                module.load_state_dict(sources[name].state_dict())
        return plain


class _ConvNorm(nn.Module):
    """A convolution, its normalisation while training, and a ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, norm: bool, padding: Padding = "zeros"
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=not norm, padding_mode=padding)
        self.norm = nn.BatchNorm2d(outputs) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(x if self.norm is None else self.norm(x), inplace=True)

    def fused(self) -> nn.Conv2d:
        """Return one convolution that does what convolution and normalisation do in evaluation."""
        return self.conv if self.norm is None else fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())


class _Block(nn.Module):
    """A residual block: 3x3 convolution, ReLU, 1x1 convolution."""

    def __init__(self, channels: int, inner: int, norm: bool, padding: Padding = "zeros") -> None:
        super().__init__()
        self.first = _ConvNorm(channels, inner, 3, 1, norm, padding)
        self.second = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class _Context(nn.Module):
    """Adds to a feature map (B, C, h, w) what its surroundings at half the resolution say, and so on."""

    def __init__(self, channels: int, context: tuple[int, ...], blocks: int, norm: bool) -> None:
        super().__init__()
        width, rest = context[0], context[1:]
        self.down = _ConvNorm(channels, width, 4, 2, norm, PADDING)
        self.before = nn.Sequential(*(_Block(width, width, norm, PADDING) for _ in range(blocks)))
        self.coarser = _Context(width, rest, blocks, norm) if rest else None
        self.after = nn.Sequential(*(_Block(width, width, norm, PADDING) for _ in range(blocks)))
        self.up = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(self.down(x))
        if self.coarser is not None:
            y = self.coarser(y)
        y = F.interpolate(self.up(self.after(y)), scale_factor=2, mode="bilinear", align_corners=False)
        # An odd number of cells leaves one without a coarser cell: it has its neighbour's.
        missing = (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2])
        return x + F.pad(y, missing, mode="replicate")


def cell_centres(height: int, width: int, stride: int, device: torch.device | None = None) -> Tensor:
    """Return the pixel positions (h * w, 2) of the feature cells of an image, row by row.

    The centre of the top-left pixel is (0, 0), so cell i sits at stride * i + (stride - 1) / 2.
    """
    offset = (stride - 1) / 2
    ys = torch.arange(height // stride, device=device, dtype=torch.float32) * stride + offset
    xs = torch.arange(width // stride, device=device, dtype=torch.float32) * stride + offset
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2)


def receptive_field_px(shape: EncoderShape) -> int:
    """Return the side in pixels of the largest window that a feature depends on."""
    cells = 1
    for _ in shape.context:
        cells = cells // 2 + 2  # bilinear upsampling, where the cells lie worst
        cells += 2 * shape.blocks
    for _ in shape.context:
        cells += 2 * shape.blocks
        cells = 2 * cells + 2
    cells += 2  # the block at stride 8
    for _ in shape.stem:
        cells = 2 * cells + 2
    return cells
