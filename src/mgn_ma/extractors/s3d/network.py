"""S3D with self-gating and a space-to-depth stem, as MIL-NCE trained it on HowTo100M: the plain network.

Xie et al., "Rethinking Spatiotemporal Feature Learning" (arXiv 1712.04851) describe S3D-G; Miech et al., "End-to-End
Learning of Visual Representations from Uncurated Instructional Videos" (arXiv 1912.06430) trained these weights. The
module names are those of the published state dict, which is loaded as it is. This file says what the network is, a clip
at a time; :mod:`mgn_ma.extractors.s3d.dense` computes the same thing fast for windows that overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.extractors.pretrained import WeightsNeed
from mgn_ma.extractors.weights import load_strictly, randomise, read_state_dict, verified

WIDTH = 512
WINDOW_FRAMES = 32
FRAME_SIZE = 224
STEM_CHANNELS = 192


class MixedWidths(NamedTuple):
    """Channels of one mixed block: its input, and the layers of its four branches."""

    inputs: int
    b0: int
    b1_a: int
    b1_b: int
    b2_a: int
    b2_b: int
    b3_b: int

    @property
    def outputs(self) -> int:
        """Channels of the four branches joined."""
        return self.b0 + self.b1_b + self.b2_b + self.b3_b


MIXED = {
    "mixed_3b": MixedWidths(192, 64, 96, 128, 16, 32, 32),
    "mixed_3c": MixedWidths(256, 128, 128, 192, 32, 96, 64),
    "mixed_4b": MixedWidths(480, 192, 96, 208, 16, 48, 64),
    "mixed_4c": MixedWidths(512, 160, 112, 224, 24, 64, 64),
    "mixed_4d": MixedWidths(512, 128, 128, 256, 24, 64, 64),
    "mixed_4e": MixedWidths(512, 112, 144, 288, 32, 64, 64),
    "mixed_4f": MixedWidths(528, 256, 160, 320, 32, 128, 128),
    "mixed_5b": MixedWidths(832, 256, 160, 320, 32, 128, 128),
    "mixed_5c": MixedWidths(832, 384, 192, 384, 48, 128, 128),
}
"""Widths of the mixed blocks, in the order in which a clip goes through them."""


class S3D(nn.Module):
    """Clips to 512-D vectors.

    T, H and W must be even; the published weights were trained on 32 frames at 10 fps of 224 x 224.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(24, 64, (2, 4, 4), padding=(1, 2, 2))
        self.conv_2b = Conv(64, 64, (1, 1, 1))
        self.conv_2c = SeparableConv(64, STEM_CHANNELS)
        self.gating = SelfGating(STEM_CHANNELS)
        for name, widths in MIXED.items():
            self.add_module(name, Mixed(widths))
        self.fc = nn.Linear(MIXED["mixed_5c"].outputs, WIDTH)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) RGB in [0, 1] to (B, 512)."""
        x = self.forward_stem(clips)  # (B, 192, T/2, H/4, W/4)
        x = max_pool_same(self.gating(x), (1, 3, 3), (1, 2, 2))  # (B, 192, T/2, H/8, W/8)
        for name in MIXED:
            if name == "mixed_4b":
                x = max_pool_same(x, (3, 3, 3), (2, 2, 2))  # (B, 480, T/4, H/16, W/16)
            elif name == "mixed_5b":
                x = max_pool_same(x, (2, 2, 2), (2, 2, 2))  # (B, 832, T/8, H/32, W/32)
            x = self.get_submodule(name)(x)
        out: Tensor = self.fc(x.mean(dim=(2, 3, 4)))  # (B, 1024) -> (B, 512)
        return out

    def forward_stem(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, 192, T/2, H/4, W/4): all that comes before the first self-gating."""
        x = self.conv1(space_to_depth(clips))  # (B, 64, T/2 + 1, H/2 + 1, W/2 + 1)
        # An even kernel padded on both sides gives one output too many; TensorFlow's SAME has no padding in front.
        x = x[:, :, 1:, 1:, 1:]
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))  # (B, 64, T/2, H/4, W/4)
        stem: Tensor = self.conv_2c(self.conv_2b(x))
        return stem


