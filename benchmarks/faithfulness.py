"""Whether the contributions of modalities are those that the sample's viewers really had, beside attention.

    kedro run --env sample --pipelines sample_data,__default__
    python benchmarks/faithfulness.py --data data/sample --tracking-uri sqlite:///mlflow.db

The sample's process says what viewers of a video would show if some of its signals stood still in the middle of their
range. So the true contributions are the Shapley values of that process, and each modality carries one of its signals.
Printed is Pearson's correlation over time, the mean over the videos of validation and test and over expressions.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mgn_ma.inference.finding import find_videos
from mgn_ma.inference.predictor import VideoPrediction
from mgn_ma.inference.shapley import Game
from mgn_ma.inference.videos import VideoPredictor
from mgn_ma.sample.annotations import heard_signals
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import Signal, noise_free_logits
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.world import SIGNALS, World, draw_world
from mgn_ma.tracking.registry import ModelRegistry

Array = npt.NDArray[np.float64]

CARRIERS = {"image": "image", "audio": "audio", "action": "action", "speech": "subtitle"}
"""The modality that carries each signal."""


def still(seconds: npt.ArrayLike) -> Array:
    """A signal of which there is nothing."""
    return np.full(np.shape(seconds), 0.5)


def true_contributions(world: World, theme: int, signals: Mapping[str, Signal], seconds: Array) -> tuple[Array, Array]:
    """What viewers show, (F, C), and what each signal contributes to it, (4, F, C)."""
    game = Game.of(len(SIGNALS))
    shown = np.stack(
        [
            expit(
                noise_free_logits(
                    world,
                    theme,
                    {name: signals[name] if stays else still for name, stays in zip(SIGNALS, coalition, strict=True)},
                    seconds,
                )
            )
            for coalition in game.coalitions
        ]
    )  # (K, F, C)
    return shown[-1], game.values(shown - shown.mean(axis=1, keepdims=True))[0]


def correlations(ours: npt.NDArray[Any], truth: Array) -> Array:
    """(C,) of ``ours`` (F, C) with ``truth`` (F, C): 0 where ours is constant, NaN where the truth is."""
    ours = ours - ours.mean(axis=0)
    truth = truth - truth.mean(axis=0)
    lengths = np.linalg.norm(ours, axis=0) * np.linalg.norm(truth, axis=0)
    r = np.divide((ours * truth).sum(axis=0), lengths, out=np.zeros(truth.shape[1]), where=lengths > 1e-9)
    return np.where(np.abs(truth).max(axis=0) > 1e-9, r, np.nan)


def compare(
    prediction: VideoPrediction, modalities: tuple[str, ...], plan: VideoPlan, world: World
) -> dict[str, dict[str, Array]]:
    """By signal, and for the curves themselves, the correlations (C,) of one video by what is compared."""
    shown, truth = true_contributions(world, plan.theme, heard_signals(plan), prediction.timestamps_us / 1e6)
    found = {"curve": {"contribution": correlations(prediction.values, shown)}}
    for signal, true in zip(SIGNALS, truth, strict=True):
        column = modalities.index(CARRIERS[signal])
        contribution = prediction.contributions[:, column]
        share = np.repeat(prediction.attention[:, column, None], true.shape[1], axis=1)
        found[signal] = {
            "contribution": correlations(contribution, true),
            "attention": correlations(share, true),
            "its size": correlations(np.abs(contribution), np.abs(true)),
            "attention with the size": correlations(share, np.abs(true)),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/sample"))
    parser.add_argument("--model", default="models:/mgn-ma@challenger")
    parser.add_argument("--tracking-uri", default="sqlite:///mlflow.db")
    parser.add_argument("--videos", type=int, default=40, help="sample.videos of the data")
    parser.add_argument("--world", type=int, default=0, help="sample.world of the data")
    parser.add_argument("--seed", type=int, default=0, help="sample.seed of the data")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/faithfulness.json"))
    arguments = parser.parse_args()
    bundle, _ = ModelRegistry(arguments.tracking_uri).named_bundle(arguments.model)
    script = write_script(SampleConfig(videos=arguments.videos, world=arguments.world, seed=arguments.seed))
    plans = {plan.video_id: plan for plan in script if plan.split != "train" and "missing" not in plan.quirks}
    folder = arguments.data / "01_raw" / "videos"
    videos = find_videos([str(folder / f"{video_id}.mp4") for video_id in plans])
    world = draw_world(arguments.world)
    found = [
        compare(outcome.prediction, bundle.modalities, plans[outcome.video.video_id], world)
        for outcome in VideoPredictor(bundle).predict(videos, explain=True)
        if outcome.prediction is not None
    ]
    table = {
        signal: {what: float(np.nanmean([of_video[signal][what] for of_video in found])) for what in found[0][signal]}
        for signal in found[0]
    }
    signals = [table[signal] for signal in SIGNALS]
    table["mean"] = {what: float(np.mean([of_signal[what] for of_signal in signals])) for what in signals[0]}
    columns = list(signals[0])
    print(f"{len(found)} videos" + "".join(f"{what:>26}" for what in columns))
    for name, row in table.items():
        print(f"{name:9}" + "".join(f"{row[what]:26.3f}" for what in columns if what in row))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
