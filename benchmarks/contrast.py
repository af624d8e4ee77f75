"""Networks that see time against those that see a moment, over worlds of the sample: test videos, seeds, worlds.

    python benchmarks/contrast.py --worlds 0 --stated benchmarks/contrast_candidates.yml   # chose settings
    python benchmarks/contrast.py --worlds 100 101 102 103 104 --contrast gru less_is_more  # run once

Each world is a project of its own below ``--work``, from rendering to the ablation of what is stated; what is there
already is kept, so that the run can be interrupted. Intervals draw worlds, then videos and seeds within each.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from mgn_ma.eev.targets import EEV
from mgn_ma.grid import RATE_HZ
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.config import ModelConfig, changed
from temporal import make_rows, prediction_s, step_s

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from tiny_project import ROOT, make_project, newest, start

STAGES = "sample_data,ingestion,frame_features,clip_features,video_features,ablation"
WIDTHS = {"image": 132, "audio": 196, "action": 160, "subtitle": 256, "video": 128}
"""Of the sample's tracks."""
ORACLE = "oracle"
LATE = "_late"
"""Ends the name of a variant whose curves are made into reactions."""
RESAMPLES = 10_000


def ablation(stated: dict[str, Any]) -> dict[str, Any]:
    """The parameter ``ablation``: every row with and without the reaction, in one table that stands for all others."""
    base = yaml.safe_load((ROOT / "conf/base/ablation/parameters.yml").read_text())["ablation"]
    variants = base["variants"] | stated["variants"]
    late = {f"{name}{LATE}": variants[name] | {"reaction": stated["reaction"]} for name in stated["rows"].values()}
    rows = [{"row": row, "variant": name} for row, name in stated["rows"].items()]
    rows += [{"row": f"{row['row']}, late", "variant": f"{row['variant']}{LATE}"} for row in rows]
    others = {name: [] for name in base["other"]}
    return {
        "seeds": stated["seeds"],
        "variants": variants | late,
        "table_1": [],
        "table_2": [],
        "other": others | {"time": rows},
    }


def run_world(world: int, videos: int, work: Path, stated: dict[str, Any]) -> pd.DataFrame:
    """Scores of one world: ``predictor``, ``split``, ``video_id``, ``seed``, ``score``."""
    project = work / f"world_{world}"
    if not project.exists():
        make_project(project, {"sample": {"world": world, "videos": videos}, "execution": {"workers": 2}})
    # A file of its own: the same world serves another statement.
    (project / "conf/sample/parameters_ablation.yml").write_text(yaml.safe_dump({"ablation": ablation(stated)}))
    process = start(project, "run", "--env", "sample", "--pipelines", STAGES)
    for line in process.stdout:
        print(f"world {world}: {line}", end="", file=sys.stderr)
    if process.wait():
        sys.exit(f"world {world} failed: see above; run this again when it is mended")
    return pd.read_parquet(newest(project / "data/sample/07_model_output/ablation_scores.parquet")).assign(world=world)


def of_world(scores: pd.DataFrame, variant: str) -> list[np.ndarray]:
    """By world (videos, seeds); a video that eq. 4 leaves out has no row."""
    rows = scores[(scores["predictor"] == variant) & (scores["split"] == "test")]
    return [
        of.pivot_table(index="video_id", columns="seed", values="score").to_numpy() for _, of in rows.groupby("world")
    ]


def interval(worlds: list[np.ndarray], random: np.random.Generator) -> tuple[float, float, float]:
    """Mean over worlds of the mean over videos and seeds, and its 95 % interval."""
    drawn = np.empty((RESAMPLES, len(worlds)))
    for number, values in enumerate(worlds):
        n_videos, n_seeds = values.shape
        for resample in range(RESAMPLES):
            videos, seeds = random.integers(n_videos, size=n_videos), random.integers(n_seeds, size=n_seeds)
            drawn[resample, number] = values[np.ix_(videos, seeds)].mean()
    chosen = random.integers(len(worlds), size=drawn.shape)
    low, high = np.quantile(np.take_along_axis(drawn, chosen, axis=1).mean(axis=1), (0.025, 0.975))
    return float(np.mean([values.mean() for values in worlds])), float(low), float(high)


def costs(variant: dict[str, Any]) -> dict[str, float]:
    """Parameters; and seconds of the processor, by one thread: for 10,000 frames of training, for an hour of video."""
    base, sample = (
        yaml.safe_load((ROOT / f"conf/{env}/training/parameters.yml").read_text())["model"]
        for env in ("base", "sample")
    )
    config = changed(ModelConfig.model_validate(base), sample, variant.get("model", {})).sized(WIDTHS, len(EEV.names))
    network = MGNMA(config)
    window_s, cpu = 20, torch.device("cpu")
    n_windows = 16
    n_frames = n_windows * window_s * RATE_HZ
    rows = make_rows(3600 * RATE_HZ, WIDTHS)
    steps = [step_s(network.train(), rows, window_s, n_windows, cpu) for _ in range(6)]
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "training_s": float(np.median(steps[1:])) * 10_000 / n_frames,
        "hour_s": prediction_s(network.eval(), rows, cpu),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, nargs="+", required=True)
    parser.add_argument("--videos", type=int, default=240)
    parser.add_argument("--work", type=Path, default=Path("build/contrast"))
    parser.add_argument("--stated", type=Path, default=Path(__file__).with_suffix(".yml"), metavar="FILE")
    parser.add_argument("--contrast", nargs=2, metavar=("VARIANT", "OVER"), help="The one that was stated before.")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    stated = yaml.safe_load(arguments.stated.read_text())
    scores = pd.concat(
        [run_world(world, arguments.videos, arguments.work, stated) for world in arguments.worlds], ignore_index=True
    )
    random = np.random.default_rng(0)
    oracle = float(np.mean([values.mean() for values in of_world(scores, ORACLE)]))
    found: dict[str, Any] = {"worlds": arguments.worlds, "videos": arguments.videos, "oracle": oracle, "rows": {}}
    print(f"{'oracle':<36}{oracle:.3f}\n{'':<34}{'test':>7}{'95 % interval':>18}{'of oracle':>11}")
    stated_rows = ablation(stated)
    for row in stated_rows["other"]["time"]:
        mean, low, high = interval(of_world(scores, row["variant"]), random)
        found["rows"][row["variant"]] = {"mean": mean, "low": low, "high": high}
        print(f"{row['row']:<34}{mean:>7.3f}{f'[{low:.3f}, {high:.3f}]':>18}{mean / oracle:>11.2f}")
    torch.set_num_threads(1)
    print(f"{'':<34}{'parameters':>11}{'10,000 frames of training':>27}{'an hour of video':>18}")
    for name, variant in stated["rows"].items():
        cost = found["rows"][variant]["cost"] = costs(stated_rows["variants"][variant])
        print(f"{name:<34}{cost['parameters']:>11,}{cost['training_s']:>25.2f} s{cost['hour_s']:>16.2f} s")
    if arguments.contrast:
        ours, theirs = (of_world(scores, variant) for variant in arguments.contrast)
        mean, low, high = interval([a - b for a, b in zip(ours, theirs, strict=True)], random)
        found["contrast"] = {"of": arguments.contrast, "mean": mean, "low": low, "high": high}
        print(f"{' over '.join(arguments.contrast)}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
