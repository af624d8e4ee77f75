"""How long scoring takes at EEV's size, beside a loop over SciPy; prints a table and writes the numbers as JSON.

    python benchmarks/evaluation.py --videos 730 --output benchmarks/results/evaluation.json

Lengths are drawn to be EEV's: 33 to 10,027 frames, half of the videos shorter than 1,555.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from scipy.stats import pearsonr

from mgn_ma.eev.annotations import validate_annotations
from mgn_ma.eev.correlation import video_correlations, video_scores
from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.bootstrap import BootstrapConfig, interval
from mgn_ma.evaluation.ensembling import EnsemblingConfig, deal_folds, learn_all
from mgn_ma.evaluation.mixture_scores import MemberMoments
from mgn_ma.evaluation.reaction import REACTIONS, LabelledCurves, learn_reactions
from mgn_ma.grid import grid_time

MEMBERS = 5


def eev_offsets(n_videos: int, random: np.random.Generator) -> np.ndarray:
    lengths = np.clip(random.lognormal(np.log(1_555), 0.75, n_videos), 33, 10_027).astype(int)
    return np.r_[0, np.cumsum(lengths)]


def scipy_loop(predictions: np.ndarray, labels: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return np.array(
        [
            [pearsonr(predictions[start:stop, c], labels[start:stop, c]).statistic for c in range(labels.shape[1])]
            for start, stop in pairwise(offsets)
        ]
    )


def timed(work: Callable[[], object], repeats: int) -> tuple[float, object]:
    """Shortest of the repeats, and the last result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def measure_correlation(offsets: np.ndarray, random: np.random.Generator, repeats: int) -> dict[str, float]:
    """Both in float64, the loop's own precision, and ours from float32 as predictions come, too."""
    labels = random.random((offsets[-1], len(EEV.names)))
    predictions = labels + random.random(labels.shape)
    ours_s, table = timed(lambda: video_correlations(predictions, labels, offsets), repeats)
    loop_s, expected = timed(lambda: scipy_loop(predictions, labels, offsets), min(repeats, 2))
    as_float32 = [values.astype(np.float32) for values in (predictions, labels)]
    float32_s, _ = timed(lambda: video_correlations(*as_float32, offsets), repeats)
    columns = [np.asfortranarray(values) for values in as_float32]
    columns_s, _ = timed(lambda: video_correlations(*columns, offsets), repeats)
    return {
        "scipy_loop_s": loop_s,
        "ours_float64_s": ours_s,
        "ours_float32_s": float32_s,
        "ours_float32_columns_s": columns_s,
        "times_faster_float64": loop_s / ours_s,
        "times_faster_float32": loop_s / float32_s,
        "largest_difference": float(np.abs(table.r - expected).max()),
    }


def measure_rest(offsets: np.ndarray, random: np.random.Generator) -> dict[str, float]:
    labels = random.random((offsets[-1], len(EEV.names)), dtype=np.float32)
    members = [labels + random.random(labels.shape, dtype=np.float32) for _ in range(MEMBERS)]
    scores = video_scores(video_correlations(members[0], labels, offsets))
    bootstrap_s, _ = timed(lambda: interval(scores, BootstrapConfig()), 3)
    moments_s, moments = timed(lambda: MemberMoments.from_predictions(members, labels, offsets), 1)
    learn_s, _ = timed(lambda: learn_all(moments, EnsemblingConfig()), 1)
    timestamps_us = np.concatenate([grid_time(np.arange(n)) for n in np.diff(offsets)])
    folds = deal_folds(len(offsets) - 1, EnsemblingConfig())
    curves = LabelledCurves(members[0], lambda fold: members[0], labels, timestamps_us, offsets, folds)
    reactions_s, _ = timed(lambda: learn_reactions(REACTIONS, curves, BootstrapConfig()), 1)
    return {
        "bootstrap_s": bootstrap_s,
        "member_moments_s": moments_s,
        "learn_all_ensembles_s": learn_s,
        "learn_all_reactions_s": reactions_s,
    }


def measure_annotations(n_rows: int, random: np.random.Generator) -> dict[str, float]:
    n_frames = 2_123
    n_videos = max(1, n_rows // n_frames)
    raw = pd.DataFrame(
        {
            "YouTube ID": np.repeat([f"-video{n:05d}" for n in range(n_videos)], n_frames),
            "Timestamp (milliseconds)": np.tile(np.arange(n_frames) * 1_000_000 // 6, n_videos),
            **{name: random.random(n_videos * n_frames) for name in EEV.names},
        }
    )
    seconds, _ = timed(lambda: validate_annotations(raw, source="train.csv", targets=EEV), 1)
    return {"annotation_rows": len(raw), "validate_annotations_s": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=730, help="validation videos (the paper had 730)")
    parser.add_argument("--rows", type=int, default=6_500_000, help="rows of the annotation table")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/evaluation.json"))
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    offsets = eev_offsets(arguments.videos, random)
    found: dict[str, object] = {
        "videos": arguments.videos,
        "frames": int(offsets[-1]),
        "expressions": len(EEV.names),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
    found |= measure_correlation(offsets, random, arguments.repeats)
    found |= measure_rest(offsets, random)
    found |= measure_annotations(arguments.rows, random)
    found["peak_memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    for name, value in found.items():
        print(f"{name:26s} {value if not isinstance(value, float) else format(value, '.4g')}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
