"""How fast many short clips go through workers: from files to tracks, with a descriptor, several rounds.

    python benchmarks/many_clips.py                                # 200 clips of 10 s, two workers
    python benchmarks/many_clips.py --clips 50 --workers 1 4

Short clips and a cheap extractor show what starting workers and handing out items costs. `alone` is the same extractor
called in this process, one clip after the other: what is left when nothing is handed out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from clips import SIZES, render
from mgn_ma.execution import ExecutionConfig, run
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.features.task import ExtractionTask
from mgn_ma.features.track import Selection
from mgn_ma.machine import usable_cpus
from mgn_ma.media.source import VideoSource


def sources(path: Path, clips: int, seconds: int) -> list[VideoSource]:
    return [VideoSource(f"v{k}", str(path), "digest", seconds * 1_000_000, has_audio=True) for k in range(clips)]


def through_workers(videos: list[VideoSource], extractor: str, workers: int) -> float:
    selection = Selection("image", "fingerprint", {video.video_id: "digest" for video in videos})
    make = ExtractionTask(parse_config(extractor, {}), selection, "float16")
    began = time.perf_counter()
    outcomes = list(run(make, videos, ExecutionConfig(workers=workers)))
    seconds = time.perf_counter() - began
    assert all(outcome.result is not None for outcome in outcomes)
    return seconds


def alone(videos: list[VideoSource], extractor: str) -> float:
    built = build(parse_config(extractor, {}))
    began = time.perf_counter()
    for video in videos:
        built.extract(video)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--extractor", default="image_descriptor")
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        render(clip, SIZES["360p"], arguments.seconds, sound=True)
        videos = sources(clip, arguments.clips, arguments.seconds)
        ways = {
            f"{n} workers": (lambda n=n: through_workers(videos, arguments.extractor, n)) for n in arguments.workers
        }
        ways["alone"] = lambda: alone(videos, arguments.extractor)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                taken[name].append(way())
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        rows.append({"way": name, "seconds": round(median, 2), "clips a second": round(arguments.clips / median, 1)})
        print(f"{name:10}  {median:7.2f} s  {arguments.clips / median:7.1f} clips a second", flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps({"cores": usable_cpus(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
