"""What looking along time costs: an hour of tracks scored, and training steps, by kind, against the paper's network.

    python benchmarks/temporal.py --output benchmarks/results/temporal.json

Widths are the paper's, the numbers in the tracks random. On a CPU it is the processor's time that counts, by one
thread, because a machine that others use changes speed while one looks. Training is measured at two lengths of windows:
time a frame is the same for both where the cost is linear in time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mgn_ma.eev.targets import EEV
from mgn_ma.grid import RATE_HZ, grid_time
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.models.sequences import Sequences
from mgn_ma.training.gather import AlignedRows
from mgn_ma.training.predict import predict

WIDTHS = {"image": 1536, "audio": 128, "action": 512, "subtitle": 768, "video": 1024}
KINDS = ("none", "fir", "tcn", "gru", "transformer")
SHORT_S, LONG_S = 20, 80


def make_network(kind: str, window_s: float = SHORT_S) -> MGNMA:
    torch.manual_seed(0)
    temporal = {"kind": kind, "window_s": window_s}
    return MGNMA(MGNMAConfig.model_validate({"modalities": WIDTHS, "classes": len(EEV.names), "temporal": temporal}))


def make_rows(n_frames: int, widths: Mapping[str, int]) -> AlignedRows:
    random = np.random.default_rng(0)
    n_rows = min(n_frames, 4096)
    matrices = {name: random.standard_normal((n_rows, width)).astype(np.float16) for name, width in widths.items()}
    pointers = {name: np.arange(n_frames) % n_rows for name in widths}
    return AlignedRows(matrices, pointers, None, np.arange(n_frames))


def prediction_s(network: MGNMA, rows: AlignedRows, device: torch.device) -> float:
    n_frames = len(rows.frames)
    began = clock(device)
    predict(
        network,
        lambda cuts: (rows.gather(cut).to(device) for cut in cuts),
        grid_time(np.arange(n_frames)),
        np.array([0, n_frames]),
        EEV,
    )
    return clock(device) - began


def clock(device: torch.device) -> float:
    """Seconds: of the processor, or of the wall where a GPU works."""
    return time.perf_counter() if device.type == "cuda" else time.process_time()


def step_s(network: MGNMA, rows: AlignedRows, window_s: int, n_windows: int, device: torch.device) -> float:
    """Forward, backward and update on windows of one length."""
    steps = window_s * RATE_HZ
    batch = rows.gather(np.arange(n_windows * steps)).to(device)
    offsets = np.arange(n_windows + 1) * steps
    sequences = Sequences.from_steps(offsets, np.tile(np.arange(steps), n_windows), device)
    labels = torch.rand(len(batch.frames), len(EEV.names), device=device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    began = clock(device)
    loss = functional.binary_cross_entropy_with_logits(network(batch.features, batch.present, sequences).logits, labels)
    loss.backward()
    optimizer.step()
    float(loss.detach())  # a GPU is waited for
    return clock(device) - began


def measure(kind: str, rows: AlignedRows, arguments: argparse.Namespace) -> dict[str, float]:
    device = torch.device(arguments.device)
    network = make_network(kind).to(device).eval()
    found = {f"{kind}_predict_s": np.median([prediction_s(network, rows, device) for _ in range(arguments.repeats)])}
    for window_s in (SHORT_S, LONG_S):
        network = make_network(kind, window_s).to(device).train()
        n_windows = arguments.step_frames // (window_s * RATE_HZ)
        step_s(network, rows, window_s, n_windows, device)  # warm up
        seconds = np.median([step_s(network, rows, window_s, n_windows, device) for _ in range(arguments.repeats)])
        found[f"{kind}_train_us_per_frame_{window_s}_s"] = 1e6 * seconds / (n_windows * window_s * RATE_HZ)
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--step-frames", type=int, default=1920, help="of a training step")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/temporal.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = make_rows(round(arguments.hours * 3600 * RATE_HZ), WIDTHS)
    found: dict[str, float] = {"frames": len(rows.frames)}
    for kind in KINDS:
        found |= measure(kind, rows, arguments)
    for name, value in found.items():
        print(f"{name:40s} {value:.4g}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
