"""What the descriptors' tracks of rendered videos tell of each signal, and of the theme.

``python benchmarks/sample_leaks.py`` prints the table of docs/sample.md: the correlation within held-out videos between
each signal and what a ridge regression reads off each track, its penalty chosen by cross-validation over the other
videos, and how often a classifier of whole videos is right about the theme.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.features.alignment import locate
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.machine import usable_cpus
from mgn_ma.media.source import VideoSource
from mgn_ma.sample.captions import automatic_captions
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.movie import write_movie
from mgn_ma.sample.process import Signal, draw_signals
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.speech import speak
from mgn_ma.sample.world import SIGNALS
from ridge import centred, fit_within

Array = npt.NDArray[np.float64]

EXTRACTORS = {
    "image": parse_config("image_descriptor", {}),
    "audio": parse_config("audio_descriptor", {}),
    "action": parse_config("action_descriptor", {}),
    "subtitle": parse_config("text_descriptor", {"source": "captions"}),
    "title": parse_config("text_descriptor", {"source": "title"}),
}
CARRIER = {"image": "image", "audio": "audio", "action": "action", "speech": "subtitle"}
"""Of each signal the one track that may tell of it."""

_FOLDS = 4
_TOLERANCE_US = 5_000_000


@dataclass(frozen=True, slots=True)
class Observed:
    """One video: its theme, (F, D) the row of each track that serves each frame, and (F, 4) the signals."""

    theme: int
    tracks: Mapping[str, Array]
    signals: Array


def observe(plan: VideoPlan, signals: Mapping[str, Signal]) -> Observed:
    """Render a video, and extract its tracks as the sample's chain does."""
    timestamps_us = grid_timestamps_us(plan.duration_us)
    with tempfile.TemporaryDirectory() as folder:
        movie, captions = Path(folder) / "video.mp4", Path(folder) / "video.en.vtt"
        write_movie(plan, signals, movie)
        captions.write_text(automatic_captions(speak(plan, signals["speech"])), encoding="utf-8")
        video = VideoSource(plan.video_id, str(movie), None, plan.duration_us, True, str(captions), None, plan.title)
        tracks = {}
        for name, config in EXTRACTORS.items():
            rows = build(config).extract(video)
            serving = locate(rows.timestamps_us, rows.ends_us, timestamps_us, _TOLERANCE_US)
            tracks[name] = np.where(serving[:, None] >= 0, rows.vectors[serving], 0.0).astype(np.float64)
    carried = np.stack([signals[name](timestamps_us / 1e6) for name in SIGNALS], axis=-1)
    return Observed(plan.theme, tracks, carried)


def signal_correlations(videos: Sequence[Observed], track: str) -> tuple[Array, Array]:
    """(4,) mean over held-out videos of the correlation with each signal that ``track`` gives, and standard errors."""
    fold = np.arange(len(videos)) % _FOLDS
    r = np.empty((len(videos), len(SIGNALS)))
    for held_out in range(_FOLDS):
        train = [video for video, own in zip(videos, fold, strict=True) if own != held_out]
        weights = fit_within([video.tracks[track] for video in train], [video.signals for video in train])
        for index in np.flatnonzero(fold == held_out):
            r[index] = _correlations(videos[index].tracks[track] @ weights, videos[index].signals)
    return r.mean(axis=0), r.std(axis=0) / np.sqrt(len(videos))


def theme_accuracy(videos: Sequence[Observed]) -> float:
    """How often a classifier of mean vectors names the theme of a held-out video."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.stack(
        [
            np.concatenate([video.tracks[track].mean(axis=0) for track in ("image", "audio", "title")])
            for video in videos
        ]
    )
    classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(0, 4, 9)))
    return float(cross_val_score(classifier, x, np.array([video.theme for video in videos]), cv=_FOLDS).mean())


def _correlations(predicted: Array, signals: Array) -> Array:
    x, y = centred(predicted), centred(signals)
    lengths = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    return np.divide((x * y).sum(axis=0), lengths, out=np.zeros_like(lengths), where=lengths > 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what each track tells of each signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=240)
    parser.add_argument("--world", type=int, default=0)
    options = parser.parse_args(arguments)
    plans = write_script(SampleConfig(videos=options.videos, world=options.world, awkward=False))
    with ProcessPoolExecutor(usable_cpus()) as pool:
        videos = list(pool.map(_observe_drawn, plans))
    sys.stdout.write(f"{'track':10}{''.join(f'{name:>17}' for name in SIGNALS)}\n")
    for track in CARRIER.values():
        r, errors = signal_correlations(videos, track)
        cells = "".join(f"{mean:9.3f} ± {error:.3f}" for mean, error in zip(r, errors, strict=True))
        sys.stdout.write(f"{track:10}{cells}\n")
    sys.stdout.write(f"theme of a whole video: {theme_accuracy(videos):.2f}\n")


def _observe_drawn(plan: VideoPlan) -> Observed:
    return observe(plan, draw_signals(plan.seed, plan.video_id))


if __name__ == "__main__":
    main()
