"""How much faster S3D is over overlapping windows than the obvious way, and what each step of that gave.

    python benchmarks/s3d.py --output s3d.json            # 20 s of video at 6 Hz, some minutes
    python benchmarks/s3d.py --seconds 4 --blocks         # a quick look, and a table of the blocks

The obvious way is a plain network of its own, below: contiguous tensors, one window at a time, float32. It shares no
code with the package, only the weights, so that it checks the fast way too.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mgn_ma.extractors.s3d.dense import DenseS3D
from mgn_ma.extractors.s3d.network import MIXED, S3D, Conv, SeparableConv, max_pool_same
from mgn_ma.extractors.s3d.stem import SharedStem
from mgn_ma.extractors.s3d.trunk import Trunk

WINDOW = 32
SIZE = 224
ROUNDS = 12
FRAME_STEP_US, GRID_HZ, SECOND_US = 100_000, 6, 1_000_000


class ObviousS3D:
    """The network straight from its state dict: (1, 3, T, H, W) in [0, 1] to (1, 512)."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self._state = state

    def __call__(self, clip: Tensor) -> Tensor:
        """The vector of one clip."""
        n, rgb, frames, height, width = clip.shape
        x = clip.view(n, rgb, frames // 2, 2, height // 2, 2, width // 2, 2).permute(0, 3, 5, 7, 1, 2, 4, 6)
        x = x.reshape(n, 8 * rgb, frames // 2, height // 2, width // 2)
        x = self._conv(x, "conv1.conv1", "conv1.bn1", (1, 2, 2))[:, :, 1:, 1:, 1:]
        x = self._pool(x, (1, 3, 3), (1, 2, 2), (0, 1, 0, 1, 0, 0))
        x = self._separable(self._conv(x, "conv_2b.conv1", "conv_2b.bn1"), "conv_2c")
        x = self._pool(self._gated(x, "gating"), (1, 3, 3), (1, 2, 2), (0, 1, 0, 1, 0, 0))
        x = self._mixed(self._mixed(x, "mixed_3b"), "mixed_3c")
        x = self._pool(x, (3, 3, 3), (2, 2, 2), (0, 1, 0, 1, 0, 1))
        for name in ("mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f"):
            x = self._mixed(x, name)
        x = self._pool(x, (2, 2, 2), (2, 2, 2), (0, 0, 0, 0, 0, 0))
        x = self._mixed(self._mixed(x, "mixed_5b"), "mixed_5c")
        return functional.linear(x.mean((2, 3, 4)), self._state["fc.weight"], self._state["fc.bias"])

    def _mixed(self, x: Tensor, name: str) -> Tensor:
        b0 = self._conv(x, f"{name}.conv_b0.conv1", f"{name}.conv_b0.bn1")
        b1 = self._conv(x, f"{name}.conv_b1_a.conv1", f"{name}.conv_b1_a.bn1")
        b2 = self._conv(x, f"{name}.conv_b2_a.conv1", f"{name}.conv_b2_a.bn1")
        b3 = functional.max_pool3d(x, 3, stride=1, padding=1)
        b1 = self._separable(b1, f"{name}.conv_b1_b")
        b2 = self._separable(b2, f"{name}.conv_b2_b")
        b3 = self._conv(b3, f"{name}.conv_b3_b.conv1", f"{name}.conv_b3_b.bn1")
        return torch.cat([self._gated(b, f"{name}.gating_b{i}") for i, b in enumerate((b0, b1, b2, b3))], 1)

    def _separable(self, x: Tensor, name: str) -> Tensor:
        x = self._conv(x, f"{name}.conv1", f"{name}.bn1", (0, 1, 1))
        return self._conv(x, f"{name}.conv2", f"{name}.bn2", (1, 0, 0))

    def _conv(self, x: Tensor, conv: str, norm: str, padding: tuple[int, int, int] = (0, 0, 0)) -> Tensor:
        s = self._state
        x = functional.conv3d(x, s[f"{conv}.weight"], padding=padding)
        statistics_ = (s[f"{norm}.running_mean"], s[f"{norm}.running_var"])
        return functional.relu(functional.batch_norm(x, *statistics_, s[f"{norm}.weight"], s[f"{norm}.bias"], eps=1e-5))

    def _gated(self, x: Tensor, name: str) -> Tensor:
        means = x.mean((2, 3, 4))
        gate = torch.sigmoid(functional.linear(means, self._state[f"{name}.fc.weight"], self._state[f"{name}.fc.bias"]))
        return gate[:, :, None, None, None] * x

    @staticmethod
    def _pool(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]) -> Tensor:
        return functional.max_pool3d(functional.pad(x, padding), kernel, stride, ceil_mode=True)


def random_network(seed: int) -> S3D:
    """Random weights whose last layer tells windows apart, but isn't so steep that rounding shows."""
    torch.manual_seed(seed)
    network = S3D().eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm3d):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0, 0.1)
            nn.init.normal_(layer.running_mean, 0, 0.1)
            # Below one on average: the gates halve what goes through them.
            nn.init.uniform_(layer.running_var, 0.4, 1.0)
    return network


