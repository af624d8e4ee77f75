"""Training at EEV's size, simulated: packing, steps, the loader's share of them, memory, and what a run would take.

    python benchmarks/training.py --scale 0.05 --output benchmarks/results/training.json

Tracks have EEV's shape at ``--scale`` of its 3,024 training videos: 33 to 10,027 frames, half of them with less than
1,555, and the paper's widths. The numbers in them are random; the network is the paper's. Steps are measured, epochs
are counted from them. What is compared:

- **in memory**: the same steps on batches that lie in memory already;
- **full**: batches gathered from the mapped files, cached by the system;
- **blocks**: windows of blocks, the files evicted from the page cache before, so that every byte comes from the disk;
- **per sample**: a Dataset that looks one frame up at a time, behind PyTorch's DataLoader, on the same files.

Loaders alternate with the steps in memory, because a machine that others use changes speed while one looks.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from mgn_ma.eev.targets import EEV
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, Clock, TrackRows
from mgn_ma.features.track import Track, TrackHeader
from mgn_ma.machine import usable_cpus
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.models.mixture_of_experts import expression_loss
from mgn_ma.training.batches import BatchConfig, FrameBatches
from mgn_ma.training.gather import Batch
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack

EEV_VIDEOS, EEV_FRAMES = 3_024, 6_430_000
WIDTHS = {"image": 1536, "audio": 128, "action": 512, "subtitle": 768, "video": 1024}
CLOCKS: dict[str, Clock] = {
    "image": "grid", "audio": "patches", "action": "grid", "subtitle": "cues", "video": "whole",
}  # fmt: skip
CAPTIONED = 0.85


class RandomTracks:
    """Tracks of one modality, made when they are read and forgotten after."""

    def __init__(self, modality: str, lengths: dict[str, int]) -> None:
        self._modality, self._lengths = modality, lengths
        self.width, self.clock, self.fingerprint = WIDTHS[modality], CLOCKS[modality], modality
        captioned = int(CAPTIONED * len(lengths)) if modality == "subtitle" else len(lengths)
        self.headers = {
            video_id: TrackHeader(video_id, modality, self.clock, modality, "none")
            for video_id in list(lengths)[:captioned]
        }

    def read(self, video_id: str) -> Track:
        """Rows of random vectors, the same for the same video."""
        random = np.random.default_rng(zlib.crc32(f"{video_id} {self._modality}".encode()))
        starts, ends = self._intervals(self._lengths[video_id] * 1_000_000 // 6)
        # Half a million random numbers, repeated: drawing all of them would be what is measured.
        vectors = np.resize(
            random.standard_normal(1 << 19, dtype=np.float32).astype(np.float16), len(starts) * self.width
        )
        return Track(self.headers[video_id], TrackRows(starts, ends, vectors.reshape(len(starts), self.width)))

    def _intervals(self, duration_us: int) -> tuple[np.ndarray, np.ndarray]:
        if self.clock == "whole":
            return np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US])
        if self.clock == "grid":
            grid = np.arange(duration_us * 6 // 1_000_000 + 3) * 1_000_000 // 6
            return grid[:-1], grid[1:]
        step = 960_000 if self.clock == "patches" else 3_000_000
        starts = np.arange(0, duration_us + 1, step)
        return starts, starts + step


def make_plan(n_videos: int, seed: int, split: str = "train") -> PackPlan:
    random = np.random.default_rng(seed)
    lengths = np.clip(random.lognormal(np.log(1_555), 0.79, n_videos), 33, 10_027).astype(int)
    ids = [f"-video{number:05d}" for number in range(n_videos)]
    frames = pd.DataFrame(
        {
            "video_id": np.repeat(np.array(ids, dtype=object), lengths),
            "timestamp_us": np.concatenate([np.arange(n) * 1_000_000 // 6 for n in lengths]),
        }
    )
    frames[list(EEV.names)] = random.random((len(frames), len(EEV.names)), dtype=np.float32)
    by_id = dict(zip(ids, lengths.tolist(), strict=True))
    return PackPlan(
        split, frames, EEV, {name: RandomTracks(name, by_id) for name in WIDTHS}, dict.fromkeys(WIDTHS, 5_000_000)
    )


class OneFrame(Dataset[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]]):
    """What one would write first: look one frame up in every matrix, as a tensor each."""

    def __init__(self, split: PackedSplit) -> None:
        self._split = split

    def __len__(self) -> int:
        return self._split.n_frames

    def __getitem__(self, frame: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]:
        split = self._split
        features, present = {}, {}
        for column, (name, matrix) in enumerate(split.matrices.items()):
            row = int(split.index[frame, column])
            vector = np.array(matrix[row]) if row >= 0 else np.zeros(matrix.shape[1], np.float16)
            features[name], present[name] = torch.from_numpy(vector), torch.tensor(row >= 0)
        assert split.labels is not None
        return features, present, torch.from_numpy(np.array(split.labels[frame]))


class Steps:
    """The paper's network and its optimiser, one step at a time."""

    def __init__(self, device: torch.device, precision: str) -> None:
        torch.manual_seed(0)
        self._device, self._precision = device, precision
        self._network = MGNMA(MGNMAConfig(modalities=WIDTHS, classes=len(EEV.names))).to(device).train()
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=1e-4, fused=True)

    def __call__(self, batch: Batch) -> None:
        """Forward, backward, update."""
        assert batch.labels is not None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bfloat16"):
            output = self._network(batch.features, batch.present)
        loss = expression_loss(output.logits, batch.labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def seconds(self, batches: Iterable[Batch]) -> float:
        """Wall time of a step on every batch, the waiting for batches included."""
        began = time.perf_counter()
        for batch in batches:
            self(batch)
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began


def evict(split: PackedSplit) -> None:
    """Ask the system to forget the matrices, so that the next read comes from the disk."""
    if not hasattr(os, "posix_fadvise"):
        return
    for matrix in split.matrices.values():
        with Path(matrix.filename).open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous_gib() -> float:
    """Memory that can't be given up, unlike mapped files; NaN where the system doesn't tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 2**20


class PeakMemory:
    """The highest anonymous memory that was seen, by looking often."""

    def __init__(self) -> None:
        self.gib = anonymous_gib()

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Hand the batches on, looking at each."""
        for batch in batches:
            self.gib = max(self.gib, anonymous_gib())
            yield batch


def measure_packing(plan: PackPlan, folder: Path) -> tuple[PackedSplit, dict[str, float]]:
    before = anonymous_gib()
    began = time.perf_counter()
    split = pack(plan, folder)
    seconds = time.perf_counter() - began
    nbytes = sum(matrix.nbytes for matrix in split.matrices.values())
    return split, {
        "pack_s": seconds,
        "pack_mib_per_s": nbytes / 2**20 / seconds,
        "packed_gib": nbytes / 2**30,
        "bytes_per_frame": nbytes / split.n_frames,
        "pack_growth_gib": anonymous_gib() - before,
    }


def measure_steps(split: PackedSplit, arguments: argparse.Namespace, device: torch.device) -> dict[str, float]:
    frames = np.arange(split.n_frames)
    names = list(split.modalities)

    def epoch(number: int, **changes: object) -> Iterator[Batch]:
        config = BatchConfig.model_validate({"batch_size": arguments.batch_size, "device_cache": "off", **changes})
        return islice(FrameBatches(split, names, config, device).epoch(frames, number), arguments.steps)

    steps, peak = Steps(device, arguments.precision), PeakMemory()
    in_memory = list(islice(epoch(0, shuffle="full"), min(8, arguments.steps)))
    steps.seconds(in_memory)  # warm up
    # Touch every page once, so that `full` is measured with the files cached, as `shuffle: auto` has it.
    for matrix in split.matrices.values():
        matrix[:: max(1, 4096 // (2 * matrix.shape[1]))].sum(dtype=np.float32)
    taken: dict[str, list[float]] = {"in_memory": [], "full": [], "blocks": []}
    for repeat in range(arguments.repeats):
        taken["in_memory"].append(steps.seconds(islice(cycle(in_memory), arguments.steps)))
        taken["full"].append(steps.seconds(peak.watch(epoch(2 * repeat, shuffle="full"))))
        evict(split)
        taken["blocks"].append(
            steps.seconds(peak.watch(epoch(2 * repeat + 1, shuffle="blocks", window_frames=arguments.window)))
        )
        gc.collect()
    if device.type == "cuda":
        cached = FrameBatches(split, names, BatchConfig(batch_size=arguments.batch_size, device_cache="on"), device)
        taken["device_cache"] = [
            steps.seconds(islice(cached.epoch(frames, repeat), arguments.steps)) for repeat in range(arguments.repeats)
        ]
    found = {f"step_{name}_s": float(np.median(values)) / arguments.steps for name, values in taken.items()}
    for name in taken.keys() - {"in_memory"}:
        # Pairs, each of one moment of the machine.
        ratios = np.array(taken[name]) / np.array(taken["in_memory"])
        found[f"{name}_extra_share"] = float(np.median(ratios)) - 1
    return found | {"training_peak_gib": peak.gib}


def measure_loaders(split: PackedSplit, arguments: argparse.Namespace) -> dict[str, float]:
    """Samples a second without any network, over the same cached files."""
    config = BatchConfig(batch_size=arguments.batch_size, shuffle="full")
    batches = FrameBatches(split, list(split.modalities), config, torch.device("cpu"))
    found = {}
    rates: dict[str, list[float]] = {"ours": []}
    for repeat in range(arguments.repeats):
        rates["ours"].append(rate(batches.epoch(np.arange(split.n_frames), repeat), 40, arguments.batch_size))
        for workers in (0, 2):
            loader = DataLoader(OneFrame(split), arguments.batch_size, shuffle=True, num_workers=workers)
            name = f"per_sample_{workers}_workers"
            rates.setdefault(name, []).append(rate(iter(loader), 6, arguments.batch_size))
    for name, values in rates.items():
        found[f"samples_per_s_{name}"] = float(np.median(values))
    best = max(found["samples_per_s_per_sample_0_workers"], found["samples_per_s_per_sample_2_workers"])
    return found | {"times_more_samples": found["samples_per_s_ours"] / best}


def rate(batches: Iterator[object], n_batches: int, batch_size: int) -> float:
    next(batches)  # starting workers and threads is not what is measured
    began = time.perf_counter()
    n_done = sum(1 for _ in islice(batches, n_batches))
    return n_done * batch_size / (time.perf_counter() - began)


def extrapolate(found: dict[str, float], batch_size: int) -> dict[str, float]:
    """To EEV: the paper's epochs and members, validation (a quarter more frames, a third of the work) included."""
    steps = EEV_FRAMES / batch_size
    best = found.get("step_device_cache_s", found["step_blocks_s"])
    epoch_h = steps * best * (1 + 0.25 / 3) / 3600
    return {
        "eev_packed_gib": found["bytes_per_frame"] * EEV_FRAMES / 2**30,
        "eev_epoch_h": epoch_h,
        "eev_member_h": 30 * epoch_h,
        "eev_five_members_h": 150 * epoch_h,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.05, help="share of EEV's 3,024 training videos")
    parser.add_argument("--steps", type=int, default=40, help="training steps per measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=1536)
    parser.add_argument("--window", type=int, default=131_072, help="frames of a window of blocks")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--folder", type=Path, default=None, help="where the packed split goes; deleted afterwards")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training.json"))
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    n_videos = max(2, round(EEV_VIDEOS * arguments.scale))
    found: dict[str, object] = {
        "videos": n_videos,
        "scale": arguments.scale,
        "batch_size": arguments.batch_size,
        "precision": arguments.precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {usable_cpus()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    folder = Path(tempfile.mkdtemp(prefix="mgn_ma_benchmark_", dir=arguments.folder))
    try:
        split, packing = measure_packing(make_plan(n_videos, arguments.seed), folder / "train")
        gc.collect()
        found |= {"frames": split.n_frames, **packing}
        measured = packing | measure_steps(split, arguments, device)
        found |= measured | measure_loaders(split, arguments) | extrapolate(measured, arguments.batch_size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in found.items():
        print(f"{name:34s} {value if not isinstance(value, float) else format(value, '.4g')}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
