"""S3D up to its first self-gating, computed once per frame step and shared by all windows that the step lies in.

Frames lie on a grid; a window is ``window_frames`` consecutive ones, from any grid frame on. Its steps are pairs of
frames, so the *step f* of every window that has it, is made of frames f and f + 1, and the next one is step f + 2:
windows with even and with odd starts run through the same stream of steps, each through its own half of it.

Nothing here looks across a whole window. ``conv1`` spans two steps and ``conv_2c`` three, and only where these reach
over a window's first or last step do they see its zero padding. A convolution over time is a sum of one product per
tap, and a tap that falls on padding adds nothing, so:

- conv1 at f takes steps f and f + 2; in a window's last step, without its second tap;
- conv_2c at f takes conv1's outputs at f - 2, f and f + 2, each through its own tap. The three products of an output
  are computed once, and summed as the steps of a window want them: all three inside of it, without the first tap at its
  first step, without the last tap at its last one. The last but one sees the last one's different conv1.

What remains to each window is its first step's sum, conv1 at its last step, and the last two steps' sums.

The pooling that follows the gating is done here, before it: a gate is positive, and a maximum commutes with that.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.extractors.s3d.network import S3D, STEM_CHANNELS, WINDOW_FRAMES
from mgn_ma.extractors.s3d.trunk import (
    as_conv2d,
    as_linear,
    convolve_channels_last,
    fold_batch_norm,
    fold_pointwise,
    pool_channels_last,
)

_SPAN = 4
"""Frames that conv1 sees: two steps of two."""

MIN_WINDOW_FRAMES = 6
"""Below, one step would be the first and the last but one, which the sums don't provide for."""


class Step(NamedTuple):
    """One step of a window before the gate."""

    pooled: Tensor
    """(H/8, W/8, 192) after the maximum over space."""
    mean: Tensor
    """(192,) float32, over space, before it."""


class Window(NamedTuple):
    """All steps of one window."""

    start: int
    """Grid frame that it starts at."""
    steps: tuple[Step, ...]


