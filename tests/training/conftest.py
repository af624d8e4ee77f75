"""Synthetic tracks and packed splits, small enough for a test and ragged enough to find mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.targets import EEV
from mgn_ma.extractors.base import Clock, TrackRows
from mgn_ma.features.track import Track, TrackHeader
from mgn_ma.grid import grid_time
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack

CLOCKS: dict[str, Clock] = {"image": "grid", "audio": "patches", "subtitle": "cues", "video": "whole"}
WIDTHS = {"image": 6, "audio": 3, "subtitle": 4, "video": 5}


class MemoryTracks:
    """The tracks of one modality, held in memory; counts how often each is read."""

    def __init__(self, modality: str, rows: dict[str, TrackRows], fingerprint: str = "f" * 64) -> None:
        self.width = WIDTHS[modality]
        self.clock = CLOCKS[modality]
        self.fingerprint = fingerprint
        self.headers = {
            v: TrackHeader(v, modality, self.clock, fingerprint, source_digest=f"digest of {v}") for v in rows
        }
        self.rows = rows
        self.reads = 0

    def read(self, video_id: str) -> Track:
        self.reads += 1
        return Track(self.headers[video_id], self.rows[video_id])


def rows_of(modality: str, duration_us: int, random: np.random.Generator) -> TrackRows:
    """Rows on the modality's clock for a video of this duration."""
    if modality == "image":
        n = duration_us * 6 // 1_000_000 + 2
        starts = grid_time(np.arange(n))
        ends = np.array([grid_time(i + 1) for i in range(n)])
    elif modality == "audio":
        starts = np.arange(0, max(duration_us - 960_000, 1), 960_000)
        ends = starts + 960_000
    elif modality == "subtitle":
        starts = np.sort(random.integers(0, max(duration_us, 2), 4))
        ends = starts + 700_000
    else:
        starts, ends = np.array([-(2**60)]), np.array([2**60])
    return TrackRows(starts, ends, random.normal(size=(len(starts), WIDTHS[modality])).astype(np.float32))


def make_plan(
    n_videos: int = 6,
    *,
    split: str = "train",
    seed: int = 0,
    labelled: bool = True,
    learnable: bool = False,
    frames: tuple[int, int] = (20, 60),
) -> PackPlan:
    """Videos of random lengths; some lack subtitles, one lacks audio, and some rows have all-zero labels."""
    random = np.random.default_rng([seed, sum(map(ord, split))])
    law = np.random.default_rng(99).normal(size=(sum(WIDTHS.values()), 15))
    ids = [f"-{split}_{i:02d}" for i in range(n_videos)]
    tracks: dict[str, dict[str, TrackRows]] = {name: {} for name in WIDTHS}
    tables = []
    for number, video_id in enumerate(ids):
        n_frames = int(random.integers(*frames))
        times = grid_time(np.arange(n_frames))
        for name in WIDTHS:
            if (name == "subtitle" and number % 3 == 1) or (name == "audio" and number == 2):
                continue
            tracks[name][video_id] = rows_of(name, int(times[-1]), random)
        labels = random.random((n_frames, 15)).astype(np.float32)
        if learnable:
            image = tracks["image"][video_id].vectors[:n_frames]
            labels = (1 / (1 + np.exp(-(image @ law[:6])))).astype(np.float32)
        labels[random.random(n_frames) < 0.1] = 0.0
        table = pd.DataFrame({"video_id": video_id, "timestamp_us": times})
        if labelled:
            table[list(EEV.names)] = labels
        tables.append(table)
    return PackPlan(
        split=split,
        frames=pd.concat(tables, ignore_index=True),
        targets=EEV,
        tracks={name: MemoryTracks(name, rows) for name, rows in tracks.items()},
        tolerances_us={"image": 0, "audio": 2_000_000, "subtitle": 5_000_000, "video": 0},
    )


@pytest.fixture
def plan_of() -> Callable[..., PackPlan]:
    return make_plan


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., PackedSplit]:
    """Pack a plan made with the given arguments."""

    def build(n_videos: int = 6, **settings: object) -> PackedSplit:
        plan = make_plan(n_videos, **settings)  # type: ignore[arg-type]
        return pack(plan, tmp_path / f"{plan.split}_{plan.fingerprint()[:8]}")

    return build
