"""Peak memory of extraction against a video's length: each network, from a 1080p file to rows, a process a measurement.

    python benchmarks/memory.py --output memory.json                       # half an hour: 10 minutes of S3D are long
    python benchmarks/memory.py --networks vggish inception_resnet_v2 --minutes 1 10

Networks are whole, at random weights; longer videos are the same clip again and again. A process's peak is what Linux
calls VmHWM: networks, decoder, batches, rows and all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clips import SIZES, render, repeat

NETWORKS = ("inception_resnet_v2", "vggish", "s3d")
CLIP_SECONDS = 30

# Not getrusage: a process starts with the peak of the one that started it.
CHILD = r"""
import re, sys
from pathlib import Path
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource
name, path, precision = sys.argv[1:]
info = probe(path)
source = VideoSource("clip", video_path=path, has_audio=info.has_audio, duration_us=info.duration_us)
rows = build(parse_config(name, {"pretrained": "random:0", "precision": precision})).extract(source)
if isinstance(rows, Exception):
    raise rows
print(len(rows), re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def measure(name: str, path: Path, precision: str) -> dict[str, Any]:
    """Rows, seconds and peak of one network on one file, in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, "-c", CHILD, name, str(path), precision]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows, kibibytes = map(int, output.split()[-2:])
    return {"rows": rows, "seconds": round(time.perf_counter() - began, 1), "peak_mib": round(kibibytes / 1024)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[0.5, 1, 2, 10])
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    report: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.mp4"
        render(clip, SIZES["1080p"], CLIP_SECONDS, sound=True)
        for minutes in arguments.minutes:
            path = Path(name) / f"{minutes:g}.mp4"
            repeat(clip, path, max(1, round(minutes * 60 / CLIP_SECONDS)))
            for network in arguments.networks:
                row = {"network": network, "minutes": minutes, **measure(network, path, arguments.precision)}
                report.append(row)
                print(json.dumps(row), flush=True)
            path.unlink()
    if arguments.output:
        arguments.output.write_text(json.dumps({"precision": arguments.precision, "rows": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
