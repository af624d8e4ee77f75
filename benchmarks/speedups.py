"""What might make extraction faster, each tried beside what the package does: speed, error, and which is worth keeping.

    pip install torchao                                    # for the rows of int8, and for nothing else
    python benchmarks/speedups.py --output speedups.json   # all of it, some minutes
    python benchmarks/speedups.py --only windows

``networks``: EfficientNet-Lite0 (with its weights of ImageNet), Inception-ResNet-v2 and S3D's trunk (random ones, which
changes no speed), compiled by TorchInductor and quantised to int8 (PT2E for x86, calibrated on other input of the same
kind). ``windows``: S3D for every third timestamp of the 6 Hz grid, with straight lines between. ``threads``: cores
shared between decoding and the network, in one process and in as many as there are cores. Rounds of the ways take
turns, and the best of each counts. What the sample's networks score with them is told by ``encoders_on_sample.py``.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import skimage.data
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from mgn_ma.extractors.batching import batch_of
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.extractors.s3d.dense import FLOAT32_LAYERS, DenseS3D
from mgn_ma.extractors.s3d.extractor import between
from mgn_ma.extractors.s3d.stem import SharedStem, WindowStream
from mgn_ma.extractors.s3d.trunk import Trunk
from mgn_ma.extractors.timm_image.config import TimmImageConfig
from mgn_ma.extractors.timm_image.extractor import TimmImageExtractor
from mgn_ma.machine import usable_cpus
from mgn_ma.media.source import VideoSource
from networks import make_clip
from s3d import moving_frames, random_network, table, window_starts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from lite0 import NETWORK, write_lite0

ROUNDS = 5
PARTS = ("networks", "windows", "threads")
EVERY = 3
"""Timestamps of the 6 Hz grid from one window of its own to the next: 2 Hz."""

Forward = Callable[[Tensor], Tensor]


def crops(photographs: list[np.ndarray], size: int, count: int) -> np.ndarray:
    """(count, size, size, 3) uint8: squares of photographs in turn, from 0.4 of their shorter side on."""
    rng = np.random.default_rng(0)
    cut = []
    for photograph in itertools.islice(itertools.cycle(photographs), count):
        shorter = min(photograph.shape[:2])
        side = int(rng.integers(shorter * 2 // 5, shorter))
        y, x = (int(rng.integers(0, length - side)) for length in photograph.shape[:2])
        square = Image.fromarray(photograph[y : y + side, x : x + side])
        cut.append(np.asarray(square.resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(cut)


CALIBRATION = load_sample_images().images


class Int8Config(TimmImageConfig):
    """Any network of timm in int8."""

    name: Literal["speedups:Int8Image"] = "speedups:Int8Image"  # type: ignore[assignment]


class Int8Image(TimmImageExtractor):
    """A network of timm in int8, calibrated on two photographs; always full batches, since each size is compiled."""

    Config = Int8Config

    def __init__(self, config: Int8Config) -> None:
        super().__init__(config)
        frames = crops(CALIBRATION, self.pictures.geometry.size, config.batch_size)
        units = self.pictures.normalised(torch.from_numpy(frames), torch.float32)
        self._compiled = compiled(quantised(self._network, units), freezing=True)
        self._batch_size = config.batch_size

    def forward(self, frames: Sequence[Any]) -> Tensor:
        """B frames (H, W, 3) uint8 RGB of the network's size to (B, D)."""
        full = [*frames, *itertools.repeat(frames[-1], self._batch_size - len(frames))]
        with torch.no_grad():
            units = self.pictures.normalised(batch_of(full, self._device), torch.float32)
            return self._compiled(units)[: len(frames)]


def images_of(extractor: TimmImageExtractor) -> tuple[Tensor, Tensor]:
    """What the network is given of photographs, and what it is calibrated with: others."""
    seen = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]
    size = extractor.pictures.geometry.size
    given, calibration = (crops(photographs, size, 16) for photographs in (seen, CALIBRATION))
    made = [extractor.pictures.normalised(torch.from_numpy(frames), torch.float32) for frames in (given, calibration)]
    return made[0], made[1]


def gated_maps(seed: int, batch: int) -> Tensor:
    """Windows as S3D's trunk takes them, (B, 16, 28, 28, 192), of frames that move."""
    stem = SharedStem(random_network(0)).eval()
    stream = WindowStream(stem, range(batch))
    return stem.gated(stream.push(torch.from_numpy(moving_frames(31 + batch, seed))))


def in_bfloat16(network: nn.Module) -> nn.Module:
    """As `place` does; the small layers of S3D's trunk stay in float32."""
    cast = copy.deepcopy(network).bfloat16()
    for name, layer in cast.named_modules():
        if name.rpartition(".")[2] in FLOAT32_LAYERS:
            layer.float()
    return cast


