"""How fast each frozen network is, alone and from a video file to rows; prints tables and writes the numbers as JSON.

    python benchmarks/networks.py --output networks.json               # forward rates of all networks, some minutes
    python benchmarks/networks.py --networks vggish --batch-sizes 32   # a quick look at one
    python benchmarks/networks.py --clip 20                            # from files to rows as well, 20 s of video
    python benchmarks/networks.py --clip 20 --rounds 0 --precisions float32   # only that, without bfloat16

Rates need no trained weights: these are random, which changes no speed. Rounds of the variants take turns, so that a
machine that slows down slows all of them; the best round counts. `bfloat16 (autocast)` is the way that the package
does not go: weights in float32, converted in every pass.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clips import SIZES, render
from mgn_ma.extractors.audio_patches import log_mel_patches
from mgn_ma.extractors.device import MEASURED_S, dtype_of, measured_speeds, place, resolve_device
from mgn_ma.extractors.pretrained import Precision
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.extractors.s3d.extractor import frames_of, window_starts
from mgn_ma.extractors.timm_image.network import fold_batch_norms
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.machine import usable_cpus
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource
from mgn_ma.media.subtitles import read_captions
from mgn_ma.media.video import iter_frames_at

NETWORKS = ("inception_resnet_v2", "vggish", "s3d", "bert")
UNITS = {"inception_resnet_v2": "images", "vggish": "patches", "s3d": "clips", "bert": "texts of 32 tokens"}
BATCH_SIZES = {"inception_resnet_v2": 8, "vggish": 32, "s3d": 1, "bert": 32}
LAYOUTS = {
    "inception_resnet_v2": torch.channels_last,
    "vggish": torch.channels_last,
    "s3d": torch.channels_last_3d,
    "bert": None,
}
ROUNDS = 5
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def network_of(name: str) -> nn.Module:
    config = parse_config(name, {"pretrained": "random:0", **({"source": "title"} if name == "bert" else {})})
    return config.load()


def input_of(name: str, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if name == "bert":
        return torch.randint(1000, 30000, (batch, 32), generator=generator)
    shape = {"inception_resnet_v2": (3, 299, 299), "vggish": (1, 96, 64), "s3d": (3, 32, 224, 224)}[name]
    coarse = torch.randn(batch, *(max(1, side // 8) for side in shape), generator=generator)
    mode = "trilinear" if len(shape) == 4 else "bilinear"
    scaled = nn.functional.interpolate(coarse, shape[1:], mode=mode)
    return scaled.expand(-1, shape[0], *shape[1:]).contiguous(memory_format=LAYOUTS[name])


def variants(name: str, device: torch.device) -> dict[str, Callable[[Tensor], Tensor]]:
    """The ways to run a network, by what they are called in the table; the first is the reference."""
    plain = network_of(name)
    made: dict[str, Callable[[Tensor], Tensor]] = {}

    def add(label: str, network: nn.Module, precision: Precision = "float32", **options: Any) -> None:
        autocast = options.get("autocast", False)
        placed = place(copy.deepcopy(network), device, precision, options.get("layout", LAYOUTS[name]))
        dtype = dtype_of(precision)

        def run(units: Tensor) -> Tensor:
            ready = units.to(device) if name == "bert" else units.to(device, dtype)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                vectors = placed(input_ids=ready) if name == "bert" else placed(ready)
            return vectors.float().cpu()

        made[label] = run

    if name == "inception_resnet_v2":
        add("float32, contiguous, norms apart", plain, layout=None)
        add("float32, channels last, norms apart", plain)
        fold_batch_norms(plain)
    add("float32", plain)
    add("bfloat16", plain, "bfloat16")
    add("bfloat16 (autocast)", plain, autocast=True)
    return made


def forward_rates(name: str, batch: int, device: torch.device, rounds: int, patience: float) -> list[dict[str, Any]]:
    units = input_of(name, batch)
    ways = variants(name, device)
    outputs: dict[str, Tensor] = {}
    best = dict.fromkeys(ways, float("inf"))
    spent = dict.fromkeys(ways, 0.0)
    # The first round warms up, and counts only for a way that has no patience left after it.
    for turn in range(rounds + 1):
        for label, run in ways.items():
            if spent[label] > patience and best[label] < float("inf"):
                continue
            began = time.perf_counter()
            outputs[label] = run(units)
            seconds = time.perf_counter() - began
            spent[label] += seconds
            if turn or seconds > patience:
                best[label] = min(best[label], seconds)
    reference = outputs[next(iter(ways))]
    return [
        {
            "network": name,
            "variant": label,
            "batch": batch,
            "units/s": round(batch / seconds, 2),
            "unit": UNITS[name],
            "cosine": round(float(torch.cosine_similarity(outputs[label], reference).min()), 6),
            "relative L2": float(f"{(outputs[label] - reference).norm() / reference.norm():.1e}"),
        }
        for label, seconds in best.items()
    ]


def make_clip(folder: Path, seconds: int) -> VideoSource:
    """A clip of 360 lines, as `download` fetches them, with sound and a caption every three seconds."""
    video, captions = folder / "clip.mp4", folder / "clip.en.vtt"
    render(video, SIZES["360p"], seconds, sound=True)
    captions.write_text("WEBVTT\n\n" + "\n".join(cue(second) for second in range(0, seconds, 3)), encoding="utf-8")
    info = probe(str(video))
    return VideoSource(
        "clip",
        video_path=str(video),
        has_audio=info.has_audio,
        duration_us=info.duration_us,
        captions_path=str(captions),
    )


def cue(second: int) -> str:
    """A caption of WebVTT that is shown for nearly a second."""
    time_of_day = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{time_of_day}.000 --> {time_of_day}.900\nand this is what somebody says at {second}\n"


def end_to_end(name: str, clip: VideoSource, device: str, precision: Precision, rounds: int) -> dict[str, Any]:
    """From files to rows, beside the same network on the same units that lie in memory already; best of the rounds."""
    settings = {"pretrained": "random:0", "device": device, "precision": precision}
    extractor: Any = build(parse_config(name, settings | ({"source": "captions"} if name == "bert" else {})))
    alone = network_alone(name, extractor, clip)
    whole_s, alone_s, n_rows = [], [], 0
    for turn in range(rounds + 1):
        began = time.perf_counter()
        rows = extractor.extract(clip)
        middle = time.perf_counter()
        alone()
        ended = time.perf_counter()
        n_rows = len(rows)
        if turn:  # the first round warms up
            whole_s.append(middle - began)
            alone_s.append(ended - middle)
    assert clip.duration_us is not None
    return {
        "network": name,
        "precision": precision,
        "rows": n_rows,
        "seconds": round(min(whole_s), 2),
        "of them network": round(min(alone_s), 2),
        "per second of video": round(min(whole_s) / clip.duration_us * 1e6, 3),
    }


def network_alone(name: str, extractor: Any, clip: VideoSource) -> Callable[[], object]:
    """The network of an extractor on what it would read of a clip, read before."""
    path, duration_us = str(clip.video_path), clip.duration_us or 0
    if name == "s3d":
        frames = list(frames_of(clip, "repeat"))
        return lambda: list(extractor._dense.vectors(iter(frames), window_starts(duration_us)))
    units: list[Any]
    if name == "bert":
        units = [cue.text for cue in read_captions(str(clip.captions_path)).cues]
    elif name == "vggish":
        units = list(log_mel_patches(iter_audio(path)))
    else:
        times_us, geometry = grid_timestamps_us(duration_us).tolist(), extractor.pictures.geometry
        units = [frame for _, frame in iter_frames_at(path, times_us, geometry)]
    return lambda: list(extractor._batches.map(extractor.forward, units))


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All networks together: what a second of video costs, and what of that is not the network."""
    seconds, network = (sum(row[key] for row in rows) for key in ("seconds", "of them network"))
    return {
        "precision": rows[0]["precision"],
        "per second of video": round(sum(row["per second of video"] for row in rows), 3),
        "outside the networks": f"{1 - network / seconds:.1%}",
    }


