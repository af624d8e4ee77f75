"""What it costs to find out why a curve is where it is, beside predicting it.

    python benchmarks/explaining.py --minutes 10 --output benchmarks/results/explaining.json

Both go from the feature tracks of one video to curves, through five members of the paper's size with random weights;
explaining gives contributions, too. The obvious way, a prediction for each of 31 coalitions, takes 31 times as long.
Times are the processor's, of one thread: other work on the machine lengthens them least.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.reaction import Reaction
from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, Clock, TrackRows
from mgn_ma.grid import grid_time, grid_timestamps_us
from mgn_ma.inference.bundle import Bundle, BundleDescription
from mgn_ma.inference.model import ExtractorContract
from mgn_ma.inference.predictor import Predictor
from mgn_ma.models.config import MGNMAConfig, VideoLevelConfig
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.models.video_level import VideoLevelNetwork
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription
from mgn_ma.training.config import VideoLevelSettings
from mgn_ma.training.packed import PackedModality

WIDTHS = {"image": 1536, "audio": 128, "action": 512, "subtitle": 768, "title": 768, "video": 1024}
CLOCKS: dict[str, Clock] = {
    "image": "grid", "audio": "patches", "action": "grid", "subtitle": "cues", "title": "whole", "video": "whole",
}  # fmt: skip
MEMBERS = 5


def contract(modality: str) -> PackedModality:
    return PackedModality(
        width=WIDTHS[modality], fingerprint=modality[0] * 64, clock=CLOCKS[modality], tolerance_us=1_000_000
    )


def make_bundle(temporal: dict[str, object]) -> Bundle:
    of_member = {name: contract(name) for name in WIDTHS if name != "title"}
    config = MGNMAConfig.model_validate(
        {"modalities": {name: WIDTHS[name] for name in of_member}, "classes": len(EEV.names), "temporal": temporal}
    )
    names = tuple(f"member_{number}" for number in range(MEMBERS))
    members = {
        name: Checkpoint(
            CheckpointDescription(kind="mgn_ma", architecture=config.model_dump(), inputs=of_member, targets=EEV),
            MGNMA(config).state_dict(),
        )
        for name in names
    }
    of_video = {name: contract(name) for name in ("image", "audio", "title")}
    video_config = VideoLevelConfig(
        items={name: WIDTHS[name] for name in ("image", "audio")},
        vectors={"title": WIDTHS["title"]},
        classes=len(EEV.names),
        **VideoLevelSettings().architecture.model_dump(),
    )
    video_network = Checkpoint(
        CheckpointDescription(kind="video_level", architecture=video_config.model_dump(), inputs=of_video, targets=EEV),
        VideoLevelNetwork(video_config).state_dict(),
    )
    each = (1.0,) * len(EEV.names)
    description = BundleDescription(
        targets=EEV,
        extractors={
            name: ExtractorContract(settings={}, fingerprint=contract(name).fingerprint)
            for name in WIDTHS
            if name != "video"
        },
        video_level=VideoLevelSettings(),
        recipe=EnsembleRecipe(
            method="mean",
            standardised=False,
            members=names,
            weights=(1 / MEMBERS,) * MEMBERS,
            video_weights={},
            reaction=Reaction(centred=False, delays_s=each, time_constants_s=each),
        ),
    )
    return Bundle(description, members, video_network)


def make_tracks(minutes: float, random: np.random.Generator) -> dict[str, TrackRows]:
    grid = grid_time(np.arange(round(360 * minutes) + 1))
    starts = {
        "grid": grid[:-1],
        "patches": np.arange(0, grid[-1], 960_000),
        "cues": np.arange(0, grid[-1], 3_000_000),
        "whole": np.array([START_OF_TIME_US]),
    }
    tracks = {}
    for name, clock in CLOCKS.items():
        if name == "video":
            continue
        rows = starts[clock]
        ends = np.append(rows[1:], END_OF_TIME_US if clock == "whole" else grid[-1])
        tracks[name] = TrackRows(rows, ends, random.normal(size=(len(rows), WIDTHS[name])).astype(np.float16))
    return tracks


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--temporal", type=json.loads, default={}, help='as model.temporal, such as {"kind": "gru"}')
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/explaining.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    predictor = Predictor(make_bundle(arguments.temporal), device="cpu")
    tracks = make_tracks(arguments.minutes, np.random.default_rng(0))
    times = grid_timestamps_us(round(arguments.minutes * 60_000_000))

    def predict(*, explain: bool) -> None:
        predictor.predict("video", tracks, times, explain=explain)

    predict(explain=True)  # warm up
    # Pairs, each of one moment of the machine.
    pairs = np.array(
        [
            [seconds(lambda: predict(explain=False)), seconds(lambda: predict(explain=True))]
            for _ in range(arguments.repeats)
        ]
    )
    found = {
        "minutes": arguments.minutes,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "predicting_s": float(np.median(pairs[:, 0])),
        "predicting_and_explaining_s": float(np.median(pairs[:, 1])),
        "times": float(np.median(pairs[:, 1] / pairs[:, 0])),
    }
    for name, value in found.items():
        print(f"{name:34s} {value if not isinstance(value, float) else format(value, '.4g')}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