def quantised(network: nn.Module, calibration: Tensor) -> nn.Module:
    """Weights and activations in int8 where the quantizer for x86 knows how, by one pass over other input."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    exported = torch.export.export(copy.deepcopy(network), (calibration,)).module()
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(exported, quantizer)
    prepared(calibration)
    return convert_pt2e(prepared)


def compiled(network: nn.Module, *, freezing: bool = False) -> Forward:
    """By TorchInductor. ``freezing`` packs constant weights once, without which int8 has no kernels at all."""
    torch._dynamo.config.recompile_limit = 64
    made = torch.compile(network)

    def run(units: Tensor) -> Tensor:
        # Read when the first input comes.
        with torch._inductor.config.patch(freezing=freezing):
            return made(units)  # type: ignore[no-any-return]

    return run


def measure_networks() -> list[dict[str, Any]]:
    trunk = Trunk(random_network(0)).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        weights = write_lite0(Path(folder) / "lite0.safetensors")
        settings = {"network": NETWORK, "pretrained": {"path": str(weights)}, "device": "cpu"}
        lite0 = build(parse_config("timm_image", settings))
    inception = build(parse_config("inception_resnet_v2", {"pretrained": "random:0", "device": "cpu"}))
    return [
        *compare("efficientnet_lite0 (ImageNet)", lite0._network, *images_of(lite0)),
        *compare("inception_resnet_v2 (random)", inception._network, *images_of(inception)),
        *compare("s3d trunk (random)", trunk, gated_maps(0, 4), gated_maps(1, 4)),
    ]


@torch.no_grad()
def compare(name: str, network: nn.Module, units: Tensor, calibration: Tensor) -> list[dict[str, Any]]:
    half = units.bfloat16()
    ways: dict[str, tuple[Callable[[], Forward], Tensor]] = {
        "float32": (lambda: network, units),
        "float32, compiled": (lambda: compiled(network), units),
        "float32, compiled, frozen": (lambda: compiled(network, freezing=True), units),
        "bfloat16": (lambda: in_bfloat16(network), half),
        "bfloat16, compiled": (lambda: compiled(in_bfloat16(network)), half),
        "int8, compiled": (lambda: compiled(quantised(network, calibration), freezing=True), units),
    }
    made: dict[str, Forward] = {}
    first: dict[str, float] = {}
    vectors: dict[str, Tensor] = {}
    for label, (make, given) in ways.items():
        torch._dynamo.reset()
        began = time.perf_counter()
        made[label] = make()
        vectors[label] = made[label](given).float()
        first[label] = time.perf_counter() - began
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for label, forward in made.items():
            began = time.perf_counter()
            forward(ways[label][1])
            best[label] = min(best[label], time.perf_counter() - began)
    return [
        {
            "network": name,
            "way": label,
            "units/s": len(units) / best[label],
            "times": best["float32"] / best[label],
            **distance(vectors[label].numpy(), vectors["float32"].numpy()),
            "s until the first": first[label],
        }
        for label in ways
    ]


def distance(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Of vectors (N, D): the worst cosine, and the error's share of what tells the N apart."""
    cosines = torch.cosine_similarity(torch.from_numpy(ours), torch.from_numpy(theirs))
    apart = np.square(theirs - theirs.mean(axis=0)).sum()
    return {"worst cosine": cosines.min().item(), "error": float(np.square(ours - theirs).sum() / apart)}


def measure_windows(seconds: int) -> list[dict[str, Any]]:
    """S3D for each timestamp of the grid, and for every third one with straight lines between."""
    starts = list(window_starts(seconds))
    frames = moving_frames(starts[-1] + 32, 0)
    dense = DenseS3D(random_network(0))
    ways = {"each timestamp": starts, "every third": starts[::EVERY]}
    best = dict.fromkeys(ways, float("inf"))
    vectors: dict[str, np.ndarray] = {}
    for _ in range(2):
        for label, chosen in ways.items():
            began = time.perf_counter()
            vectors[label] = torch.cat(list(dense.vectors(iter(frames), chosen))).numpy()
            best[label] = min(best[label], time.perf_counter() - began)
    truth = vectors["each timestamp"]
    made = {"each timestamp": truth, "every third": between(vectors["every third"], EVERY, len(truth))}
    return [
        {
            "way": label,
            "s/s of video": best[label] / seconds,
            "times": best["each timestamp"] / best[label],
            **distance(values, truth),
        }
        for label, values in made.items()
    ]


def measure_threads(seconds: int) -> list[dict[str, Any]]:
    """Seconds of wall clock for as many clips as there are cores, by how the cores are shared."""
    cores = usable_cpus()
    shares = [(1, network, decoding) for network, decoding in itertools.product(sorted({1, cores}), repeat=2)] + [
        (cores, 1, 1)
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder), seconds)
        for name in ("vggish", "inception_resnet_v2", "s3d"):
            walls = {share: wall_clock(name, clip, cores, *share) for share in shares}
            for (processes, network, decoding), wall in walls.items():
                rows.append(
                    {
                        "network": name,
                        "processes": processes,
                        "threads of the network": network,
                        "of the decoder": decoding,
                        "s/s of video": wall / (cores * seconds),
                        "times": walls[shares[0]] / wall,
                    }
                )
                print(table(rows[-1:]), flush=True)
    return rows


def wall_clock(name: str, clip: VideoSource, clips: int, processes: int, network: int, decoding: int) -> float:
    # Not forked: the threads of torch would be missing in the child.
    context, shares = get_context("spawn"), (name, network, decoding)
    with ProcessPoolExecutor(processes, context, initializer=share_cores, initargs=shares) as pool:
        list(pool.map(extract, [clip] * processes))  # loads the network and warms up
        began = time.perf_counter()
        list(pool.map(extract, [clip] * clips))
        return time.perf_counter() - began


_built: dict[str, Any] = {}


def share_cores(name: str, network: int, decoding: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(decoding)  # read by the decoder alone: torch has its own by now
    torch.set_num_threads(network)
    _built["extractor"] = build(parse_config(name, {"pretrained": "random:0"}))


def extract(clip: VideoSource) -> int:
    return len(_built["extractor"].extract(clip))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=int, default=10, help="of video")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    parts: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
        "networks": measure_networks,
        "windows": lambda: measure_windows(arguments.seconds),
        "threads": lambda: measure_threads(arguments.seconds),
    }
    report = {}
    for part in arguments.only:
        report[part] = parts[part]()
        print("\n" + table(report[part]), flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