def table(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0])
    cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batch-sizes", nargs="+", type=int, help="instead of each network's own")
    parser.add_argument("--rounds-of-clip", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="0: no forward rates")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="of the clip")
    parser.add_argument("--patience", type=float, default=15.0, help="seconds for each way to run a network")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clip", type=int, default=0, metavar="SECONDS", help="measure from files to rows as well")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    report: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": usable_cpus(),
            "threads": torch.get_num_threads(),
            "device": str(device),
            "GFLOP/s of a convolution": measured_speeds(device, MEASURED_S),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "forward": [],
        "end_to_end": [],
    }
    print(json.dumps(report["machine"]))
    for name in arguments.networks if arguments.rounds else ():
        for batch in arguments.batch_sizes or [BATCH_SIZES[name]]:
            rows = forward_rates(name, batch, device, arguments.rounds, arguments.patience)
            report["forward"] += rows
            print("\n" + table(rows), flush=True)
            gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder), max(1, arguments.clip))
        for precision in arguments.precisions if arguments.clip else ():
            assert clip is not None
            made = [
                end_to_end(name, clip, device.type, precision, arguments.rounds_of_clip) for name in arguments.networks
            ]
            report["end_to_end"] += [*made, total(made)]
            print("\n" + table(made) + "\n" + json.dumps(total(made)), flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