class Conv(nn.Module):
    """3-D convolution without bias, batch norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int, int], padding: tuple[int, int, int] = (0, 0, 0)
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T', H', W')."""
        return functional.relu(self.bn1(self.conv1(x)))


class SeparableConv(nn.Module):
    """3x3x3 convolution split in space (1x3x3) and time (3x1x1), batch norm and ReLU after each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T, H, W)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)))


class SelfGating(nn.Module):
    """Weighs each channel by a sigmoid of a linear map of all channels' means over time and space."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to the same shape."""
        gate = torch.sigmoid(self.fc(x.mean(dim=(2, 3, 4))))  # (B, C)
        return gate[:, :, None, None, None] * x


class Mixed(nn.Module):
    """An Inception block in space and time: four branches, each gated by itself, joined along the channels."""

    def __init__(self, widths: MixedWidths) -> None:
        super().__init__()
        self.conv_b0 = Conv(widths.inputs, widths.b0, (1, 1, 1))
        self.conv_b1_a = Conv(widths.inputs, widths.b1_a, (1, 1, 1))
        self.conv_b1_b = SeparableConv(widths.b1_a, widths.b1_b)
        self.conv_b2_a = Conv(widths.inputs, widths.b2_a, (1, 1, 1))
        self.conv_b2_b = SeparableConv(widths.b2_a, widths.b2_b)
        self.conv_b3_b = Conv(widths.inputs, widths.b3_b, (1, 1, 1))
        self.gating_b0 = SelfGating(widths.b0)
        self.gating_b1 = SelfGating(widths.b1_b)
        self.gating_b2 = SelfGating(widths.b2_b)
        self.gating_b3 = SelfGating(widths.b3_b)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T, H, W)."""
        pooled = functional.max_pool3d(x, kernel_size=3, stride=1, padding=1)
        branches = (
            self.gating_b0(self.conv_b0(x)),
            self.gating_b1(self.conv_b1_b(self.conv_b1_a(x))),
            self.gating_b2(self.conv_b2_b(self.conv_b2_a(x))),
            self.gating_b3(self.conv_b3_b(pooled)),
        )
        return torch.cat(branches, dim=1)


def space_to_depth(clips: Tensor) -> Tensor:
    """(B, 3, T, H, W) to (B, 24, T/2, H/2, W/2): channels by time offset, row offset, column offset, RGB (fastest)."""
    n_clips, rgb, frames, height, width = clips.shape
    if frames % 2 or height % 2 or width % 2:
        raise ValueError(f"frames, height and width must be even, not {frames}, {height} and {width}")
    x = clips.reshape(n_clips, rgb, frames // 2, 2, height // 2, 2, width // 2, 2)
    x = x.permute(0, 3, 5, 7, 1, 2, 4, 6)  # (B, 2, 2, 2, 3, T/2, H/2, W/2)
    return x.reshape(n_clips, 8 * rgb, frames // 2, height // 2, width // 2)


def max_pool_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Max-pool (B, C, T, H, W) with zeros around it like TensorFlow's SAME: kernel - stride, the smaller half first."""
    padding: list[int] = []
    for size, step in zip(reversed(kernel), reversed(stride), strict=True):
        total = max(size - step, 0)
        padding += [total // 2, total - total // 2]
    return functional.max_pool3d(functional.pad(x, padding), kernel, stride, ceil_mode=True)


def load_network(need: WeightsNeed) -> S3D:
    """The plain network with its weights, loaded strictly, in evaluation mode on the CPU.

    Raises:
        WeightsError: if the weights are absent or don't fit.
    """
    network = S3D().eval().requires_grad_(False)
    if need.pretrained.random is not None:
        randomise(network, need.pretrained.random)
    else:
        path = verified(need)
        load_strictly(network, video_tower(read_state_dict(path)), path)
    return network


def video_tower(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of :class:`S3D` in a published checkpoint.

    A training wrapper leaves ``module.`` in front of every key, once or more often, and the checkpoint of MIL-NCE also
    has a text tower (``text_module.``). Both are taken away here, by name, so that what is left can be loaded strictly.
    """
    state = dict(checkpoint)
    while state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return {key: tensor for key, tensor in state.items() if not key.startswith("text_module.")}