def moving_frames(n_frames: int, seed: int) -> np.ndarray:
    """(n, 224, 224, 3) uint8: waves that drift at a pace that changes, and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
    phase = np.cumsum(rng.normal(0.4, 0.6, (n_frames, 3)), axis=0)
    frames = np.empty((n_frames, SIZE, SIZE, 3), np.uint8)
    for frame, phases in zip(frames, phase, strict=True):
        waves = np.stack([np.sin(6 * (rows * (c + 1) + columns * (3 - c)) + phases[c]) for c in range(3)], axis=-1)
        frame[:] = np.clip(127 + 90 * waves + rng.normal(0, 12, waves.shape), 0, 255)
    return frames


class Way:
    """One way to get the vectors of some windows, run a part at a time so that all ways see the same load.

    Args:
        name: for the table.
        starts: the windows.
        vectors: their vectors, as it comes to them.
    """

    def __init__(self, name: str, starts: list[int], vectors: Iterator[Tensor]) -> None:
        self.name = name
        self.starts = starts
        self.done: list[Tensor] = []
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._vectors = vectors

    def advance(self, share: float) -> None:
        """Go on until this share of the windows is done."""
        while sum(map(len, self.done)) < share * len(self.starts):
            began, cpu_began = time.perf_counter(), time.process_time()
            self.done.append(next(self._vectors))
            self.seconds += time.perf_counter() - began
            self.cpu_seconds += time.process_time() - cpu_began


def ways(
    network: S3D, frames: np.ndarray, starts: list[int], few: int, batch_size: int, *, bfloat16: bool
) -> list[Way]:
    """The steps from the obvious way to the dense one; those in between over a few windows."""
    spread = starts[:: max(1, len(starts) // few)]
    single = DenseS3D(network, batch_size=1)
    steps = [
        Way(
            "obvious: contiguous, batch 1, float32",
            starts,
            one_by_one(ObviousS3D(network.state_dict()), frames, starts),
        ),
        Way("+ channels_last_3d", spread, one_by_one(network_in_layout(network), frames, spread, channels_last_3d)),
        Way(
            "+ batch norms folded",
            spread,
            one_by_one(network_in_layout(folded(network)), frames, spread, channels_last_3d),
        ),
        Way("+ layers rearranged", spread, apart(single, frames, spread)),
        Way("+ stem shared between windows", starts, single.vectors(iter(frames), starts)),
        Way(
            f"+ batches of {batch_size}", starts, DenseS3D(network, batch_size=batch_size).vectors(iter(frames), starts)
        ),
    ]
    if bfloat16:
        dense = DenseS3D(network, batch_size=batch_size, precision="bfloat16")
        # Consecutive windows, or there would be nothing to share; all of them where that doesn't take hours.
        chosen = starts if has_bfloat16() else starts[: max(1, few // 4)]
        steps.append(Way("+ bfloat16", chosen, dense.vectors(iter(frames), chosen)))
    return steps


def one_by_one(
    network: Callable[[Tensor], Tensor],
    frames: np.ndarray,
    starts: list[int],
    layout: Callable[[Tensor], Tensor] = Tensor.contiguous,
) -> Iterator[Tensor]:
    for start in starts:
        clip = torch.from_numpy(frames[start : start + WINDOW]).permute(3, 0, 1, 2)[None].float() / 255
        yield network(layout(clip))


def apart(dense: DenseS3D, frames: np.ndarray, starts: list[int]) -> Iterator[Tensor]:
    """The fast layers, but every window by itself."""
    for start in starts:
        yield from dense.vectors(iter(frames[start : start + WINDOW]), [0])


def network_in_layout(network: S3D) -> nn.Module:
    return copy.deepcopy(network).to(memory_format=torch.channels_last_3d)


def folded(network: S3D) -> S3D:
    """The plain network with each batch norm folded into its convolution."""
    network = copy.deepcopy(network)
    for block in network.modules():
        if isinstance(block, Conv | SeparableConv):
            pairs = ("1", "2") if isinstance(block, SeparableConv) else ("1",)
            for i in pairs:
                conv, norm = getattr(block, f"conv{i}"), getattr(block, f"bn{i}")
                setattr(block, f"conv{i}", fuse_conv_bn_eval(conv, norm))
                setattr(block, f"bn{i}", nn.Identity())
    return network


def measure_ways(steps: list[Way]) -> list[dict[str, Any]]:
    """Run all ways side by side, and compare each with the one before and with the obvious one."""
    obvious = steps[0]
    for done in range(1, ROUNDS + 1):
        for way in steps:
            way.advance(done / ROUNDS)
        print(f"  {done / ROUNDS:.0%}", end="\r", flush=True)
    truth = dict(zip(obvious.starts, torch.cat(obvious.done), strict=True))
    rows = []
    before = seconds_of_obvious = obvious.seconds / len(obvious.starts)
    for way in steps:
        vectors = torch.cat(way.done)
        expected = torch.stack([truth[start] for start in way.starts])
        seconds = way.seconds / len(way.starts)
        rows.append(
            {
                "way": way.name,
                "windows": len(way.starts),
                "s/window": seconds,
                "CPU s/window": way.cpu_seconds / len(way.starts),
                "relative L2": ((vectors - expected).norm(dim=1) / expected.norm(dim=1)).max().item(),
                "steps apart": distances_between(expected),
                "min cosine": functional.cosine_similarity(vectors, expected).min().item(),
                "times as fast": seconds_of_obvious / seconds,
                "this step": before / seconds,
                "of the obvious time": (seconds - before) / seconds_of_obvious,
            }
        )
        before = seconds
    return rows


def distances_between(vectors: Tensor) -> float:
    """Smallest relative L2 from one window to the next: what an error in the comparison would have to hide in."""
    return ((vectors[1:] - vectors[:-1]).norm(dim=1) / vectors[1:].norm(dim=1)).min().item()


def measure_blocks(network: S3D) -> list[dict[str, Any]]:
    """Milliseconds of each part for one window: plain in both layouts, and rearranged."""
    contiguous, last = network, network_in_layout(network)
    stem, trunk = SharedStem(network).eval(), Trunk(network).eval()
    clip = torch.rand(1, 3, WINDOW, SIZE, SIZE)
    rows = []
    x = network.forward_stem(clip)
    rows.append(
        {
            "block": "stem",
            "contiguous": milliseconds(lambda: contiguous.forward_stem(clip)),
            "channels_last_3d": milliseconds(lambda: last.forward_stem(channels_last_3d(clip))),  # type: ignore[operator]
            "rearranged": None,
        }
    )
    frames = torch.randint(0, 256, (11, SIZE, SIZE, 3), dtype=torch.uint8)
    per_step = milliseconds(lambda: stem.products(stem.place_frames(frames))) / 8
    rows.append({"block": "stem, one step", "contiguous": None, "channels_last_3d": None, "rearranged": per_step})
    x = max_pool_same(network.gating(x), (1, 3, 3), (1, 2, 2))
    for name in MIXED:
        x = pooled_before(name, x, max_pool_same)
        y, z = x.permute(0, 2, 3, 4, 1).contiguous(), channels_last_3d(x)
        plain, laid_out, fast = network.get_submodule(name), last.get_submodule(name), trunk.mixed[name]
        row = {"block": name, "contiguous": milliseconds(lambda block=plain, x=x: block(x))}
        row["channels_last_3d"] = milliseconds(lambda block=laid_out, z=z: block(z))
        row["rearranged"] = milliseconds(lambda block=fast, y=y: block(y))
        rows.append(row)
        x = plain(x)
    return rows


def pooled_before(name: str, x: Tensor, pool: Callable[..., Tensor]) -> Tensor:
    if name == "mixed_4b":
        return pool(x, (3, 3, 3), (2, 2, 2))
    return pool(x, (2, 2, 2), (2, 2, 2)) if name == "mixed_5b" else x


def channels_last_3d(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def milliseconds(function: Callable[[], Any], repeats: int = 5) -> float:
    function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def window_starts(seconds: float) -> Iterator[int]:
    """First frame of the window of each 6 Hz timestamp, counted from half a window before t = 0."""
    for row in range(int(seconds * GRID_HZ)):
        yield (row * SECOND_US // GRID_HZ + FRAME_STEP_US // 2) // FRAME_STEP_US


def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; without, such a pass takes minutes."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def table(rows: list[dict[str, Any]]) -> str:
    def text(value: Any) -> str:
        if value is None:
            return "-"
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    cells = [list(rows[0]), *[[text(value) for value in row.values()] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of video at 6 Hz")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--few", type=int, default=24, help="windows for the steps in between")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--bfloat16", choices=("auto", "yes", "no"), default="auto", help="auto: where the CPU has it")
    parser.add_argument("--blocks", action="store_true", help="also time each block by itself")
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    starts = list(window_starts(arguments.seconds))
    network = random_network(0)
    frames = moving_frames(starts[-1] + WINDOW, 0)
    machine = {
        "cpu": cpu_name(),
        "threads": arguments.threads,
        "torch": torch.__version__,
        "avx512_bf16": has_bfloat16(),
        "load_before": os.getloadavg()[0],
    }
    print(
        f"{machine}\n{len(starts)} windows of {WINDOW} frames, {SIZE} x {SIZE}: {arguments.seconds} s at 6 Hz",
        flush=True,
    )
    with_bfloat16 = arguments.bfloat16 == "yes" or (arguments.bfloat16 == "auto" and has_bfloat16())
    report: dict[str, Any] = {"machine": machine, "seconds_of_video": arguments.seconds}
    with torch.inference_mode():
        steps = ways(network, frames, starts, arguments.few, arguments.batch_size, bfloat16=with_bfloat16)
        report["ways"] = measure_ways(steps)
        report["blocks_ms"] = measure_blocks(network) if arguments.blocks else []
    print(table(report["ways"]))
    if report["blocks_ms"]:
        print(table(report["blocks_ms"]))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
