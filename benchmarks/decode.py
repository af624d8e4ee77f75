"""What reading video and sound costs, and how exact it is; prints tables and writes the numbers as JSON.

    python benchmarks/decode.py --output decode.json              # some minutes; renders its clips first
    python benchmarks/decode.py --seconds 4 --parts decode        # a quick look
    python benchmarks/decode.py --threads 1 2 8                   # decoder threads to try

Parts: `decode` (frames by presentation time), `geometry` (one pass of swscale beside Pillow), `audio` (resamplers),
`memory` (peak of reading alone against length; with networks: memory.py).
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import soxr
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from sklearn.datasets import load_sample_images

from clips import RATE, SIZES, render, repeat
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.machine import usable_cpus
from mgn_ma.media import video as video_module
from mgn_ma.media.geometry import FrameGeometry, Framer
from mgn_ma.media.video import iter_frames_at

IMAGE = FrameGeometry(kind="shorter_side_centre_crop", size=299, resize=333)
CLIP = FrameGeometry(kind="centre_square", size=224)
SECOND_US = 1_000_000


def best_of(work: Callable[[], Any], rounds: int = 3) -> tuple[float, float]:
    """Least wall and CPU seconds."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def measure_decode(clips: dict[str, Path], seconds: int, threads: list[int]) -> list[dict[str, Any]]:
    every_frame = np.arange(seconds * RATE) * SECOND_US // RATE
    cases = {
        "every frame, 299": (every_frame, IMAGE),
        "6 Hz, 299": (grid_timestamps_us(seconds * SECOND_US), IMAGE),
        "10 Hz, 224": (np.arange(seconds * 10) * SECOND_US // 10, CLIP),
        "sparse (every 5 s), 299": (np.arange(0, seconds * SECOND_US, 5 * SECOND_US), IMAGE),
    }
    rows = []
    for name, path in clips.items():
        for case, (timestamps, geometry) in cases.items():
            for n_threads in threads:
                wall, cpu = best_of(lambda: drain(path, timestamps, geometry, n_threads))  # noqa: B023
                whole_cpu = best_of(lambda: drain_without_selection(path, timestamps, geometry, n_threads))[1]  # noqa: B023
                rows.append(
                    {
                        "clip": name,
                        "wanted": case,
                        "threads": n_threads,
                        "frames_per_second": len(timestamps) / wall,
                        "video_seconds_per_second": seconds / wall,
                        "cpu_ms_per_video_second": 1000 * cpu / seconds,
                        "cpu_ms_per_video_second_decoding_all": 1000 * whole_cpu / seconds,
                    }
                )
    return rows


def drain(path: Path, timestamps: np.ndarray, geometry: FrameGeometry, threads: int) -> None:
    given = sum(1 for _ in iter_frames_at(str(path), timestamps, geometry, threads=threads))
    if given != len(timestamps):
        raise SystemExit(f"{given} frames came of {len(timestamps)}")


def drain_without_selection(path: Path, timestamps: np.ndarray, geometry: FrameGeometry, threads: int) -> None:
    """The same, decoding every packet: what leaving packets out is worth."""
    kept = video_module._INDEXED_BY_TIME
    video_module._INDEXED_BY_TIME = frozenset()
    try:
        drain(path, timestamps, geometry, threads)
    finally:
        video_module._INDEXED_BY_TIME = kept


def measure_geometry() -> list[dict[str, Any]]:
    """One pass of swscale, and the customary ways, against exact conversion and Pillow's bicubic."""
    rows = []
    for name, size in SIZES.items():
        for which, photograph in enumerate(load_sample_images().images):
            frame = as_yuv(photograph, size)
            exact = Framer(FrameGeometry(kind="fit", size=max(size))).array(frame)
            reference = IMAGE.crop(pillow(exact, IMAGE.scaled_size(*size)))
            framer = Framer(IMAGE)
            ways: dict[str, Callable[[], np.ndarray]] = {
                "one pass (ours)": lambda: framer.array(frame),  # noqa: B023
                "exact conversion, then Pillow": lambda: IMAGE.crop(
                    pillow(Framer(FrameGeometry(kind="fit", size=max(size))).array(frame), IMAGE.scaled_size(*size))  # noqa: B023
                ),
                "fast conversion, then Pillow": lambda: IMAGE.crop(
                    pillow(fast_rgb(frame), IMAGE.scaled_size(*size))  # noqa: B023
                ),
                "one pass, swscale's defaults": lambda: IMAGE.crop(fast_rgb(frame, IMAGE.scaled_size(*size))),  # noqa: B023
            }
            for way, work in ways.items():
                difference = work().astype(int) - reference
                rows.append(
                    {
                        "frame": f"{name}, photograph {which + 1}",
                        "way": way,
                        "ms": 1000 * best_of(work, 5)[1],
                        "mean_difference": float(np.abs(difference).mean()),
                        "bias": float(difference.mean()),
                        "rms": float(np.sqrt(np.mean(difference**2))),
                    }
                )
    return rows


def as_yuv(photograph: np.ndarray, size: tuple[int, int]) -> av.VideoFrame:
    scaled = PIL.Image.fromarray(photograph).resize(size, PIL.Image.Resampling.LANCZOS)
    return av.VideoFrame.from_ndarray(np.asarray(scaled), "rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


def pillow(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BICUBIC))


def fast_rgb(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    width, height = size or (frame.width, frame.height)
    return frame.reformat(
        width, height, "rgb24", dst_color_range=ColorRange.JPEG, interpolation=Interpolation.BICUBIC
    ).to_ndarray()


def measure_audio() -> list[dict[str, Any]]:
    """Error on tones within the new band, what is left of tones above it, and speed, from 44.1 to 16 kHz."""
    resamplers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "FFmpeg swresample": resample_swr,
        "soxr HQ (ours)": lambda samples: resample_soxr(samples, "HQ"),
        "soxr VHQ": lambda samples: resample_soxr(samples, "VHQ"),
    }
    rows = []
    time_in, time_out = np.arange(441_000) / 44_100, np.arange(160_000) / 16_000
    noise = np.random.default_rng(0).standard_normal(44_100 * 60).astype(np.float32)
    for name, resample in resamplers.items():
        row: dict[str, Any] = {"resampler": name}
        for hertz in (1_000, 4_000, 7_000):
            wanted = np.sin(2 * np.pi * hertz * time_out)[4000:-4000]
            error = resample(np.sin(2 * np.pi * hertz * time_in).astype(np.float32))[4000:156_000] - wanted
            row[f"snr_db_{hertz}"] = 10 * np.log10(np.mean(wanted**2) / np.mean(error**2))
        for hertz in (8_500, 10_000):
            left = resample(np.sin(2 * np.pi * hertz * time_in).astype(np.float32))[4000:-4000]
            row[f"left_db_{hertz}"] = 10 * np.log10(2 * np.mean(left.astype(float) ** 2))
        row["times_real_time"] = 60 / best_of(lambda: resample(noise))[1]  # noqa: B023
        rows.append(row)
    return rows


def resample_soxr(samples: np.ndarray, quality: str) -> np.ndarray:
    resampler = soxr.ResampleStream(44_100, 16_000, 1, dtype="float32", quality=quality)
    blocks = [resampler.resample_chunk(samples[start : start + 8192]) for start in range(0, len(samples), 8192)]
    return np.concatenate([*blocks, resampler.resample_chunk(samples[:0], last=True)])


def resample_swr(samples: np.ndarray) -> np.ndarray:
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
    frames = []
    for start in range(0, len(samples), 8192):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 8192], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
        frames += resampler.resample(frame)
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