class SharedStem(nn.Module):
    """The layers of the stem, with batch norm folded in and conv_2c's temporal convolution taken apart by tap."""

    def __init__(self, network: S3D) -> None:
        super().__init__()
        weight, bias = fold_batch_norm(network.conv1.conv1, network.conv1.bn1)
        # Frames come as 0..255, which bfloat16 holds exactly; the network was trained on 0..1.
        weight = weight / 255
        spanned = torch.cat((weight[:, :, :1], weight[:, :, 1:]), dim=1)  # (64, 48, 1, 4, 4)
        self.conv1 = as_conv2d(spanned, bias, squeeze=2, padding=(0, 0))
        self.conv1_last = as_conv2d(weight[:, :, :1], bias, squeeze=2, padding=(0, 0))
        self.conv_2b = fold_pointwise((network.conv_2b,))
        self.conv_2c = as_conv2d(
            *fold_batch_norm(network.conv_2c.conv1, network.conv_2c.bn1), squeeze=2, padding=(1, 1)
        )
        weight, bias = fold_batch_norm(network.conv_2c.conv2, network.conv_2c.bn2)  # (192, 192, 3, 1, 1)
        self.taps = as_linear(weight.flatten(2).permute(2, 0, 1).flatten(0, 1), None)  # tap by tap
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.gate = copy.deepcopy(network.gating.fc)

    def place_frames(self, frames: Tensor) -> Tensor:
        """(n, H, W, 3) uint8 to (n, H/2 + 3, W/2 + 3, 12): space to depth, and conv1's padding in space."""
        n_frames, height, width, rgb = frames.shape
        if height % 2 or width % 2:
            raise ValueError(f"height and width must be even, not {height} and {width}")
        cells = frames.view(n_frames, height // 2, 2, width // 2, 2, rgb).permute(0, 1, 3, 2, 4, 5)
        cells = cells.to(self.bias.dtype).reshape(n_frames, height // 2, width // 2, 4 * rgb)
        # Of conv1's padding of two on each side, the first output is dropped: that leaves one in front.
        return functional.pad(cells, (0, 0, 1, 2, 1, 2))

    def products(self, frames: Tensor) -> Tensor:
        """Placed frames (n, H/2 + 3, W/2 + 3, 12) to the products (n - 3, H/4, W/4, 3 * 192) of all whole steps."""
        n_steps = len(frames) - _SPAN + 1
        spans = torch.cat([frames[offset : offset + n_steps] for offset in range(_SPAN)], dim=-1)
        products: Tensor = self.taps(self._before_taps(convolve_channels_last(self.conv1, spans)))
        return products

    def products_of_last(self, pairs: Tensor) -> Tensor:
        """Placed pairs (n, H/2 + 3, W/2 + 3, 24) to a last step's products (n, H/4, W/4, 2 * 192): taps 1 and 2."""
        x = self._before_taps(convolve_channels_last(self.conv1_last, pairs))
        return functional.linear(x, self.taps.weight[STEM_CHANNELS:])

    def _before_taps(self, x: Tensor) -> Tensor:
        x = pool_in_space(x.relu_())  # (n, H/4, W/4, 64)
        x = self.conv_2b(x).relu_()
        return convolve_channels_last(self.conv_2c, x).relu_()  # (n, H/4, W/4, 192)

    def steps(self, sums: Tensor) -> list[Step]:
        """Sums of products (n, H/4, W/4, 192), overwritten, to n steps."""
        x = sums.add_(self.bias).relu_()
        means = x.mean(dim=(1, 2), dtype=torch.float32)
        return [Step(*step) for step in zip(pool_in_space(x), means, strict=True)]

    def gated(self, windows: list[Window]) -> Tensor:
        """B windows to the trunk's input (B, T/2, H/8, W/8, 192)."""
        pooled = torch.stack([step.pooled for window in windows for step in window.steps])
        pooled = pooled.view(len(windows), -1, *pooled.shape[1:])  # (B, T/2, H/8, W/8, 192)
        means = torch.stack([step.mean for window in windows for step in window.steps])
        mean = means.view(len(windows), -1, STEM_CHANNELS).mean(dim=1)  # every step has as many places
        gates = torch.sigmoid(self.gate(mean)).to(pooled.dtype)  # (B, 192)
        return pooled.mul_(gates[:, None, None, None, :])


def pool_in_space(x: Tensor) -> Tensor:
    """Max-pool 3x3 with stride 2 of (n, H, W, C), zeros where TensorFlow's SAME has them."""
    return pool_channels_last(x[None], (1, 3, 3), (1, 2, 2))[0]


class WindowStream:
    """Takes grid frames in pieces of any size, and gives each window as soon as its last frame is there.

    What is held is bounded by a window's length and the size of the pieces, however long the stream.

    Args:
        stem: the layers.
        starts: grid frames at which windows start, strictly ascending; consumed as frames come. The first frame given
            is grid frame 0.
        window_frames: even, at least 6.
    """

    def __init__(self, stem: SharedStem, starts: Iterable[int], window_frames: int = WINDOW_FRAMES) -> None:
        if window_frames % 2 or window_frames < MIN_WINDOW_FRAMES:
            raise ValueError(
                f"a window has an even number of frames, at least {MIN_WINDOW_FRAMES}: not {window_frames}"
            )
        self._stem = stem
        self._window_frames = window_frames
        self._starts = _ascending(starts)
        self._next_start = next(self._starts, None)
        self._open: deque[int] = deque()
        self._n_frames = 0
        self._frames: Tensor | None = None
        self._products: dict[int, Tensor] = {}
        self._inner: dict[int, Step] = {}
        self._first: dict[int, Step] = {}

    @property
    def is_exhausted(self) -> bool:
        """Whether every window was given, so that further frames are of no use."""
        return self._next_start is None and not self._open

    def push(self, frames: Tensor) -> list[Window]:
        """Take the next frames (n, H, W, 3) uint8, and give the windows that are complete with them, in order.

        Nothing is changed if this raises, so that the same frames can be given again in smaller pieces.
        """
        placed = self._stem.place_frames(frames)
        if self._frames is not None:
            placed = torch.cat((self._frames, placed))
        n_frames = self._n_frames + len(frames)
        origin = n_frames - len(placed)
        new = range(origin, n_frames - _SPAN + 1)
        self._open_until(new.stop)

        products = dict(self._products)
        if new:
            products.update(zip(new, self._stem.products(placed), strict=True))
        inner = self._inner | self._inner_steps(products, new)
        first = self._first | self._first_steps(products, new)
        ending = [start for start in self._open if start + self._window_frames <= n_frames]
        endings = self._last_steps(products, ending, placed, origin)
        windows = []
        for start, last_two in zip(ending, endings, strict=True):
            inside = [inner[f] for f in range(start + 2, self._last(start) - 2, 2)]
            windows.append(Window(start, (first.pop(start), *inside, *last_two)))

        for _ in ending:
            self._open.popleft()
        self._n_frames = n_frames
        # Copies, and not views, where a view would keep a whole piece in memory.
        self._frames = placed[1 - _SPAN :].clone()
        self._products = {f: product for f, product in products.items() if f >= new.stop - _SPAN}
        self._first = first
        oldest = self._open[0] if self._open else self._next_start
        self._inner = {} if oldest is None else {f: step for f, step in inner.items() if f >= oldest + 2}
        return windows

    def _open_until(self, n_steps: int) -> None:
        while self._next_start is not None and self._next_start < n_steps:
            self._open.append(self._next_start)
            self._next_start = next(self._starts, None)

    def _last(self, start: int) -> int:
        return start + self._window_frames - 2

    def _inner_steps(self, products: dict[int, Tensor], new: range) -> dict[int, Step]:
        wanted = [f - 2 for f in new if f - _SPAN in products]
        sums = [[_tap(products[f - 2], 0), _tap(products[f], 1), _tap(products[f + 2], 2)] for f in wanted]
        return dict(zip(wanted, self._steps(sums), strict=True))

    def _first_steps(self, products: dict[int, Tensor], new: range) -> dict[int, Step]:
        wanted = [start for start in self._open if start + 2 in new]
        sums = [[_tap(products[start], 1), _tap(products[start + 2], 2)] for start in wanted]
        return dict(zip(wanted, self._steps(sums), strict=True))

    def _last_steps(
        self, products: dict[int, Tensor], starts: list[int], placed: Tensor, origin: int
    ) -> list[list[Step]]:
        """The last two steps of each window that ends: conv1 has no second tap in the last one."""
        if not starts:
            return []
        lasts = [self._last(start) for start in starts]
        pairs = [torch.cat((placed[last - origin], placed[last + 1 - origin]), dim=-1) for last in lasts]
        sums: list[list[Tensor]] = []
        for last, changed in zip(lasts, self._stem.products_of_last(torch.stack(pairs)), strict=True):
            middle, after = changed.split(STEM_CHANNELS, dim=-1)
            sums.append([_tap(products[last - 4], 0), _tap(products[last - 2], 1), after])
            sums.append([_tap(products[last - 2], 0), middle])
        steps = self._steps(sums)
        return [steps[i : i + 2] for i in range(0, len(steps), 2)]

    def _steps(self, sums: list[list[Tensor]]) -> list[Step]:
        if not sums:
            return []
        out = torch.stack([terms[0] for terms in sums])
        for total, (_, *terms) in zip(out, sums, strict=True):
            for term in terms:
                total.add_(term)
        return self._stem.steps(out)


def _tap(products: Tensor, tap: int) -> Tensor:
    return products[..., tap * STEM_CHANNELS : (tap + 1) * STEM_CHANNELS]


def _ascending(starts: Iterable[int]) -> Iterator[int]:
    last = -1
    for start in starts:
        if start <= last:
            raise ValueError(f"window starts must ascend from 0 on, but {start} follows {last}")
        last = start
        yield start
