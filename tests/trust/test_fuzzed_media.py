"""Damaged videos, and damaged captions and info.json beside whole ones, through `mgn-ma predict`, many a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from counts import MUTANTS, SEED
from media_clips import Clip, sine
from mutation import BINARY, TEXT, mutant
from watching import PREDICT, watch

from mgn_ma.features import arrow
from mgn_ma.grid import grid_timestamps_us

SECONDS_A_VIDEO = 10
MEMORY_BOUND = 3 << 30
"""Bytes of all processes together; of an undamaged batch it is about a third."""
A_RUN = 500
KINDS = {
    "mp4": Clip(n_frames=20, rate=10, audio=sine(2, 440)),
    "fragmented.mp4": Clip(
        n_frames=20, rate=10, audio=sine(2, 440), container_options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "webm": Clip(n_frames=20, rate=10, audio=sine(2, 440), codec="libvpx", audio_codec="libopus"),
    "mkv": Clip(
        n_frames=20,
        rate=Fraction(25, 2),
        audio=sine(1.6, 440),
        codec="libx265",
        options={"x265-params": "log-level=none"},
        audio_codec="ac3",
    ),
    "ts": Clip(n_frames=20, rate=25, audio=sine(2, 440)),
    "avi": Clip(n_frames=20, rate=10, audio=sine(2, 440), codec="mpeg4", audio_codec="libmp3lame"),
}
BESIDE = {
    "en.vtt": b"WEBVTT\n\n00:00.200 --> 00:01.000\nHello there\n\n00:01.000 --> 00:02.000\n[Music]\n",
    "en.srt": b"1\n00:00:00,200 --> 00:00:01,000\nHello there\n\n2\n00:00:01,000 --> 00:00:02,000\n<i>you</i>\n",
    "info.json": json.dumps({"id": "v", "title": "A title"}).encode(),
}


def suffix_of(kind: str) -> str:
    return kind.rpartition(".")[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {kind: Path(clip.write(folder / f"v.{kind}")).read_bytes() for kind, clip in KINDS.items()}


def put(folder: Path, number: int, whole: dict[str, bytes]) -> tuple[str, str]:
    """Write a video with its captions and title, one of the three damaged; what was damaged, and how."""
    random = Random(f"{SEED}-{number}")
    kind = random.choice(list(KINDS))
    damaged = random.choice([kind, kind, *BESIDE])
    captions = random.choice(["en.vtt", "en.srt"]) if damaged not in BESIDE or damaged == "info.json" else damaged
    files = {suffix_of(kind): whole[kind], captions: BESIDE[captions], "info.json": BESIDE["info.json"]}
    name = suffix_of(damaged) if damaged in KINDS else damaged
    done, files[name] = mutant(files[name], BINARY if damaged in KINDS else TEXT, f"{SEED}-{number}")
    for suffix, content in files.items():
        (folder / f"v{number:05}.{suffix}").write_bytes(content)
    return damaged, done


def check_curves(curves: pd.DataFrame, seconds: float) -> None:
    times = curves["timestamp_us"].to_numpy()
    shortest, longest = (len(grid_timestamps_us(max(1, round(seconds * 1e6) + more))) for more in (-500, 500))
    assert shortest <= len(times) <= longest
    assert times[0] == 0 and np.all(np.diff(times) > 0)
    values = curves.iloc[:, 2:].to_numpy()
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1


def check_track(path: Path) -> None:
    track = arrow.decode(path.read_bytes())
    assert np.isfinite(track.rows.vectors).all()
    assert len(track.rows) or track.header.clock == "cues", "captions may hold no cue; all else has a row"


@pytest.mark.parametrize("first", range(0, MUTANTS, A_RUN))
def test_a_damaged_file_is_a_good_track_or_is_accounted_for(
    first: int, whole: dict[str, bytes], bundle_folder: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    numbers = range(first, min(first + A_RUN, MUTANTS))
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    damages = {f"v{number:05}": put(videos, number, whole) for number in numbers}
    command = [*PREDICT, str(videos), "-o", str(out), "--model", str(bundle_folder), "--workers", "2"]
    ran = watch(command, timeout=60 + SECONDS_A_VIDEO * len(numbers))
    assert ran.code in (0, 1) and "Traceback" not in ran.output, ran.output[-3000:]
    account = pd.read_csv(out / "account.csv", keep_default_na=False).set_index("video_id")
    assert list(account.index) == list(damages)
    assert max(ran.memory) < MEMORY_BOUND
    assert not ran.left_over
    curves = dict(list(pd.read_parquet(out / "curves.parquet").groupby("video_id")))
    outcomes: Counter[str] = Counter()
    for video_id, row in account.iterrows():
        damaged, done = damages[video_id]
        if row["status"] == "predicted":
            check_curves(curves[video_id], row["seconds_of_video"])
        else:
            assert damaged in KINDS, f"{video_id}: {damaged} ({done}) has cost the video: {row['reason']}"
            assert row["reason"]
        outcomes[f"{damaged} {row['status']}"] += 1
        outcomes["worker ended"] += "worker" in row["reason"] + row["without"]
    for path in (out / ".tracks").rglob("*.arrow"):
        check_track(path)
    tell(f"{len(numbers)} videos in {ran.seconds:.0f} s, at most {max(ran.memory) >> 20} MiB: {dict(outcomes)}")