# Not getrusage: a process starts with the peak of the one that started it.
CHILD = r"""
import re, sys
from pathlib import Path
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.video import iter_frames_at
geometry = FrameGeometry(kind="shorter_side_centre_crop", size=299, resize=333)
n = sum(1 for _ in iter_frames_at(sys.argv[1], grid_timestamps_us(int(sys.argv[2])), geometry))
print(n, re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def measure_memory(clip: Path, seconds: int, folder: Path) -> list[dict[str, Any]]:
    """Peak memory of a process that takes the 6 Hz grid of 1080p video, by length."""
    rows = []
    for length in (30, 120, 600):
        path = folder / f"{length}.mp4"
        repeat(clip, path, -(-length // seconds))
        command = [sys.executable, "-c", CHILD, str(path), str(length * SECOND_US)]
        frames, kibibytes = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        rows.append({"video_seconds": length, "frames": frames, "peak_mib": kibibytes / 1024})
        path.unlink()
    return rows


def show(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    names = list(rows[0])
    cells = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (names, *cells):
        print("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="length of the clips")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 0], help="of the decoder; 0: one a core")
    parser.add_argument("--parts", nargs="+", default=["decode", "geometry", "audio", "memory"])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    cores = usable_cpus()
    machine = {"processor": platform.processor() or platform.machine(), "cores": cores}
    report: dict[str, Any] = {"machine": {**machine, "av": av.__version__}}
    with tempfile.TemporaryDirectory() as name:
        clips = {size: Path(name) / f"{size}.mp4" for size in SIZES}
        if {"decode", "memory"} & set(arguments.parts):
            for size, path in clips.items():
                render(path, SIZES[size], arguments.seconds)
        measures: dict[str, Callable[[], list[dict[str, Any]]]] = {
            "decode": lambda: measure_decode(clips, arguments.seconds, arguments.threads),
            "geometry": measure_geometry,
            "audio": measure_audio,
            "memory": lambda: measure_memory(clips["1080p"], arguments.seconds, Path(name)),
        }
        for part in arguments.parts:
            report[part] = measures[part]()
            show(part, report[part])
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
